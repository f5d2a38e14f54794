"""Whether a table is read as it is meant: every reading of its codes and values, and how near a*b each comes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from axdnn.multipliers.user.numbers import IntArray
from axdnn.records import InvalidInputError

CLEARLY = 4.0
"""A reading that fits this many times better than the stated one refutes it."""

_CODES: dict[str, IntArray] = {
    "unsigned": np.arange(256, dtype=np.int64),
    "signed, index offset": np.arange(256, dtype=np.int64) - 128,
    "signed, index twos-complement": (np.arange(256, dtype=np.int64) + 128) % 256 - 128,
}


class Reading(NamedTuple):
    """One way to read a table.

    Attributes:
        rows, columns: which numbers the indices of an axis stand for.
        values: `as given`, or 16-bit values read with the other signedness.
        error: mean `|value - a*b|` as a share of the mean `|a*b|`: 0 is exact, 1 as far off as a table of zeros.
    """

    rows: str
    columns: str
    values: str
    error: float

    @property
    def text(self) -> str:
        """In words."""
        codes = self.rows if self.rows == self.columns else f"rows {self.rows}; columns {self.columns}"
        return codes if self.values == "as given" else f"{codes}; values {self.values}"


def readings(table: npt.NDArray[np.integer]) -> tuple[Reading, ...]:
    """Return every reading of a table, the nearest to a*b first.

    Operand order is no part of it: as a*b is symmetric, a table and its transpose are equally near.

    Args:
        table: integers as they stand in a file, shape `(256, 256)`.
    """
    found = []
    for values, numbers in _value_readings(np.asarray(table, dtype=np.int64)).items():
        for rows, a in _CODES.items():
            for columns, b in _CODES.items():
                exact = np.multiply.outer(a, b)
                error = float(np.abs(numbers - exact).mean() / np.abs(exact).mean())
                found.append(Reading(rows, columns, values, error))
    return tuple(sorted(found, key=lambda reading: reading.error))


def _value_readings(table: IntArray) -> dict[str, IntArray]:
    low, high = int(table.min()), int(table.max())
    found = {"as given": table}
    if low >= 0 and 2**15 <= high < 2**16:
        found["as 16-bit two's complement"] = (table + 2**15) % 2**16 - 2**15
    if -(2**15) <= low < 0 and high < 2**15:
        found["as unsigned 16-bit"] = table % 2**16
    return found


def check_reading(table: npt.NDArray[np.integer], stated: str, what: str, force: bool = False) -> tuple[float, str]:
    """Compare a stated reading with all others.

    The rule: a reading is refuted if another one, with the same numbers, has a mean error at most a quarter of its own,
    each as a share of its mean `|a*b|`. A table so far from any product that no reading is near cannot be checked.

    Args:
        table: integers as they stand in a file, shape `(256, 256)`.
        stated: `unsigned`, `signed, index offset` or `signed, index twos-complement`, for both axes.
        what: the table, in an error.
        force: do not raise.

    Returns:
        the error of the stated reading (see `Reading`) and a remark, empty if all is well.

    Raises:
        InvalidInputError: another reading fits clearly better.
    """
    found = readings(table)
    mine = next(r for r in found if r.rows == r.columns == stated and r.values == "as given")
    best = found[0]
    if CLEARLY * best.error < mine.error:
        why = (
            f"{what} read as stated ({mine.text}) is off by {100 * mine.error:.3g} % of the mean |a*b|, but read as "
            f"({best.text}) only by {100 * best.error:.3g} %"
        )
        if not force:
            mixed = " (an imported table must have one coding for both operands)" if best.rows != best.columns else ""
            raise InvalidInputError(f"{why}{mixed}; state it so, or force the import if it is meant")
        return mine.error, f"{why}; imported by force"
    if best.error > 0.5:
        return (
            mine.error,
            f"coding not checked: no reading of {what} is near a*b ({100 * best.error:.3g} % off at best)",
        )
    return mine.error, ""
