"""Figures that compare multipliers: error maps side by side, and power against error in the whole library."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from axdnn.records import InvalidInputError
from axdnn.report.drawing import GREY, GRID, INK, MUTED, PALETTE, PAPER, WIDE, legend_text, new_figure, style
from axdnn.report.error_map import ErrorMapData
from axdnn.report.labels import shorten_all
from axdnn.report.units import fixed, significant

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Error = Literal["mae_pct", "mre_pct"]
_PANELS: tuple[tuple[Error, str, float], ...] = (
    ("mae_pct", "mean |error| (% of 65,536)", 1e-4),
    ("mre_pct", "mean relative error (%)", 1e-3),
)
_MARKERS = {"signed": "s", "unsigned": "o", "sign_magnitude": "D"}
_NAME = 34


class ParetoPoint(NamedTuple):
    """A multiplier in the plane of power and error.

    Attributes:
        name, coding: of the multiplier.
        mae_pct: mean `|error|`, per cent of 2**16.
        mre_pct: mean relative error over pairs whose product is not 0, per cent.
        power_ratio: power over that of the exact circuit, a fraction; None if unknown.
    """

    name: str
    coding: str
    mae_pct: float
    mre_pct: float
    power_ratio: float | None


def front(points: Sequence[ParetoPoint], error: Error) -> tuple[ParetoPoint, ...]:
    """Return the points that no other one beats in power and error, least power first; unpriced ones are left out."""
    kept: list[ParetoPoint] = []
    priced = [p for p in points if p.power_ratio is not None]
    for point in sorted(priced, key=lambda p: (p.power_ratio or 0.0, getattr(p, error))):
        if not kept or getattr(point, error) < getattr(kept[-1], error):
            kept.append(point)
    return tuple(kept)


def draw_pareto(library: Sequence[ParetoPoint], named: Sequence[ParetoPoint], width: float = WIDE) -> Figure:
    """Draw power against two errors: the library in grey with its front, named multipliers in colour.

    Named ones without a power are marked at their error on the right edge and listed below as not priced.

    Raises:
        InvalidInputError: no multiplier is named.
    """
    if not named:
        raise InvalidInputError("`named` must not be empty: there is nothing to compare")
    labels = shorten_all([p.name for p in named], _NAME)
    note = _unpriced_note(named, labels, int(width * 15))
    columns = 3 if max(map(len, labels)) > 18 else 4
    rows = -(-(len(named) + 2) // columns)
    with style():
        figure = new_figure(width, 4.0 + 0.2 * rows + 0.16 * len(note))
        panels: Any = figure.subplots(1, 2)
        handles: dict[str, Any] = {}
        for axes, (error, label, floor) in zip(panels, _PANELS, strict=True):
            _library(axes, library, error, handles)
            for i, point in enumerate(named):
                handles[legend_text(labels[i], _NAME)] = _mark(axes, point, error, PALETTE[i % len(PALETTE)], i)
            _axes(axes, [*library, *named], error, floor, label)
        figure.legend(
            list(handles.values()), list(handles), loc="outside upper left", ncols=columns, handletextpad=0.4,
            columnspacing=1.6, labelcolor=INK,
        )  # fmt: skip
        if note:
            figure.supxlabel("\n".join(note), color=MUTED, fontsize=8, x=0.012, ha="left", linespacing=1.5)
    return figure


def _library(axes: Any, library: Sequence[ParetoPoint], error: Error, handles: dict[str, Any]) -> None:
    best = front(library, error)
    x, y = [100 * (p.power_ratio or 0.0) for p in best], [getattr(p, error) for p in best]
    (line,) = axes.step(x, y, where="post", color=GREY, linewidth=1.0, alpha=0.7, zorder=1)
    for coding in ("unsigned", "signed"):
        found = [p for p in library if p.coding == coding and p.power_ratio is not None]
        if found:
            handles[f"library, {coding}"] = axes.scatter(
                [100 * (p.power_ratio or 0.0) for p in found], [getattr(p, error) for p in found],
                marker=_MARKERS[coding], s=20, color="#c6cdd4", edgecolors=PAPER, linewidths=0.4, zorder=2,
            )  # fmt: skip
    handles["least error for the power"] = line


def _mark(axes: Any, point: ParetoPoint, error: Error, colour: str, number: int) -> Any:
    """A large mark; beyond the palette a dark edge tells repeated colours apart; unpriced ones stand on the edge."""
    edge = PAPER if number < len(PALETTE) else INK
    value = getattr(point, error)
    kind: dict[str, Any] = {"s": 72, "color": colour, "edgecolors": edge, "linewidths": 1.0, "zorder": 4}
    if point.power_ratio is not None:
        return axes.scatter([100 * point.power_ratio], [value], marker=_MARKERS[point.coding], **kind)
    axes.axhline(value, color=colour, linewidth=0.9, linestyle=(0, (1, 3)), zorder=1)
    return axes.scatter([0.988], [value], marker="<", transform=axes.get_yaxis_transform(), clip_on=False, **kind)


def _axes(axes: Any, points: Sequence[ParetoPoint], error: Error, floor: float, label: str) -> None:
    """Logarithmic above a floor that all the library's errors but 0 exceed; 0 has its place below."""
    largest = max(getattr(p, error) for p in points)
    axes.set_yscale("symlog", linthresh=floor, linscale=0.6)
    ticks = [floor * 10**k for k in range(1, 12) if floor * 10**k <= 2 * largest]
    axes.set_yticks([0.0, *ticks], ["0", *(f"{t:g}" for t in ticks)])
    axes.set_yticks([], minor=True)
    axes.set_ylim(-0.5 * floor, max(largest, 10 * floor) * 2.2)
    axes.axhline(0.0, color=GRID, linewidth=1.0, zorder=0)
    axes.set_xlim(-3, max([104.0, *(108 * p.power_ratio for p in points if p.power_ratio is not None)]))
    axes.set_xlabel("power / exact circuit of the same coding (%)")
    axes.set_title(label, loc="left")


