"""Tables of one `CostReport`, as `axdnn estimate` prints them."""

from __future__ import annotations

from axdnn.records import CostReport
from axdnn.report.tables import Cell, Column, Table

UNMODELLED = ("utilisation", "bound", "memory_bytes", "area_m2")
"""Columns that a cost model without area leaves empty."""


def cost_layers_table(report: CostReport) -> Table:
    """Return one row a layer: multiplier, time, energy by component, memory and area, as far as modelled."""
    components = list(report.energy_breakdown_j)
    columns = (
        Column("layer", "layer"),
        Column("multiplier", "multiplier"),
        Column("pods", "pods", "count"),
        Column("macs", "MACs", "count"),
        Column("cycles", "cycles", "count"),
        Column("latency_s", "latency", "si", "s"),
        Column("utilisation", "utilisation", "percent", digits=2),
        Column("bound", "bound"),
        Column("energy_j", "energy", "si", "J"),
        *(Column(f"{name}_j", name.replace("_", " "), "si", "J") for name in components),
        Column("memory_bytes", "memory", "si", "B"),
        Column("area_m2", "PE area (mm\u00b2)", "number", digits=4),
    )
    rows: list[tuple[Cell, ...]] = []
    for layer in report.layers:
        parts = tuple(layer.energy_j.get(name, 0.0) for name in components)
        rows.append(
            (
                layer.layer, layer.multiplier, layer.pods, layer.macs, layer.cycles, layer.latency_s,
                layer.utilisation, layer.bound, layer.total_energy_j, *parts, layer.memory_bytes, layer.area_m2 * 1e6,
            )
        )  # fmt: skip
    if not report.area_m2:  # a model of energy alone
        kept = [i for i, column in enumerate(columns) if column.key not in UNMODELLED]
        columns = tuple(columns[i] for i in kept)
        rows = [tuple(row[i] for i in kept) for row in rows]
    title = f"{report.network} on {report.accelerator}, {report.model} model, {report.reading} reading"
    return Table(title, columns, tuple(rows))


def cost_totals_table(report: CostReport) -> Table:
    """Return the totals with their breakdowns, notes below."""
    columns = (Column("figure", "figure"), Column("value", "value"))
    rows: list[tuple[Cell, ...]] = [
        ("energy", f"{report.energy_j * 1e6:.4g} uJ"),
        *((f"  {name.replace('_', ' ')}", f"{j * 1e6:.4g} uJ") for name, j in report.energy_breakdown_j.items()),
        ("latency", f"{report.latency_s * 1e6:.4g} us"),
        *([("memory", f"{report.memory_bytes / 1e3:.4g} kB")] if report.memory_bytes else []),
        *((f"  {name.replace('_', ' ')}", f"{b / 1e3:.4g} kB") for name, b in report.memory_breakdown_bytes.items()),
        *([("area", f"{report.area_m2 * 1e6:.4g} mm2")] if report.area_m2 else []),
        *((f"  {name.replace('_', ' ')}", f"{a * 1e6:.4g} mm2") for name, a in report.area_breakdown_m2.items()),
        ("pods", ", ".join(f"{name}: {count}" for name, count in report.pods.items())),
    ]
    return Table(f"Totals of one inference at batch 1, {report.model} model", columns, tuple(rows), report.notes)
