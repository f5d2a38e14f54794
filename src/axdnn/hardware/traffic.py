"""Bytes that each layer moves between DRAM, on-chip memories and pods, int8 with int32 sums.

Row folds are the inner loop, so sums stay on the chip. Everything is an array over layers, shape `(L,)`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from axdnn.hardware.accelerator import Accelerator
from axdnn.hardware.components import ACCUMULATOR_BYTES
from axdnn.hardware.dataflows import Floats, Tiling, dram_words, tiling
from axdnn.hardware.layer_arrays import LayerArrays
from axdnn.hardware.systolic import Ints


class Traffic(NamedTuple):
    """Bytes by level and operand; `home_*` is traffic with the backing memory."""

    dram_weights: Floats
    dram_inputs: Floats
    dram_outputs: Floats
    home_inputs: Floats
    home_outputs: Floats
    home_weights: Floats
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
    def home(self) -> Floats:
        """All bytes to and from the backing memory."""
        return self.home_inputs + self.home_outputs + self.home_weights

    @property
    def interconnect(self) -> Floats:
        """Bytes that cross the butterfly: operands to the pods, partial sums both ways (SOSA's banks)."""
        return self.buffer_inputs + self.buffer_weights + self.sums_written + self.sums_read


def strip_rows(chip: Accelerator) -> Ints:
    """Rows (or columns) of the stream whose 32-bit sums fit the accumulators of one pod, at least 1."""
    fit = np.floor_divide(chip.accumulator_bytes, ACCUMULATOR_BYTES * chip.columns)
    return np.asarray(np.maximum(fit, 1), dtype=np.int64)


def tiles_of(layers: LayerArrays, chip: Accelerator) -> Tiling:
    """Lay layers on the pods of a chip."""
    return tiling(layers, chip.rows, chip.columns, strip_rows(chip), chip.dataflow, chip.pack_groups)


def activation_home(layers: LayerArrays, chip: Accelerator) -> npt.NDArray[np.str_]:
    """Where activations live between layers: `buffer`, `backing` or `dram`, by the network's peak of live values."""
    peak, stay = layers.peak_activation_bytes, np.asarray(chip.activations_stay_on_chip) == 1
    outside = np.where(stay & (peak <= np.asarray(chip.backing_bytes)), "backing", "dram")
    return np.where(stay & (peak <= np.asarray(chip.activation_buffer_bytes)), "buffer", outside)


def resident_weights(layers: LayerArrays, chip: Accelerator, home: npt.NDArray[np.str_]) -> npt.NDArray[np.bool_]:
    """Layers whose weights stay on the chip from one inference to the next, if the chip's policy is to keep them.

    Behind the buffers (backing memory) the first layers stay as long as they fit beside the activations that live
    there; without such a memory all or none stay in the weight buffer, which nothing streams through then.
    """
    words = np.where(layers.is_product, 0, layers.groups * layers.k * layers.n).astype(np.float64)
    backing = np.asarray(chip.backing_bytes, dtype=np.float64)
    room = backing - np.where(home == "backing", layers.peak_activation_bytes, 0)
    fits = np.where(backing > 0, np.cumsum(words) <= room, words.sum() <= np.asarray(chip.weight_buffer_bytes))
    return np.asarray(fits & ~layers.is_product & (np.asarray(chip.weights_stay_on_chip) == 1))


def traffic(layers: LayerArrays, chip: Accelerator) -> Traffic:
    """Bytes moved by each layer, in the loop order of `dram_words` that needs less of DRAM.

    Outputs leave once; partial sums never leave the chip. DRAM bytes do not rise with either buffer or the backing.
    The second operand of a product of activations is an input: read from DRAM or the backing if activations live
    there, else straight from the buffer, never written again.
    """
    a, t = layers, tiles_of(layers, chip)
    home = activation_home(a, chip)
    outside_in, outside_out = a.from_input | (home == "dram"), a.to_output | (home == "dram")
    rooms = chip.weight_buffer_bytes / 2, chip.activation_buffer_bytes / 2  # the other half is being filled
    from_dram = ~a.is_product | outside_in, outside_in
    entering = dram_words(a, t, chip.rows, chip.columns, rooms, from_dram, chip.dataflow)
    near = home == "buffer"
    weights = np.where(a.is_product & near, a.groups * a.k * a.n, entering.weights)
    inputs = np.where(near, np.minimum(a.input_words, a.groups * a.m * a.k), entering.inputs)
    inputs = inputs + np.where(a.is_product, weights, 0.0)
    outputs = a.output_words.astype(np.float64)
    backed = home == "backing"
    sums = ACCUMULATOR_BYTES * t.sums.astype(np.float64)
    stays = resident_weights(a, chip, home)
    behind = stays & (np.asarray(chip.backing_bytes) > 0)
    return Traffic(
        dram_weights=np.where(stays | a.is_product, 0.0, weights),
        dram_inputs=np.where(outside_in, inputs, 0.0),
        dram_outputs=np.where(outside_out, outputs, 0.0),
        home_inputs=np.where(~outside_in & backed, inputs, 0.0),
        home_outputs=np.where(~outside_out & backed, outputs, 0.0),
        home_weights=np.where(behind, weights, 0.0),
        buffer_inputs=t.buffer_inputs.astype(np.float64),
        buffer_weights=t.buffer_weights.astype(np.float64),
        buffer_outputs=outputs,
        sums_written=sums,
        sums_read=sums,
    )
