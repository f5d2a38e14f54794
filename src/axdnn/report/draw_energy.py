"""Figure of energy by component, before and after, in both readings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from axdnn.report.drawing import HATCHES, NARROW, PALETTE, PAPER, WIDE, legend_text, new_figure, style, text_on
from axdnn.report.figure_data import EnergyBar, EnergyData
from axdnn.report.units import quantity, scale_for

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Rows of the four bars: the two readings stand apart.
_ROWS = (0.0, 1.0, 2.35, 3.35)


def draw_energy(data: EnergyData, width: float = WIDE) -> Figure:
    """Draw the four stacked bars with totals, the change to the baseline, and large components named by share."""
    columns = 2 if width <= NARROW else 4
    legend_rows = -(-len(data.components) // columns)
    scale = scale_for([bar.total_j for bar in data.bars], "J")
    top = max((bar.total_j for bar in data.bars), default=0.0) / scale.factor or 1.0
    with style():
        figure = new_figure(width, 2.6 + 0.2 * legend_rows)
        axes: Any = figure.add_subplot()
        for row, bar in zip(_ROWS, data.bars, strict=True):
            _stack(axes, row, bar, scale.factor, top, width)
        labels = [f"{bar.reading}\n{'exact' if bar.which == 'baseline' else 'chosen'}" for bar in data.bars]
        axes.set_yticks(_ROWS, labels)
        axes.set_ylim(_ROWS[-1] + 0.5, -0.5)
        axes.set_xlim(0, top * (1.42 if width <= NARROW else 1.2))
        axes.set_xlabel(f"energy per inference ({scale.unit})")
        axes.grid(axis="y", visible=False)
        handles = [_patch(i) for i in range(len(data.components))]
        texts = [legend_text(name, 22) for name in data.components]
        figure.legend(handles, texts, loc="outside upper left", ncols=columns, handlelength=1.2, columnspacing=1.2)
    return figure


def _colour(index: int) -> tuple[str, str]:
    """Colour and hatch of a component; hatches tell apart what repeats a colour."""
    return PALETTE[index % len(PALETTE)], HATCHES[index // len(PALETTE) % len(HATCHES)]


def _patch(index: int) -> Any:
    from matplotlib.patches import Patch

    colour, hatch = _colour(index)
    return Patch(facecolor=colour, hatch=hatch, edgecolor=PAPER, linewidth=0.5)


def _stack(axes: Any, row: float, bar: EnergyBar, factor: float, top: float, width: float) -> None:
    left = 0.0
    for i, joules in enumerate(bar.joules):
        value = joules / factor
        if value <= 0:
            continue
        colour, hatch = _colour(i)
        axes.barh(row, value, 0.78, left=left, color=colour, hatch=hatch, edgecolor=PAPER, linewidth=0.6)
        if value / top > 0.6 / width and not hatch:
            text = f"{100 * joules / bar.total_j:.0f}\u00a0%"
            axes.text(left + value / 2, row, text, ha="center", va="center", fontsize=8, color=text_on(colour))
        left += value
    total = quantity(bar.total_j, "J")
    label = f"{total}\n{bar.change}" if bar.change else total
    axes.annotate(label, (left, row), (5, 0), textcoords="offset points", va="center", fontsize=8.5)
