"""The figures of a report: data first, then drawing, each in a wide and a narrow form.

`*_data` functions return exactly what is drawn, `draw_*` functions draw it, `to_png` and `to_svg` write it.
Matplotlib is imported when something is drawn, not before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from axdnn.records import GenerationResult, LayerScores, Multiplier
from axdnn.report.draw_energy import draw_energy
from axdnn.report.draw_layers import draw_chosen, draw_importance
from axdnn.report.draw_profile import draw_profile
from axdnn.report.draw_tradeoff import draw_comparison, draw_tradeoff
from axdnn.report.drawing import NARROW, WIDE, to_png, to_svg
from axdnn.report.error_map import ERROR_MAP_WIDTH, draw_error_map, error_map_data
from axdnn.report.figure_data import chosen_data, compare_data, energy_data, importance_data, tradeoff_data
from axdnn.report.profile import profile_data

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ERROR_MAPS = 8
"""Most error maps in one report."""


class ReportFigure(NamedTuple):
    """A figure of a report: file name without ending, caption, how to draw it at a width in inches.

    A `small` one looks the same on every screen.
    """

    name: str
    caption: str
    draw: Callable[[float], Figure]
    small: bool = False

    def png(self) -> bytes:
        """Return the wide form as PNG."""
        return to_png(self.draw(WIDE))

    def svg(self, width: float, form: str) -> str:
        """Return the figure as inline SVG."""
        return to_svg(self.draw(width), f"{self.name}-{form}", self.caption)


def report_figures(
    result: GenerationResult, others: Sequence[GenerationResult] = (), multipliers: Sequence[Multiplier] = ()
) -> tuple[ReportFigure, ...]:
    """Return the figures of a result that there is something to draw for, in reading order."""
    figures = []
    if result.scores:
        importance = importance_data(result)
        caption = "Importance of each layer by each score, in execution order; the largest of a score is 1."
        figures.append(ReportFigure("importance", caption, lambda width: draw_importance(importance, width)))
    chosen, energy, tradeoff = chosen_data(result), energy_data(result), tradeoff_data(result)
    figures += [
        ReportFigure(
            "multipliers",
            "Each layer's share of the products, the power of its multiplier over the exact one's (broken line: 100 %; "
            f"grey: exact){', and the share of its neurons that is skipped' if chosen.skipped else ''}.",
            lambda width: draw_chosen(chosen, width),
        ),
        ReportFigure(
            "energy",
            "Energy of one inference by component: exact baseline and chosen assignment, in both readings.",
            lambda width: draw_energy(energy, width),
        ),
        ReportFigure("tradeoff", TRADEOFF, lambda width: draw_tradeoff(tradeoff, width)),
    ]
    if others:
        figures.append(comparison_figure((result, *others)))
    used = set(result.assignment.values())
    maps = [m for m in multipliers if m.name in used and not m.is_exact][:ERROR_MAPS]
    return (*figures, *(error_map_figure(m, i) for i, m in enumerate(maps, start=1)))


TRADEOFF = (
    "Loss against energy of everything visited. Whiskers reach to the one-sided 95 % upper bound of the loss on the "
    "accept split: a candidate is accepted if that bound is within the budget."
)


def comparison_figure(results: Sequence[GenerationResult]) -> ReportFigure:
    """Return the figure that compares several results."""
    data = compare_data(results)
    caption = "Loss on the test split against energy, one mark a strategy; whiskers reach to the 95 % upper bound."
    if any(point.energy_ratio is None for point in data.points):
        caption += f" Total energy is shown for the cost model {data.model!r} only."
    return ReportFigure("comparison", caption, lambda width: draw_comparison(data, width))


PROFILE = (
    "Importance summed over units, first to last, largest 1. Bands: the paper's figures 6 and 7, read by eye: "
    "ranges over target classes. Behind a network that is not in the paper stands its nearest one, for the shape."
)


def profile_figure(results: Sequence[GenerationResult]) -> ReportFigure | None:
    """Return conductance by unit beside the paper's, one panel a model and data set; None where it was not computed."""
    found: dict[str, LayerScores] = {}
    for result in results:
        score = next((s for s in result.scores if s.score == "conductance" and s.values), None)
        if score is not None:
            found.setdefault(f"{result.model} on {result.data}".replace(",", " "), score)
    if not found:
        return None
    data = profile_data(found)
    return ReportFigure("profile", PROFILE, lambda width: draw_profile(data, width))


def error_map_figure(multiplier: Multiplier, number: int = 1) -> ReportFigure:
    """Return the error map of a multiplier as a figure."""
    data = error_map_data(multiplier)
    caption = f"Error of every product of {multiplier.name}: blue is too small, red too large."

    def draw(width: float) -> Figure:
        return draw_error_map(data, min(width, ERROR_MAP_WIDTH))

    return ReportFigure(f"error-map-{number}", caption, draw, small=True)


__all__ = [
    "NARROW", "WIDE", "ReportFigure", "chosen_data", "compare_data", "comparison_figure", "draw_chosen",
    "draw_comparison", "draw_energy", "draw_error_map", "draw_importance", "draw_profile", "draw_tradeoff",
    "energy_data", "error_map_data", "error_map_figure", "importance_data", "profile_data", "profile_figure",
    "report_figures", "to_png", "to_svg", "tradeoff_data",
]  # fmt: skip
