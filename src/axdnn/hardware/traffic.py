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


def strip_rows(chip: Accelerator) -> Ints:
    """Rows (or columns) of the stream whose 32-bit sums fit the accumulators of one pod, at least 1."""
    fit = np.floor_divide(chip.accumulator_bytes, ACCUMULATOR_BYTES * chip.columns)
    return np.asarray(np.maximum(fit, 1), dtype=np.int64)


def tiles_of(layers: LayerArrays, chip: Accelerator) -> Tiling:
    """Lay layers on the pods of a chip."""
    return tiling(layers, chip.rows, chip.columns, strip_rows(chip), chip.dataflow)


def activation_home(layers: LayerArrays, chip: Accelerator) -> npt.NDArray[np.str_]:
    """Where activations live between layers: `buffer`, `backing` or `dram`, by the network's peak of live values."""
    peak, stay = layers.peak_activation_bytes, np.asarray(chip.activations_stay_on_chip) == 1
    outside = np.where(stay & (peak <= np.asarray(chip.backing_bytes)), "backing", "dram")
    return np.where(stay & (peak <= np.asarray(chip.activation_buffer_bytes)), "buffer", outside)


def traffic(layers: LayerArrays, chip: Accelerator) -> Traffic:
    """Bytes moved by each layer, in the loop order of `dram_words` that needs less of DRAM.

    Outputs leave once; partial sums never leave the chip. DRAM bytes do not rise with either buffer or the backing.
    """
    a, t = layers, tiles_of(layers, chip)
    home = activation_home(a, chip)
    outside_in, outside_out = a.from_input | (home == "dram"), a.to_output | (home == "dram")
    rooms = chip.weight_buffer_bytes / 2, chip.activation_buffer_bytes / 2  # the other half is being filled
    entering = dram_words(a, t, chip.rows, chip.columns, rooms, outside_in, chip.dataflow)
    inputs = np.where(home == "buffer", np.minimum(a.input_words, a.groups * a.m * a.k), entering.inputs)
    outputs = a.output_words.astype(np.float64)
    backed = home == "backing"
    sums = ACCUMULATOR_BYTES * t.sums.astype(np.float64)
    return Traffic(
        dram_weights=entering.weights,
        dram_inputs=np.where(outside_in, inputs, 0.0),
        dram_outputs=np.where(outside_out, outputs, 0.0),
        home_inputs=np.where(~outside_in & backed, inputs, 0.0),
        home_outputs=np.where(~outside_out & backed, outputs, 0.0),
        buffer_inputs=t.buffer_inputs.astype(np.float64),
        buffer_weights=t.buffer_weights.astype(np.float64),
        buffer_outputs=outputs,
        sums_written=sums,
        sums_read=sums,
    )
