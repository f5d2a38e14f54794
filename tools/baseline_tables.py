"""The table of docs/baselines.md, computed from the committed results of `benchmarks/baselines.py`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parents[1] / "benchmarks" / "results"


def baselines() -> str:
    """Return a table a network: every row, least multiplier energy first within one cap and one set of circuits.

    Those of one seed and 1 point; the others are in docs/results.md.
    """
    reports = [json.loads(file.read_text()) for file in sorted(RESULTS.glob("baselines-*.json"))]
    for report in reports:
        report["runs"] = [run for run in report["runs"] if (run["seed"], run["max_accuracy_loss"]) == (0, 1.0)]
    return "\n\n".join(_table(report) for report in reports)


def _table(report: dict[str, Any]) -> str:
    lines = [
        "| row | weight codes | cap | evaluations | loss, points | multiplier energy | gap to exact products |",
        "|---|---|---|---|---|---|---|",
    ]
    for run in sorted(report["runs"], key=_order):
        gap = run["gap_to_exact_products"]
        lines.append(
            f"| `{run['row']}` | {run['weight_codes']} | {run['cap']:,} | {run['evaluations']:,} | {run['loss_points']:.2f} | {run['multiplier_energy_lower']:.1f} times lower | "
            f"{'-' if gap is None else f'{gap:.2f}'} |"
        )
    settings, images = report["settings"], report["runs"][0]["images"]
    return "\n".join(
        [
            *lines,
            "",
            f"{settings['model']} on {settings['data']}, one seed, at most {report['runs'][0]['max_accuracy_loss']:g} point; {images['search']:,} search, {images['accept']:,} accept, "
            f"{images['calibration']} calibration and {images['test']:,} test images; `{settings['multipliers']}` unless the row says otherwise.",
        ]
    )


def _order(run: dict[str, Any]) -> tuple[bool, int, float]:
    return (
        "4 circuits" in run["row"],
        run["cap"] if run["cap"] < 1000 or "circuits" not in run["row"] else 0,
        run["multiplier_energy_j"],
    )


BLOCKS = {"baselines": baselines}
