"""The catalogue as rows, for a table or JSON; reads the index only and unpacks no table."""

from __future__ import annotations

from axdnn.multipliers.catalogue import EXACT, Entry, find_entry, resolve_set, table_figures
from axdnn.multipliers.classify import Classification
from axdnn.multipliers.metrics import ErrorMetrics
from axdnn.records import Coding, Record


class CatalogueRow(Record, frozen=True, kw_only=True):
    """One circuit of the catalogue.

    Attributes:
        name, aliases: canonical label and the other ones.
        id: identity (`Multiplier.id`).
        coding: operand coding.
        classification: exact, reduced precision (bits of a, bits of b) or approximate.
        transposed: whether this is the library's circuit with its operands swapped.
        symmetric: whether swapping the operands changes nothing.
        rank: exact matrix rank of the table.
        metrics: error metrics over all pairs.
        power_w, area_m2, delay_s: published figures, SI.
        power_ratio, area_ratio: relative to the exact circuit of the same signedness.
    """

    name: str
    aliases: tuple[str, ...]
    id: str
    coding: Coding
    classification: Classification
    transposed: bool
    symmetric: bool
    rank: int
    metrics: ErrorMetrics
    power_w: float
    area_m2: float
    delay_s: float
    power_ratio: float
    area_ratio: float


def list_multipliers(set: str = "evoapprox8b") -> tuple[CatalogueRow, ...]:
    """Return one row a circuit of a set, signed before unsigned, most power first.

    Args:
        set: as for `load_set`; rows of a list of names keep its order.

    Raises:
        UnknownNameError, AmbiguousNameError, InvalidInputError: as `load_set`.
    """
    return tuple(_row(entry) for entry in resolve_set(set))


def _row(entry: Entry) -> CatalogueRow:
    table = entry.table
    figures = table_figures(table)
    exact = table_figures(find_entry(EXACT[table.coding]).table)
    kind = table.classification
    if entry.transposed:
        kind = Classification(kind=kind.kind, a_step_bits=kind.w_step_bits, w_step_bits=kind.a_step_bits)
    return CatalogueRow(
        name=entry.label,
        aliases=entry.aliases,
        id=table.transposed_id if entry.transposed and table.transposed_id else table.id,
        coding=table.coding,
        classification=kind,
        transposed=entry.transposed,
        symmetric=table.transposed_id is None,
        rank=table.rank,
        metrics=table.metrics,
        power_w=figures.power_w,
        area_m2=figures.area_m2,
        delay_s=figures.delay_s,
        power_ratio=figures.power_w / exact.power_w,
        area_ratio=figures.area_m2 / exact.area_m2,
    )
