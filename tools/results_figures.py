"""The figure of docs/results.md: what each row saves at which loss, from the committed results of `baselines.py`.

The file carries the digest of the numbers that it shows, so that a test can tell whether it is current.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from pathlib import Path
from typing import Any, NamedTuple

from results_tables import ORDER, RESULTS, geometric, mean

FIGURE = Path(__file__).resolve().parents[1] / "docs" / "figures" / "fronts.png"
ROWS = {
    "integer": ("#0072b2", "o"), "nsga2, 1,000 evaluations": ("#d55e00", "X"), "greedy": ("#009e73", "s"),
    "uniform": ("#98a2ad", "D"), "integer, exact products, joint codes": ("#cc79a7", "^"),
    "mixed_precision": ("#e69f00", "v"), "paper": ("#56b4e9", "P"),
}  # fmt: skip


class Point(NamedTuple):
    """Means over the seeds of a row at a budget: loss in points on the test images, energy / exact in per cent."""

    row: str
    budget: float
    loss: float
    energy: float


def points_of(case: str) -> list[Point]:
    """Return the points of a network, by row, then budget."""
    runs = json.loads((RESULTS / f"baselines-{case}.json").read_text())["runs"]
    found = []
    for row in ROWS:
        for budget in sorted({r["max_accuracy_loss"] for r in runs if r["row"] == row}):
            mine = [r for r in runs if (r["row"], r["max_accuracy_loss"]) == (row, budget)]
            lower = geometric([r["multiplier_energy_lower"] for r in mine])
            found.append(Point(row, budget, mean([r["loss_points"] for r in mine]), 100 / lower))
    return found


def data() -> dict[str, list[Point]]:
    """Return network -> points, of the networks that were measured."""
    return {case: points_of(case) for case in ORDER if (RESULTS / f"baselines-{case}.json").exists()}


def digest() -> str:
    """Name the numbers that are shown."""
    text = json.dumps({case: [tuple(p) for p in points] for case, points in data().items()})
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def current() -> bool:
    """Whether the committed figure shows the committed results."""
    found = re.search(rb"digest:([0-9a-f]{16})", FIGURE.read_bytes()) if FIGURE.exists() else None
    return found is not None and found[1].decode() == digest()


def draw() -> bytes:
    """Return the figure as PNG: a panel a network, a line a row through its budgets."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.ticker import LogLocator, NullFormatter

    from axdnn.report.drawing import new_figure, style

    networks = data()
    columns = min(3, len(networks))
    height = -(-len(networks) // columns)
    with style():
        figure = new_figure(10.5, 0.7 + 2.9 * height)
        panels: Any = figure.subplots(height, columns, squeeze=False)
        handles = {}
        for axes, (case, points) in zip(panels.flat, networks.items(), strict=False):
            for row, (colour, marker) in ROWS.items():
                mine = [p for p in points if p.row == row]
                if mine:
                    x, y = [p.loss for p in mine], [p.energy for p in mine]
                    (handles[row],) = axes.plot(x, y, color=colour, marker=marker, markersize=6, linewidth=1.2)
            axes.set_yscale("log")
            axes.set_title(case)
            axes.set_xlabel("test loss, points (mean over seeds)")
            axes.set_ylabel("multiplier energy / exact (%)")
            axes.set_xlim(left=min(0.0, *(p.loss - 0.05 for p in points)))
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
            axes.yaxis.set_minor_formatter(NullFormatter())
        for axes in list(panels.flat)[len(networks) :]:
            axes.axis("off")
        figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=4)
        buffer, note = io.BytesIO(), {"Software": "axdnn", "Description": f"digest:{digest()}"}
        FigureCanvasAgg(figure)
        figure.savefig(buffer, format="png", dpi=110, facecolor="white", metadata=note)
    return buffer.getvalue()
