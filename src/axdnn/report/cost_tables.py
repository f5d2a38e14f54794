"""Tables of one `CostReport`, as `axdnn estimate` prints them."""

from __future__ import annotations

from collections.abc import Sequence

from axdnn.records import CostReport, OperatorCost
from axdnn.report.tables import Cell, Column, Table
from axdnn.report.units import Quantity

UNMODELLED = ("utilisation", "bound", "memory_bytes", "area_m2")
"""Columns that a cost model without area leaves empty."""
SAID_ONCE = ("multiplier", "pods", "bound")
"""Columns that are put below the table when every layer has the same."""


def inferences(batch: int) -> str:
    """Return what figures are of, as text."""
    return "one inference at batch 1" if batch == 1 else f"one batch of {batch} inferences"


def cost_layers_table(report: CostReport) -> Table:
    """Return one row a layer: multiplier, work, time, memory and area, as far as modelled.

    What is the same for every layer stands once, below the table.
    """
    columns = [
        Column("layer", "layer"),
        Column("multiplier", "multiplier"),
        Column("pods", "pods", "count"),
        Column("macs", "MACs", "count"),
        Column("cycles", "cycles", "count"),
        Column("latency_s", "latency", "si", "s"),
        Column("utilisation", "utilisation", "percent", digits=2),
        Column("bound", "bound"),
        Column("memory_bytes", "memory", "si", "B"),
        Column("area_m2", "PE area", "si", "m²"),
    ]
    rows: list[tuple[Cell, ...]] = [
        (x.layer, x.multiplier, x.pods, x.macs, x.cycles, x.latency_s, x.utilisation, x.bound, x.memory_bytes,
         x.area_m2) for x in report.layers
    ]  # fmt: skip
    dropped = set() if report.area_m2 else set(UNMODELLED)  # a model of energy alone
    if not any(x.cycles for x in report.layers):  # not clocked: arrays in memory
        dropped |= {"cycles", "area_m2"}
        columns[2] = Column("arrays", "arrays", "count")
    same = {}
    for i, column in enumerate(columns):
        if column.key in SAID_ONCE and column.key not in dropped and len(rows) > 1 and len({r[i] for r in rows}) == 1:
            same[column.head] = str(rows[0][i])
    kept = [i for i, c in enumerate(columns) if c.key not in dropped and c.head not in same]
    notes = (f"Every layer: {', '.join(f'{head} {value}' for head, value in same.items())}.",) if same else ()
    title = f"{report.network} on {report.accelerator}, {report.model} model, {report.reading} reading"
    shown = tuple(tuple(row[i] for i in kept) for row in rows)
    return Table(title, tuple(columns[i] for i in kept), shown, notes)


def cost_energy_table(report: CostReport) -> Table:
    """Return energy by layer and component, with totals; operators are a row where the totals contain them."""
    parts = report.energy_breakdown_j
    columns = (
        Column("layer", "layer"),
        Column("energy_j", "total", "si", "J"),
        *(Column(f"{name}_j", name.replace("_", " "), "si", "J") for name in parts),
    )
    rows: list[tuple[Cell, ...]] = [
        (layer.layer, layer.total_energy_j, *(layer.energy_j.get(name, 0.0) for name in parts))
        for layer in report.layers
    ]
    foot = "all layers"
    if report.operators_included:
        of_all = (sum(o.energy_j.get(name, 0.0) for o in report.operators) for name in parts)
        rows.append(("operators", report.operator_energy_j, *of_all))
        foot = "layers and operators"
    title = f"Energy by layer, {report.model} model"
    return Table(title, columns, tuple(rows), footer=(foot, report.energy_j, *parts.values()))


def cost_totals_table(report: CostReport) -> Table:
    """Return the totals, with breakdowns of memory and area, notes below."""
    rows: list[tuple[Cell, ...]] = [
        ("energy", Quantity(report.energy_j, "J")),
        *((("of which multipliers", Quantity(report.multiplier_energy_j, "J")),) if report.multiplier_energy_j else ()),
    ]
    if report.operators_included:
        rows.append(("of which operators", Quantity(report.operator_energy_j, "J")))
    rows.append(("latency", Quantity(report.latency_s, "s")))
    if report.operators_included:
        rows.append(("of which passes of operators", Quantity(report.operator_latency_s, "s")))
    for what, total, unit, parts in (
        ("memory", report.memory_bytes, "B", report.memory_breakdown_bytes),
        ("area", report.area_m2, "m²", report.area_breakdown_m2),
    ):
        if total:
            rows.append((what, Quantity(total, unit)))
        rows += [(f"{what}: {name.replace('_', ' ')}", Quantity(value, unit)) for name, value in parts.items()]
    if report.pods:
        rows.append(("pods", ", ".join(f"{name}: {count}" for name, count in report.pods.items())))
    columns = (Column("figure", "figure"), Column("value", "value", "quantity"))
    return Table(f"Totals of {inferences(report.batch)}, {report.model} model", columns, tuple(rows), report.notes)


def cost_operators_table(report: CostReport) -> Table:
    """Return operators by kind, fused ones apart: how many, their counts, time and energy, with totals.

    No rows where the report has none (a cost model that does not price them, or a report saved before they were).
    """
    parts = tuple(dict.fromkeys(name for o in report.operators for name in o.energy_j))
    columns = (
        Column("kind", "kind"),
        Column("runs", "runs"),
        Column("operators", "operators", "count"),
        Column("operations", "operations", "count"),
        Column("transcendental", "transcendental", "count"),
        Column("cycles", "cycles", "count"),
        Column("latency_s", "added latency", "si", "s"),
        Column("energy_j", "energy", "si", "J"),
        *(Column(f"{name}_j", name, "si", "J") for name in parts),
    )

    def row(head: str, runs: str, those: Sequence[OperatorCost]) -> tuple[Cell, ...]:
        counts = (sum(getattr(o, key) for o in those) for key in ("operations", "transcendental", "cycles"))
        energies = (sum(o.energy_j.get(name, 0.0) for o in those) for name in parts)
        latency, energy = sum(o.latency_s for o in those), sum(o.total_energy_j for o in those)
        return head, runs, len(those), *counts, latency, energy, *energies

    groups: dict[tuple[str, bool], list[OperatorCost]] = {}
    for operator in report.operators:
        head = operator.operator if operator.operator == "requantise" else operator.kind
        groups.setdefault((head, operator.fused), []).append(operator)
    rows = tuple(row(head, "behind the array" if fused else "pass", those) for (head, fused), those in groups.items())
    whole = "Part of the totals; static: power of the chip during passes." if report.operators_included else ""
    note = f"{whole or 'Not part of the totals.'} Behind the array no time is added; cycles are the post-processor's."
    title = f"Operators that are no multiply-accumulate layers, {report.model} model"
    return Table(title, columns, rows, (note,), row("all operators", "", report.operators) if rows else None)
