"""Tables of one `GenerationResult`: layers, cost before and after, multipliers, what was visited."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from axdnn.records import CostReport, GenerationResult, Layer, Multiplier
from axdnn.report.derived import component_order, energy_parts, exact_names, layer_order, power_ratios
from axdnn.report.tables import Cell, Column, Table
from axdnn.report.units import TIMES, Quantity, change, ratio


def layers_table(result: GenerationResult) -> Table:
    """Return one row a layer: shape, products, multiplier and its cost in the buildable reading."""
    skips = any(result.skipped.values())
    columns = (
        Column("layer", "layer"),
        Column("shape", "input → output"),
        Column("macs", "MACs", "count"),
        *([Column("skipped", "neurons skipped", "percent", digits=1)] if skips else []),
        Column("multiplier", "multiplier"),
        Column("pods", "pods", "count"),
        Column("cycles", "cycles", "count"),
        Column("utilisation", "utilisation", "percent", digits=1),
        Column("bound", "bound"),
        Column("baseline_energy_j", "energy before", "si", "J"),
        Column("energy_j", "energy after", "si", "J"),
    )
    shapes = {layer.name: layer for layer in result.network.layers}
    before = {cost.layer: cost for cost in result.baseline_cost.layers}
    after = {cost.layer: cost for cost in result.cost.layers}
    rows: list[tuple[Cell, ...]] = []
    for name in layer_order(result):
        layer, cost, base = shapes.get(name), after.get(name), before.get(name)
        head: tuple[Cell, ...] = (name, shape_text(layer) if layer else None)
        used = cost.multiplier if cost else result.assignment.get(name)
        base_j = base.total_energy_j if base else None
        share = (result.skipped.get(name, 0.0),) if skips else ()
        if cost is None:
            rows.append((*head, layer.macs if layer else None, *share, used, None, None, None, None, base_j, None))
        else:
            work = (cost.macs, *share, used, cost.pods, cost.cycles, cost.utilisation, cost.bound)
            rows.append((*head, *work, base_j, cost.total_energy_j))
    gap = (None,) if skips else ()
    footer = (
        "all layers", None, sum(c.macs for c in after.values()), *gap, None, None,
        sum(c.cycles for c in after.values()), None, None,
        sum(c.total_energy_j for c in before.values()), sum(c.total_energy_j for c in after.values()),
    )  # fmt: skip
    notes = [f"One inference at batch 1, cost model {result.cost.model!r}, reading 'buildable'."]
    if skips:
        notes.append("MACs, cycles and energy after are of what is left; of an output layer, inputs are skipped.")
    return Table("Layers", columns, tuple(rows), tuple(notes), footer)


def shape_text(layer: Layer) -> str:
    """Return what a layer does, e.g. `1×32×32 → 6×28×28, 5×5`."""
    ends = f"{TIMES.join(map(str, layer.in_shape)) or '?'}\u00a0→ {TIMES.join(map(str, layer.out_shape)) or '?'}"
    parts = [ends]
    if layer.kind.startswith("conv"):
        parts.append(TIMES.join(map(str, layer.kernel)) + (" transposed" if layer.is_transposed else ""))
        if set(layer.stride) != {1}:
            parts.append(f"stride\u00a0{layer.stride[0]}" if len(set(layer.stride)) == 1 else f"stride {layer.stride}")
        if layer.groups > 1:
            parts.append(f"{layer.groups} groups")
    return ",\u00a0".join(parts[:2]) + "".join(f", {part}" for part in parts[2:])


def energy_table(result: GenerationResult) -> Table:
    """Return energy by component, before and after, in both readings."""
    reports = (result.ideal_baseline_cost, result.ideal_cost, result.baseline_cost, result.cost)
    columns = (
        Column("component", "component"),
        Column("ideal_baseline_j", "ideal, before", "si", "J"),
        Column("ideal_j", "ideal, after", "si", "J"),
        Column("ideal_change", "change", "change"),
        Column("buildable_baseline_j", "buildable, before", "si", "J"),
        Column("buildable_j", "buildable, after", "si", "J"),
        Column("buildable_change", "change", "change"),
    )
    parts = [energy_parts(report) for report in reports]

    def row(label: str, values: Sequence[float]) -> tuple[Cell, ...]:
        a, b, c, d = values
        return (label, a, b, change(b, a), c, d, change(d, c))

    rows = tuple(row(name, [p.get(name, 0.0) for p in parts]) for name in component_order(reports))
    footer = row("total", [report.energy_j for report in reports])
    return Table("Energy by component", columns, rows, (READINGS,), footer)


READINGS = (
    "Ideal: every pod runs every chosen multiplier at no cost, an upper bound on the saving. "
    "Buildable: each pod holds one fixed multiplier; this is the headline."
)


def totals_table(result: GenerationResult) -> Table:
    """Return the totals of the cost reports before and after, in both readings."""
    columns = (
        Column("figure", "figure"),
        Column("ideal_baseline", "ideal, before", "quantity"),
        Column("ideal", "ideal, after", "quantity"),
        Column("ideal_change", "change", "change"),
        Column("buildable_baseline", "buildable, before", "quantity"),
        Column("buildable", "buildable, after", "quantity"),
        Column("buildable_change", "change", "change"),
    )

    def figures(report: CostReport) -> tuple[tuple[str, float, str], ...]:
        return (
            ("energy", report.energy_j, "J"),
            ("of which multipliers", report.multiplier_energy_j, "J"),
            ("latency", report.latency_s, "s"),
            ("memory", float(report.memory_bytes), "B"),
            ("area", report.area_m2, "m²"),
        )

    reports = (result.ideal_baseline_cost, result.ideal_cost, result.baseline_cost, result.cost)
    rows: list[tuple[Cell, ...]] = []
    for group in zip(*(figures(report) for report in reports), strict=True):
        a, b, c, d = (Quantity(value, unit) for _, value, unit in group)
        rows.append((group[0][0], a, b, change(b.value, a.value), c, d, change(d.value, c.value)))
    return Table("Cost before and after", columns, tuple(rows))


def breakdown_table(result: GenerationResult) -> Table:
    """Return area and memory by component, before and after, in the buildable reading; may have no rows."""
    columns = (
        Column("component", "component"),
        Column("baseline", "before", "quantity"),
        Column("chosen", "after", "quantity"),
        Column("change", "change", "change"),
    )
    rows: list[tuple[Cell, ...]] = []
    for what, unit, before, after in (
        ("area", "m²", result.baseline_cost.area_breakdown_m2, result.cost.area_breakdown_m2),
        ("memory", "B", result.baseline_cost.memory_breakdown_bytes, result.cost.memory_breakdown_bytes),
    ):
        for name in dict.fromkeys([*before, *after]):
            b, a = float(before.get(name, 0.0)), float(after.get(name, 0.0))
            rows.append((f"{what}: {name}", Quantity(b, unit), Quantity(a, unit), change(a, b)))
    return Table("Area and memory by component", columns, tuple(rows), ("Reading 'buildable'.",))


def multipliers_table(result: GenerationResult, multipliers: Sequence[Multiplier] = ()) -> Table:
    """Return one row a chosen multiplier; circuit figures where its record is among `multipliers`."""
    known = {m.name: m for m in multipliers}
    exact = exact_names(result, multipliers)
    macs = {layer.name: layer.macs for layer in result.network.layers}
    total = sum(macs.values())
    ratios = power_ratios(result)
    columns = [
        Column("multiplier", "multiplier"),
        Column("exact", "exact", "flag"),
        Column("layers", "layers", "count"),
        Column("mac_share", "share of MACs", "percent", digits=1),
        Column("pods", "pods", "count"),
        Column("power_ratio", "power / exact", "percent", digits=1),
    ]
    priced = any(m.figures for m in known.values() if m.name in result.assignment.values())
    if priced:
        columns.append(Column("power_w", "power, published", "si", "W", 3))
        columns.append(Column("area_m2", "area, published", "si", "m²", 4))
    if known:
        columns += [
            Column("mean_error", "mean |error|", "number"),
            Column("worst_error", "worst |error|", "count"),
        ]
    rows: list[tuple[Cell, ...]] = []
    for name in sorted(set(result.assignment.values())):
        layers = [layer for layer, used in result.assignment.items() if used == name]
        share = ratio(sum(macs.get(layer, 0) for layer in layers), total)
        known_ratios = [r for layer in layers if (r := ratios.get(layer)) is not None]
        power = known_ratios[0] if known_ratios else None
        row: tuple[Cell, ...] = (name, name in exact, len(layers), share, result.cost.pods.get(name), power)
        if priced:
            figures = known[name].figures if name in known else None
            row = (*row, figures.power_w if figures else None, figures.area_m2 if figures else None)
        rows.append((*row, *_errors(known.get(name))) if known else row)
    rows.sort(key=lambda row: (-float(row[3] or 0.0), str(row[0])))  # type: ignore[arg-type]
    note = "Power is the ratio to the exact multiplier of the baseline, from the cost report (same synthesis)."
    return Table("Chosen multipliers", tuple(columns), tuple(rows), (note,))


def _errors(multiplier: Multiplier | None) -> tuple[Cell, ...]:
    if multiplier is None:
        return (None, None)
    error = np.abs(multiplier.table.astype(np.int64) - multiplier.exact_table)
    return (float(error.mean()), int(error.max()))
