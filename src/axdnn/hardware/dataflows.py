"""What stays in an array and what passes it: tiles, buffer accesses and DRAM words of each dataflow.

Everything is an array over layers, shape `(L,)`, or broadcasts against it. A tile is what an array holds at a time;
tiles of a layer are independent but for partial sums, which are added up in the accumulators behind the arrays.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from axdnn.hardware.layer_arrays import LayerArrays
from axdnn.hardware.systolic import Dataflow, IntLike, Ints, ceil_div

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
MOVING_BITS: dict[str, int] = {"ws": 8 + 32, "is": 8 + 32, "os": 8 + 8 + 32}
"""Register bits that change in an element each cycle: one operand and the sum, or (`os`) both operands and the sum."""


class Tiling(NamedTuple):
    """How layers lie on arrays.

    Attributes:
        tiles: stationary tiles of a layer, groups included.
        streamed: what passes a tile: rows (`ws`), columns (`is`) or terms (`os`) of the product.
        strips: stretches of the stream whose 32-bit sums fit the accumulators; `os` keeps sums in the array: 1.
        folds: how often the streamed operand passes, once for each tile across.
        sums: partial sums written to, and read from, the accumulators.
        kept_words: words loaded into tiles (`os`: sums that leave them).
        buffer_inputs, buffer_weights: words read from the buffers.
    """

    tiles: Ints
    streamed: Ints
    strips: Ints
    folds: Ints
    sums: Ints
    kept_words: Ints
    buffer_inputs: Ints
    buffer_weights: Ints


def tiling(
    layers: LayerArrays, rows: IntLike, columns: IntLike, strip: IntLike, dataflow: Dataflow, pack: npt.ArrayLike = 0
) -> Tiling:
    """Lay layers on arrays.

    Args:
        layers: shapes.
        rows: of an array.
        columns: of an array.
        strip: streamed rows or columns whose sums the accumulators hold.
        dataflow: what stays in the array.
        pack: 1 = groups that are small enough lie block-diagonally in one tile, as many as rows and columns allow; what
            lies off the diagonal is zero and costs nothing. Words are the same, tiles fewer.
    """
    g, m, k, n = layers.groups, layers.m, layers.k, layers.n
    inputs, weights, outputs = g * m * k, g * k * n, g * m * n
    high, wide, streamed = {"ws": (k, n, m), "is": (k, m, n), "os": (m, n, k)}[dataflow]
    down, across = ceil_div(high, rows), ceil_div(wide, columns)
    together = np.minimum(np.asarray(rows) // high, np.asarray(columns) // wide)
    together = np.where(np.asarray(pack) == 1, np.clip(together, 1, g), 1)
    tiles = ceil_div(g, together) * down * across
    if dataflow == "os":
        one = np.ones_like(m)
        return Tiling(tiles, k, one, across, outputs, outputs, inputs * across, weights * down)
    strips = ceil_div(streamed, strip)
    kept = (weights if dataflow == "ws" else inputs) * strips
    passing = (inputs if dataflow == "ws" else weights) * across
    buffers = (passing, kept) if dataflow == "ws" else (kept, passing)
    return Tiling(tiles, streamed, strips, across, outputs * down, kept, *buffers)


class Entering(NamedTuple):
    """Words that enter the buffers from outside."""

    weights: Floats
    inputs: Floats


def dram_words(
    layers: LayerArrays,
    t: Tiling,
    rows: IntLike,
    columns: IntLike,
    rooms: tuple[npt.ArrayLike, npt.ArrayLike],
    from_dram: tuple[Flags, Flags],
    dataflow: Dataflow,
) -> Entering:
    """Words that enter the buffers in the better of two loop orders, group after group.

    Tiles across outside (`across`), or strips of the stream outside (`along`; `os`: tiles down). An operand is read
    once if all of it, or what one turn of the outer loop needs of it, fits; else anew each turn. Inputs of which not
    even a strip fits are read as the array takes them: windows that overlap are read anew for each row fold.

    Args:
        layers: shapes.
        t: their tiling.
        rows: of an array.
        columns: of an array.
        rooms: words that fit the buffer of (weights, inputs) while the other half is being filled.
        from_dram: (weights, inputs) that come from outside the chip; the others do not count for the order.
        dataflow: what stays in the array.
    """
    g, m, k, n = layers.groups, layers.m, layers.k, layers.n
    weight_room, room = (np.asarray(words, dtype=np.float64) for words in rooms)
    weights, unfolded = (g * k * n).astype(np.float64), g * m * k
    distinct = np.minimum(layers.input_words, unfolded).astype(np.float64)
    if dataflow == "is":  # weights pass, inputs stay
        strip_fits = weights / (g * t.strips) <= weight_room
        passing = np.where(weights / g <= weight_room, weights, t.folds * weights)
        across = (passing, distinct * np.where(k * np.minimum(m, columns) <= room, 1, t.strips))
        turns = np.where(distinct / g <= room, 1, t.strips)
        along = (np.where(strip_fits, weights, t.folds * weights), distinct * turns)
    else:
        strips = t.strips if dataflow == "ws" else ceil_div(m, rows)
        again = np.minimum(unfolded, ceil_div(k, rows) * distinct) if dataflow == "ws" else unfolded
        strip_fits = distinct / (g * strips) <= room
        inner = np.where(strip_fits, t.folds * distinct, t.folds * again)
        across = (
            weights * np.where(k * np.minimum(n, columns) <= weight_room, 1, strips),
            np.where(distinct / g <= room, distinct, inner),
        )
        along = (
            weights * np.where(k * n <= weight_room, 1, strips),
            np.where(strip_fits, distinct, t.folds * again),
        )
    counts_w, counts_i = from_dram
    first, second = (np.where(counts_w, w, 0) + np.where(counts_i, i, 0) for w, i in (across, along))
    use = (second < first) | ((second == first) & (along[1] < across[1]))
    return Entering(np.where(use, along[0], across[0]), np.where(use, along[1], across[1]))
