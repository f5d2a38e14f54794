"""What kind of circuit a table is: exact, an exact product of fewer operand bits, or truly approximate.

A circuit that multiplies truncated operands exactly is reduced precision under another name: operands quantised to the
codes it can tell apart meet no error at all. Six of the twelve approximate signed circuits of EvoApprox8b are of this
kind.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from axdnn.records import Multiplier, Record

Kind = Literal["exact", "reduced_precision", "approximate"]
BITS = 8


class Classification(Record, frozen=True, kw_only=True):
    """Outcome of `classify`.

    Attributes:
        kind: `exact`; `reduced_precision`: the exact product of operands floor-truncated to their top `a_bits` and
            `w_bits` bits (for `sign_magnitude` the magnitude is truncated); `approximate`: anything else, constant
            tables included.
        a_step_bits, w_step_bits: low bits of each operand code that the table ignores, 0..8: rows (columns) are equal
            within aligned groups of `2**step_bits` codes. A constant table ignores all 8.
    """

    kind: Kind
    a_step_bits: int
    w_step_bits: int

    @property
    def a_bits(self) -> int:
        """Bits of operand a that matter."""
        return BITS - self.a_step_bits

    @property
    def w_bits(self) -> int:
        """Bits of operand b that matter (sign included)."""
        return BITS - self.w_step_bits

    @property
    def label(self) -> str:
        """Short form: `exact`, `5x8 bits` or `approximate`."""
        return f"{self.a_bits}x{self.w_bits} bits" if self.kind == "reduced_precision" else self.kind


def classify(multiplier: Multiplier) -> Classification:
    """Classify a multiplier by its table alone."""
    order = _bit_order(multiplier)
    table = multiplier.table[:, order]
    a_step, w_step = _ignored_bits(table), _ignored_bits(table.T)
    kind: Kind = "approximate"
    if multiplier.is_exact:
        kind = "exact"
    elif a_step < BITS and w_step < BITS:
        a = multiplier.a_values & ~((1 << a_step) - 1)
        w = _truncated_weights(multiplier, order, w_step)
        if np.array_equal(table, np.multiply.outer(a, w)):
            kind = "reduced_precision"
    return Classification(kind=kind, a_step_bits=a_step, w_step_bits=w_step)


def _bit_order(multiplier: Multiplier) -> npt.NDArray[np.int64]:
    """Columns in an order in which aligned groups share their high bits: sign, then magnitude, for `sign_magnitude`."""
    if multiplier.coding != "sign_magnitude":
        return np.arange(256)
    positive = np.arange(128, 256)
    negative = np.concatenate([[0], np.arange(127, 0, -1)])  # minus zero, -1, -2, ..., -127
    return np.concatenate([positive, negative])


def _truncated_weights(
    multiplier: Multiplier, order: npt.NDArray[np.int64], step: int
) -> npt.NDArray[np.signedinteger]:
    values = multiplier.w_values[order]
    if multiplier.coding != "sign_magnitude":
        return np.asarray(values & ~((1 << step) - 1))
    magnitude = np.tile(np.arange(128), 2) & ~((1 << step) - 1)
    return np.asarray(np.repeat([2, -2], 128) * magnitude)


def _ignored_bits(table: npt.NDArray[np.int32]) -> int:
    for step in range(BITS, 0, -1):
        groups = table.reshape(256 >> step, 1 << step, 256)
        if (groups == groups[:, :1]).all():
            return step
    return 0
