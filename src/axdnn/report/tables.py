"""Tables as data: SI values in the cells, units in the column heads, and their text.

A `Table` holds numbers, not strings, so a test (or a JSON reader) sees exactly what the records hold. Text appears
only when a table is written: `table_text`, `table_json`, `table_html`, `table_rich`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from axdnn.records import InvalidInputError
from axdnn.report.units import (
    DASH,
    Quantity,
    Scale,
    change_percent,
    decimals_for,
    fixed,
    quantity,
    scale_for,
    signed,
    significant,
)

Kind = Literal[
    "text", "count", "si", "percent", "points", "ratio", "number", "quantity", "change", "rank", "fixed", "flag"
]
Cell = str | int | float | bool | Quantity | None


class Column(NamedTuple):
    """A column.

    Attributes:
        key: name of the column in JSON; a unit is part of it where there is one, e.g. `energy_j`.
        head: what a reader sees, without the unit.
        kind: how cells are written. `si` values share one prefix a column; `percent`,
            `points` and `change` hold fractions.
        unit: SI unit of an `si` column, or a fixed unit that is put into the head.
        digits: decimals of `percent`, `points`, `fixed`; significant digits of `si`, `ratio`, `number`.
        group: head shared by neighbouring columns, e.g. `published`.
    """

    key: str
    head: str
    kind: Kind = "text"
    unit: str = ""
    digits: int | None = None
    group: str = ""

    @property
    def is_text(self) -> bool:
        """Whether cells are words (left aligned) rather than numbers."""
        return self.kind in ("text", "flag")


@dataclass(frozen=True)
class Table:
    """A table as data: raw cells in SI, an optional footer (totals), notes below."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()
    footer: tuple[Cell, ...] | None = None

    def __post_init__(self) -> None:
        """Check that every row has one cell a column."""
        for row in (*self.rows, *([self.footer] if self.footer else [])):
            if len(row) != len(self.columns):
                raise InvalidInputError(
                    f"a row of table {self.title!r} must have {len(self.columns)} cells, but got {len(row)}"
                )

    def column(self, key: str) -> tuple[Cell, ...]:
        """Return the cells of a column, footer left out.

        Raises:
            InvalidInputError: there is no such column.
        """
        keys = [column.key for column in self.columns]
        if key not in keys:
            raise InvalidInputError(f"`key` must be one of {', '.join(keys)}, but got {key!r}")
        index = keys.index(key)
        return tuple(row[index] for row in self.rows)

    def limited(self, rows: int) -> Table:
        """Return the table with at most so many rows and a note on how many were left out."""
        if len(self.rows) <= rows:
            return self
        note = f"The first {rows:,} of {len(self.rows):,} rows; the saved result holds all of them."
        return replace(self, rows=self.rows[:rows], notes=(*self.notes, note))


class TableText(NamedTuple):
    """A table as strings: heads with units (groups of columns left out), cells, footer."""

    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    footer: tuple[str, ...] | None


def table_strings(table: Table) -> TableText:
    """Return what is written in each place of a table."""
    scales = [_column_scale(table, i) for i in range(len(table.columns))]
    heads = tuple(_head(column, scale) for column, scale in zip(table.columns, scales, strict=True))

    def write(row: tuple[Cell, ...]) -> tuple[str, ...]:
        return tuple(_cell(c, column, *scale) for c, column, scale in zip(row, table.columns, scales, strict=True))

    footer = write(table.footer) if table.footer else None
    return TableText(heads, tuple(write(row) for row in table.rows), footer)


class _ColumnScale(NamedTuple):
    scale: Scale
    decimals: int


def _column_scale(table: Table, index: int) -> _ColumnScale:
    """One prefix and one number of decimals for a whole `si` column, so that its numbers line up."""
    column = table.columns[index]
    if column.kind != "si":
        return _ColumnScale(Scale(1.0, column.unit), 0)
    rows = (*table.rows, *([table.footer] if table.footer else []))
    values = [float(v) for row in rows if isinstance(v := row[index], int | float)]
    scale = scale_for(values, column.unit)
    largest = max((abs(v) for v in values), default=0.0) / scale.factor
    exact = column.unit == "B" and scale.factor == 1.0
    return _ColumnScale(scale, 0 if exact else decimals_for(largest, column.digits or 4))


def _head(column: Column, scale: _ColumnScale) -> str:
    unit = {"percent": "%", "points": "points"}.get(column.kind, scale.scale.unit)
    return f"{column.head} ({unit})" if unit else column.head


def _cell(value: Cell, column: Column, scale: Scale, decimals: int) -> str:
    if value is None:
        return DASH
    if isinstance(value, Quantity):
        return quantity(value.value, value.unit, column.digits or 4)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value or DASH
    if column.kind == "si":
        return fixed(value / scale.factor, decimals)
    if column.kind == "count":
        return signed(f"{value:,.0f}")
    if column.kind == "change":
        return change_percent(value)
    if column.kind == "fixed":
        return fixed(value, 2 if column.digits is None else column.digits)
    if column.kind == "rank":
        return f"{value:g}"
    if column.kind in ("percent", "points"):
        return signed(f"{value * 100:.{2 if column.digits is None else column.digits}f}")
    return significant(value, column.digits or 3)
