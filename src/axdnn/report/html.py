"""The report as one self-contained page: inline style, inline SVG, no script, nothing loaded from outside."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from axdnn.records import GenerationResult, Multiplier, write_atomic
from axdnn.report.derived import same_task
from axdnn.report.figures import ReportFigure, report_figures
from axdnn.report.headline import facts_to_know, headline, objective_text, verdict
from axdnn.report.page import Section, as_html, environment, figure_html, folded, write_figures
from axdnn.report.paper_prices import paper_cost_table
from axdnn.report.published import paper_notes
from axdnn.report.result_tables import breakdown_table, energy_table, layers_table, multipliers_table, totals_table
from axdnn.report.search_tables import comparison_table, importance_table, tau_table, visited_table
from axdnn.report.source_tables import exact_operators_table, provenance_table, sources_table
from axdnn.report.training_tables import training_table
from axdnn.report.units import budget_text

OPEN_ROWS = 40
NARROW_LAYERS = 120


def render_report(
    result: GenerationResult, others: Sequence[GenerationResult] = (), *, multipliers: Sequence[Multiplier] = ()
) -> str:
    """Return the report of a result as one HTML page.

    Args:
        result: what is reported.
        others: results to compare it with; those of another model, data or budget are left out.
        multipliers: records of the multipliers; those that were chosen add circuit figures and error maps.
    """
    others = same_task(result, others)
    return _render_report(result, others, multipliers, report_figures(result, others, multipliers))


def write_report(
    result: GenerationResult,
    directory: str | os.PathLike[str],
    others: Sequence[GenerationResult] = (),
    *,
    multipliers: Sequence[Multiplier] = (),
) -> list[Path]:
    """Write `figures/*.png`, then `report.html` into a directory, each atomically; return their paths, page first."""
    others = same_task(result, others)
    figures = report_figures(result, others, multipliers)
    drawn = write_figures(figures, directory)  # the page comes last: where it is, everything is
    return [write_atomic(Path(directory) / "report.html", _render_report(result, others, multipliers, figures)), *drawn]


def _render_report(
    result: GenerationResult,
    others: Sequence[GenerationResult],
    multipliers: Sequence[Multiplier],
    figures: Sequence[ReportFigure],
) -> str:
    narrow = len(result.network.layers) <= NARROW_LAYERS
    drawn = {figure.name: figure_html(figure, narrow) for figure in figures}
    sections: list[Section | None] = [
        _importance(result, drawn),
        _chosen(result, multipliers, drawn),
        Section(
            "energy",
            "Energy before and after",
            "Where the energy of one inference goes. Multipliers are a part of the accelerator: both figures count.",
            (drawn["energy"],),
            (as_html(totals_table(result)), as_html(energy_table(result))),
            folded(breakdown_table(result)),
        ),
        _visited(result, drawn),
        _training(result),
    ]
    if others:
        table = as_html(comparison_table((result, *others)))
        text = "The same task, solved in other ways. The first row is this result."
        sections.append(Section("comparison", "Compared with other strategies", text, (drawn["comparison"],), (table,)))
    sections.append(
        Section(
            "layers",
            "Layer by layer",
            "What each layer runs on, and what it costs.",
            (),
            (as_html(layers_table(result)),),
        )
    )
    sections += [_paper(result), *_end(result)]
    return environment().get_template("report.html.j2").render(
        title=f"{result.model} on {result.accelerator}",
        kicker="axdnn generation report",
        subtitle=f"Data {result.data}; multipliers {result.multiplier_set}; strategy {result.strategy}; "
        f"minimised: {objective_text(result)}; budget {budget_text(result.max_accuracy_loss)}; seed {result.seed}",
        verdicts=[("", verdict(result, multipliers))],
        facts=headline(result),
        know=facts_to_know(result, multipliers),
        sections=[section for section in sections if section is not None],
    )  # fmt: skip


def _importance(result: GenerationResult, drawn: dict[str, Any]) -> Section:
    if not result.scores:
        text = "No importance score was computed: the strategy chose without one."
        return Section("importance", "Which layers matter", text)
    tables = [as_html(importance_table(result.scores, result.network.layer_names))]
    if len(result.scores) > 1:
        tables.append(as_html(tau_table(result.scores)))
    text = "How much each layer matters to the output. A layer that matters little can take a coarser multiplier."
    return Section("importance", "Which layers matter", text, (drawn["importance"],), tuple(tables))


def _chosen(result: GenerationResult, multipliers: Sequence[Multiplier], drawn: dict[str, Any]) -> Section:
    maps = tuple(figure for name, figure in drawn.items() if name.startswith("error-map"))
    text = "What each layer was given. A saving weighs as much as the layer's share of the products."
    tables = (as_html(multipliers_table(result, multipliers)),)
    return Section("multipliers", "Chosen multipliers", text, (drawn["multipliers"], *maps), tables)


def _visited(result: GenerationResult, drawn: dict[str, Any]) -> Section:
    text = (
        f"{len(result.visited):,} full evaluation{'s' if len(result.visited) != 1 else ''} on record. A candidate is "
        "accepted if the upper bound of its loss, not the loss itself, is within the budget."
    )
    table = visited_table(result)
    heading = "Accuracy against energy"
    if not table.rows:
        return Section("visited", heading, "No evaluation is on record besides the result.", (drawn["tradeoff"],))
    if len(table.rows) <= OPEN_ROWS:
        return Section("visited", heading, text, (drawn["tradeoff"],), (as_html(table),))
    return Section("visited", heading, text, (drawn["tradeoff"],), (), folded(table))


def _training(result: GenerationResult) -> Section | None:
    table = training_table(result)
    if not table.rows:
        return None
    text = "Assignments bolder than the search accepted, fine-tuned to learn the errors of their circuits."
    return Section("training", table.title, text, (), (as_html(table),))


def _paper(result: GenerationResult) -> Section | None:
    """Prices by the paper's equations, apart from all others; the paper's notes where its strategy was used."""
    table = paper_cost_table(result)
    if not table.rows and result.strategy != "paper":
        return None
    text = "The same choice priced by the equations that XAI-Gen printed: another cost model, not to be compared with "
    text += "any figure above."
    if not table.rows:
        text = "This result was saved without prices by the equations that XAI-Gen printed."
    known = ("What to know about the published figures", paper_notes()) if result.strategy == "paper" else None
    tables = (as_html(table),) if table.rows else ()
    return Section("paper-literal", "Cost model paper_literal", text, (), tables, notes=known)


def _end(result: GenerationResult) -> list[Section]:
    text = "Operators that use no multiplier from the library, and why."
    operators = exact_operators_table(result)
    exact = (as_html(operators),) if operators.rows else ()
    if not exact:
        text = "The capture recorded no operator besides the layers above."
    made = "What made these numbers. Every parameter of the cost model comes with its source."
    return [
        Section("exact", "What stayed exact", text, (), exact),
        Section("sources", "Provenance and sources", made, (), (as_html(provenance_table(result)),),
                folded(sources_table(result))),
    ]  # fmt: skip