def _unpriced_note(named: Sequence[ParetoPoint], labels: Sequence[str], width: int) -> list[str]:
    parts = [
        f"{label} (mean |error| {significant(p.mae_pct)} %, relative {significant(p.mre_pct)} %)"
        for p, label in zip(named, labels, strict=True)
        if p.power_ratio is None
    ]
    if not parts:
        return []
    return textwrap.wrap(f"Not priced, power unknown (on the right edge): {'; '.join(parts)}.", width)


def draw_error_maps(maps: Sequence[ErrorMapData], width: float = WIDE) -> Figure:
    """Draw error maps side by side under one logarithmic colour scale, blue too small, red too large.

    Raises:
        InvalidInputError: there is no map.
    """
    if not maps:
        raise InvalidInputError("`maps` must not be empty: there is nothing to compare")
    from matplotlib.colors import SymLogNorm

    columns = min(len(maps), 3 if len(maps) in (3, 5, 6, 9) else 4 if len(maps) > 2 else 2)
    rows = -(-len(maps) // columns)
    largest = max(1, *(data.worst for data in maps))
    panel = (width - 1.0) / columns
    with style():
        figure = new_figure(width, rows * (panel * 0.8 + 0.5) + 0.4)
        grid: Any = figure.subplots(rows, columns, squeeze=False)
        norm = SymLogNorm(linthresh=max(1.0, largest / 1000), linscale=0.5, vmin=-largest, vmax=largest)
        labels = shorten_all([data.name for data in maps], max(14, int(panel * 9)))
        for axes, data, label in zip(grid.flat, maps, labels, strict=False):
            image = axes.imshow(data.error, cmap="RdBu_r", norm=norm, origin="lower", interpolation="nearest")
            _map_axes(axes, data, label)
        for axes in list(grid.flat)[len(maps) :]:
            axes.set_axis_off()
        for row in grid[:, 0]:
            row.set_ylabel("a (activation)")
        for axes in grid[-1]:
            axes.set_xlabel("b (weight)")
        bar = figure.colorbar(image, ax=list(grid.flat), shrink=0.8 if rows == 1 else 0.6, aspect=26, pad=0.015)
        bar.outline.set_visible(False)
        bar.ax.tick_params(length=0)
        bar.set_label("table \u2212 exact product")
        _bar_ticks(bar, norm.linthresh, largest)
    return figure


def _map_axes(axes: Any, data: ErrorMapData, label: str) -> None:
    axes.grid(False)
    axes.set_xticks([i for i, _ in data.w_ticks], [fixed(v, 0) for _, v in data.w_ticks])
    axes.set_yticks([i for i, _ in data.a_ticks], [fixed(v, 0) for _, v in data.a_ticks])
    axes.tick_params(labelsize=7.5)
    worst = f"mean {significant(data.mean_abs)}, worst {data.worst:,}" if data.worst else "exact"
    axes.set_title(label, loc="left", pad=18, fontsize=9)
    axes.text(0.0, 1.03, worst, transform=axes.transAxes, fontsize=8, color=MUTED, va="bottom")


def _bar_ticks(bar: Any, least: float, largest: float) -> None:
    steps = [10.0**k for k in range(12) if least <= 10.0**k <= largest]
    steps = steps[:: -(-len(steps) // 5) or 1]
    ticks = [-t for t in reversed(steps)] + [0.0] + steps
    bar.set_ticks(ticks, labels=[fixed(t, 0) for t in ticks])
    bar.ax.minorticks_off()
