"""A network of a front, layer by layer: multipliers, skipped neurons, importance, energy; two fit into a row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from axdnn.records import ChosenLayer, FrontMember, SearchResult
from axdnn.report.drawing import GREY, INK, MUTED, NARROW, PURPLE, SKY, colours, new_figure, style
from axdnn.report.labels import shorten_all
from axdnn.report.units import DASH, MINUS, fixed, scale_for, significant

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_LAYERS = 72
"""Most layers of a diagram; the table beside it holds all of them."""


def multiplier_colours(result: SearchResult) -> dict[str, str]:
    """Return a colour a multiplier, the same in every diagram, those used most first; grey for exact ones."""
    used = Counter(layer.multiplier for member in result.front for layer in member.layers if layer.multiplier)
    names = [name for name, _ in used.most_common()]
    return colours(names, ["exact" in name.lower() for name in names])


def draw_network(member: FrontMember, number: int, colour: dict[str, str], width: float = NARROW) -> Figure:
    """Draw a member's layers from top to bottom, at most `MOST_LAYERS` of them.

    Args:
        member: with layers.
        number: of the member, written above.
        colour: of each multiplier.
        width: in inches; never wider than `NARROW`.
    """
    layers = member.layers[:MOST_LAYERS]
    width = min(width, NARROW)
    parts = ["multiplier"]
    parts += ["importance"] if any(layer.importance is not None for layer in layers) else []
    parts += ["energy"] if any(layer.energy_j is not None for layer in layers) else []
    skipping = any(layer.skipped for layer in layers)
    with style():
        figure = new_figure(width, 0.95 + len(layers) * (0.24 if len(layers) <= 24 else 0.19))
        ratios = [1.0 if skipping else 0.5, *[1.0] * (len(parts) - 1)]
        panels: Any = figure.subplots(1, len(parts), sharey=True, width_ratios=ratios, squeeze=False)[0]
        figure.suptitle(f"Network {number}", x=0.02, ha="left", fontsize=10.5, fontweight="bold")
        _blocks(panels[0], layers, colour, skipping)
        for panel, part in zip(panels[1:], parts[1:], strict=True):
            (_importance if part == "importance" else _energy)(panel, layers)
        panels[0].set_yticks(range(len(layers)), shorten_all([layer.name for layer in layers], 17), fontsize=8)
        panels[0].set_ylim(len(layers) - 0.4, -0.6)
    return figure


def _blocks(axes: Any, layers: Sequence[ChosenLayer], colour: dict[str, str], skipping: bool) -> None:
    """One bar a layer: what is computed in the colour of its multiplier, what is skipped hatched; names behind it."""
    rows = range(len(layers))
    kept = [1.0 - layer.skipped for layer in layers]
    axes.barh(rows, kept, 0.74, color=[colour.get(layer.multiplier, GREY) for layer in layers])
    for i, layer in enumerate(layers):
        if layer.skipped:
            axes.barh(i, layer.skipped, 0.74, left=kept[i], fill=False, edgecolor=MUTED, hatch="////", linewidth=0.6)
    axes.set_xlim(0, 1)
    axes.set_title("computed" if skipping else "", loc="left", fontsize=8, fontweight="normal")
    names = axes.twinx()
    names.set_ylim(len(layers) - 0.4, -0.6)
    short = shorten_all([layer.multiplier or DASH for layer in layers], 14)
    skips = [f" {_share(layer.skipped)}" if layer.skipped else "" for layer in layers]
    names.set_yticks(list(rows), [f"{name}{skip}" for name, skip in zip(short, skips, strict=True)], fontsize=8)
    for panel in (axes, names):
        _bare(panel)


def _write(axes: Any, text: str, x: float, row: int) -> None:
    written = axes.annotate(text, (x, row), (3, 0), textcoords="offset points", va="center", fontsize=7.5, color=INK)
    written.set_in_layout(False)  # the axis has room for it, and measuring each would take half the time


def _share(value: float) -> str:
    text = fixed(100 * value, 1).removesuffix(".0")
    return f"{MINUS}{text}\u00a0%"


def _bare(axes: Any) -> None:
    axes.set_xticks([])
    axes.grid(False)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _importance(axes: Any, layers: Sequence[ChosenLayer]) -> None:
    values = [layer.importance for layer in layers]
    _bars(axes, values, [DASH if v is None else significant(v, 2) for v in values], SKY)
    axes.set_title("importance", loc="left", fontsize=8, fontweight="normal")


def _energy(axes: Any, layers: Sequence[ChosenLayer]) -> None:
    values = [layer.energy_j for layer in layers]
    scale = scale_for(values, "J")
    texts = [DASH if v is None else significant(v / scale.factor, 2) for v in values]
    _bars(axes, [None if v is None else v / scale.factor for v in values], texts, PURPLE)
    axes.set_title(f"energy ({scale.unit})", loc="left", fontsize=8, fontweight="normal")


def _bars(axes: Any, values: Sequence[float | None], texts: Sequence[str], colour: str) -> None:
    top = max((v for v in values if v is not None), default=0.0) or 1.0
    low = min(0.0, *(v for v in values if v is not None), 0.0)
    axes.barh(range(len(values)), [v or 0.0 for v in values], 0.6, color=colour)
    for i, (value, text) in enumerate(zip(values, texts, strict=True)):
        _write(axes, text, max(value or 0.0, 0.0), i)
    axes.set_xlim(low, top + 0.75 * (top - low))
    _bare(axes)
