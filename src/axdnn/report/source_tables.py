"""Tables of where the numbers come from: exact operators, provenance, sources of the cost model's parameters."""

from __future__ import annotations

from axdnn.records import GenerationResult
from axdnn.report.headline import objective_text
from axdnn.report.tables import Column, Table
from axdnn.report.units import budget_text


def exact_operators_table(result: GenerationResult) -> Table:
    """Return the operators that use no multiplier from the library, and why."""
    columns = (Column("name", "name"), Column("operator", "operator"), Column("reason", "why it stays exact"))
    rows = tuple((o.name, o.operator, o.reason) for o in result.network.exact_operators)
    return Table("Exact operators", columns, rows)


def provenance_table(result: GenerationResult) -> Table:
    """Return what was run: inputs, seed, splits and everything the run recorded about itself."""
    columns = (Column("item", "item"), Column("value", "value"))
    own = {
        "model": result.model,
        "data": result.data,
        "accelerator": result.accelerator,
        "multiplier set": result.multiplier_set,
        "strategy": result.strategy,
        "minimised": objective_text(result),
        "seed": str(result.seed),
        "accuracy budget": budget_text(result.max_accuracy_loss),
        "status": result.status,
        "reason": result.reason,
        "cost model": f"{result.cost.model}, headline reading {result.cost.reading}",
        "captured by": result.network.captured_by,
        "assignment key": result.chosen.assignment.key,
        **{f"images, {split}": f"{count:,}" for split, count in result.images.items()},
    }
    rows = tuple((key, value) for key, value in (*own.items(), *result.provenance.items()) if value)
    return Table("Provenance", columns, rows)


def sources_table(result: GenerationResult) -> Table:
    """Return parameter -> value, unit and source of the cost model, of both readings."""
    columns = (Column("parameter", "parameter"), Column("source", "value and source"))
    sources = {**result.ideal_cost.sources, **result.cost.sources}
    return Table("Sources of the cost model", columns, tuple(sources.items()))
