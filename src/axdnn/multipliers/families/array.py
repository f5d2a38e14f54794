"""Families that leave cells of the array multiplier out: truncated columns, truncated operands, broken array.

The partial-product bit `a_i b_j` has weight `2**(i + j)`: row j of the array belongs to bit j of operand b, column
`i + j` is its weight. Carries only run from what is left out to what stays, so leaving cells out is leaving bits out.
"""

from __future__ import annotations

import numpy as np

from axdnn.multipliers.families.base import BITS, Family, IntArray, Parameter


def _broken_array(a: IntArray, b: IntArray, *, h: int, v: int) -> IntArray:
    total = np.zeros(np.broadcast_shapes(a.shape, b.shape), dtype=np.int64)
    for j in range(h, BITS):
        kept = a & (-1 << max(0, v - j))  # bits of a that meet bit j of b in column v or above
        total += (kept * (b >> j & 1)) << j
    return total


def _truncated(a: IntArray, b: IntArray, *, columns: int) -> IntArray:
    return _broken_array(a, b, h=0, v=columns)


def _operands(a: IntArray, b: IntArray, *, a_bits: int, b_bits: int) -> IntArray:
    return (a & (-1 << (BITS - a_bits))) * (b & (-1 << (BITS - b_bits)))


TRUNCATED = Family(
    name="truncated",
    title="truncated columns",
    definition="The partial-product bits of the lowest `columns` columns are left out; no correction is added.",
    source="M. J. Schulte, E. E. Swartzlander, Truncated multiplication with correction constant, "
    "VLSI Signal Processing VI, 1993 (here without the constant)",
    parameters=(Parameter("columns", 0, 15, "columns left out, from the least significant; 0 is exact, 15 leaves 0"),),
    product=_truncated,
)

OPERANDS = Family(
    name="operands",
    title="truncated operands",
    definition="Exact product of operands whose low bits are set to 0 (for signed operands this rounds down).",
    source="plain reduced precision; six signed circuits of EvoApprox8b (V. Mrazek et al., DATE 2017) are of this kind",
    parameters=(
        Parameter("a_bits", 1, 8, "upper bits kept of operand a (activation); 8 is all"),
        Parameter("b_bits", 1, 8, "upper bits kept of operand b (weight); 8 is all"),
    ),
    product=_operands,
    signed="two's complement",
)

BAM = Family(
    name="bam",
    title="broken-array multiplier",
    definition="Cells of the carry-save array above the horizontal or right of the vertical break level are left out: "
    "rows of the bits b_j with j < h, and columns below v.",
    source="H. R. Mahdiani, A. Ahmadi, S. M. Fakhraie, C. Lucas, Bio-inspired imprecise computational blocks for "
    "efficient VLSI implementation of soft-computing applications, IEEE TCAS-I 57(4), 2010",
    parameters=(
        Parameter("h", 0, 8, "horizontal break level: rows left out, from bit 0 of operand b; 0 is none"),
        Parameter("v", 0, 15, "vertical break level: columns left out, from the least significant; 0 is none"),
    ),
    product=_broken_array,
)
