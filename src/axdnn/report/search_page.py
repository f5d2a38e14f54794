"""The page of a search: front, hypervolume, trials that failed; one HTML file."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

from axdnn.records import SearchHistory, write_atomic
from axdnn.report.figures import ReportFigure
from axdnn.report.headline import Fact
from axdnn.report.page import Section, as_html, environment, figure_html, folded
from axdnn.report.search_figures import draw_climb, draw_coordinates, draw_pairs
from axdnn.report.tables import Column, Table


def front_table(history: SearchHistory) -> Table:
    """Return the front as a table: objectives, constraints, candidate."""
    extra = [c for c in history.constraints if c.name not in {o.name for o in history.objectives}]
    named = [(o.name, o.unit) for o in history.objectives] + [(c.name, c.unit) for c in extra]
    columns = (
        Column("trial", "trial", "count"),
        *(Column(name, f"{name}, {unit}" if unit else name, "number", digits=4) for name, unit in named),
        Column("candidate", "candidate"),
    )
    rows: tuple[tuple[str | int | float, ...], ...] = tuple(
        (
            trial.number,
            *(trial.values[name] for name, _ in named),
            ", ".join(f"{path}={value}" for path, value in trial.candidate.items()),
        )
        for trial in history.front_trials
    )
    limits = tuple(f"Constraint: {c.name} {c.sense} {c.bound:g} {c.unit}".rstrip() + "." for c in history.constraints)
    return Table("The front", columns, rows, limits)


def reasons_table(history: SearchHistory) -> Table:
    """Return why trials are not complete, most frequent first."""
    found = Counter((t.outcome, t.reason) for t in history.trials if t.reason and t.outcome != "recalled")
    rows = tuple((outcome, reason, times) for (outcome, reason), times in found.most_common())
    return Table("Trials that did not end", (Column("outcome", "outcome"), Column("reason", "reason"),
                 Column("times", "times", "count")), rows)  # fmt: skip


def settings_table(history: SearchHistory) -> Table:
    """Return what was asked."""
    rows = tuple((name, value) for name, value in history.settings.items())
    return Table("Settings", (Column("name", "name"), Column("value", "value")), rows)


def render_search(history: SearchHistory) -> str:
    """Return one HTML page about a search."""
    names = " and ".join(o.name for o in history.objectives)
    reference = ", ".join(f"{name} {value:.6g}" for name, value in history.reference.items())
    volume = f"{history.hypervolume[-1]:.6g}" if history.hypervolume else "0"
    given = all(o.reference is not None for o in history.objectives)
    know = [
        f"Hypervolume is measured to the reference point {reference}"
        + ("." if given else ", a tenth beyond the worst value seen: it cannot be compared with other studies."),
        "Evaluations count complete, failed and stopped candidates; recalled ones cost nothing.",
    ]
    facts = (
        Fact("front", "Front", str(len(history.front)), "candidates that no other one is better than everywhere"),
        Fact("evaluations", "Evaluations", f"{history.evaluations:,} of {history.budget:,}",
             f"{history.failed:,} failed, {history.recalled:,} recalled, {history.lost:,} lost and repeated"),
        Fact("hypervolume", "Hypervolume", volume, reference),
        Fact("space", "Space", history.space_size if len(history.space_size) < 16 else
             f"{history.space_size[0]}.{history.space_size[1:3]}e{len(history.space_size) - 1}", "candidates"),
    )  # fmt: skip
    return environment().get_template("report.html.j2").render(
        title=f"{history.name}: {names}", kicker="axdnn search",
        subtitle=f"sampler {history.settings.get('sampler', '')}; {history.wall_s:,.1f} s", verdicts=(), facts=facts,
        know=know, sections=_sections(history),
    )  # fmt: skip


def _sections(history: SearchHistory) -> list[Section]:
    sections = []
    if history.front:
        figures = []
        if len(history.objectives) > 1:
            figures.append(ReportFigure("fronts", "Front and evaluated candidates, for each pair of objectives.",
                                        lambda width: draw_pairs(history, width)))  # fmt: skip
        figures.append(
            ReportFigure("coordinates", "Candidates of the front: objectives, then the fields that vary most on it.",
                         lambda width: draw_coordinates(history, width))
        )  # fmt: skip
        drawn = tuple(figure_html(figure, True) for figure in figures)
        text = "No other candidate that was evaluated is better in one objective without being worse in another."
        sections.append(Section("front", "The front", text, drawn, (as_html(front_table(history)),)))
    if history.hypervolume:
        climb = ReportFigure("climb", "Hypervolume after each complete evaluation.",
                             lambda width: draw_climb(history, width))  # fmt: skip
        text = "How soon the search came where it is."
        sections.append(Section("hypervolume", "Hypervolume over evaluations", text, (figure_html(climb, True),)))
    tables = (*folded(reasons_table(history)), *folded(settings_table(history)))
    sections.append(Section("trials", "Trials and settings", "What failed, and what was asked.", folded=tables))
    return sections


def write_search(history: SearchHistory, path: str | os.PathLike[str]) -> Path:
    """Write the page of a search into a file, atomically."""
    return write_atomic(Path(path), render_search(history))
