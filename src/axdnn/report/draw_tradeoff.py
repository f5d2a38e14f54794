"""Figures of accuracy against energy: everything visited, and strategies compared."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from axdnn.records import InvalidInputError
from axdnn.report.drawing import (
    BLUE,
    GREEN,
    GREY,
    INK,
    NARROW,
    ORANGE,
    PALETTE,
    PAPER,
    RED,
    WIDE,
    legend_text,
    new_figure,
    style,
)  # fmt: skip
from axdnn.report.figure_data import CompareData, TradeoffData
from axdnn.report.units import MINUS, budget_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PANELS = (("energy_ratio", "total energy / exact (%)"), ("multiplier_ratio", "multiplier energy / exact (%)"))
_TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)
_MARKERS = "osD^vP*Xph<>"
_RASTER = 400


def draw_tradeoff(data: TradeoffData, width: float = WIDE) -> Figure:
    """Draw loss against total and against multiplier energy: visited, budget line, chosen and baseline."""
    states = (("accepted", "accepted", GREEN, "o"), ("rejected", "rejected", RED, "X"),
              ("not tried", "search split only", GREY, "o"))  # fmt: skip
    with style():
        figure, panels = _panels(width, 2)
        handles: dict[str, Any] = {}
        for axes, (field, label) in zip(panels, _PANELS, strict=True):
            for state, text, colour, marker in states:
                points = [p for p in data.points if p.state == state]
                if points:
                    handles[text] = _scatter(axes, points, field, colour, marker, hollow=state == "not tried")
            handles["exact baseline"] = _scatter(axes, [data.baseline], field, INK, "s", size=46)
            if data.chosen is not None:
                handles["chosen"] = _scatter(axes, [data.chosen], field, ORANGE, "*", size=190)
            handles[f"budget, {budget_text(data.budget_points)}"] = _budget(axes, data.budget_points)
            axes.set_xlabel(label)
        shown = [p for p in (*data.points, data.baseline, data.chosen) if p is not None]
        values = [v for p in shown for v in (p.loss_points, p.bound_points) if v is not None]
        _loss_axis(panels, values, data.budget_points, width)
        _legend(figure, handles, 2 if width <= NARROW else 6)
    return figure


def draw_comparison(data: CompareData, width: float = WIDE) -> Figure:
    """Draw test loss against total and against multiplier energy, one mark a result.

    Raises:
        InvalidInputError: there is nothing to compare.
    """
    if not data.points:
        raise InvalidInputError("`data.points` must not be empty: there is no result to compare")
    with style():
        columns = 1 if width <= NARROW else 3
        figure, panels = _panels(width, -(-(len(data.points) + 2) // columns))
        handles: dict[str, Any] = {}
        budgets = sorted({p.budget_points for p in data.points})
        for axes, (field, label) in zip(panels, _PANELS, strict=True):
            handles["exact baseline"] = axes.scatter([100], [0], marker="s", s=46, color=INK, zorder=3)
            for i, point in enumerate(data.points):
                colour, marker = PALETTE[i % 6], _MARKERS[i % len(_MARKERS)]
                mark = _scatter(axes, [point], field, colour, marker, size=70)
                handles[legend_text(point.label, 44)] = mark
            for budget in budgets:
                handles[f"budget, {budget_text(budget)}"] = _budget(axes, budget)
            axes.set_xlabel(label)
        values = [v for p in data.points for v in (p.loss_points, p.bound_points) if v is not None]
        _loss_axis(panels, [0.0, *values], max(budgets), width)
        _legend(figure, handles, columns)
    return figure


def _panels(width: float, legend_rows: int) -> tuple[Figure, Sequence[Any]]:
    """Two panels: side by side on a wide figure, one above the other on a narrow one."""
    narrow = width <= NARROW
    figure = new_figure(width, (5.6 if narrow else 3.6) + 0.2 * legend_rows)
    grid: Any = figure.subplots(2, 1) if narrow else figure.subplots(1, 2, sharey=True)
    return figure, list(grid)


def _scatter(
    axes: Any, points: Sequence[Any], field: str, colour: str, marker: str, *, size: float = 34, hollow: bool = False
) -> Any:
    """Marks with a whisker up to the 95 % bound of the loss; candidates without a ratio are left out."""
    points = [p for p in points if getattr(p, field) is not None]
    x = [100 * getattr(p, field) for p in points]
    y = [p.loss_points for p in points]
    many = len(points) > _RASTER
    bars = [(a, p.loss_points, p.bound_points) for a, p in zip(x, points, strict=True) if p.bound_points is not None]
    if bars:
        a, low, high = zip(*bars, strict=True)
        axes.vlines(a, low, high, color=colour, linewidth=1.1, alpha=0.75, zorder=2, rasterized=many)
    face, edge = ("none", colour) if hollow else (colour, PAPER)
    width = 1.2 if hollow else 0.6
    order = 5 if size > 100 else 3
    return axes.scatter(
        x, y, s=size, marker=marker, facecolors=face, edgecolors=edge, linewidths=width, zorder=order, rasterized=many
    )


def _budget(axes: Any, budget: float) -> Any:
    return axes.axhline(budget, color=BLUE, linewidth=1.2, linestyle=(0, (5, 3)), zorder=1)


def _loss_axis(panels: Sequence[Any], values: Sequence[float], budget: float, width: float) -> None:
    """Linear where all losses are near the budget; else linear up to it and logarithmic beyond."""
    low, high = min([0.0, *values]), max([budget, *values, 0.05])
    knee = max(2 * budget, 0.5)
    bent = high > 6 * max(budget, 0.5)
    for axes in panels:
        if bent:
            axes.set_yscale("symlog", linthresh=knee, linscale=1.6)
            ticks = [t for t in _TICKS if knee / 2.2 <= t <= high * 1.3]
            ticks = [-t for t in reversed(ticks) if -t >= low * 1.1] + [0.0] + ticks
            axes.set_yticks(ticks, [f"{t:g}".replace("-", MINUS) for t in ticks])
            axes.set_yticks([], minor=True)
            axes.set_ylim(low * 1.25 - 0.12 * knee, high * 1.35)
        else:
            room = 0.08 * (high - low)
            axes.set_ylim(low - room, high + room)
        axes.margins(x=0.06)
    label = "loss (points)" + (f", logarithmic above {knee:g}" if bent else "")
    for axes in panels if width <= NARROW else panels[:1]:
        axes.set_ylabel(label)


def _legend(figure: Any, handles: dict[str, Any], columns: int) -> None:
    figure.legend(
        list(handles.values()), list(handles), loc="outside upper left", ncols=columns, handletextpad=0.4,
        columnspacing=1.4, labelcolor=INK,
    )  # fmt: skip
