"""Figure of importance by unit against depth, the paper's readings as bands behind our lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from axdnn.report.drawing import (
    BLUE,
    GREEN,
    INK,
    MUTED,
    NARROW,
    ORANGE,
    PAPER,
    PURPLE,
    RED,
    SKY,
    WIDE,
    new_figure,
    style,
)
from axdnn.report.labels import shorten
from axdnn.report.profile import PaperBand, ProfileData, ProfilePanel
from axdnn.report.units import MINUS, fixed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_BAND = ORANGE
_LINES = (BLUE, GREEN, PURPLE, RED, SKY)
_MARKERS = "osD^v"
_TOP = 1.22
_SUBTITLE = 58
"""Most characters below the title of a panel."""


def draw_profile(data: ProfileData, width: float = WIDE) -> Figure:
    """Draw one panel a network: its units from input to output, a line a score, the paper's range as a band.

    A band of a network with other units is drawn along the relative depth, first unit to last.
    """
    columns = 1 if width <= NARROW else min(len(data.panels), 2)
    rows = -(-len(data.panels) // columns)
    labels = list(dict.fromkeys(line.label for panel in data.panels for line in panel.lines))
    looks = {label: (_LINES[i % len(_LINES)], _MARKERS[i % len(_MARKERS)]) for i, label in enumerate(labels)}
    with style():
        figure = new_figure(width, 0.5 + 2.75 * rows)
        grid: Any = figure.subplots(rows, columns, squeeze=False, sharey=True)
        engine: Any = figure.get_layout_engine()
        engine.set(wspace=0.05, hspace=0.06)
        low = min([0.0, *(v for panel in data.panels for line in panel.lines for v in line.values)])
        for i, axes in enumerate(grid.flat):
            if i >= len(data.panels):
                axes.set_visible(False)
                continue
            _draw_panel(axes, data.panels[i], looks, low)
            if i % columns == 0:
                axes.set_ylabel("importance, largest = 1", color=MUTED)
        _legend(figure, data, looks, 1 if width <= NARROW else 4)
    return figure


def _draw_panel(axes: Any, panel: ProfilePanel, looks: dict[str, tuple[str, str]], low: float) -> None:
    count = len(panel.units)
    if panel.paper is not None:
        _draw_band(axes, panel.paper, count)
    for line in panel.lines:
        colour, marker = looks[line.label]
        axes.plot(range(count), line.values, color=colour, linewidth=2.0, marker=marker, markersize=6.5,
                  markeredgecolor=PAPER, markeredgewidth=1.0, zorder=4, clip_on=False)  # fmt: skip
    axes.set_title(shorten(panel.network, 40), loc="left", pad=20)
    axes.annotate(_subtitle(panel), (0, 1), (0, 7), xycoords="axes fraction", textcoords="offset points",
                  fontsize=8.2, color=MUTED)  # fmt: skip
    axes.set_xticks(range(count), [shorten(unit, 10) for unit in panel.units])
    axes.set_xlim(-0.25, count - 0.75)
    axes.set_ylim(1.08 * low, _TOP)
    ticks = [0.0, 0.25, 0.5, 0.75, 1.0] if low > -0.2 else [-1.0, -0.5, 0.0, 0.5, 1.0]
    axes.set_yticks(ticks, [f"{t:g}".replace("-", MINUS) for t in ticks])
    axes.grid(axis="x", visible=False)
    axes.axhline(0, color=MUTED, linewidth=0.8, zorder=1)


def _draw_band(axes: Any, band: PaperBand, count: int) -> None:
    """The ranges joined along the depth, with a bar at each unit of the paper."""
    steps = len(band.units) - 1
    places = [i * (count - 1) / steps for i in range(len(band.units))]
    axes.fill_between(places, band.low, band.high, color=_BAND, alpha=0.20, linewidth=0, zorder=1)
    axes.plot(places, band.middle, color=_BAND, linewidth=1.4, linestyle=(0, (4, 2.5)), zorder=2)
    axes.vlines(places, band.low, band.high, color=_BAND, linewidth=3.2, alpha=0.75, zorder=3)
    if len(band.units) != count:  # inner units of the paper get their own names, above everything that is drawn
        for unit, place in list(zip(band.units, places, strict=True))[1:-1]:
            axes.text(place, _TOP - 0.02, unit, ha="center", va="top", fontsize=7.5, color=MUTED)


def _subtitle(panel: ProfilePanel) -> str:
    """What the paper says of the network's order, and how far our lines agree."""
    if panel.paper is None:
        return "not in the paper"
    if not panel.paper.same:
        return f"not in the paper; beside its {panel.paper.network}, by relative depth"
    if len(panel.paper.units) != len(panel.units):
        return f"in the paper with other units ({len(panel.paper.units)}), drawn by relative depth"
    known = [(line.label, fixed(line.tau, 2)) for line in panel.lines if line.tau is not None]
    start = "Kendall \u03c4 with the paper"
    if len(known) == 1:
        return f"{start}: {known[0][1]}"
    full = f"{start}: {', '.join(f'{shorten(name, 20)} {tau}' for name, tau in known)}"
    return full if len(full) <= _SUBTITLE or not known else f"{start}: {', '.join(tau for _, tau in known)}"


def _legend(figure: Any, data: ProfileData, looks: dict[str, tuple[str, str]], columns: int) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Any] = [
        Line2D([], [], color=colour, marker=marker, linewidth=2.0, markersize=6.5, markeredgecolor=PAPER)
        for colour, marker in looks.values()
    ]
    names = [f"ours: {shorten(label, 28)}" for label in looks]
    if any(panel.paper for panel in data.panels):
        handles.append(Patch(facecolor=_BAND, alpha=0.5))
        names.append("paper: range over classes, read off figures 6 and 7")
    figure.legend(handles, names, loc="outside upper left", ncols=columns, columnspacing=1.6, labelcolor=INK,
                  handlelength=1.8)  # fmt: skip
