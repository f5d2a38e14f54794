"""How products lie on in-memory arrays: slices, tiles, arrays, steps, conversions, writes. Counts broadcast.

A layer is `groups` products `(m x k) . (k x n)`: k lies along rows, n along columns, each weight over `weight_slices`
columns (twice as many if differential). Every group has arrays of its own, unless groups are packed block-diagonally.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from axdnn.records import InvalidInputError

Ints = npt.NDArray[np.int64]


class Shapes(NamedTuple):
    """Products of the layers, arrays that broadcast; `dynamic` marks those of two activations (`matmul`)."""

    m: Ints
    k: Ints
    n: Ints
    groups: Ints
    dynamic: npt.NDArray[np.bool_]


class Placement(NamedTuple):
    """Counts of one inference; arrays over candidates and layers.

    Attributes:
        weight_slices: columns of one weight, differential pairs counted.
        activation_slices: steps of one activation.
        row_tiles, column_tiles: cuts of one group along k and n; 1 if packed.
        groups_per_array: groups that share an array, 1 unless packed.
        arrays: arrays of one copy of the weights.
        steps: steps in a row of a copy with all its arrays at work: `ceil(m / replicas) * activation_slices`.
        conversions: column sums that are converted (or summed by a tree).
        outputs: words that leave the columns, one for each weight column, row tile and activation slice.
        row_drives: rows driven, all arrays and steps.
        read_cells: cells that lie under a driven row and in a used column, all steps.
        cells: cells that hold weights, one copy.
        row_writes: rows that are written to load one copy.
        utilisation: `cells` / cells of `arrays`, 0..1.
    """

    weight_slices: Ints
    activation_slices: Ints
    row_tiles: Ints
    column_tiles: Ints
    groups_per_array: Ints
    arrays: Ints
    steps: Ints
    conversions: Ints
    outputs: Ints
    row_drives: Ints
    read_cells: Ints
    cells: Ints
    row_writes: Ints
    utilisation: npt.NDArray[np.float64]


def up(a: Any, b: Any) -> Ints:
    """Integer `a / b` rounded up."""
    return -(-np.asarray(a, dtype=np.int64) // np.asarray(b, dtype=np.int64))


def place_on_arrays(
    shapes: Shapes,
    rows: Any,
    columns: Any,
    *,
    activation_bits: Any = 8,
    weight_bits: Any = 8,
    input_bits: Any = 1,
    cell_bits: Any = 1,
    cells_per_slice: Any = 1,
    slices_per_conversion: Any = 1,
    replicas: Any = 1,
    pack_groups: bool = False,
) -> Placement:
    """Lay layers on arrays.

    Args:
        shapes: of the layers.
        rows: of an array.
        columns: of an array, in cells.
        activation_bits: width of activations.
        weight_bits: width of weights.
        input_bits: bits that a row gets in one step.
        cell_bits: bits that a cell holds.
        cells_per_slice: 2 = differential: each slice has a positive and a negative column.
        slices_per_conversion: activation slices that a column adds up before it converts (NeuRRAM); 1 = none.
        replicas: copies of the weights that share the rows of the layer.
        pack_groups: put as many groups into an array as fit block-diagonally.

    Raises:
        InvalidInputError: a parameter below 1.
    """
    given = {
        "rows": rows, "columns": columns, "activation_bits": activation_bits, "weight_bits": weight_bits,
        "input_bits": input_bits, "cell_bits": cell_bits, "cells_per_slice": cells_per_slice,
        "slices_per_conversion": slices_per_conversion, "replicas": replicas,
    }  # fmt: skip
    for name, value in given.items():
        if not bool(np.all(np.asarray(value) >= 1)):
            raise InvalidInputError(f"`{name}` >= 1 must hold, but got {value}")
    m, k, n, groups = shapes.m, shapes.k, shapes.n, shapes.groups
    r, c = (np.asarray(x, dtype=np.int64) for x in (rows, columns))
    weight_slices = up(weight_bits, cell_bits) * np.asarray(cells_per_slice, dtype=np.int64)
    activation_slices = up(activation_bits, input_bits)
    width = n * weight_slices
    row_tiles, column_tiles = up(k, r), up(width, c)
    together = np.minimum(np.minimum(r // k, c // width), groups) if pack_groups else np.ones_like(row_tiles)
    together = np.maximum(together, 1)
    arrays = np.where(together > 1, up(groups, together), groups * row_tiles * column_tiles)
    cells = groups * k * width
    streamed = m * activation_slices
    return Placement(
        weight_slices=weight_slices,
        activation_slices=activation_slices,
        row_tiles=row_tiles,
        column_tiles=column_tiles,
        groups_per_array=together,
        arrays=arrays,
        steps=up(m, replicas) * activation_slices,
        conversions=m * up(activation_slices, slices_per_conversion) * groups * width * row_tiles,
        outputs=streamed * groups * n * row_tiles,
        row_drives=streamed * groups * k * column_tiles,
        read_cells=streamed * cells,
        cells=cells,
        row_writes=groups * k * column_tiles,
        utilisation=cells / (arrays * r * c),
    )


class Residency(NamedTuple):
    """Which arrays keep their weights between inferences; arrays over candidates and layers, `fits` over candidates.

    Attributes:
        needed: arrays that hold all weights, the largest product of two activations included.
        fits: whether they are there, so that nothing is reloaded but such products.
        loaded: share of a layer's arrays that are written in every inference, 0..1.
        passes: times that a layer's steps run, because not all its arrays are there at once.
    """

    needed: Ints
    fits: npt.NDArray[np.bool_]
    loaded: npt.NDArray[np.float64]
    passes: Ints


def residency(arrays: Ints, dynamic: npt.NDArray[np.bool_], available: Any) -> Residency:
    """Decide what stays on the chip. Layers lie along the last axis, in execution order.

    If weights and the largest dynamic product fit, all weights stay. If not, as many arrays as the largest layer
    needs (or all) are kept free for loading, and the others hold the first layers for good. More arrays then never
    mean more loads or passes.

    Args:
        arrays: of every layer, all copies, `(..., layers)`.
        dynamic: layers whose second operand is written in every inference.
        available: arrays of the chip; broadcasts against `arrays` with a last axis of 1.
    """
    a, chip = np.broadcast_arrays(arrays, np.asarray(available, dtype=np.int64))
    chip = chip[..., :1]
    static = np.where(dynamic, 0, a)
    needed = static.sum(axis=-1, keepdims=True) + np.where(dynamic, a, 0).max(axis=-1, keepdims=True)
    fits = needed <= chip
    free = np.minimum(a.max(axis=-1, keepdims=True), chip)
    pinned_arrays = np.where(fits, needed, chip - free)
    before = np.cumsum(static, axis=-1) - static
    pinned = np.clip(pinned_arrays - before, 0, static)
    loads = a - pinned
    return Residency(
        needed=needed[..., 0],
        fits=fits[..., 0],
        loaded=loads / a,
        passes=np.maximum(up(loads, free), 1),
    )
