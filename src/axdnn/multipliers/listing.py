"""The catalogue as rows, for a table or JSON; of the library it reads the index only and unpacks no table."""

from __future__ import annotations

import numpy as np

from axdnn.multipliers.catalogue import Entry, exact_figures, find_entry, resolve_set, table_figures
from axdnn.multipliers.classify import Classification, classify
from axdnn.multipliers.metrics import ErrorMetrics, error_metrics
from axdnn.multipliers.modular import matrix_rank
from axdnn.multipliers.ratios import area_ratio, power_ratio
from axdnn.records import Coding, Multiplier, Record


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
        power_w, area_m2, delay_s: published figures, SI; None if unknown.
        power_ratio, area_ratio: relative to the exact circuit of the same signedness; None if unknown.
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
    power_w: float | None
    area_m2: float | None
    delay_s: float | None
    power_ratio: float | None
    area_ratio: float | None


def list_multipliers(set: str = "evoapprox8b") -> tuple[CatalogueRow, ...]:
    """Return one row a circuit of a set, signed before unsigned, most power first.

    Args:
        set: as for `load_set`; rows of a list of names keep its order.

    Raises:
        UnknownNameError, AmbiguousNameError, InvalidInputError, RecordError: as `load_set`.
    """
    return tuple(_row(entry) if isinstance(entry, Entry) else describe_multiplier(entry) for entry in resolve_set(set))


def describe_multiplier(multiplier: str | Multiplier) -> CatalogueRow:
    """Return the row of one multiplier, by name or the multiplier itself.

    Raises:
        UnknownNameError, AmbiguousNameError, InvalidInputError, RecordError: as `load_multiplier`.
    """
    found = find_entry(multiplier) if isinstance(multiplier, str) else multiplier
    if isinstance(found, Entry):
        return _row(found)
    priced = found.figures
    return CatalogueRow(
        name=found.name,
        aliases=found.aliases,
        id=found.id,
        coding=found.coding,
        classification=classify(found),
        transposed=found.name.endswith(".T"),
        symmetric=bool(np.array_equal(found.table, found.table.T)),
        rank=matrix_rank(found.table),
        metrics=error_metrics(found),
        power_w=None if priced is None else priced.power_w,
        area_m2=None if priced is None else priced.area_m2,
        delay_s=None if priced is None else priced.delay_s,
        power_ratio=None if priced is None else power_ratio(found),
        area_ratio=None if priced is None else area_ratio(found),
    )


def _row(entry: Entry) -> CatalogueRow:
    table = entry.table
    figures = table_figures(table)
    exact = exact_figures(table.coding)
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
