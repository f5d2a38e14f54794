"""A multiplier from a user's table or function, with operand order and coding stated and checked against a*b."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np

from axdnn.multipliers.user.function import function_table, is_function_name, load_function
from axdnn.multipliers.user.names import require_label
from axdnn.multipliers.user.numbers import IntArray, load_table, whole
from axdnn.multipliers.user.readings import check_reading
from axdnn.records import Figures, InvalidInputError, Multiplier

Order = Literal["ab", "ba"]
Index = Literal["offset", "twos-complement"]
Source = str | Path | np.ndarray[Any, Any] | Callable[[Any, Any], Any]
_SAMPLES = {
    True: ((0, 0), (3, 5), (5, 3), (100, -7), (-7, 100), (127, 127), (-128, 127), (-128, -128)),
    False: ((0, 0), (3, 5), (5, 3), (100, 7), (7, 100), (255, 1), (1, 255), (255, 255)),
}


@dataclass(frozen=True)
class ImportedTable:
    """What `import_table` made of a source.

    Attributes:
        multiplier: row = operand a (activation), in the package's own order.
        statement: what was stated about the source, and its SHA-256 if it is a file.
        reading_error: mean `|table - a*b|` as a share of the mean `|a*b|`.
        notes: what could not be checked, and what was forced.
    """

    multiplier: Multiplier
    statement: dict[str, str]
    reading_error: float
    notes: tuple[str, ...]

    @property
    def samples(self) -> tuple[tuple[int, int, int, int], ...]:
        """A few (a, b, product, exact product) to compare with what one knows of the circuit."""
        signed = self.multiplier.coding == "signed"
        shift = 128 if signed else 0
        return tuple((a, b, int(self.multiplier.table[a + shift, b + shift]), a * b) for a, b in _SAMPLES[signed])


def import_table(
    source: Source,
    *,
    name: str,
    coding: Literal["signed", "unsigned"],
    order: Order,
    index: Index | None = None,
    dtype: str | None = None,
    figures: Figures | None = None,
    force: bool = False,
) -> ImportedTable:
    """Make a multiplier from a table in a file, an array, or a function.

    Args:
        source: a file (see `load_table`), `module:function` or `file.py:function`, an integer array `(256, 256)` or
            `(65536,)`, or a function of two operands (see `function_table`).
        name: label; letters, digits, `._+-`; not a name of the catalogue.
        coding: what the operands are: `signed` (two's complement) or `unsigned`.
        order: `ab` if rows (the first operand) are the activation, `ba` if they are the weight.
        index: for signed tables only: row 0 is -128 (`offset`), or rows are codes 0..127, -128..-1
            (`twos-complement`).
        dtype: of a `.bin` file.
        figures: power, area and delay of the circuit; without them it cannot be priced.
        force: import although another reading fits a*b clearly better.

    Raises:
        InvalidInputError: something above does not hold, or another reading of the same numbers fits a*b clearly
            better than the stated one (see `check_reading`).
    """
    require_label(name)
    if coding not in ("signed", "unsigned"):
        raise InvalidInputError(f"`coding` must be signed or unsigned, but got {coding!r}")
    if order not in ("ab", "ba"):
        raise InvalidInputError(f"`order` must be ab (rows are the activation) or ba, but got {order!r}")
    function = callable(source) or (isinstance(source, str) and is_function_name(source))
    _check_index(coding, index, function)
    what = _label(source)
    statement = {"source": what, "coding": coding, "order": order}
    if function:
        called = source if callable(source) else load_function(cast(str, source))
        raw = function_table(called, what, coding == "signed")
        raw = np.roll(raw, 128, (0, 1)) if coding == "signed" else raw
        stated = "signed, index twos-complement" if coding == "signed" else "unsigned"
    else:
        raw = _numbers(source, dtype)
        stated = f"signed, index {index}" if coding == "signed" else "unsigned"
        statement |= {"index": index} if index else {}
        statement |= {"dtype": dtype} if dtype else {}
        statement |= {} if isinstance(source, np.ndarray) else {"sha256": _sha256(cast("str | Path", source))}
    error, remark = check_reading(raw, stated, what, force)
    table = np.roll(raw, 128, (0, 1)) if stated.endswith("twos-complement") else raw
    table = table.T if order == "ba" else table
    multiplier = Multiplier.from_table(
        table, signed=coding == "signed", name=name, figures=figures, origin=f"imported from {what}"
    )
    notes = (remark, order_note(table, order))
    return ImportedTable(multiplier, statement, error, tuple(note for note in notes if note))


def order_note(table: IntArray, order: str) -> str:
    """Say that the order cannot be checked, or nothing where it makes no difference."""
    different = table != table.T
    if not different.any():
        return ""
    most = int(np.abs(table - table.T).max())
    return (
        f"the stated order {order} cannot be checked, as a table and its transpose are equally near a*b; here f(a, b) "
        f"and f(b, a) differ for {int(different.sum()):,} of 65,536 pairs, by up to {most:,}: compare the samples"
    )


def _check_index(coding: str, index: str | None, function: bool) -> None:
    if index is not None and index not in ("offset", "twos-complement"):
        raise InvalidInputError(f"`index` must be offset or twos-complement, but got {index!r}")
    needed = coding == "signed" and not function
    if needed and index is None:
        raise InvalidInputError("a signed table needs an index: offset (row 0 is -128) or twos-complement (row 0 is 0)")
    if not needed and index is not None:
        which = "a function is called on numbers" if function else "unsigned codes are in order"
        raise InvalidInputError(f"`index` is for signed tables only ({which}), but got {index!r}")


def _numbers(source: Source, dtype: str | None) -> IntArray:
    if isinstance(source, np.ndarray):
        return whole(source, "the array")
    return load_table(cast("str | Path", source), dtype)


def _label(source: Source) -> str:
    if isinstance(source, np.ndarray):
        return "an array"
    if callable(source):
        return f"function {getattr(source, '__name__', type(source).__name__)}"
    return Path(os.fspath(source)).name


def _sha256(source: str | Path) -> str:
    return hashlib.sha256(Path(source).read_bytes()).hexdigest()
