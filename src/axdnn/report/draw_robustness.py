"""The figure of a `RobustnessReport`: worst-case accuracy over epsilon, and what each attack leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from axdnn.records import RobustnessReport
from axdnn.report.drawing import BLUE, GREY, ORANGE, WIDE, new_figure, style
from axdnn.report.robustness_tables import NAMES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {"exact": GREY, "approximate": ORANGE}


def draw_robustness(report: RobustnessReport, width: float = WIDE) -> Figure:
    """Draw the curve of the worst case with its 95 % intervals, and bars for every attack at every epsilon.

    Args:
        report: what to draw.
        width: in inches.
    """
    narrow, panels = width < WIDE, 1 + len(report.epsilons)
    columns = 1 if narrow else min(panels, 3)
    rows = -(-panels // columns)
    with style():
        figure = new_figure(width, max(3.2, 0.28 * len(report.attacks) * len(report.networks) + 1.2) * rows)
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
        _curve(axes[0], report)
        for panel, eps in zip(axes[1:], report.epsilons, strict=False):
            _bars(panel, report, eps)
        for panel in axes[panels:]:
            panel.set_axis_off()
    return figure


def _curve(panel: Axes, report: RobustnessReport) -> None:
    for label in report.networks:
        points = [report.at(label, eps) for eps in report.epsilons]
        x = [0.0, *report.epsilons]
        y = [100 * points[0].clean_accuracy, *(100 * p.robust_accuracy for p in points)]
        colour = COLOURS.get(label, BLUE)
        panel.plot(x, y, color=colour, marker="o", markersize=4, label=NAMES.get(label, label))
        low, high = [100 * p.low for p in points], [100 * p.high for p in points]
        panel.vlines(report.epsilons, low, high, color=colour, linewidth=3, alpha=0.4)
    panel.set(xlabel=f"eps ({report.norm})", ylabel="accuracy (%)", title="Worst case of all attacks", ylim=(-2, 102))
    panel.legend(loc="best")


def _bars(panel: Axes, report: RobustnessReport, eps: float) -> None:
    attacks, labels = report.attacks[::-1], report.networks
    height = 0.8 / len(labels)
    for i, label in enumerate(labels):
        found = {o.attack: o.robust_accuracy for o in report.outcomes if o.network == label and o.eps == eps}
        places = [(k + 0.4 - height * (i + 0.5), 100 * found[a]) for k, a in enumerate(attacks) if a in found]
        panel.barh([p for p, _ in places], [v for _, v in places], height=height, color=COLOURS.get(label, BLUE))
        panel.axvline(
            100 * report.at(label, eps).robust_accuracy, color=COLOURS.get(label, BLUE), linewidth=1.2, ls="--"
        )
    panel.set_yticks(range(len(attacks)), attacks)
    panel.set(xlabel="accuracy (%)", title=f"eps {eps:.4g} (dashed: worst case)", xlim=(0, 100))
    panel.grid(visible=False, axis="y")
