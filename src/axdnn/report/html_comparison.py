"""The page that compares results, with the paper's Table I where it is asked for."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from axdnn.records import GenerationResult, InvalidInputError, Multiplier, write_atomic
from axdnn.report.derived import result_labels
from axdnn.report.figures import ReportFigure, comparison_figure, profile_figure
from axdnn.report.headline import facts_to_know, verdict
from axdnn.report.page import Section, as_html, environment, figure_html, write_figures
from axdnn.report.paper_tables import table_one
from axdnn.report.result_tables import multipliers_table, totals_table
from axdnn.report.search_tables import comparison_table
from axdnn.report.units import budget_text


def render_comparison(
    results: Sequence[GenerationResult], *, paper_table: bool = False, multipliers: Sequence[Multiplier] = ()
) -> str:
    """Return one HTML page that compares results, in the order given.

    Args:
        results: what is compared.
        paper_table: add XAI-Gen's Table I beside these results (see `table_one`), and importance beside its figures.
        multipliers: records of the multipliers; they tell which of several exact circuits are exact.

    Raises:
        InvalidInputError: there is no result.
    """
    return _render(results, _figures(results, paper_table), paper_table, multipliers)


def write_comparison(
    results: Sequence[GenerationResult],
    directory: str | os.PathLike[str],
    *,
    paper_table: bool = False,
    multipliers: Sequence[Multiplier] = (),
) -> list[Path]:
    """Write `comparison.html` and `figures/*.png` into a directory; return their paths, page first.

    Arguments and errors are those of `render_comparison`.
    """
    figures = _figures(results, paper_table)
    page = write_atomic(Path(directory) / "comparison.html", _render(results, figures, paper_table, multipliers))
    return [page, *write_figures(figures, directory)]


def _figures(results: Sequence[GenerationResult], paper_table: bool) -> tuple[ReportFigure, ...]:
    if not results:
        raise InvalidInputError("`results` must hold at least one GenerationResult, but it is empty")
    profile = profile_figure(results) if paper_table else None
    return (comparison_figure(results), *([profile] if profile else []))


def _render(
    results: Sequence[GenerationResult],
    figures: Sequence[ReportFigure],
    paper_table: bool,
    multipliers: Sequence[Multiplier],
) -> str:
    labels = result_labels(results)
    text = "Every strategy with the assignment it chose, measured on the test split."
    drawn = {figure.name: figure_html(figure, True) for figure in figures}
    table = as_html(comparison_table(results))
    sections = [Section("comparison", "Strategies", text, (drawn.pop("comparison"),), (table,))]
    if paper_table:
        text = "Published figures stand as printed, ours as measured; each cost model has columns of its own."
        tables = tuple(as_html(table) for table in table_one(results, multipliers))
        sections.append(Section("table-one", "The paper beside ours", text, tuple(drawn.values()), tables))
    for i, (result, label) in enumerate(zip(results, labels, strict=True), start=1):
        parts = (as_html(multipliers_table(result)), as_html(totals_table(result)))
        sections.append(Section(f"result-{i}", label, verdict(result, multipliers).sentence, (), parts))
    return environment().get_template("report.html.j2").render(
        title=f"Strategies compared: {_distinct(r.model for r in results)}",
        kicker="axdnn comparison",
        subtitle=f"Accelerator {_distinct(r.accelerator for r in results)}; data {_distinct(r.data for r in results)}; "
            f"budget {_distinct(budget_text(r.max_accuracy_loss) for r in results)}",
        verdicts=[(label, verdict(r, multipliers)) for r, label in zip(results, labels, strict=True)],
        facts=(),
        know=tuple(dict.fromkeys(line for r in results for line in facts_to_know(r)[:2])),
        sections=sections,
    )  # fmt: skip


def _distinct(values: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(values))
