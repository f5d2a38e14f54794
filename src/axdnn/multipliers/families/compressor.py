"""Dadda multiplier whose low columns are added by an approximate 4:2 compressor without carry input and output.

The tree has the numbers of cells that its paper states for 8 bits: 8 compressors, 2 half and 2 full adders in the
first stage, 10, 1 and 1 in the second. Which bit of a column meets which input the paper leaves to its figure; here a
column lists its bits by row of b, then what earlier columns carried in, and each cell takes the first of those left.
"""

from __future__ import annotations

import numpy as np

from axdnn.multipliers.families.base import BITS, Family, IntArray, Parameter

Columns = list[list[IntArray]]
_C, _F, _H = 4, 3, 2  # inputs of a compressor, a full and a half adder

STAGES: tuple[dict[int, tuple[int, ...]], ...] = (
    {4: (_H,), 5: (_C,), 6: (_C, _H), 7: (_C, _C), 8: (_C, _C), 9: (_C, _F), 10: (_C,), 11: (_F,)},
    {2: (_H,), **dict.fromkeys(range(3, 13), (_C,)), 13: (_F,)},
)
"""For each stage, column -> cells, by their number of inputs."""


def compress(x1: IntArray, x2: IntArray, x3: IntArray, x4: IntArray) -> tuple[IntArray, IntArray]:
    """Return sum and carry of design 2: wrong for 4 of 16 inputs (0000 gives 1; 1100 and 0011 give 1; 1111 gives 3)."""
    return (1 - (x1 ^ x2)) | (1 - (x3 ^ x4)), (x1 | x2) & (x3 | x4)


def _dadda(a: IntArray, b: IntArray, *, columns: int) -> IntArray:
    shape = np.broadcast_shapes(a.shape, b.shape)
    bits: Columns = [[] for _ in range(2 * BITS)]
    for j in range(BITS):
        for i in range(BITS):
            bits[i + j].append((a >> i & 1) * (b >> j & 1))
    for stage in STAGES:
        bits = _reduced(bits, stage, columns)
    total = np.zeros(shape, dtype=np.int64)
    for column, left in enumerate(bits):
        for bit in left:
            total += bit << column
    return total


def _reduced(bits: Columns, stage: dict[int, tuple[int, ...]], columns: int) -> Columns:
    """One stage below `columns`; above, whatever exact cells do keeps the sum, so bits just pass."""
    carried: Columns = [[] for _ in bits]
    after: Columns = [[] for _ in bits]
    for column, own in enumerate(bits):
        waiting = own + carried[column]
        for size in stage.get(column, ()) if column < columns else ():
            inputs, waiting = waiting[:size], waiting[size:]
            if size == _C:
                total, carry = compress(*inputs)
            else:
                count = sum(inputs[1:], start=inputs[0])
                total, carry = count & 1, count >> 1
            after[column].append(total)
            carried[column + 1].append(carry)
        after[column] += waiting
    return after


COMPRESSOR = Family(
    name="compressor",
    title="Dadda tree of approximate 4:2 compressors",
    definition="Compressors of the lowest `columns` columns compute sum = (x1 xnor x2) or (x3 xnor x4) and carry = "
    "(x1 or x2) and (x3 or x4), without carry input and output; higher columns are exact. 0 x 0 is not 0.",
    source="A. Momeni, J. Han, P. Montuschi, F. Lombardi, Design and analysis of approximate compressors for "
    "multiplication, IEEE Trans. Computers 64(4), 2015 (design 2, in low columns or in all of them)",
    parameters=(
        Parameter("columns", 0, 13, "columns added approximately, from the least significant; up to 3 is exact"),
    ),
    product=_dadda,
)
