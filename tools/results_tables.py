"""The tables of docs/results.md, computed from the committed results of `benchmarks/`.

These are of `generation.py` and `baselines.py`, `tuning.py`, and `channel_groups.py`.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from statistics import stdev
from typing import Any

from scipy.stats import t

RESULTS = Path(__file__).resolve().parents[1] / "benchmarks" / "results"
EXACT = ("uniform_precision", "mixed_precision", "integer, exact products", "integer, exact products, joint codes")
ORDER = ("lenet5", "resnet8", "resnet14", "resnet20", "resnet18")
FOREIGN = {"resnet.py:ResNet18": "foreign resnet18"}
Run = dict[str, Any]


def reports() -> list[tuple[str, dict[str, Any]]]:
    """Return the committed results, network by network."""
    files = [(case, RESULTS / f"baselines-{case}.json") for case in ORDER]
    return [(case, json.loads(file.read_text())) for case, file in files if file.exists()]


def results() -> str:
    """Return a table a network and budget: means over the seeds that a row has."""
    parts = []
    for _, report in reports():
        for budget in sorted({run["max_accuracy_loss"] for run in report["runs"]}):
            parts.append(_network(report, [r for r in report["runs"] if r["max_accuracy_loss"] == budget]))
    return "\n\n".join(parts)


def _network(report: dict[str, Any], runs: list[Run]) -> str:
    by_row: dict[str, list[Run]] = {}
    for run in runs:
        if "4 circuits" not in run["row"]:
            by_row.setdefault(run["row"], []).append(run)
    seeds = {seed: _best_exact(runs, seed) for seed in sorted({run["seed"] for run in runs})}
    settings, images = report["settings"], runs[0]["images"]
    lines = [
        f"**{FOREIGN.get(settings['model'], settings['model'])} on {settings['data']}, at most {_points(runs[0]['max_accuracy_loss'])}**, exact int8 "
        f"{100 * runs[0]['baseline_accuracy']:.2f} % of {images['test']:,} test images; {images['search']:,} search, "
        f"{images['accept']:,} accept, {images['calibration']:,} calibration images; {_candidates(settings['multipliers'])}:",
        "",
        "| row | seeds | multiplier energy saved | chip energy / exact | test loss, points (mean, worst) | over exact products "
        "| evaluations | images through networks | processor seconds |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for mine in sorted(by_row.values(), key=lower, reverse=True):
        gaps = [seeds[r["seed"]] / r["multiplier_energy_j"] for r in mine if seeds[r["seed"]] is not None]
        losses = [r["loss_points"] for r in mine]
        lines.append(
            f"| {label(mine[0])} | {len(mine)} | {100 * (1 - 1 / lower(mine)):.1f} % ({lower(mine):.1f} times lower) | "
            f"{100 * mean([r['streaming_energy_j'] / r['baseline_streaming_energy_j'] for r in mine]):.1f} % | "
            f"{mean(losses):.2f}, {max(losses):.2f} | {f'{geometric(gaps):.2f} x' if gaps else '-'} | "
            f"{mean([r['evaluations'] for r in mine]):,.0f} | {mean([r['network_images'] for r in mine]):,.0f} | "
            f"{mean([r['cpu_s'] for r in mine]):,.0f} |"
        )
    return "\n".join(lines)


def label(run: Run) -> str:
    """Return the name of a row, marked if strategy `integer` did not probe choices yet when it was measured."""
    old = run["strategy"] == "integer" and "probes" not in run and "before probing" not in run["row"]
    return f"`{run['row']}`{' †' if old else ''}"


def _candidates(multipliers: str) -> str:
    return "the whole library" if multipliers == "evoapprox8b" else f"{len(multipliers.split(','))} circuits"


def _points(budget: float) -> str:
    return f"{budget:g} point{'' if budget == 1 else 's'}"


def _best_exact(runs: list[Run], seed: int) -> float | None:
    return min((r["multiplier_energy_j"] for r in runs if r["seed"] == seed and r["row"] in EXACT), default=None)


def lower(runs: list[Run]) -> float:
    """How many times less multiplier energy than the exact network, geometric mean."""
    return geometric([run["multiplier_energy_lower"] for run in runs])


def mean(values: list[float]) -> float:
    """Arithmetic mean."""
    return sum(values) / len(values)


def geometric(values: list[float]) -> float:
    """Geometric mean."""
    return math.exp(mean([math.log(value) for value in values]))


def paired() -> str:
    """Return how much less `integer` needs than each row, seed by seed, with a 95 % interval where seeds are several."""
    lines = [
        "| network | budget | other row | seeds | `integer` needs less by | 95 % interval | images of `integer` / of the other |",
        "|---|---|---|---|---|---|---|",
    ]
    for case, report in reports():
        for budget, row in sorted({(r["max_accuracy_loss"], r["row"]) for r in report["runs"]}):
            same = [r for r in report["runs"] if r["max_accuracy_loss"] == budget]
            ours = {r["seed"]: r for r in same if r["row"] == "integer"}
            pairs = [(ours[r["seed"]], r) for r in same if r["row"] == row and r["seed"] in ours]
            if row == "integer" or "4 circuits" in row or (len(pairs) < 3 and "nsga2" not in row):
                continue
            logs = [math.log(theirs["multiplier_energy_j"] / mine["multiplier_energy_j"]) for mine, theirs in pairs]
            share = mean([mine["network_images"] for mine, _ in pairs]) / mean([r["network_images"] for _, r in pairs])
            lines.append(
                f"| {case}{'' if 'probes' in pairs[0][0] else ' †'} | {budget:g} | `{row}` | {len(pairs)} | {math.exp(mean(logs)):.2f} x | {_interval(logs)} | "
                f"{100 * share:.1f} % |"
            )
    return "\n".join(lines)


def _interval(logs: list[float]) -> str:
    """95 % interval of the ratio: Student's t on the logarithms."""
    if len(logs) < 3:
        return "-"
    half = t.ppf(0.975, len(logs) - 1) * stdev(logs) / math.sqrt(len(logs))
    return f"{math.exp(mean(logs) - half):.2f} to {math.exp(mean(logs) + half):.2f} x"


def tuned() -> str:
    """Return what training added, a line a run, with every assignment that was tried."""
    file = RESULTS / "tuning.json"
    if not file.exists():
        return "Not measured yet."
    report = json.loads(file.read_text())
    lines = [
        "| network | budget | seed | alternating | without training | with training | test loss, points | chip energy / exact "
        "| epochs x images | assignments trained: energy saved, loss before, after (search split) |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for run in report["runs"]:
        saved = [100 * (1 - 1 / run[key]) for key in ("untrained_multiplier_energy_lower", "multiplier_energy_lower")]
        tried = "; ".join(
            f"{100 * (1 - 1 / done['multiplier_energy_lower']):.1f} %, {done['before_points']:.1f}, "
            f"{done.get('search_points', math.nan):.2f}"
            f"{'' if done['accepted'] else ' (refused)'}"
            for done in run["rounds"]
        )
        s = run["settings"]
        lines.append(
            f"| {run['model']} | {run['max_accuracy_loss']:g} | {run['seed']} | "
            f"{'yes' if run['settings'].get('alternate') else 'no'} | {saved[0]:.1f} % | {saved[1]:.1f} % | "
            f"{run['loss_points']:.2f} | {100 * run['chip_energy_j'] / run['exact_chip_energy_j']:.1f} % | "
            f"{s['epochs']} x {s['images']:,} | {tried} |"
        )
    return "\n".join(lines)


BLOCKS = {"results": results, "paired": paired, "tuning": tuned}
