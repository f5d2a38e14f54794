"""The report as one self-contained page: inline style, inline SVG, no script, nothing loaded from outside."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from axdnn.records import GenerationResult, InvalidInputError, Multiplier, write_atomic
from axdnn.report.figures import NARROW, WIDE, ReportFigure, comparison_figure, report_figures
from axdnn.report.headline import facts_to_know, headline, verdict
from axdnn.report.result_tables import breakdown_table, energy_table, layers_table, multipliers_table, totals_table
from axdnn.report.search_tables import comparison_table, importance_table, tau_table, visited_table
from axdnn.report.source_tables import exact_operators_table, provenance_table, sources_table
from axdnn.report.table_output import table_html
from axdnn.report.tables import Table
from axdnn.report.units import budget_text

if TYPE_CHECKING:
    from jinja2 import Environment

MOST_ROWS = 500
OPEN_ROWS = 40
NARROW_LAYERS = 120


class Section(NamedTuple):
    """A section of a page: anchor, heading, introduction, figures as HTML, tables (those in `folded` start closed)."""

    anchor: str
    heading: str
    text: str
    figures: tuple[Any, ...] = ()
    tables: tuple[Any, ...] = ()
    folded: tuple[tuple[str, Any], ...] = ()


def render_report(
    result: GenerationResult, others: Sequence[GenerationResult] = (), *, multipliers: Sequence[Multiplier] = ()
) -> str:
    """Return the report of a result as one HTML page.

    Args:
        result: what is reported.
        others: results of other strategies to compare it with.
        multipliers: records of the multipliers; those that were chosen add circuit figures and error maps.
    """
    return _render_report(result, others, multipliers, report_figures(result, others, multipliers))


def write_report(
    result: GenerationResult,
    directory: str | os.PathLike[str],
    others: Sequence[GenerationResult] = (),
    *,
    multipliers: Sequence[Multiplier] = (),
) -> list[Path]:
    """Write `report.html` and `figures/*.png` into a directory, each atomically; return their paths, page first."""
    figures = report_figures(result, others, multipliers)
    page = write_atomic(Path(directory) / "report.html", _render_report(result, others, multipliers, figures))
    return [page, *_write_figures(figures, directory)]


def render_comparison(results: Sequence[GenerationResult]) -> str:
    """Return one HTML page that compares results, in the order given.

    Raises:
        InvalidInputError: there is no result.
    """
    return _render_comparison(results, _comparison_figures(results))


def write_comparison(results: Sequence[GenerationResult], directory: str | os.PathLike[str]) -> list[Path]:
    """Write `comparison.html` and `figures/*.png` into a directory; return their paths, page first.

    Raises:
        InvalidInputError: there is no result.
    """
    figures = _comparison_figures(results)
    page = write_atomic(Path(directory) / "comparison.html", _render_comparison(results, figures))
    return [page, *_write_figures(figures, directory)]


def _write_figures(figures: Sequence[ReportFigure], directory: str | os.PathLike[str]) -> list[Path]:
    return [write_atomic(Path(directory) / "figures" / f"{figure.name}.png", figure.png()) for figure in figures]


def _comparison_figures(results: Sequence[GenerationResult]) -> tuple[ReportFigure, ...]:
    if not results:
        raise InvalidInputError("`results` must hold at least one GenerationResult, but it is empty")
    return (comparison_figure(results),)


def _render_report(
    result: GenerationResult,
    others: Sequence[GenerationResult],
    multipliers: Sequence[Multiplier],
    figures: Sequence[ReportFigure],
) -> str:
    narrow = len(result.network.layers) <= NARROW_LAYERS
    drawn = {figure.name: _figure_html(figure, narrow) for figure in figures}
    sections = [
        _importance(result, drawn),
        _chosen(result, multipliers, drawn),
        Section(
            "energy",
            "Energy before and after",
            "Where the energy of one inference goes. Multipliers are a part of the accelerator: both figures count.",
            (drawn["energy"],),
            (_html(totals_table(result)), _html(energy_table(result))),
            _folded(breakdown_table(result)),
        ),
        _visited(result, drawn),
    ]
    if others:
        table = _html(comparison_table((result, *others)))
        text = "The same task, solved in other ways. The first row is this result."
        sections.append(Section("comparison", "Compared with other strategies", text, (drawn["comparison"],), (table,)))
    sections.append(
        Section(
            "layers",
            "Layer by layer",
            "What each layer runs on, and what it costs.",
            (),
            (_html(layers_table(result)),),
        )
    )
    sections += _end(result)
    return _environment().get_template("report.html.j2").render(
        title=f"{result.model} on {result.accelerator}",
        kicker="axdnn generation report",
        subtitle=f"Data {result.data}; multipliers {result.multiplier_set}; strategy {result.strategy}; "
        f"budget {budget_text(result.max_accuracy_loss)}; seed {result.seed}",
        verdicts=[("", verdict(result, multipliers))],
        facts=headline(result),
        know=facts_to_know(result, multipliers),
        sections=[section for section in sections if section],
    )  # fmt: skip


def _importance(result: GenerationResult, drawn: dict[str, Any]) -> Section:
    if not result.scores:
        text = "No importance score was computed: the strategy chose without one."
        return Section("importance", "Which layers matter", text)
    tables = [_html(importance_table(result.scores, result.network.layer_names))]
    if len(result.scores) > 1:
        tables.append(_html(tau_table(result.scores)))
    text = "How much each layer matters to the output. A layer that matters little can take a coarser multiplier."
    return Section("importance", "Which layers matter", text, (drawn["importance"],), tuple(tables))


def _chosen(result: GenerationResult, multipliers: Sequence[Multiplier], drawn: dict[str, Any]) -> Section:
    maps = tuple(figure for name, figure in drawn.items() if name.startswith("error-map"))
    text = "What each layer was given. A saving weighs as much as the layer's share of the products."
    tables = (_html(multipliers_table(result, multipliers)),)
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
        return Section("visited", heading, text, (drawn["tradeoff"],), (_html(table),))
    return Section("visited", heading, text, (drawn["tradeoff"],), (), _folded(table))


def _end(result: GenerationResult) -> list[Section]:
    text = "Operators that use no multiplier from the library, and why."
    operators = exact_operators_table(result)
    exact = (_html(operators),) if operators.rows else ()
    if not exact:
        text = "The capture recorded no operator besides the layers above."
    made = "What made these numbers. Every parameter of the cost model comes with its source."
    return [
        Section("exact", "What stayed exact", text, (), exact),
        Section("sources", "Provenance and sources", made, (), (_html(provenance_table(result)),),
                _folded(sources_table(result))),
    ]  # fmt: skip


def _render_comparison(results: Sequence[GenerationResult], figures: Sequence[ReportFigure]) -> str:
    from axdnn.report.derived import result_labels

    text = "Every strategy with the assignment it chose, measured on the test split."
    drawn = tuple(_figure_html(figure, True) for figure in figures)
    sections = [Section("comparison", "Strategies", text, drawn, (_html(comparison_table(results)),))]
    for i, (result, label) in enumerate(zip(results, result_labels(results), strict=True), start=1):
        tables = (_html(multipliers_table(result)), _html(totals_table(result)))
        sections.append(Section(f"result-{i}", label, verdict(result).sentence, (), tables))
    return _environment().get_template("report.html.j2").render(
        title=f"Strategies compared: {_distinct(r.model for r in results)}",
        kicker="axdnn comparison",
        subtitle=f"Accelerator {_distinct(r.accelerator for r in results)}; data {_distinct(r.data for r in results)}; "
            f"budget {_distinct(budget_text(r.max_accuracy_loss) for r in results)}",
        verdicts=[(label, verdict(r)) for r, label in zip(results, result_labels(results), strict=True)],
        facts=(),
        know=tuple(dict.fromkeys(line for r in results for line in facts_to_know(r)[:2])),
        sections=sections,
    )  # fmt: skip


def _distinct(values: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(values))


def _html(table: Table) -> Any:
    from markupsafe import Markup

    return Markup(table_html(table.limited(MOST_ROWS)))


def _folded(table: Table) -> tuple[tuple[str, Any], ...]:
    return ((f"{table.title} ({len(table.rows):,} rows)", _html(table)),) if table.rows else ()


def _figure_html(figure: ReportFigure, narrow: bool) -> Any:
    """A figure with its wide form and, for small screens, a narrow one."""
    from markupsafe import Markup, escape

    forms = [("wide", figure.svg(WIDE, "wide"))]
    if figure.small:
        forms = [("any", figure.svg(NARROW, "any"))]
    elif narrow:
        forms.append(("narrow", figure.svg(NARROW, "narrow")))
    only = "" if narrow or figure.small else " only"
    body = "".join(f'<div class="{form}{only}">{svg}</div>' for form, svg in forms)
    kind = "figure map" if figure.small else "figure"
    return Markup(f'<figure class="{kind}">{body}<figcaption>{escape(figure.caption)}</figcaption></figure>')


@lru_cache(maxsize=1)
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    loader = FileSystemLoader(Path(__file__).with_name("templates"))
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
