"""The `streaming` cost model: tiles stay on pods, the other operand streams; per layer, vectorised.

`layer_terms` computes everything that does not depend on which multiplier a layer uses.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from axdnn.hardware.accelerator import Accelerator
from axdnn.hardware.components import (
    ACCUMULATOR_BITS,
    ACCUMULATOR_BYTES,
    ACTIVATION_BITS,
    interconnect_j_b,
    network_cycles,
    port_sharing,
)
from axdnn.hardware.dataflows import Floats, Tiling
from axdnn.hardware.layer_arrays import LayerArrays, layer_arrays
from axdnn.hardware.systolic import Ints, ceil_div, double_buffered, operation_cycles, split_rows
from axdnn.hardware.traffic import Traffic, strip_rows, tiles_of, traffic
from axdnn.records import Network

MODEL = "streaming"
COMPONENTS = ("multiplier", "mac_rest", "sram", "dram", "interconnect", "static")
BOUNDS = ("compute", "dram", "sram")


class Timings(NamedTuple):
    """Timing of each layer where 1..P pods may be used; arrays `(L, P)`, column p - 1 is p pods, `term_parts` `(L,)`.

    `term_parts`: parts that the sums of a layer are cut into (`os`, see `timings`), each added up in the accumulators.
    """

    cycles: Ints
    compute_cycles: Ints
    pods_used: Ints
    bound: Ints
    term_parts: Ints


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
    timed = timings(layers, moved, chip)
    moved = with_term_parts(moved, timed.term_parts)
    return LayerTerms(layers, moved, timed, *shared_energies(layers, moved, chip))


class Energies(NamedTuple):
    """Joules that do not depend on the multiplier, arrays over layers; `zero_point_j` only where weights have one."""

    weight_load_j: Floats
    zero_point_j: Floats
    sram_j: Floats
    dram_j: Floats
    interconnect_j: Floats


def shared_energies(layers: LayerArrays, moved: Traffic, chip: Accelerator) -> Energies:
    """Energies of registers on the way in, memories and interconnect; fields of `chip` may be arrays."""
    # What stays shifts through half the rows on average on its way in (`os`: the sums on their way out).
    summing = chip.dataflow == "os"
    bits = ACCUMULATOR_BITS if summing else ACTIVATION_BITS
    shifted = moved.sums_written / ACCUMULATOR_BYTES if summing else tiles_of(layers, chip).kept_words
    loaded = shifted * (bits * chip.rows / 2 * chip.register_j_bit)
    # Unsigned weights have a zero point: a running sum of activations, and one correction an output.
    corrections = layers.groups * layers.m * (layers.k + layers.n)
    filled = moved.dram_weights + moved.dram_inputs + moved.home_inputs + moved.home_weights
    drained = moved.dram_outputs + moved.home_outputs
    sram_j = (
        (moved.buffer_inputs + moved.buffer_weights + drained) * chip.buffer_read_j_b
        + (filled + moved.buffer_outputs) * chip.buffer_write_j_b
        + moved.sums_written * chip.accumulator_write_j_b
        + moved.sums_read * chip.accumulator_read_j_b
        + (moved.home_inputs + moved.home_weights) * chip.backing_read_j_b
        + moved.home_outputs * chip.backing_write_j_b
    )
    return Energies(
        weight_load_j=np.asarray(loaded, dtype=np.float64),
        zero_point_j=np.asarray(corrections * chip.add_j, dtype=np.float64),
        sram_j=sram_j,
        dram_j=8 * moved.dram * chip.dram_j_bit,
        interconnect_j=moved.interconnect * interconnect_j_b(chip),
    )


def timings(layers: LayerArrays, moved: Traffic, chip: Accelerator) -> Timings:
    """Cycles of every layer where 1..P pods may be used, with the pods and the split that make them fewest.

    A round runs one operation (a chunk of the stream through one tile) on each pod and takes the cycles of
    `operation_cycles`, or more if the pod's buffer port is slower. Rounds overlap with transfers (`double_buffered`);
    the fill and drain that folds share, the network's latency and the latency of DRAM are paid once a layer.
    Chunk counts tried: P from the least whose sums fit the accumulators, the same whatever the pods; of equal ones the
    least. A layer that more pods would not make faster (memory limits it, or there are no more tiles) leaves some idle
    if those it uses then see a smaller network: more pods are never slower. Of equal numbers the most.
    With `os` the stream is the terms of the sums: a tile in c chunks makes c partial sums of each output, which the
    accumulators add up as those of row folds with `ws`. What they cost must not depend on how pods are shared out
    between kinds, so c is the one that is fastest on all pods; no chunk is shorter than the array is high, which would
    waste time where pods are few. With `sosa` chunks have as many rows as arrays.
    """
    pods = np.arange(1, chip.pods + 1)
    t = tiles_of(layers, chip)
    streamed, tiles = t.streamed[:, None], t.tiles[:, None]
    chunks = np.minimum(t.strips[:, None] + np.arange(chip.pods), most_chunks(streamed, chip))
    if chip.timing == "sosa":
        chunks = ceil_div(streamed, chip.rows)
    split = split_rows(streamed, tiles, chunks)  # (L, Q)
    stream, shared = operation_cycles(split.chunk_rows, chip.rows, chip.columns, chip.dataflow, chip.timing)
    passing, kept = (b[:, None] for b in port_bytes(layers, moved, t, chip))
    port = (passing / split.operations + kept) / chip.buffer_bandwidth_b_s * chip.clock_hz
    transfer = transfer_s(moved, chip) * chip.clock_hz
    operations = split.operations[:, None, :]
    rounds = ceil_div(operations, pods[:, None])  # (L, P, Q)
    compute = np.maximum(stream[:, None, :], port[:, None, :] * port_sharing(chip, operations, rounds, pods[:, None]))
    total = double_buffered(rounds, compute, transfer[:, None, None])
    once = shared + network_cycles(chip, pods)[:, None]
    key = np.ceil(total - 1e-6) + once
    chunk, used = _fastest(key, one_split=chip.dataflow == "os")

    def pick(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        every = np.broadcast_to(array, key.shape)
        return np.asarray(every[np.arange(len(key))[:, None], used, chunk])

    latency = math.ceil(chip.dram_latency_s * chip.clock_hz - 1e-6)
    n, per_round, streaming = pick(rounds), pick(compute), pick(stream[:, None, :])
    bound = np.where(transfer[:, None] / n > per_round, 1, np.where(per_round > streaming, 2, 0))
    return Timings(
        cycles=pick(key).astype(np.int64) + latency,
        compute_cycles=(n * streaming).astype(np.int64) + pick(once),
        pods_used=np.minimum(used + 1, pick(operations)).astype(np.int64),
        bound=bound.astype(np.int64),
        term_parts=pick(operations)[:, -1] // t.tiles if chip.dataflow == "os" else np.ones_like(t.tiles),
    )


def _fastest(key: Floats, one_split: bool) -> tuple[Ints, Ints]:
    """Indices of the best chunk count and number of pods where 1..P pods may be used, both `(L, P)`.

    Args:
        key: cycles `(L, P, Q)` on p pods in the q-th chunk count.
        one_split: one chunk count a layer, the best on all pods.
    """
    decisive = key.min(axis=1, keepdims=True) if one_split else key
    chunk = np.broadcast_to(decisive.argmin(axis=-1), key.shape[:2])  # the first: operations grow with chunks
    value = np.take_along_axis(key, chunk[..., None], axis=-1)[..., 0]
    best = np.where(value == np.minimum.accumulate(value, axis=1), np.arange(key.shape[1]), 0)
    used = np.maximum.accumulate(best, axis=1)
    return np.take_along_axis(chunk, used, axis=1), used


def most_chunks(streamed: Ints, chip: Accelerator) -> Ints:
    """Most chunks of a tile's stream: what streams, one by one; with `os` chunks as long as the array is high.

    With `os` a pod's accumulators must hold a tile's sums, to add the other chunks' to them, or nothing is cut.
    """
    if chip.dataflow != "os":
        return streamed
    return np.where(strip_rows(chip) >= np.asarray(chip.rows), np.maximum(streamed // chip.rows, 1), 1)


def with_term_parts(moved: Traffic, parts: Ints) -> Traffic:
    """Return the traffic with every sum written to, and read from, the accumulators once for each of its parts."""
    return moved._replace(sums_written=parts * moved.sums_written, sums_read=parts * moved.sums_read)


def transfer_s(moved: Traffic, chip: Accelerator) -> Floats:
    """Seconds that all transfers of a layer with DRAM and the backing memory take, one after the other."""
    return np.asarray(moved.dram / chip.dram_bandwidth_b_s + moved.home / chip.backing_bandwidth_b_s)


def port_bytes(layers: LayerArrays, moved: Traffic, t: Tiling, chip: Accelerator) -> tuple[Floats, Floats]:
    """Bytes through pods' ports: of what streams, in all operations of a layer together, and of one tile."""
    passing = {"ws": moved.buffer_inputs, "is": moved.buffer_weights, "os": moved.buffer_inputs + moved.buffer_weights}
    kept = {"ws": layers.groups * layers.k * layers.n, "is": layers.groups * layers.m * layers.k, "os": 0 * layers.m}
    return passing[chip.dataflow], np.asarray(kept[chip.dataflow] / t.tiles)


def memory_bytes(network: Network, terms: LayerTerms, chip: Accelerator) -> dict[str, int]:
    """Footprint of the network: int8 weights, int32 biases, peak of live activations, live partial sums."""
    biases = sum(layer.groups * layer.n for layer in network.layers if layer.has_bias)
    return {
        "weights": network.weights,
        "biases": ACCUMULATOR_BYTES * biases,
        "activations": terms.layers.peak_activation_bytes,
        "partial_sums": int(partial_sum_bytes(terms.layers, chip).max()),
    }


def partial_sum_bytes(layers: LayerArrays, chip: Accelerator) -> Ints:
    """Bytes of each layer's partial sums that live at once: a strip's rows of all pods' columns; `(L,)`."""
    across, stream = (layers.m, layers.n) if chip.dataflow == "is" else (layers.n, layers.m)
    columns = np.minimum(layers.groups * across, chip.columns * chip.pods)
    return np.asarray(ACCUMULATOR_BYTES * np.minimum(stream, strip_rows(chip)) * columns)
