"""Tables of docs/xai_gen.md, computed from the committed results of `benchmarks/baselines.py`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from axdnn.report import TABLE_ONE, paper_name

RESULTS = Path(__file__).resolve().parents[1] / "benchmarks" / "results"
CASES = {
    "lenet5": "LeNet-5, MNIST", "resnet8": "ResNet-8, CIFAR-10", "resnet14": "ResNet-14, CIFAR-10",
    "resnet20": "ResNet-20, CIFAR-10", "resnet18": "foreign ResNet-18, CIFAR-10",
}  # fmt: skip
STRATEGIES = ("integer", "greedy", "uniform", "random", "paper")
KINDS = {"paper": "multipliers only", "paper, both": "both", "paper, skip only": "skip only"}


def report_of(case: str) -> dict[str, Any]:
    """Return the results of a case at seed 0, 1 and 2 points; without runs if none is committed."""
    file = RESULTS / f"baselines-{case}.json"
    report: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {"runs": [], "settings": {}}
    wanted = {*STRATEGIES, *KINDS}
    report["runs"] = [r for r in report["runs"] if r["seed"] == 0 and r["max_accuracy_loss"] in (1, 2)]
    report["runs"] = [r for r in report["runs"] if r["row"] in wanted]
    return report


def networks() -> str:
    """Return one table a network: every strategy at each budget, multipliers only."""
    parts = []
    for case, label in CASES.items():
        report = report_of(case)
        runs = [run for run in report["runs"] if run["row"] in STRATEGIES]
        if not runs:
            parts.append(f"### {label}\n\nNot measured yet.")
            continue
        s, first = report["settings"], runs[0]
        lines = [
            f"### {label}",
            "",
            f"Exact int8 network {100 * first['baseline_accuracy']:.2f} % (float {100 * first['float_accuracy']:.2f} %) on "
            f"{first['images']['test']:,} test images; {first['images']['search']:,} search, {first['images']['accept']:,} accept, "
            f"{first['images']['calibration']:,} calibration images; at most {first['cap']} full evaluations; candidates: "
            f"{'the whole library' if s['multipliers'] == 'evoapprox8b' else str(len(s['multipliers'].split(','))) + ' circuits'}. "
            f"{only(runs)}".rstrip(),
            "",
            "| budget, points | strategy | accuracy | loss, points | multiplier energy | chip, `streaming` | evaluations | network images | processor s |",
            "|---|---|---|---|---|---|---|---|---|",
        ]
        for run in sorted(runs, key=lambda r: (r["max_accuracy_loss"], r["multiplier_energy_j"])):
            lines.append(
                f"| {run['max_accuracy_loss']:g} | `{run['strategy']}` | {100 * run['accuracy']:.2f} % | {run['loss_points']:.2f} | "
                f"{run['multiplier_energy_lower']:.1f} times lower | "
                f"{100 * run['streaming_energy_j'] / run['baseline_streaming_energy_j']:.1f} % | {run['evaluations']} | "
                f"{run['network_images']:,} | {run['cpu_s']:.0f} |"
            )
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def only(runs: list[dict[str, Any]]) -> str:
    """Return a sentence on what was run where it was not everything."""
    made = sorted(f"`{run['strategy']}` at {run['max_accuracy_loss']:g}" for run in runs)
    return f"Only {', '.join(made)} was run." if len(runs) < 10 else ""


def paper_prices() -> str:
    """Return the same choices priced by the paper's equations, a table of its own."""
    lines = [
        "| network | budget, points | strategy | energy, uJ | exact, uJ | energy / exact |",
        "|---|---|---|---|---|---|",
    ]
    for case, label in CASES.items():
        for run in sorted(report_of(case)["runs"], key=lambda r: (r["max_accuracy_loss"], r["paper_literal_energy_j"])):
            mine, exact = run["paper_literal_energy_j"], run["baseline_paper_literal_energy_j"]
            lines.append(
                f"| {label} | {run['max_accuracy_loss']:g} | `{run['row']}` | {1e6 * mine:.3g} | {1e6 * exact:.3g} | "
                f"{100 * mine / exact:.1f} % |"
            )
    return "\n".join(lines)


def kinds() -> str:
    """Return skip-only, multipliers-only and both, of strategy `paper`."""
    lines = [
        "| network | budget, points | kind | skipped, by layer | loss, points | multiplier energy |",
        "|---|---|---|---|---|---|",
    ]
    for case, label in CASES.items():
        for run in report_of(case)["runs"]:
            if run["row"] in KINDS:
                shares = ", ".join(f"{name} {100 * share:.0f} %" for name, share in run["skipped"].items()) or "none"
                lines.append(
                    f"| {label} | {run['max_accuracy_loss']:g} | {KINDS[run['row']]} | {shares} | {run['loss_points']:.2f} | "
                    f"{run['multiplier_energy_lower']:.1f} times lower |"
                )
    return "\n".join(lines)


def published() -> str:
    """Return the paper's Table I as printed."""
    lines = [
        "| network | skip, % by unit | multipliers by unit | accuracy, % | energy, printed as uW |",
        "|---|---|---|---|---|",
    ]
    for row in TABLE_ONE:
        skip, multipliers = ", ".join(f"{s:g}" for s in row.skip), ", ".join(m or "(missing)" for m in row.multipliers)
        lines.append(f"| {row.network} | {skip} | {multipliers} | {row.accuracy:g} | {row.energy:g} |")
    return "\n".join(lines)


def chosen() -> str:
    """Return what strategies `paper` and `integer` chose, by unit."""
    lines = ["| network | budget, points | strategy | multipliers, layer by layer |", "|---|---|---|---|"]
    for case, label in CASES.items():
        for run in report_of(case)["runs"]:
            if run["row"] in ("paper", "integer"):
                names = [paper_name(m) or m.removeprefix("mul8") for m in run["assignment"].values()]
                grouped = ", ".join(names) if len(names) <= 12 else _counted(names)
                lines.append(f"| {label} | {run['max_accuracy_loss']:g} | `{run['strategy']}` | {grouped} |")
    return "\n".join(lines)


def _counted(names: list[str]) -> str:
    """Name runs of equal neighbours once, with their number."""
    parts: list[list[Any]] = []
    for name in names:
        if parts and parts[-1][0] == name:
            parts[-1][1] += 1
        else:
            parts.append([name, 1])
    return ", ".join(f"{name} x {count}" if count > 1 else name for name, count in parts)


def profile() -> str:
    """Return importance by unit, scaled to the largest: of the sum over the unit's layers, and of their mean."""
    lines = ["| network | sum over the unit's layers | mean of the unit's layers |", "|---|---|---|"]
    for case, label in CASES.items():
        scores = next(
            (s for run in report_of(case)["runs"] for s in run["scores"] if s["score"] == "conductance"), None
        )
        if scores is not None:
            units: dict[str, list[float]] = {}
            for name, value in scores["values"].items():
                units.setdefault(name.split(".")[0], []).append(value)
            total = {unit: sum(values) for unit, values in units.items()}
            mean = {unit: sum(values) / len(values) for unit, values in units.items()}
            lines.append(f"| {label} ({scores['images']} images) | {_scaled(total)} | {_scaled(mean)} |")
    return "\n".join(lines)


def _scaled(values: dict[str, float]) -> str:
    top = max(values.values())
    return ", ".join(f"{unit} {value / top:.2f}" for unit, value in values.items())


BLOCKS = {
    "networks": networks,
    "paper_prices": paper_prices,
    "kinds": kinds,
    "published": published,
    "chosen": chosen,
    "profile": profile,
}
