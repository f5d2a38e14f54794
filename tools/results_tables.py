"""The tables of docs/results.md, computed from the committed results of `generation.py`, `baselines.py`, `tuning.py`."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parents[1] / "benchmarks" / "results"
EXACT = ("uniform_precision", "mixed_precision", "integer, exact products", "integer, exact products, joint codes")
ORDER = ("lenet5", "resnet8", "resnet20", "resnet18")
Run = dict[str, Any]


def results() -> str:
    """Return a table a network and budget: means over the seeds that a row has."""
    files = sorted(RESULTS.glob("baselines-*.json"), key=lambda f: ORDER.index(f.stem.removeprefix("baselines-")))
    parts = []
    for file in files:
        report = json.loads(file.read_text())
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
        f"**{settings['model']} on {settings['data']}, at most {_points(runs[0]['max_accuracy_loss'])}**, exact int8 "
        f"{100 * runs[0]['baseline_accuracy']:.2f} % of {images['test']:,} test images:",
        "",
        "| row | seeds | multiplier energy saved | chip energy / exact | test loss, points (mean, worst) | over exact products "
        "| evaluations | images through networks | seconds |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row, mine in sorted(by_row.items(), key=lambda item: _lower(item[1]), reverse=True):
        gaps = [seeds[r["seed"]] / r["multiplier_energy_j"] for r in mine if seeds[r["seed"]] is not None]
        losses = [r["loss_points"] for r in mine]
        lines.append(
            f"| `{row}` | {len(mine)} | {100 * (1 - 1 / _lower(mine)):.1f} % ({_lower(mine):.1f} times lower) | "
            f"{100 * _mean([r['streaming_energy_j'] / r['baseline_streaming_energy_j'] for r in mine]):.1f} % | "
            f"{_mean(losses):.2f}, {max(losses):.2f} | {f'{_geometric(gaps):.2f} x' if gaps else '-'} | "
            f"{_mean([r['evaluations'] for r in mine]):,.0f} | {_mean([r['network_images'] for r in mine]):,.0f} | "
            f"{_mean([r['wall_s'] for r in mine]):,.0f} |"
        )
    return "\n".join(lines)


def _points(budget: float) -> str:
    return f"{budget:g} point{'' if budget == 1 else 's'}"


def _best_exact(runs: list[Run], seed: int) -> float | None:
    return min((r["multiplier_energy_j"] for r in runs if r["seed"] == seed and r["row"] in EXACT), default=None)


def _lower(runs: list[Run]) -> float:
    return _geometric([run["multiplier_energy_lower"] for run in runs])


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def _geometric(values: list[float]) -> float:
    return math.exp(_mean([math.log(value) for value in values]))


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
            f"{100 * (1 - 1 / t['multiplier_energy_lower']):.1f} %, {t['before_points']:.1f}, "
            f"{t.get('search_points', math.nan):.2f}"
            f"{'' if t['accepted'] else ' (refused)'}"
            for t in run["rounds"]
        )
        s = run["settings"]
        lines.append(
            f"| {run['model']} | {run['max_accuracy_loss']:g} | {run['seed']} | "
            f"{'yes' if run['settings'].get('alternate') else 'no'} | {saved[0]:.1f} % | {saved[1]:.1f} % | "
            f"{run['loss_points']:.2f} | {100 * run['chip_energy_j'] / run['exact_chip_energy_j']:.1f} % | "
            f"{s['epochs']} x {s['images']:,} | {tried} |"
        )
    return "\n".join(lines)


BLOCKS = {"results": results, "tuning": tuned}
