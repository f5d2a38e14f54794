"""Closed forms of systolic arrays: cycles, buffer accesses, utilisation. All functions broadcast over NumPy arrays.

A product `(m x k) . (k x n)` lies on an array of `rows x columns` as (Sr, Sc) with T streamed:
output stationary (M, N, K), weight stationary (K, N, M), input stationary (K, M, N).
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

from axdnn.records.errors import InvalidInputError

Dataflow = Literal["ws", "os", "is"]
Timing = Literal["scalesim3", "paper", "pipelined", "sosa", "sosa_cold"]
SHARED_TIMINGS = ("pipelined", "sosa")
"""Timings in which several arrays share the tiles of a product."""
CHIP_TIMINGS = ("scalesim3", "paper", "pipelined", "sosa")
"""Timings of an accelerator."""
Ints = npt.NDArray[np.int64]
IntLike = int | npt.NDArray[np.integer[Any]]


class Placement(NamedTuple):
    """How a product lies on an array: spatial extents, streamed extent, folds (number of tiles) by row and column."""

    spatial_rows: Ints
    spatial_columns: Ints
    streamed: Ints
    row_folds: Ints
    column_folds: Ints

    @property
    def folds(self) -> Ints:
        """Number of tiles."""
        return self.row_folds * self.column_folds


class BufferAccesses(NamedTuple):
    """Words read from or written to the buffers of one array."""

    input_reads: Ints
    weight_reads: Ints
    output_writes: Ints


def ceil_div(a: IntLike, b: IntLike) -> Ints:
    """Integer `a / b` rounded up; a >= 0, b >= 1."""
    a, b = np.asarray(a, dtype=np.int64), np.asarray(b, dtype=np.int64)
    if a.size + b.size > 64 and a.max(initial=0) < 1 << 52:  # exact then, and floats divide several times faster
        return np.asarray(np.ceil(a / b), dtype=np.int64)
    return -(-a // b)


def place(m: IntLike, k: IntLike, n: IntLike, rows: IntLike, columns: IntLike, dataflow: Dataflow) -> Placement:
    """Lay a product on an array.

    Raises:
        InvalidInputError: unknown dataflow.
    """
    if dataflow not in get_args(Dataflow):
        raise InvalidInputError(f"`dataflow` must be one of {', '.join(get_args(Dataflow))}, but got {dataflow!r}")
    m, k, n = (np.asarray(x, dtype=np.int64) for x in (m, k, n))
    sr, sc, t = {"os": (m, n, k), "ws": (k, n, m), "is": (k, m, n)}[dataflow]
    return Placement(sr, sc, t, ceil_div(sr, rows), ceil_div(sc, columns))


def cycles(
    m: IntLike,
    k: IntLike,
    n: IntLike,
    rows: IntLike,
    columns: IntLike,
    dataflow: Dataflow = "ws",
    timing: Timing = "pipelined",
    arrays: IntLike = 1,
) -> Ints:
    """Cycles of one product without memory stalls.

    Args:
        m: rows of the product; a positive integer or an array, as the four below.
        k: reduction.
        n: columns of the product.
        rows: of the array.
        columns: of the array.
        dataflow: what stays in the array.
        timing: `scalesim3`: what scalesim 3.0.0 prints, folds in series, one cycle short on purpose.
            `paper`: 2R + C + T - 2 per fold (ISPASS 2020), folds in series.
            `pipelined`: weights double-buffered, the next wavefront follows at once:
            F * max(T, R) + 2R + C - 2.
            `sosa`: pieces of R streamed rows in rounds of R cycles, ceil(F * ceil(T / R) / arrays) * R, nothing
            exposed (sosa-compiler's design space). Weight stationary only.
            `sosa_cold`: a tile at a time, its weights loaded beside the tile before, only used rows and columns to
            fill: max(R' - T_before, 0) + T + R' - 1 + C' - 1 (sosa-compiler's array model). Weight stationary only.
        arrays: arrays that share the folds; only with `pipelined` and `sosa`.

    Raises:
        InvalidInputError: unknown dataflow or timing, or a combination that the timing does not have.
    """
    p = place(m, k, n, rows, columns, dataflow)
    r, c = np.asarray(rows, dtype=np.int64), np.asarray(columns, dtype=np.int64)
    if timing not in get_args(Timing):
        raise InvalidInputError(f"`timing` must be one of {', '.join(get_args(Timing))}, but got {timing!r}")
    if timing not in SHARED_TIMINGS and np.any(np.asarray(arrays) != 1):
        raise InvalidInputError(f"`arrays` must be 1 with timing {timing!r}, but got {arrays}")
    if timing.startswith("sosa") and dataflow != "ws":
        raise InvalidInputError(f"`dataflow` must be ws with timing {timing!r}, but got {dataflow!r}")
    if timing == "scalesim3":
        load = 0 if dataflow == "os" else r
        return np.asarray(p.folds * (p.streamed + r + c - 2 + load) - 1)
    if timing == "paper":
        return np.asarray(p.folds * (2 * r + c + p.streamed - 2))
    if timing == "sosa":
        return np.asarray(ceil_div(p.folds * ceil_div(p.streamed, r), arrays) * r)
    if timing == "sosa_cold":
        return _cold(p, r)
    return np.asarray(ceil_div(p.folds, arrays) * np.maximum(p.streamed, r) + 2 * r + c - 2)


def _cold(p: Placement, rows: Ints) -> Ints:
    """`sosa_cold` summed over all tiles: row folds beyond the streamed rows wait for weights, the first for all."""
    last = p.spatial_rows - (p.row_folds - 1) * rows
    waits = (p.row_folds - 1) * np.maximum(rows - p.streamed, 0) + np.maximum(last - p.streamed, 0)
    first = np.minimum(np.minimum(p.spatial_rows, rows), p.streamed)
    fills = p.column_folds * p.spatial_rows + p.row_folds * p.spatial_columns
    return np.asarray(p.folds * (p.streamed - 2) + fills + p.column_folds * waits + first)


def buffer_accesses(
    m: IntLike,
    k: IntLike,
    n: IntLike,
    rows: IntLike,
    columns: IntLike,
    dataflow: Dataflow = "ws",
    scalesim_slip: bool = False,
) -> BufferAccesses:
    """Words moved between the buffers and one array.

    Args:
        m: rows of the product; a positive integer or an array, as the four below.
        k: reduction.
        n: columns of the product.
        rows: of the array.
        columns: of the array.
        dataflow: what stays in the array.
        scalesim_slip: add scalesim 3.0.0's surplus `folds * (rows + columns)` to the outputs under `os`, to
            compare with that tool.
    """
    p = place(m, k, n, rows, columns, dataflow)
    mk, kn, mn = (np.asarray(a, dtype=np.int64) * np.asarray(b, dtype=np.int64) for a, b in ((m, k), (k, n), (m, n)))
    if dataflow == "os":
        slip = p.folds * (np.asarray(rows) + np.asarray(columns)) if scalesim_slip else 0
        return BufferAccesses(mk * p.column_folds, kn * p.row_folds, np.asarray(mn + slip))
    if dataflow == "ws":
        return BufferAccesses(mk * p.column_folds, kn, mn * p.row_folds)
    return BufferAccesses(mk, kn * p.column_folds, mn * p.row_folds)


def utilisation(macs: IntLike, total_cycles: IntLike, elements: IntLike) -> npt.NDArray[np.float64]:
    """MACs / (cycles x processing elements), 0..1."""
    capacity = np.asarray(total_cycles, dtype=np.float64) * np.asarray(elements)
    return np.asarray(np.asarray(macs) / capacity, dtype=np.float64)


def mapping_efficiency(placement: Placement, rows: IntLike, columns: IntLike) -> npt.NDArray[np.float64]:
    """Elements that hold something / elements of all folds, 0..1."""
    held = (placement.spatial_rows * placement.spatial_columns).astype(np.float64)
    return np.asarray(held / (placement.folds * np.asarray(rows) * np.asarray(columns)), dtype=np.float64)


def operation_cycles(
    streamed: IntLike, rows: IntLike, columns: IntLike, dataflow: Dataflow, timing: Timing
) -> tuple[npt.NDArray[np.float64], Ints]:
    """Cycles of a tile while `streamed` rows, columns or terms pass it, and those that all tiles of a layer share.

    `pipelined`: the next tile is shifted in behind the stream, so max(T, R); 2R + C - 2 once. `scalesim3`, `paper`:
    folds in series, see `cycles`. `sosa`: rounds of R cycles (sosa-compiler).
    """
    t, r, c = (np.asarray(x, dtype=np.int64) for x in (streamed, rows, columns))
    none = np.zeros_like(r)
    if timing == "pipelined":
        return np.maximum(t, r).astype(np.float64), 2 * r + c - 2
    if timing == "sosa":
        return (r + 0 * t).astype(np.float64), none
    if timing == "paper":
        return (2 * r + c + t - 2).astype(np.float64), none
    return (t + r + c - 2 + (none if dataflow == "os" else r)).astype(np.float64), none - 1


class Split(NamedTuple):
    """How a layer is cut for several pods; arrays broadcast over the chunk counts tried."""

    chunk_rows: Ints
    operations: Ints


def split_rows(m: IntLike, tiles: IntLike, chunks: IntLike) -> Split:
    """Cut the streamed rows of every weight tile into chunks (SOSA's tiling), so that few tiles keep many pods busy.

    Args:
        m: streamed rows.
        tiles: weight tiles, groups included.
        chunks: wanted chunks; fewer result where the rows do not fill them.

    Returns:
        Rows of one chunk, and number of operations (chunk of a tile on one pod).
    """
    chunk_rows = np.maximum(ceil_div(m, chunks), 1)
    return Split(chunk_rows, np.asarray(tiles, dtype=np.int64) * ceil_div(m, chunk_rows))


def double_buffered(
    rounds: IntLike, compute: npt.NDArray[np.float64], moved: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Cycles of equal rounds whose transfers run beside the computation of the neighbouring round.

    `t = in/N + (N-1) * max(c, (in+out)/N) + c + out/N`: first load and last write-back exposed.

    Args:
        rounds: N, number of rounds.
        compute: c, cycles of one round.
        moved: in + out, cycles that all transfers of the layer take.

    Returns:
        Cycles; never less than `N * c`, and non-decreasing in every argument.
    """
    n = np.asarray(rounds, dtype=np.float64)
    transfer = moved / n
    return np.asarray(transfer + (n - 1) * np.maximum(compute, transfer) + compute)
