"""Figures of a search method: fronts beside their rivals, parallel coordinates, hypervolume over evaluations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from axdnn.records import SearchResult
from axdnn.report.drawing import (
    BLUE,
    GREEN,
    GREY,
    INK,
    MUTED,
    NARROW,
    ORANGE,
    PAPER,
    PURPLE,
    RED,
    SKY,
    WIDE,
    legend_text,
    new_figure,
    style,
)
from axdnn.report.labels import shorten, shorten_all
from axdnn.report.measures import Measure
from axdnn.report.search_result_data import (
    OURS,
    FrontPanel,
    LineAxis,
    Series,
    front_lines,
    front_panels,
    progress_curves,
    rival_names,
    spread_members,
    staircase,
)
from axdnn.report.units import MINUS, Scale

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLOURS = (ORANGE, GREEN, PURPLE, RED, SKY)
_FRONT_MARKS = "sD^vP<>"
_POINT_MARKS = "*XPdph"
_DASHES: tuple[Any, ...] = ((0, (5, 2)), (0, (1.5, 1.5)), (0, (6, 2, 1.5, 2)), (0, (9, 3)))
_LINE_COLOURS = (ORANGE, GREEN, PURPLE, RED, SKY, INK)
_MOST_LINES = 200
_APART = (0.075, 0.085)  # of a panel: numbers nearer than that would lie over each other


def draw_fronts(result: SearchResult, width: float = WIDE) -> Figure:
    """Draw the front beside its rivals in every pair of objectives; numbers name the networks drawn below."""
    panels = front_panels(result)
    columns = 1 if width <= NARROW else min(3, max(len(panels), 1))
    rows = -(-max(len(panels), 1) // columns)
    drawn, labels = spread_members(result), _labels(result)
    with style():
        figure = new_figure(width, (4.2 if columns == 1 and width > NARROW else 3.1) * rows + 0.4)
        grid: Any = figure.subplots(rows, columns, squeeze=False).ravel()
        handles: dict[str, Any] = {}
        for axes, panel in zip(grid, panels, strict=False):
            ordered = (panel.series[-1], *panel.series[:-1])  # this search first
            found = {labels[series.name]: _series(axes, panel, series) for series in ordered}
            handles = {**found, **handles, **_bounds(axes, panel)}
            _axes(axes, panel)
            _numbers(axes, panel, {i + 1: result.front[i].objectives for i in drawn})
        for axes in grid[len(panels) :]:
            axes.set_axis_off()
        _legend(figure, handles)
    return figure


def _labels(result: SearchResult) -> dict[str, str]:
    """Name of a search -> what a legend has room for, different ones by different labels."""
    names = (OURS, *rival_names(result))
    return {name: legend_text(text, 44) for name, text in zip(names, shorten_all(names, 44), strict=True)}


def _series(axes: Any, panel: FrontPanel, series: Series) -> Any:
    """Marks of a front with the line that it reaches; a larger mark for a single point of a rival."""
    x, y = (_scaled(series.points, i, panel.scales[i]) for i in (0, 1))
    number = series.rival
    if number is not None and len(series.points) == 1:
        mark = _POINT_MARKS[number % len(_POINT_MARKS)]
        return axes.scatter(x, y, s=150, marker=mark, color=INK, edgecolors=PAPER, linewidths=0.8, zorder=6)
    colour, mark = (BLUE, "o")
    if number is not None:
        colour, mark = _COLOURS[number % len(_COLOURS)], _FRONT_MARKS[number % len(_FRONT_MARKS)]
    corners = staircase(series.points, (panel.x.sign, panel.y.sign))
    lines = [_scaled(corners, i, panel.scales[i]) for i in (0, 1)]
    axes.plot(*lines, color=colour, linewidth=1.5 if number is None else 1.1, alpha=0.6, zorder=2 + (number is None))
    size = 34 if number is None else 24
    return axes.scatter(
        x, y, s=size, marker=mark, color=colour, edgecolors=PAPER, linewidths=0.5, zorder=4 + (number is None)
    )


def _scaled(points: Sequence[tuple[float, float]], part: int, scale: Scale) -> list[float]:
    return [point[part] / scale.factor for point in points]


def _bounds(axes: Any, panel: FrontPanel) -> dict[str, Any]:
    handles: dict[str, Any] = {}
    dashed: Any = {"color": MUTED, "linewidth": 1.2, "linestyle": (0, (5, 3)), "zorder": 1}
    for part, bound in enumerate(panel.bounds):
        if bound is not None:
            line = axes.axvline if part == 0 else axes.axhline
            handles["limit"] = line(bound / panel.scales[part].factor, **dashed)
    return handles


def _axes(axes: Any, panel: FrontPanel) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.margins(0.1)
    axes.tick_params(which="minor", length=0)
    for part, (one, scale) in enumerate(zip((panel.x, panel.y), panel.scales, strict=True)):
        axis = axes.xaxis if part == 0 else axes.yaxis
        if panel.logarithmic[part]:
            (axes.set_xscale if part == 0 else axes.set_yscale)("log")
            axis.set_minor_formatter("")
            axis.set_major_formatter(lambda value, _: f"{value:g}")
        else:
            axis.set_major_locator(MaxNLocator(5))
            axis.set_major_formatter(lambda value, _: f"{value:.6g}".replace("-", MINUS))
        axis.set_label_text(axis_label(one, scale))


def axis_label(measure: Measure, scale: Scale) -> str:
    """Return the label of an axis on two lines: name with unit, which way is better."""
    unit = f" ({scale.unit})" if scale.unit else ""
    return f"{shorten(measure.label, 34)}{unit}\n{measure.better}".rstrip()


def _numbers(axes: Any, panel: FrontPanel, members: dict[int, dict[str, float]]) -> None:
    """Write numbers beside members, each where no other number is."""
    placed: list[tuple[float, float]] = []
    place = axes.transScale + axes.transLimits
    axes.autoscale_view()
    for number, values in members.items():
        point = (values[panel.x.key] / panel.scales[0].factor, values[panel.y.key] / panel.scales[1].factor)
        a, b = place.transform(point)
        if all(abs(a - c) > _APART[0] or abs(b - d) > _APART[1] for c, d in placed):
            axes.annotate(
                str(number), point, (4, 4), textcoords="offset points", fontsize=8.5, fontweight="bold", zorder=7
            )
            placed.append((a, b))


def _legend(figure: Any, handles: dict[str, Any]) -> None:
    """A legend above the figure, in as many columns as its longest label leaves room for."""
    longest = max(map(len, handles), default=0)
    columns = int(figure.get_figwidth() // (0.62 + 0.075 * longest))
    figure.legend(
        list(handles.values()), list(handles), loc="outside upper left", ncols=max(1, min(columns, len(handles))),
        handletextpad=0.4, columnspacing=1.4, labelcolor=INK,
    )  # fmt: skip


def draw_front_lines(result: SearchResult, width: float = WIDE) -> Figure:
    """Draw the members of the front as lines over objectives and figures, the networks drawn below in colour."""
    data = front_lines(result)
    drawn = spread_members(result)
    rows = range(len(data.axes))
    others = [i for i in range(len(data.lines)) if i not in drawn]
    with style():
        figure = new_figure(width, 0.9 + 0.52 * max(len(data.axes), 1))
        axes: Any = figure.subplots()
        axes.hlines(rows, 0, 1, color=GREY, linewidth=0.8, zorder=1)
        for i in others[:: max(1, -(-len(others) // _MOST_LINES))]:
            _line(axes, data.lines[i], GREY, "", 0.9)
        for place, i in enumerate(drawn):
            handle = _line(axes, data.lines[i], (BLUE, *_COLOURS)[place % 6], "osD^vP"[place % 6], 1.8)
            handle.set_label(f"network {i + 1}")
        for row, axis in enumerate(data.axes):
            _ends(axes, row, axis)
        axes.set_yticks(list(rows), [_line_label(axis, width) for axis in data.axes])
        axes.set(xticks=[], xlim=(-0.06, 1.06), ylim=(len(data.axes) - 0.35, -0.4))
        axes.grid(False)
        for side in ("left", "bottom"):
            axes.spines[side].set_visible(False)
        if drawn:
            handles = axes.get_legend_handles_labels()
            _legend(figure, dict(zip(handles[1], handles[0], strict=True)))
    return figure


def _line(axes: Any, places: Sequence[float | None], colour: str, mark: str, width: float) -> Any:
    x = [float("nan") if place is None else place for place in places]
    (line,) = axes.plot(
        x, range(len(x)), color=colour, linewidth=width, marker=mark or ".", markersize=5.5 if mark else 3,
        alpha=1.0 if mark else 0.55, zorder=4 if mark else 2, markeredgecolor=PAPER if mark else colour,
        markeredgewidth=0.5,
    )  # fmt: skip
    return line


def _line_label(axis: LineAxis, width: float) -> str:
    text = shorten(axis.measure.label, 18 if width <= NARROW else 34)
    return f"{text}\n{axis.measure.better}".rstrip()


def _ends(axes: Any, row: int, axis: LineAxis) -> None:
    """Write what the ends of an axis are, one number where there is only one."""
    spots = [(0.0, axis.ends[0], "left"), (1.0, axis.ends[1], "right")]
    if axis.ends[0] == axis.ends[1]:
        spots = [(0.5, axis.ends[0], "center")]
    for x, value, side in spots:
        axes.annotate(
            axis.measure.text(value), (x, row), (0, -6), textcoords="offset points", ha=side, va="top", fontsize=7.5,
            color=MUTED, zorder=5, bbox={"facecolor": PAPER, "edgecolor": "none", "alpha": 0.75, "pad": 0.6},
        )  # fmt: skip


def draw_progress(result: SearchResult, width: float = WIDE) -> Figure:
    """Draw the hypervolume over complete evaluations beside the rivals', as percent of what this search ended with."""
    curves, labels = progress_curves(result), _labels(result)
    with style():
        figure = new_figure(width, 3.4)
        axes: Any = figure.subplots()
        for curve in reversed(curves):
            x, y = [n for n, _ in curve.points], [100 * v for _, v in curve.points]
            number = curve.rival
            look: Any = {"color": BLUE, "linewidth": 2.2, "zorder": 4}
            if number is not None:
                look = {"color": _LINE_COLOURS[number % len(_LINE_COLOURS)], "linewidth": 1.5, "zorder": 3,
                        "linestyle": _DASHES[number % len(_DASHES)]}  # fmt: skip
            axes.step(x, y, where="post", label=labels[curve.name], **look)
            axes.plot(x[-1:], y[-1:], marker="o", markersize=4, color=look["color"], zorder=look["zorder"])
        axes.set(xlabel="complete evaluations", ylabel="hypervolume (% of this search's)\nhigher is better")
        axes.set_xlim(left=0)
        axes.margins(x=0.03)
        low, high = axes.get_ylim()
        axes.set_ylim(0 if low < 50 else low, high)
        handles, texts = axes.get_legend_handles_labels()
        _legend(figure, dict(reversed(list(zip(texts, handles, strict=True)))))
    return figure
