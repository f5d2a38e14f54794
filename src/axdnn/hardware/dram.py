"""Words that one array exchanges with DRAM, per operand, in closed form. All functions broadcast over NumPy arrays.

Two kinds of read buffer. `flushed_words` is the one of scalesim 3.0.0 without given bandwidths: addresses are kept
until the usable part is full, then all of them are dropped. `buffered_words` is a plain double buffer, half of it
usable. A word is a byte. Tiles are walked with column folds outside and row folds inside.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from axdnn.hardware.systolic import Dataflow, IntLike, Ints, ceil_div, place


class DramWords(NamedTuple):
    """Words read from and written to DRAM by one product."""

    input_reads: Ints
    weight_reads: Ints
    output_writes: Ints


def usable_words(size_bytes: IntLike) -> Ints:
    """Words that a read buffer of scalesim 3.0.0 holds: 50 sets of a hundredth of its bytes, rounded down."""
    return np.asarray(50 * (np.asarray(size_bytes, dtype=np.int64) // 100))


def flushed_words(
    m: IntLike,
    k: IntLike,
    n: IntLike,
    rows: IntLike,
    columns: IntLike,
    dataflow: Dataflow,
    input_bytes: IntLike,
    weight_bytes: IntLike,
    output_bytes: IntLike,
    distinct_inputs: IntLike | None = None,
) -> DramWords:
    """DRAM words as scalesim 3.0.0 counts them without given bandwidths.

    Exact: inputs that fit (fewer distinct words than `usable_words`) or of which none is read twice in a pass (a matrix
    product); all weights; outputs where the columns divide half the output buffer, in at least two lines. Inputs of a
    convolution that do not fit are estimates.

    Args:
        m: rows of the product; a positive integer or an array, as all others.
        k: reduction.
        n: columns of the product.
        rows: of the array.
        columns: of the array.
        dataflow: what stays in the array.
        input_bytes: size of the input buffer.
        weight_bytes: size of the weight buffer.
        output_bytes: size of the output buffer.
        distinct_inputs: different input values, at most m * k; default m * k.
    """
    p = place(m, k, n, rows, columns, dataflow)
    mk, kn, mn, distinct = _matrix_words(m, k, n, distinct_inputs)
    fits = distinct < usable_words(input_bytes)
    room = usable_words(weight_bytes)
    if dataflow == "os":
        inputs = np.where(fits, distinct, distinct * p.column_folds)
        weights = _repeated_tiles(np.asarray(k, dtype=np.int64), p.spatial_columns, columns, p.row_folds, room)
    elif dataflow == "ws":
        inputs = np.where(fits, distinct, p.column_folds * _row_fold_passes(mk, distinct, p.row_folds))
        weights = kn
    else:
        inputs = distinct
        weights = np.where((kn < room) | (p.column_folds == 1), kn, kn * p.column_folds)
    written = mn if dataflow == "os" else mn * p.row_folds
    return DramWords(np.asarray(inputs), np.asarray(weights), written + _filler(written, columns, output_bytes))


def buffered_words(
    m: IntLike,
    k: IntLike,
    n: IntLike,
    rows: IntLike,
    columns: IntLike,
    dataflow: Dataflow,
    input_bytes: IntLike,
    weight_bytes: IntLike,
    distinct_inputs: IntLike | None = None,
) -> DramWords:
    """DRAM words with double buffers, half of each usable; partial sums stay on the chip, outputs leave once.

    Inputs: once if they fit; else once a column fold (output stationary), in each column fold once a row fold or as
    streamed, whichever is less (weight stationary), once (input stationary). Weights: once if they stay or fit, else
    once a row fold (output stationary; a column fold of them fitting is enough) or a column fold (input stationary).

    Args:
        m: rows of the product; a positive integer or an array, as all others.
        k: reduction.
        n: columns of the product.
        rows: of the array.
        columns: of the array.
        dataflow: what stays in the array.
        input_bytes: size of the input buffer.
        weight_bytes: size of the weight buffer.
        distinct_inputs: different input values, at most m * k; default m * k.
    """
    p = place(m, k, n, rows, columns, dataflow)
    mk, kn, mn, distinct = _matrix_words(m, k, n, distinct_inputs)
    fits = distinct <= np.asarray(input_bytes, dtype=np.int64) // 2
    room = np.asarray(weight_bytes, dtype=np.int64) // 2
    if dataflow == "os":
        tile = np.asarray(k, dtype=np.int64) * np.minimum(p.spatial_columns, columns)
        inputs = np.where(fits, distinct, distinct * p.column_folds)
        weights = np.where(tile <= room, kn, kn * p.row_folds)
    elif dataflow == "ws":
        inputs = np.where(fits, distinct, p.column_folds * _row_fold_passes(mk, distinct, p.row_folds))
        weights = kn
    else:
        inputs = distinct
        weights = np.where(kn <= room, kn, kn * p.column_folds)
    return DramWords(np.asarray(inputs), np.asarray(weights), np.asarray(mn))


def _row_fold_passes(unfolded: Ints, distinct: Ints, row_folds: Ints) -> Ints:
    """`min(unfolded, row_folds * distinct)`, without the product where it is the larger and might overflow."""
    bounded = np.minimum(distinct, ceil_div(unfolded, row_folds))
    return np.asarray(np.minimum(unfolded, row_folds * bounded))


def _matrix_words(m: IntLike, k: IntLike, n: IntLike, distinct_inputs: IntLike | None) -> tuple[Ints, Ints, Ints, Ints]:
    """Words of both operands and the result, and the different ones of the first, by default all."""
    mk, kn, mn = (np.asarray(a, dtype=np.int64) * np.asarray(b, dtype=np.int64) for a, b in ((m, k), (k, n), (m, n)))
    distinct = mk if distinct_inputs is None else np.asarray(distinct_inputs, dtype=np.int64)
    return mk, kn, mn, distinct


def _repeated_tiles(reduction: Ints, wide: Ints, columns: IntLike, repeats: Ints, room: Ints) -> Ints:
    """Misses of a flush-when-full buffer that reads tiles of `reduction * columns` words one after another.

    Each tile is read `repeats` times in the same order. A tile as large as the buffer misses every time. A smaller one
    misses once, but where it straddles a flush what was read of it before the flush is read again: with `per_flush`
    tiles in a buffer that is every `per_flush`th tile from the second flush period on. The last tile may be narrower.
    """
    c = np.asarray(columns, dtype=np.int64)
    full, tail = wide // c, reduction * (wide % c)
    tile = reduction * c
    again = repeats > 1
    per_flush = np.maximum(ceil_div(room, tile) - 1, 1)
    straddles = np.where(again & (full > 0), (np.maximum(full, 1) - 1) // per_flush, 0)
    held = np.where(full > 0, tile * (1 + (full - 1) % per_flush), 0)
    small = full * tile + straddles * (room - per_flush * tile)
    large = tile >= room
    held = np.where(large, (tile * repeats * full) % room, np.where(again, held, (tile * full) % room))
    body = np.where(large, full * tile * repeats, small)
    rest = tail + np.where(again & (held + tail >= room) & (tail > 0), room - held, 0)
    return np.asarray(body + np.where((tail >= room) & again, tail * repeats, rest))


def _filler(written: Ints, columns: IntLike, size_bytes: IntLike) -> Ints:
    """Words of one half-filled line that scalesim 3.0.0 drains with the outputs.

    It drains half the buffer, in lines of one word a column, as soon as one word more than half is held; that word's
    line is closed early and counted whole, unless it is the last line of a drain.
    """
    c = np.asarray(columns, dtype=np.int64)
    size = np.asarray(size_bytes, dtype=np.int64)
    half = size - ceil_div(size, 2)
    return np.asarray(np.where((half % c == 0) & (half > c) & (written > half + 1), c - 1, 0))
