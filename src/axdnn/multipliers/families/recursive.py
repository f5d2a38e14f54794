"""Multiplier composed of 2x2-bit blocks of which some are underdesigned: 3 x 3 gives 7."""

from __future__ import annotations

import numpy as np

from axdnn.multipliers.families.base import BITS, Family, IntArray, Parameter

_DIGITS = BITS // 2


def _recursive(a: IntArray, b: IntArray, *, blocks: int) -> IntArray:
    """Exact product less 2 in every underdesigned block whose two base-4 digits are 3."""
    total = a * b
    for i in range(_DIGITS):
        for j in range(_DIGITS):
            if i + j < blocks:
                total = total - (2 * ((a >> 2 * i & 3) == 3) * ((b >> 2 * j & 3) == 3) << 2 * (i + j))
    return np.asarray(total)


RECURSIVE = Family(
    name="recursive2x2",
    title="recursive 2x2 multiplier",
    definition="Sixteen blocks multiply two bits by two and are added exactly; an underdesigned block gives 7 for "
    "3 x 3. Blocks of the base-4 digits i of a and j of b with i + j < `blocks` are underdesigned, the others exact.",
    source="P. Kulkarni, P. Gupta, M. Ercegovac, Trading accuracy for power with an underdesigned multiplier "
    "architecture, VLSI Design 2011 (all blocks underdesigned: blocks=7)",
    parameters=(Parameter("blocks", 0, 7, "diagonals of underdesigned blocks, from the lowest; 0 is exact", 7),),
    product=_recursive,
)
