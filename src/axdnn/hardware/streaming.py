"""The `streaming` cost model: weight-stationary tiles on pods, activations stream; per layer, vectorised.

`layer_terms` computes everything that does not depend on which multiplier a layer uses.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from axdnn.hardware.accelerator import Accelerator
from axdnn.hardware.components import ACCUMULATOR_BYTES, ACTIVATION_BITS, Floats, interconnect_j_b
from axdnn.hardware.systolic import Ints, ceil_div, double_buffered, split_rows
from axdnn.hardware.traffic import LayerArrays, Traffic, layer_arrays, strip_rows, traffic
from axdnn.records import Network

MODEL = "streaming"
COMPONENTS = ("multiplier", "mac_rest", "sram", "dram", "interconnect", "static")
BOUNDS = ("compute", "dram", "sram")


class Timings(NamedTuple):
    """Timing of each layer on 1..P pods; every array has shape `(L, P)`, column p - 1 is p pods."""

    cycles: Ints
    compute_cycles: Ints
    pods_used: Ints
    bound: Ints


class LayerTerms(NamedTuple):
    """What each layer costs apart from its multiplier; arrays over layers, shape `(L,)`, or `(L, P)` in `timings`."""

    layers: LayerArrays
    moved: Traffic
    timings: Timings
    weight_load_j: Floats
    zero_point_j: Floats
    sram_j: Floats
    dram_j: Floats
    interconnect_j: Floats


def layer_terms(network: Network, chip: Accelerator) -> LayerTerms:
    """Timing, traffic and multiplier-independent energies of every layer, one inference at batch 1.

    Raises:
        InvalidInputError: the network has no layers or illegal shapes.
    """
    layers = layer_arrays(network)
    moved = traffic(layers, chip)
    weights = layers.groups * layers.k * layers.n
    # A weight shifts through half the rows on average on its way in, once a strip of rows.
    loaded = (weights * ceil_div(layers.m, strip_rows(chip))).astype(np.float64)
    weight_load_j = loaded * (ACTIVATION_BITS * chip.rows / 2 * chip.register_j_bit)
    # Unsigned weights have a zero point: a running sum of activations, and one correction an output.
    corrections = layers.groups * layers.m * (layers.k + layers.n)
    filled = moved.dram_weights + moved.dram_inputs + moved.home_inputs
    drained = moved.dram_outputs + moved.home_outputs
    sram_j = (
        (moved.buffer_inputs + moved.buffer_weights + drained) * chip.buffer_read_j_b
        + (filled + moved.buffer_outputs) * chip.buffer_write_j_b
        + moved.sums_written * chip.accumulator_write_j_b
        + moved.sums_read * chip.accumulator_read_j_b
        + moved.home_inputs * chip.backing_read_j_b
        + moved.home_outputs * chip.backing_write_j_b
    )
    return LayerTerms(
        layers=layers,
        moved=moved,
        timings=timings(layers, moved, chip),
        weight_load_j=weight_load_j,
        zero_point_j=corrections * chip.add_j,
        sram_j=sram_j,
        dram_j=8 * moved.dram * chip.dram_j_bit,
        interconnect_j=moved.interconnect * interconnect_j_b(chip),
    )


def timings(layers: LayerArrays, moved: Traffic, chip: Accelerator) -> Timings:
    """Cycles of every layer on 1..P pods, with the row split that makes them fewest (ties: fewest operations).

    A round runs one operation (chunk of rows of one weight tile) on each pod and takes max(T, R) cycles, or more if
    the pod's buffer port is slower. Rounds overlap with transfers (`double_buffered`); fill and drain 2R + C - 2,
    the butterfly's 3 log2(P) and the latency of DRAM are paid once a layer. Chunk counts tried: P from the
    least whose sums fit the accumulators, the same whatever the pods, so cycles never rise with pods.
    """
    pods = np.arange(1, chip.pods + 1)
    tiles = (layers.groups * ceil_div(layers.k, chip.rows) * ceil_div(layers.n, chip.columns))[:, None]
    chunks = ceil_div(layers.m, strip_rows(chip))[:, None] + np.arange(chip.pods)
    split = split_rows(layers.m[:, None], tiles, chunks)  # (L, Q)
    clock = chip.clock_hz
    stream = np.maximum(split.chunk_rows, chip.rows).astype(np.float64)
    weight_bytes = (layers.groups * layers.k * layers.n)[:, None] / tiles
    port_bytes = moved.buffer_inputs[:, None] / split.operations + weight_bytes
    port = port_bytes / chip.buffer_bandwidth_b_s * clock
    compute = np.maximum(stream, port)
    transfer = (moved.dram / chip.dram_bandwidth_b_s
                + (moved.home_inputs + moved.home_outputs) / chip.backing_bandwidth_b_s) * clock  # fmt: skip
    once = 2 * chip.rows + chip.columns - 2 + math.ceil(3 * math.log2(chip.pods))
    rounds = ceil_div(split.operations[:, None, :], pods[:, None])  # (L, P, Q)
    total = double_buffered(rounds, compute[:, None, :], transfer[:, None, None])
    key = np.ceil(total - 1e-6)
    best = key.argmin(axis=-1)[..., None]  # the first: operations grow with chunks

    def pick(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return np.asarray(np.take_along_axis(np.broadcast_to(array, key.shape), best, axis=-1)[..., 0])

    latency = math.ceil(chip.dram_latency_s * clock - 1e-6)
    n = pick(rounds)
    per_round, streaming = pick(compute[:, None, :]), pick(stream[:, None, :])
    bound = np.where(transfer[:, None] / n > per_round, 1, np.where(per_round > streaming, 2, 0))
    return Timings(
        cycles=pick(key).astype(np.int64) + once + latency,
        compute_cycles=(n * streaming).astype(np.int64) + once,
        pods_used=np.minimum(pods, pick(split.operations[:, None, :])).astype(np.int64),
        bound=bound.astype(np.int64),
    )


def memory_bytes(network: Network, terms: LayerTerms, chip: Accelerator) -> dict[str, int]:
    """Footprint of the network: int8 weights, int32 biases, peak of live activations, live partial sums."""
    a = terms.layers
    columns = np.minimum(a.groups * a.n, chip.columns * chip.pods)
    sums = ACCUMULATOR_BYTES * np.minimum(a.m, strip_rows(chip)) * columns
    biases = sum(layer.groups * layer.n for layer in network.layers if layer.has_bias)
    return {
        "weights": network.weights,
        "biases": ACCUMULATOR_BYTES * biases,
        "activations": terms.layers.peak_activation_bytes,
        "partial_sums": int(sums.max()),
    }
