"""The page of a search method: fronts beside their rivals, networks layer by layer, effort; one self-contained file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

from axdnn.records import SearchResult, write_atomic
from axdnn.report.draw_fronts import draw_front_lines, draw_fronts, draw_progress
from axdnn.report.draw_layers import draw_importance
from axdnn.report.draw_networks import MOST_LAYERS, draw_network, multiplier_colours
from axdnn.report.figure_data import scores_data
from axdnn.report.figures import ReportFigure
from axdnn.report.measures import objective_measures, values_text
from axdnn.report.page import Section, as_html, environment, figure_html, folded, write_figures
from axdnn.report.search_result_data import front_panels, progress_curves, spread_members
from axdnn.report.search_result_headline import search_facts, search_notes, search_verdict
from axdnn.report.search_result_tables import (
    asked_table,
    candidates_table,
    effort_table,
    made_table,
    member_layers_table,
    members_table,
    points_table,
)
from axdnn.report.search_tables import importance_table, score_costs_table

OPEN_ROWS = 40
MOST_TABLES = 100
"""Most networks whose layers are listed."""


def render_search_result(result: SearchResult) -> str:
    """Return one HTML page about what a search method found."""
    return _render(result, search_figures(result))


def write_search_result(result: SearchResult, folder: str | os.PathLike[str]) -> tuple[Path, ...]:
    """Write `figures/*.png`, then `report.html` into a folder, each atomically; return their paths, page first."""
    figures = search_figures(result)
    drawn = write_figures(figures, folder)  # the page comes last: where it is, everything is
    return (write_atomic(Path(folder) / "report.html", _render(result, figures)), *drawn)


def search_figures(result: SearchResult) -> tuple[ReportFigure, ...]:
    """Return the figures that there is something to draw for, in reading order."""
    figures = []
    if front_panels(result):
        text = "Fronts in each pair of objectives; lines bound what a front reaches. Numbers name the networks below."
        figures.append(ReportFigure("fronts", text, lambda width: draw_fronts(result, width)))
    if result.front:
        text = "Each line is a network of the front. Better is to the right, or larger where that is not said."
        figures.append(ReportFigure("coordinates", text, lambda width: draw_front_lines(result, width)))
    measures, colour = objective_measures(result), multiplier_colours(result)
    for i in spread_members(result):
        member = result.front[i]
        if member.layers:
            text = f"Network {i + 1}: {values_text(measures, member.objectives)}."
            if len(member.layers) > MOST_LAYERS:
                text += f" The first {MOST_LAYERS} of {len(member.layers):,} layers."
            draw = partial(draw_network, member, i + 1, colour)
            figures.append(ReportFigure(f"network-{i + 1}", text, draw, small=True))
    if progress_curves(result):
        text = "Hypervolume after each complete evaluation; 100 % is what this search ended with."
        figures.append(ReportFigure("progress", text, lambda width: draw_progress(result, width)))
    if any(score.values for score in result.scores):
        scores = scores_data([score for score in result.scores if score.values])
        text = "Importance of each layer by each score that guided the search; the largest of a score is 1."
        figures.append(ReportFigure("importance", text, lambda width: draw_importance(scores, width)))
    return tuple(figures)


def _render(result: SearchResult, figures: Sequence[ReportFigure]) -> str:
    drawn = {figure.name: figure_html(figure, True) for figure in figures}
    names = ", ".join(m.label for m in objective_measures(result))
    where = [result.model or "networks", *([f"on {result.data}"] if result.data else [])]
    sections = [part(result, drawn) for part in (_front, _networks, _progress, _scores, _end)]
    return environment().get_template("report.html.j2").render(
        title=f"{result.method}: {' '.join(where)}",
        kicker="axdnn search report",
        subtitle=f"Accelerator {result.accelerator or 'searched'}; objectives: {names}",
        verdicts=[("", search_verdict(result))],
        facts=search_facts(result),
        know=search_notes(result),
        sections=[section for section in sections if section is not None],
    )  # fmt: skip


def _front(result: SearchResult, drawn: dict[str, Any]) -> Section:
    figures = tuple(drawn[name] for name in ("fronts", "coordinates") if name in drawn)
    rivals = folded(points_table(result))
    if not result.front:
        text = "The front is empty: there is no network to show."
        text += " The fronts are those of the rivals." if figures else ""
        return Section("front", "The front", text, figures, (), rivals)
    beside = "Beside it stands what it is compared with. " if result.rivals else ""
    text = f"What can be had for what, one mark a network. {beside}Every network is a trade between the objectives."
    return Section("front", "The front", text, figures, (as_html(members_table(result)),), rivals)


def _networks(result: SearchResult, drawn: dict[str, Any]) -> Section | None:
    """Diagrams of some networks, tables of all; the candidates where the method searches no layers."""
    if not result.front:
        return None
    figures = tuple(figure for name, figure in drawn.items() if name.startswith("network-"))
    table = candidates_table(result) if any(member.candidate for member in result.front) else None
    candidates = folded(table) if table is not None else ()
    if not any(member.layers for member in result.front):
        text = "The method searches no layers: the fields of each candidate are its whole description."
        if table is not None and len(table.rows) <= OPEN_ROWS:
            return Section("networks", "The networks", text, (), (as_html(table),))
        return Section("networks", "The networks", text, (), (), candidates)
    shown, count = len(figures), len(result.front)
    some = f"{shown} of {count:,} networks, spread over the front" if shown < count else "All networks of the front"
    hatched = any(layer.skipped for member in result.front for layer in member.layers)
    text = f"{some}, layer by layer from the input: the colour is the multiplier's, the same in all diagrams."
    text += " Hatched is the share of neurons that is skipped." if hatched else ""
    return Section("networks", "The networks, layer by layer", text, figures, (), (*_all_layers(result), *candidates))


def _all_layers(result: SearchResult) -> tuple[tuple[str, Any], ...]:
    """A closed list of closed tables, one a network, so that a large front does not bury what follows."""
    from markupsafe import Markup

    measures, parts = objective_measures(result), []
    for number, member in enumerate(result.front[:MOST_TABLES], start=1):
        if member.layers:
            title = escape(f"Network {number}: {values_text(measures, member.objectives)}")
            table = as_html(member_layers_table(member, number))
            parts.append(f"<details><summary>{title}</summary>\n{table}\n</details>")
    if len(result.front) > MOST_TABLES:
        left = len(result.front) - MOST_TABLES
        parts.append(f'<p class="note">{left:,} more networks are in the saved result.</p>')
    return ((f"Every network, layer by layer ({len(result.front):,})", Markup("\n".join(parts))),)


def _progress(result: SearchResult, drawn: dict[str, Any]) -> Section:
    heading = "Hypervolume over evaluations"
    if "progress" not in drawn:
        return Section("progress", heading, "No hypervolume above 0 is on record.")
    table = effort_table(result)
    tables = (as_html(table),) if len(table.rows) > 1 else ()
    text = "How soon the search came where it ended" + (", and how soon the rivals did." if tables else ".")
    return Section("progress", heading, text, (drawn["progress"],), tables)


def _scores(result: SearchResult, drawn: dict[str, Any]) -> Section | None:
    if "importance" not in drawn:
        return None
    text = "What the search was told about the layers before it began, and what telling it cost."
    scores = [score for score in result.scores if score.values]
    tables = (as_html(score_costs_table(scores)),)
    return Section(
        "importance", "Which layers matter", text, (drawn["importance"],), tables, folded(importance_table(scores))
    )


def _end(result: SearchResult, drawn: dict[str, Any]) -> Section:
    tables = tuple(as_html(table) for table in (asked_table(result), made_table(result)) if table.rows)
    return Section("sources", "Settings and provenance", "What was asked, and what made these numbers.", (), tables)
