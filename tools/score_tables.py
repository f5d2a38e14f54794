"""The computed parts of docs/scores.md, from benchmarks/results/scores.json."""

from __future__ import annotations

import json
from math import exp, log
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parents[1] / "benchmarks" / "results" / "scores.json"
LABELS = {"lenet5": "LeNet-5 on MNIST", "resnet8": "ResNet-8 on CIFAR-10", "resnet20": "ResNet-20 on CIFAR-10"}
CONTROLS = ("none", "random")
Runs = list[dict[str, Any]]


def report() -> dict[str, Any]:
    """Return the committed comparison."""
    return json.loads(RESULTS.read_text())  # type: ignore[no-any-return]


def cases() -> dict[str, Runs]:
    """Return the runs of each network, those of seeds that have every score."""
    runs, found = report()["runs"], {}
    names = {run["score"] for run in runs}
    for case in LABELS:
        mine = [run for run in runs if run["case"] == case]
        whole = {s for s in {r["seed"] for r in mine} if {r["score"] for r in mine if r["seed"] == s} == names}
        if whole:
            found[case] = [run for run in mine if run["seed"] in whole]
    return found


def by_score(runs: Runs) -> dict[str, Runs]:
    """Return the runs of each score, seeds in order."""
    names = dict.fromkeys(run["score"] for run in runs)
    return {n: sorted((r for r in runs if r["score"] == n), key=lambda r: r["seed"]) for n in names}


def lower(runs: Runs) -> float:
    """Return how many times lower the multipliers' energy is, the geometric mean over seeds."""
    return exp(sum(log(r["multiplier_energy_lower"]) for r in runs) / len(runs))


def comparison() -> str:
    """Return one table a network: agreement, cost and energy of each score."""
    parts = []
    for case, runs in cases().items():
        lines = [
            f"### {LABELS[case]}",
            "",
            "| score | tau with ablation | images looked at | forward passes | backward passes | seconds "
            "| multiplier energy lower, times | each seed | test loss, points | evaluations |",
            "|---|---|---|---|---|---|---|---|---|---|",
        ]
        found = by_score(runs)
        for name in sorted(found, key=lambda n: -lower(found[n])):
            lines.append(_row(name, found[name]))
        parts.append("\n".join([*lines, "", _images(case, runs)]))
    return "\n\n".join(parts)


def _row(name: str, runs: Runs) -> str:
    mean = {k: sum(r[k] for r in runs) / len(runs) for k in ("loss_points", "evaluations", "score_seconds")}
    taus = [r["tau"] for r in runs if r["tau"] is not None]
    tau = (
        "-"
        if not taus or name == "ablation"
        else f"{sum(taus) / len(taus):.2f} ({', '.join(f'{t:.2f}' for t in taus)})"
    )
    seeds = ", ".join(f"{r['multiplier_energy_lower']:.3g}" for r in runs)
    worst = max(r["loss_points"] for r in runs)
    first = runs[0]
    cost = [f"{first[k]:,}" for k in ("score_images", "score_network_images", "score_backward_images")]
    seconds = f"{mean['score_seconds']:.2g}" if first["values"] and name != "random" else "0"
    return (
        f"| `{name}` | {tau} | {' | '.join(cost)} | {seconds} | {lower(runs):.4g} | {seeds} | "
        f"{mean['loss_points']:.2f} (worst {worst:.2f}) | {mean['evaluations']:.1f} |"
    )


def _images(case: str, runs: Runs) -> str:
    images, settings = runs[0]["images"], report()["settings"]["cases"][case]
    spent = [r["network_images"] for r in runs]
    return (
        f"{len({r['seed'] for r in runs})} seeds. {images['calibration']} calibration, {images['search']:,} search, "
        f"{images['accept']:,} accept and {images['test']:,} test images; at most {settings['cap']} evaluations; candidates "
        f"`{settings['multipliers']}`. A run sent {min(spent):,} to {max(spent):,} images through the network, its score, "
        f"calibration and the final test included."
    )


def verdict() -> str:
    """Return which scores were worth anything, by network."""
    lines = []
    for case, runs in cases().items():
        found = by_score(runs)
        scores = {n: r for n, r in found.items() if n not in CONTROLS}
        text = f"- {LABELS[case]}: "
        for control in CONTROLS:
            better = [n for n, r in scores.items() if _always(r, found[control], 1)]
            worse = [n for n, r in scores.items() if _always(r, found[control], -1)]
            mixed = [n for n in scores if n not in better and n not in worse]
            text += (
                f"against `{control}` ({lower(found[control]):.4g} times) in every seed lower energy: {_named(better)}; "
                f"in no seed: {_named(worse)}; now so, now so: {_named(mixed)}. "
            )
        lines.append(text.strip())
    return "\n".join(lines)


def _always(runs: Runs, control: Runs, sign: int) -> bool:
    """Whether energy was below the control's (or, with sign -1, not below it) in every seed."""
    pairs = [(a["multiplier_energy_j"], b["multiplier_energy_j"]) for a, b in zip(runs, control, strict=True)]
    return all(a < b for a, b in pairs) if sign > 0 else all(a >= b for a, b in pairs)


def _named(names: list[str]) -> str:
    return ", ".join(f"`{n}`" for n in names) or "none of them"


def machine() -> str:
    """Return where it was measured."""
    m = report()["machine"]
    return f"Seconds of one thread, processor time, {m['processor']}, torch {m['torch']}."


BLOCKS = {"score_comparison": comparison, "score_verdict": verdict, "score_machine": machine}
