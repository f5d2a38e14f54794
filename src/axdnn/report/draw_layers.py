"""Figures by layer: importance, chosen multipliers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from axdnn.records import InvalidInputError
from axdnn.report.drawing import BLUE, INK, MUTED, NARROW, ORANGE, PALETTE, WIDE, colours, new_figure, style
from axdnn.report.figure_data import ChosenData, ImportanceData
from axdnn.report.labels import shorten, shorten_all
from axdnn.report.units import MINUS, fixed

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def _row_height(layers: int) -> float:
    return 0.30 if layers <= 8 else 0.24 if layers <= 30 else 0.20


def _label_limit(width: float) -> int:
    return 16 if width <= NARROW else 30


def draw_importance(data: ImportanceData, width: float = WIDE) -> Figure:
    """Draw one panel a score with one bar a layer, in execution order from the top.

    Raises:
        InvalidInputError: there are no scores.
    """
    if not data.scores:
        raise InvalidInputError("`data.scores` must not be empty: no importance score was computed")
    count, layers = len(data.scores), len(data.layers)
    most = 2 if width <= NARROW else 5
    columns = -(-count // -(-count // most))
    rows = -(-count // columns)
    height = rows * (0.75 + layers * _row_height(layers))
    with style():
        figure = new_figure(width, height)
        grid: Any = figure.subplots(rows, columns, sharey=True, squeeze=False)
        low = min((v for row in data.values for v in row if v is not None), default=0.0)
        for i, axes in enumerate(grid.flat):
            if i >= count:
                axes.set_visible(False)
                continue
            axes.barh(range(layers), [v or 0.0 for v in data.values[i]], 0.72, color=PALETTE[i % len(PALETTE)])
            axes.set_title(_title(data.scores[i], int(width / (columns + 1) * 9)), loc="left")
            axes.set_xlim(min(0.0, 1.05 * low), 1.05)
            ticks = [0.0, 0.5, 1.0] if low >= 0 else [-1.0, 0.0, 1.0] if low < -0.4 else [0.0, 1.0]
            axes.set_xticks(ticks, [f"{t:g}".replace("-", MINUS) for t in ticks])
            axes.grid(axis="y", visible=False)
            axes.axvline(0, color=MUTED, linewidth=0.8)
        first = grid[0][0]
        first.set_yticks(range(layers), shorten_all(data.layers, _label_limit(width)))
        first.set_ylim(layers - 0.4, -0.6)
        figure.supxlabel("importance, largest magnitude of each score = 1", fontsize=9, color=MUTED)
    return figure


def draw_chosen(data: ChosenData, width: float = WIDE) -> Figure:
    """Draw each layer's share of the products, skipped neurons if any, and the power and name of its multiplier."""
    layers = len(data.layers)
    with style():
        figure = new_figure(width, 1.15 + layers * _row_height(layers))
        ratios = (1, 0.8, 1.25) if data.skipped else (1, 1.25)
        panels: Any = figure.subplots(1, len(ratios), sharey=True, width_ratios=ratios)
        share, power = panels[0], panels[-1]
        room = 1.85 if width <= NARROW else 1.32
        if data.skipped:
            _bars(panels[1], data.skipped, [ORANGE] * layers, room + (0.4 if width <= NARROW else 0.0))
            panels[1].set_title("skipped" if width <= NARROW else "neurons skipped", loc="left")
        _bars(share, data.mac_share, [BLUE] * layers, room)
        share.set_title("products" if width <= NARROW else "share of products", loc="left")
        colour = colours(data.multipliers, data.exact)
        _bars(power, data.power_ratio, [colour[name] for name in data.multipliers], room)
        power.axvline(1, color=INK, linewidth=1, linestyle=(0, (4, 3)))
        power.set_xlim(0, max(power.get_xlim()[1], 1.08))
        power.set_xticks([1], ["100\u00a0%"])
        power.set_title("power / exact", loc="left")
        share.set_yticks(range(layers), shorten_all(data.layers, _label_limit(width)))
        share.set_ylim(layers - 0.4, -0.6)
        names = power.twinx()
        names.set_ylim(share.get_ylim())
        short = shorten_all(data.multipliers, 16 if width <= NARROW else 24)
        mark = "" if width <= NARROW else " (exact)"
        names.set_yticks(range(layers), [f"{n}{mark if e else ''}" for n, e in zip(short, data.exact, strict=True)])
        names.grid(False)
        names.spines["right"].set_visible(False)
    return figure


def _percent(value: float) -> str:
    text = fixed(100 * value, 1)
    return text.removesuffix(".0") if value in (0, 1) else text


def _title(name: str, limit: int) -> str:
    """A score's name on at most two lines, broken at an underscore where there is one."""
    if len(name) <= limit or "_" not in name:
        return shorten(name, limit)
    cut = min((i + 1 for i, c in enumerate(name) if c == "_"), key=lambda i: abs(2 * i - len(name)))
    return f"{shorten(name[:cut], limit)}\n{shorten(name[cut:], limit)}"


def _bars(axes: Any, values: tuple[float | None, ...], colour: list[str], room: float) -> None:
    """Horizontal bars with their value in percent at the end; a question mark where it is not known."""
    top = max((v for v in values if v is not None), default=0.0) or 1.0
    axes.barh(range(len(values)), [v or 0.0 for v in values], 0.72, color=colour)
    for i, value in enumerate(values):
        text = "?" if value is None else f"{_percent(value)}\u00a0%"
        axes.annotate(text, (value or 0.0, i), (3, 0), textcoords="offset points", va="center", fontsize=8)
    axes.set_xlim(0, top * room)
    axes.set_xticks([])
    axes.grid(False)
    axes.spines["bottom"].set_visible(False)
