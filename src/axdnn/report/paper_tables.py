"""XAI-Gen's Table I beside our results.

Published and measured figures stand in different columns, and so do (in different tables) the cost models.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from axdnn.records import GenerationResult, Multiplier
from axdnn.report.derived import numbered
from axdnn.report.groups import Kind, run_kind, unit_layers, unit_multipliers, unit_skips
from axdnn.report.published import (
    CITATION,
    PAPER_MULTIPLIERS,
    PAPER_NETWORKS,
    SEARCH_NOTE,
    TABLE_ONE,
    PaperNetwork,
    PaperRow,
    accuracy_notes,
    energy_notes,
    paper_name,
    paper_network,
)
from axdnn.report.tables import Cell, Column, Table
from axdnn.report.units import Quantity, budget_text, ratio

NOT_MEASURED = "ours: not measured"
TITLE = "Table I of XAI-Gen beside ours"
HEAD = (Column("network", "network"), Column("row", "row"), Column("kind", "kind"))
MOST_NAMES = 3
"""Most multipliers of a unit that are named in a table."""


class _Line(NamedTuple):
    """A line of the tables: a row of the paper, a result of ours, or (neither) a network that was not measured."""

    network: str
    label: str
    row: PaperRow | None = None
    paper: PaperNetwork | None = None
    result: GenerationResult | None = None
    kind: Kind | None = None


def table_one(results: Sequence[GenerationResult], multipliers: Sequence[Multiplier] = ()) -> tuple[Table, ...]:
    """Return the paper's Table I beside our results.

    Four tables or more: what was chosen; accuracy; energy by the paper's equations, published and ours; then
    our energy by each cost model of ours. No column holds figures of two models, or published ones beside ours.

    Args:
        results: of any networks; those of the paper stand below its rows, others follow.
        multipliers: records that tell which names are exact, besides those of the baselines.
    """
    lines = _lines(results, multipliers)
    models = list(dict.fromkeys(result.cost.model for result in results))
    ours = [line for line in lines if line.result is not None]
    return (
        _choices(lines, results),
        _accuracy(lines),
        _paper_energy(lines),
        *(_own_energy(ours, model) for model in models),
    )


def _lines(results: Sequence[GenerationResult], multipliers: Sequence[Multiplier]) -> list[_Line]:
    lines = []
    matched = {id(r): paper_network(r.model, r.data) for r in results}
    for paper in PAPER_NETWORKS.values():
        network = f"{paper.name}, {paper.data}"
        rows = [row for row in TABLE_ONE if row.network == paper.name]
        lines += [_Line(network, f"published {i}", row, paper, None, "both") for i, row in enumerate(rows, start=1)]
        own = [r for r in results if matched[id(r)] is paper]
        lines += _own_lines(own, multipliers) or [_Line(network, NOT_MEASURED)]
    rest = [r for r in results if matched[id(r)] is None]
    for task in dict.fromkeys((r.model, r.data) for r in rest):
        lines += _own_lines([r for r in rest if (r.model, r.data) == task], multipliers)
    return lines


def _own_lines(results: Sequence[GenerationResult], multipliers: Sequence[Multiplier]) -> list[_Line]:
    goals = ["" if r.objective == "energy" else f", minimising {r.objective}" for r in results]
    labels = [
        f"ours: {r.strategy}, {budget_text(r.max_accuracy_loss)}{goal}" for r, goal in zip(results, goals, strict=True)
    ]
    return [
        _Line(f"{result.model}, {result.data}", label, None, None, result, run_kind(result, multipliers))
        for result, label in zip(results, numbered(labels), strict=True)
    ]


def _choices(lines: Sequence[_Line], results: Sequence[GenerationResult]) -> Table:
    columns = (*HEAD, Column("skip", "skipped by unit (%)"), Column("multipliers", "multipliers by unit"))
    rows = tuple((line.network, line.label, line.kind, *_choice(line)) for line in lines)
    notes = [
        f"Published: {CITATION}.",
        _units_note(results),
        f"Multipliers: {', '.join(f'{short} is {name}' for short, name in PAPER_MULTIPLIERS.items())}.",
    ]
    missing = sorted({line.network for line in lines if line.label == NOT_MEASURED})
    if missing:
        notes.append(
            f"Not measured, because no run is among these results: {'; '.join(missing)}. Those that axdnn does not "
            "ship need weights (and data) of your own."
        )
    return Table(f"{TITLE}: choices", columns, rows, tuple(notes))


def _accuracy(lines: Sequence[_Line]) -> Table:
    columns = (
        *HEAD,
        *_accuracy_columns("published"),
        *_accuracy_columns("ours"),
        Column("ours_test_images", "test images", "count", group="ours"),
    )
    rows = tuple((line.network, line.label, line.kind, *_accuracies(line)) for line in lines)
    notes = (
        "Ours: other trained networks of that shape, or (below) networks that are not in the paper. Exact: with exact "
        "multipliers; ours is the int8 network.",
        *accuracy_notes(),
        SEARCH_NOTE,
    )
    return Table(f"{TITLE}: accuracy", columns, rows, notes)


def _accuracy_columns(who: str) -> tuple[Column, ...]:
    digits = 0 if who == "published" else 2  # as printed
    return (
        Column(f"{who}_accuracy", "accuracy", "percent", digits=digits, group=who),
        Column(f"{who}_baseline_accuracy", "exact", "percent", digits=digits, group=who),
        Column(f"{who}_change", "change", "points", digits=digits, group=who),
    )


def _choice(line: _Line) -> tuple[Cell, Cell]:
    """Skipped shares and multipliers by unit, in words."""
    if line.row is not None:
        names = ", ".join(line.row.multipliers)
        lost = f" ({line.row.missing} of {len(line.row.skip)} not printed)" if line.row.missing else ""
        return _shares(line.row.skip), names + lost
    if line.result is None:
        return None, None
    skips = unit_skips(line.result)
    chosen = [_names(names) for names in unit_multipliers(line.result).values()]
    text = f"all {chosen[0]}" if len(chosen) > 1 and len(set(chosen)) == 1 else ", ".join(chosen)
    return _shares(tuple(skips.values())) if any(skips.values()) else "none", text


def _shares(shares: Sequence[float]) -> str:
    return ",\u00a0".join(f"{round(100 * share, 1):g}" for share in shares)


def _names(names: Sequence[str]) -> str:
    shown = [paper_name(name) or name for name in names]
    if len(shown) > MOST_NAMES:
        shown = [*shown[: MOST_NAMES - 1], f"{len(shown) - MOST_NAMES + 1} more"]
    return " + ".join(shown)


def _accuracies(line: _Line) -> tuple[Cell, ...]:
    if line.row is not None and line.paper is not None:
        row, paper = line.row, line.paper
        return (row.accuracy, paper.accuracy, row.accuracy - paper.accuracy, None, None, None, None)
    if line.result is None:
        return (None,) * 7
    own = line.result
    change_ = own.accuracy - own.baseline_accuracy
    return (None, None, None, own.accuracy, own.baseline_accuracy, change_, own.images.get("test"))


def _units_note(results: Sequence[GenerationResult]) -> str:
    units = {n.name if n.name == "LeNet-5" else "ResNets": n.units for n in PAPER_NETWORKS.values()}
    units = {f"{name} (published)": names for name, names in units.items()}
    units |= {r.model: tuple(unit_layers(r.network.layer_names)) for r in results}
    told = [f"{name}: {', '.join(names)}" for name, names in units.items()]
    return f"Units, in order: {'; '.join(told)}."


def _paper_energy(lines: Sequence[_Line]) -> Table:
    chips = list(dict.fromkeys(r.accelerator for line in lines if line.result and (r := line.result.paper_literal)))
    ours = f"ours, paper_literal{f' on {chips[0]}' if len(chips) == 1 else ''}"
    columns = [
        *HEAD,
        Column("published_energy", "energy (uW as printed)", "number", group="published"),
        Column("published_baseline_energy", "exact (uW as printed)", "number", group="published"),
        Column("published_times", "times lower", "fixed", group="published"),
        Column("ours_energy_paper_literal", "energy", "quantity", group=ours),
        Column("ours_baseline_energy_paper_literal", "exact", "quantity", group=ours),
        Column("ours_times_paper_literal", "times lower", "fixed", group=ours),
        *([Column("chip", "chip", group=ours)] if len(chips) > 1 else []),
    ]  # fmt: skip
    rows: list[tuple[Cell, ...]] = []
    for line in lines:
        published: tuple[Cell, ...] = (None,) * 3
        if line.row is not None and line.paper is not None:
            published = (line.row.energy, line.paper.energy, line.paper.energy / line.row.energy)
        after = line.result.paper_literal if line.result else None
        before = line.result.baseline_paper_literal if line.result else None
        own: tuple[Cell, ...] = (None,) * 3
        if after is not None and before is not None:
            times = ratio(before.energy_j, after.energy_j)
            own = (Quantity(after.energy_j, "J"), Quantity(before.energy_j, "J"), times)
        chip = (after.accelerator if after else None,) if len(chips) > 1 else ()
        rows.append((line.network, line.label, line.kind, *published, *own, *chip))
    note = "paper_literal: equations 1 and 2 of the paper as printed; its figures compare with no other table."
    unpriced = sum(line.result is not None and line.result.paper_literal is None for line in lines)
    told = (f"Results saved without these prices: {unpriced}; run them again to have them.",) if unpriced else ()
    return Table(
        f"{TITLE}: energy by the paper's equations", tuple(columns), tuple(rows), (note, *energy_notes(), *told)
    )


def _own_energy(lines: Sequence[_Line], model: str) -> Table:
    columns = (
        *HEAD, Column("accelerator", "chip"),
        Column(f"energy_{model}", "energy", "quantity"), Column(f"baseline_energy_{model}", "exact", "quantity"),
        Column(f"times_{model}", "times lower", "fixed"),
        Column(f"multiplier_times_{model}", "multipliers alone, times lower", "fixed"),
    )  # fmt: skip
    rows = tuple(
        (
            line.network, line.label, line.kind, r.cost.accelerator,
            Quantity(r.energy_j, "J"), Quantity(r.baseline_energy_j, "J"),
            ratio(r.baseline_energy_j, r.energy_j), ratio(r.baseline_multiplier_energy_j, r.multiplier_energy_j),
        )
        for line in lines
        if (r := line.result) is not None and r.cost.model == model
    )  # fmt: skip
    note = f"Cost model {model!r}, reading 'buildable', one inference at batch 1. The paper has no counterpart to it."
    return Table(f"Our results by the {model} model", columns, rows, (note,))
