"""Tables of a search method: members of the front, their layers, rivals, what was asked and what made the numbers."""

from __future__ import annotations

from collections.abc import Sequence

from axdnn.records import FrontMember, SearchResult
from axdnn.report.measures import figure_measures, large_count, objective_measures
from axdnn.report.search_result_data import OURS, rival_names
from axdnn.report.tables import Cell, Column, Table
from axdnn.report.units import ratio

_EXACT_DIGITS = 60


def members_table(result: SearchResult) -> Table:
    """Return one row a member: objectives, all other figures, trial, the file it is exported from."""
    measures = objective_measures(result)
    columns = [Column("network", "network", "count")]
    columns += [m.column()._replace(group="objectives") for m in measures]
    cells = [m.cells([member.objectives.get(m.key) for member in result.front]) for m in measures]
    for m in figure_measures(result):
        columns.append(m.column()._replace(group="figures"))
        cells.append(m.cells([member.figures.get(m.key) for member in result.front]))
    columns.append(Column("trial", "trial", "count"))
    files = any(member.file for member in result.front)
    if files:
        columns.append(Column("file", "file"))
    rows = tuple(
        (
            i + 1,
            *(column[i] for column in cells),
            member.trial if member.trial >= 0 else None,
            *([member.file] if files else []),
        )
        for i, member in enumerate(result.front)
    )
    notes = [f"{m.label}: {m.better}." for m in measures]
    if files:
        notes.append("file: what the network is exported and simulated from, relative to the folder of the result.")
    return Table("Members of the front", tuple(columns), rows, tuple(notes))


def member_layers_table(member: FrontMember, number: int) -> Table:
    """Return one row a layer of a member, all of them."""
    columns = (
        Column("layer", "layer"), Column("kind", "kind"), Column("shape", "shape"),
        Column("multiplier", "multiplier"), Column("skipped", "neurons skipped", "percent", digits=1),
        Column("importance", "importance", "number", digits=3), Column("energy_j", "energy", "si", "J"),
    )  # fmt: skip
    rows = tuple((x.name, x.kind, x.shape, x.multiplier, x.skipped, x.importance, x.energy_j) for x in member.layers)
    known = [i for i in range(len(columns)) if i in (0, 3) or any(row[i] not in (None, "", 0.0) for row in rows)]
    kept = tuple(tuple(row[i] for i in known) for row in rows)
    return Table(f"Layers of network {number}", tuple(columns[i] for i in known), kept)


def candidates_table(result: SearchResult) -> Table:
    """Return what was chosen for each member, field by field."""
    fields = [", ".join(f"{path}={value}" for path, value in member.candidate.items()) for member in result.front]
    rows = tuple((i, text) for i, text in enumerate(fields, start=1))
    return Table("Candidates", (Column("network", "network", "count"), Column("candidate", "candidate")), rows)


def effort_table(result: SearchResult) -> Table:
    """Return one row a search with a hypervolume, this one first: how much it reached, and how soon this one did."""
    columns = (
        Column("search", "search"), Column("evaluations", "evaluations", "count"),
        Column("front", "points", "count"), Column("hypervolume", "hypervolume", "number", digits=4),
        Column("ratio", "of this search's", "percent", digits=1),
        Column("reached", "this search had as much after", "count", "evaluations"),
    )  # fmt: skip
    rows: list[tuple[Cell, ...]] = []
    found = [(OURS, result.evaluations, len(result.front), result.progress, result.hypervolume)]
    found += [
        (name, rival.evaluations, len(rival.points), rival.hypervolume, rival.hypervolume[-1])
        for name, rival in zip(rival_names(result), result.rivals, strict=True)
        if rival.hypervolume
    ]
    for name, evaluations, count, _, volume in found:
        after = reached(result.progress, volume)
        rows.append((name, evaluations, count, volume, ratio(volume, result.hypervolume), after))
    note = "Complete evaluations are counted; a dash: never. All hypervolumes have the reference point above."
    return Table("Searches compared", columns, tuple(rows), (note,))


def searches_table(results: Sequence[SearchResult], names: Sequence[str]) -> Table:
    """Return one row a result: what it was, its effort, its front and hypervolume."""
    columns = (
        Column("search", "search"), Column("method", "method"), Column("model", "model"), Column("data", "data"),
        Column("accelerator", "accelerator"), Column("objectives", "objectives"),
        Column("evaluations", "evaluations", "count"), Column("network_images", "network images", "count"),
        Column("front", "front", "count"), Column("hypervolume", "hypervolume", "number", digits=4),
        Column("wall_s", "wall (s)", "number"),
    )  # fmt: skip
    rows = tuple(
        (name, r.method, r.model, r.data, r.accelerator, ", ".join(o.name for o in r.objectives), r.evaluations,
         r.network_images, len(r.front), r.hypervolume, r.wall_s)
        for name, r in zip(names, results, strict=True)
    )  # fmt: skip
    points = {tuple(r.reference.items()) for r in results}
    note = "All hypervolumes have one reference point."
    if len(points) > 1:
        note = "Reference points differ: these hypervolumes cannot be compared."
    return Table("Searches", columns, rows, (note,))


def reached(progress: Sequence[float], volume: float) -> int | None:
    """Return after how many complete evaluations a hypervolume was reached; None for never."""
    return next((n for n, value in enumerate(progress, start=1) if value >= volume * (1 - 1e-12)), None)


def points_table(result: SearchResult) -> Table:
    """Return the points of all rivals."""
    measures = objective_measures(result)
    named = [
        (name, point) for name, rival in zip(rival_names(result), result.rivals, strict=True) for point in rival.points
    ]
    cells = [m.cells([point.get(m.key) for _, point in named]) for m in measures]
    rows = tuple((name, *(column[i] for column in cells)) for i, (name, _) in enumerate(named))
    return Table("Rivals", (Column("rival", "rival"), *(m.column() for m in measures)), rows)


def asked_table(result: SearchResult) -> Table:
    """Return what was asked."""
    rows = tuple((name, value) for name, value in result.settings.items())
    return Table("Settings", (Column("name", "setting"), Column("value", "value")), rows)


def made_table(result: SearchResult) -> Table:
    """Return what made the numbers: inputs, counts, and what the search recorded about itself."""
    size = str(result.space_size) if result.space_size < 10**_EXACT_DIGITS else large_count(result.space_size)
    own = {
        "method": result.method, "model": result.model, "data": result.data, "accelerator": result.accelerator,
        "candidates of the space": size, "ended because": result.reason,
        **{f"images, {split}": f"{count:,}" for split, count in result.images.items()},
    }  # fmt: skip
    rows = tuple((key, value) for key, value in (*own.items(), *result.provenance.items()) if value)
    return Table("Provenance", (Column("item", "item"), Column("value", "value")), rows)
