"""A result priced by the paper's equations, in a table of its own."""

from __future__ import annotations

from axdnn.records import CostReport, GenerationResult
from axdnn.report.tables import Cell, Column, Table
from axdnn.report.units import change


def paper_cost_table(result: GenerationResult) -> Table:
    """Return energy by layer under the paper's equations, before and after; no rows if it was not priced so."""
    columns = (
        Column("layer", "layer"),
        Column("multiplier", "multiplier"),
        Column("baseline_cycles", "cycles, before", "count"),
        Column("cycles", "cycles, after", "count"),
        Column("baseline_energy_j_paper_literal", "energy, before", "si", "J"),
        Column("energy_j_paper_literal", "energy, after", "si", "J"),
        Column("change", "change", "change"),
    )
    before, after = result.baseline_paper_literal, result.paper_literal
    if before is None or after is None:
        return Table("paper_literal", columns, ())
    base = {cost.layer: cost for cost in before.layers}
    rows: list[tuple[Cell, ...]] = []
    for cost in after.layers:
        old = base.get(cost.layer)
        joules = old.total_energy_j if old else None
        gone = None if joules is None else change(cost.total_energy_j, joules)
        cycles = old.cycles if old else None
        rows.append((cost.layer, cost.multiplier, cycles, cost.cycles, joules, cost.total_energy_j, gone))
    footer = ("all layers", None, *_cycles(before, after), before.energy_j, after.energy_j,
              change(after.energy_j, before.energy_j))  # fmt: skip
    return Table(f"Energy by {after.model} on {after.accelerator}", columns, tuple(rows), after.notes, footer)


def _cycles(*reports: CostReport) -> tuple[int, ...]:
    return tuple(sum(layer.cycles for layer in report.layers) for report in reports)
