"""The computed parts of docs/scores.md, from benchmarks/results/scores.json."""

from __future__ import annotations

import json
from math import exp, log
from pathlib import Path
from typing import Any

from scipy.stats import kendalltau

RESULTS = Path(__file__).resolve().parents[1] / "benchmarks" / "results" / "scores.json"
LABELS = {
    "lenet5": "LeNet-5 on MNIST",
    "lenet5_16": "LeNet-5 on MNIST, more evaluations",
    "resnet8": "ResNet-8 on CIFAR-10",
}
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
    seeds = len({r["seed"] for r in runs})
    return (
        f"{seeds} seed{'s' * (seeds > 1)}. {images['calibration']} calibration, {images['search']:,} search, "
        f"{images['accept']:,} accept and {images['test']:,} test images; at most {settings['cap']} evaluations. "
        f"A run sent {min(spent):,} to {max(spent):,} images through the network, its score, "
        f"calibration and the final test included."
    )


def verdict() -> str:
    """Return what each score was worth beside the controls, and in words which one was worth anything."""
    found = {case: by_score(runs) for case, runs in cases().items()}
    heads = ["score", *(f"{LABELS[case]}: energy / `{c}`" for case in found for c in CONTROLS)]
    names = [n for n in next(iter(found.values())) if n not in CONTROLS]
    rows = [
        [f"`{n}`", *(f"{lower(each[c]) / lower(each[n]):.3f}" for each in found.values() for c in CONTROLS)]
        for n in names
    ]
    table = "\n".join(f"| {' | '.join(row)} |" for row in (heads, ["---"] * len(heads), *rows))
    return "\n".join([table, "", *(_in_words(case, each) for case, each in found.items())])


def _in_words(case: str, found: dict[str, Runs]) -> str:
    seeds = len(found["none"])
    parts = []
    for control in CONTROLS:
        signs = {n: _signs(r, found[control]) for n, r in found.items() if n not in CONTROLS}
        groups = {
            "lower in every seed": [n for n, s in signs.items() if all(x < 0 for x in s)],
            "the same in every seed": [n for n, s in signs.items() if not any(s)],
            "higher in every seed": [n for n, s in signs.items() if all(x > 0 for x in s)],
        }
        rest = [n for n in signs if not any(n in g for g in groups.values())]
        groups["one way or the other by the seed"] = rest
        parts.append(f"beside `{control}` " + "; ".join(f"{w}: {_named(g)}" for w, g in groups.items() if g))
    scores = [n for n, r in found.items() if n not in (*CONTROLS, "ablation") and r[0]["tau"] is not None]
    agreement = [sum(r["tau"] for r in found[n]) for n in scores]
    paying = [
        n
        for n, r in found.items()
        if n not in CONTROLS and lower(r) > 1.000001 * max(lower(found[c]) for c in CONTROLS)
    ]
    plain = f"Over all seeds only {_named(paying)} beat both controls" if paying else "No score beat both controls"
    worth = float(kendalltau(agreement, [lower(found[n]) for n in scores]).statistic)
    told = "not defined, all the same" if worth != worth else f"{worth:.2f}"
    return (
        f"- {LABELS[case]} ({seeds} seed{'s' * (seeds > 1)}). {plain}; guidance by {'the others' if paying else 'a score'} "
        f"did not pay. Energy {'. Energy '.join(parts)}. Whether scores that agree "
        f"with ablation reach lower energy (Kendall's tau over the scores): {told}."
    )


def _signs(runs: Runs, control: Runs) -> list[int]:
    """Return, for each seed, whether energy is below (-1), at (0) or above (1) that of the control."""
    pairs = [(a["multiplier_energy_j"], b["multiplier_energy_j"]) for a, b in zip(runs, control, strict=True)]
    return [0 if abs(a / b - 1) < 1e-9 else (1 if a > b else -1) for a, b in pairs]


def _named(names: list[str]) -> str:
    return ", ".join(f"`{n}`" for n in names)


def machine() -> str:
    """Return where it was measured."""
    m, multipliers = report()["machine"], report()["settings"]["multipliers"].split(",")
    return (
        f"Candidates: {', '.join(f'`{name}`' for name in multipliers)}. Seconds of one thread, processor time, "
        f"{m['processor']}, torch {m['torch']}."
    )


BLOCKS = {"score_comparison": comparison, "score_verdict": verdict, "score_machine": machine}
