"""Bytes that each layer moves between DRAM, on-chip memories and pods, weight stationary, int8 with int32 sums.

A strip is a run of rows whose sums fit the accumulators; row folds are the inner loop, so sums stay on the chip.
Everything is an array over layers, shape `(L,)`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from axdnn.hardware.accelerator import Accelerator
from axdnn.hardware.components import ACCUMULATOR_BYTES
from axdnn.hardware.systolic import Ints, ceil_div
from axdnn.records import InvalidInputError, Layer, Network

Floats = npt.NDArray[np.float64]


class LayerArrays(NamedTuple):
    """The layers of a network as arrays.

    `input_words` are distinct values of what streams past: of a product of activations its first operand.
    `from_input`/`to_output` mark layers joined to the network's ends, `is_product` products of activations, whose
    stationary operand (the second) is no weight: it comes from where activations live.
    """

    groups: Ints
    m: Ints
    k: Ints
    n: Ints
    input_words: Ints
    output_words: Ints
    from_input: npt.NDArray[np.bool_]
    to_output: npt.NDArray[np.bool_]
    peak_activation_bytes: int
    is_product: npt.NDArray[np.bool_]

    @property
    def macs(self) -> Ints:
        """Products of each layer."""
        return self.groups * self.m * self.k * self.n


class Traffic(NamedTuple):
    """Bytes by level and operand; `home_*` is traffic of activations with the backing memory."""

    dram_weights: Floats
    dram_inputs: Floats
    dram_outputs: Floats
    home_inputs: Floats
    home_outputs: Floats
    buffer_inputs: Floats
    buffer_weights: Floats
    buffer_outputs: Floats
    sums_written: Floats
    sums_read: Floats

    @property
    def dram(self) -> Floats:
        """All DRAM bytes."""
        return self.dram_weights + self.dram_inputs + self.dram_outputs

    @property
    def interconnect(self) -> Floats:
        """Bytes that cross the butterfly: operands to the pods, partial sums both ways (SOSA's banks)."""
        return self.buffer_inputs + self.buffer_weights + self.sums_written + self.sums_read


def layer_arrays(network: Network) -> LayerArrays:
    """Read the shapes of a network.

    Without edges the first layer reads the network's input and the last writes its output. Without a peak of live
    activations the largest input + output of a layer stands in.

    Raises:
        InvalidInputError: no layers, or a dimension below 1.
    """
    layers = network.layers
    if not layers:
        raise InvalidInputError(f"a network needs at least one layer to be priced, but {network.name!r} has none")
    for layer in layers:
        for label in ("m", "k", "n", "groups", "input_words", "output_words"):
            if (value := getattr(layer, label)) < 1:
                raise InvalidInputError(f"layer {layer.name!r}: {label} >= 1 must hold, but got {value}")
    names = network.layer_names
    first = {b for a, b in network.edges if a == "input"} or {names[0]}
    last = {a for a, b in network.edges if b == "output"} or {names[-1]}
    peak = network.peak_activation_words or max(layer.input_words + layer.output_words for layer in layers)
    return LayerArrays(
        groups=np.array([layer.groups for layer in layers], dtype=np.int64),
        m=np.array([layer.m for layer in layers], dtype=np.int64),
        k=np.array([layer.k for layer in layers], dtype=np.int64),
        n=np.array([layer.n for layer in layers], dtype=np.int64),
        input_words=np.array([_streamed_words(layer) for layer in layers], dtype=np.int64),
        output_words=np.array([layer.output_words for layer in layers], dtype=np.int64),
        from_input=np.array([name in first for name in names]),
        to_output=np.array([name in last for name in names]),
        peak_activation_bytes=peak,
        is_product=np.array([layer.kind == "matmul" for layer in layers]),
    )


def _streamed_words(layer: Layer) -> int:
    """Distinct values that stream past the stationary operand; one that all groups share counts once a group."""
    return layer.groups * layer.m * layer.k if layer.kind == "matmul" else layer.input_words


def strip_rows(chip: Accelerator) -> int:
    """Rows of the streamed matrix whose 32-bit sums fit the accumulators of one pod, at least 1."""
    return max(int(chip.accumulator_bytes // (ACCUMULATOR_BYTES * chip.columns)), 1)


def activation_home(layers: LayerArrays, chip: Accelerator) -> str:
    """Where activations live between layers: `buffer`, `backing` or `dram`, by the network's peak of live values."""
    if not chip.activations_stay_on_chip:
        return "dram"
    if layers.peak_activation_bytes <= chip.activation_buffer_bytes:
        return "buffer"
    return "backing" if layers.peak_activation_bytes <= chip.backing_bytes else "dram"


def traffic(layers: LayerArrays, chip: Accelerator) -> Traffic:
    """Bytes moved by each layer, in the loop order of `_streams` that needs less of DRAM.

    Outputs leave once; partial sums never leave the chip. DRAM bytes do not rise with either buffer or the backing.
    The second operand of a product of activations is an input: read from DRAM or the backing if activations live
    there, else straight from the buffer (read once a strip, as weights are, never written again).
    """
    a = layers
    row_folds, column_folds = ceil_div(a.k, chip.rows), ceil_div(a.n, chip.columns)
    strips = ceil_div(a.m, strip_rows(chip))
    unfolded, weights = a.groups * a.m * a.k, a.groups * a.k * a.n
    home = activation_home(a, chip)
    outside_in = a.from_input if home != "dram" else np.ones_like(a.from_input)
    outside_out = a.to_output if home != "dram" else np.ones_like(a.to_output)
    stationary, inputs = _streams(a, chip, strips, outside_in, ~a.is_product | outside_in)
    if home == "buffer":
        inputs = np.minimum(a.input_words, unfolded).astype(np.float64)
        stationary = np.where(a.is_product, weights, stationary).astype(np.float64)
    inputs = inputs + np.where(a.is_product, stationary, 0.0)
    outputs = a.output_words.astype(np.float64)
    backed = home == "backing"
    sums = ACCUMULATOR_BYTES * (a.groups * a.m * a.n * row_folds).astype(np.float64)
    return Traffic(
        dram_weights=np.where(a.is_product, 0.0, stationary),
        dram_inputs=np.where(outside_in, inputs, 0.0),
        dram_outputs=np.where(outside_out, outputs, 0.0),
        home_inputs=np.where(~outside_in & backed, inputs, 0.0),
        home_outputs=np.where(~outside_out & backed, outputs, 0.0),
        buffer_inputs=(unfolded * column_folds).astype(np.float64),
        buffer_weights=(weights * strips).astype(np.float64),
        buffer_outputs=outputs,
        sums_written=sums,
        sums_read=sums,
    )


def _streams(
    a: LayerArrays,
    chip: Accelerator,
    strips: Ints,
    inputs_from_dram: npt.NDArray[np.bool_],
    weights_from_dram: npt.NDArray[np.bool_],
) -> tuple[Floats, Floats]:
    """Weights and inputs that enter the buffers, bytes, in the better of two loop orders, group after group.

    Column folds outside: weights once if a column fold fits half the weight buffer, else once a strip; inputs once if
    all fit half the activation buffer, else once a column fold if a strip fits. Strips outside: weights once if all
    fit, else once a strip; inputs once if a strip fits. Inputs of which not even a strip fits are read as streamed,
    `min(m * k, row folds * distinct)` a column fold. Half a buffer is usable: the other half is being filled.
    """
    row_folds, column_folds = ceil_div(a.k, chip.rows), ceil_div(a.n, chip.columns)
    unfolded, weights = a.groups * a.m * a.k, a.groups * a.k * a.n
    distinct = np.minimum(a.input_words, unfolded)
    room, weight_room = chip.activation_buffer_bytes / 2, chip.weight_buffer_bytes / 2
    streamed = column_folds * np.minimum(unfolded, row_folds * distinct)
    strip_fits = distinct / (a.groups * strips) <= room
    columns_w = weights * np.where(a.k * np.minimum(a.n, chip.columns) <= weight_room, 1, strips)
    columns_i = np.where(distinct / a.groups <= room, distinct, np.where(strip_fits, column_folds * distinct, streamed))
    strips_w = weights * np.where(a.k * a.n <= weight_room, 1, strips)
    strips_i = np.where(strip_fits, distinct, streamed)
    by_columns = np.where(weights_from_dram, columns_w, 0) + np.where(inputs_from_dram, columns_i, 0)
    by_strips = np.where(weights_from_dram, strips_w, 0) + np.where(inputs_from_dram, strips_i, 0)
    use_strips = (by_strips < by_columns) | ((by_strips == by_columns) & (strips_i < columns_i))
    chosen_w, chosen_i = np.where(use_strips, strips_w, columns_w), np.where(use_strips, strips_i, columns_i)
    return chosen_w.astype(np.float64), chosen_i.astype(np.float64)
