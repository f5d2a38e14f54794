"""Timing and traffic of the streaming model against a literal loop over tiles, and its laws."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from axdnn.hardware import load_accelerator
from axdnn.hardware.accelerator import Accelerator
from axdnn.hardware.layer_arrays import layer_arrays
from axdnn.hardware.streaming import layer_terms
from axdnn.hardware.traffic import activation_home, strip_rows
from axdnn.records import InvalidInputError, Layer, Network

SHAPES = st.tuples(
    st.just("layer"),
    st.integers(1, 400),
    st.integers(1, 100),
    st.integers(1, 60),
    st.integers(1, 5),
    st.integers(1, 5000),
)
"""Name, m, k, n, groups, input words."""


def literal_cycles(layer: Layer, chip: Accelerator, most_pods: int, dram_bytes: float) -> int:
    """Deal chunks of weight tiles out to pods in rounds, tile by tile; the best of all chunk counts and pods tried."""
    best = math.inf
    for extra in range(chip.pods):
        rows = math.ceil(layer.m / (math.ceil(layer.m / strip_rows(chip)) + extra))
        operations, port_bytes = [], 0.0
        for _ in range(layer.groups):
            for top in range(0, layer.k, chip.rows):
                for left in range(0, layer.n, chip.columns):
                    height = min(chip.rows, layer.k - top)
                    for start in range(0, layer.m, rows):
                        operations.append((top, left, start))
                        port_bytes += min(rows, layer.m - start) * height
        tiles = layer.groups * math.ceil(layer.k / chip.rows) * math.ceil(layer.n / chip.columns)
        port_cycles = (port_bytes / len(operations) + layer.weights / tiles) / chip.buffer_bandwidth_b_s * chip.clock_hz
        each = max(rows, chip.rows, port_cycles)
        for pods in range(1, most_pods + 1):
            rounds = [operations[i : i + pods] for i in range(0, len(operations), pods)]
            transfer = dram_bytes / chip.dram_bandwidth_b_s * chip.clock_hz / len(rounds)
            clock = transfer
            for _ in rounds[1:]:
                clock += max(each, transfer)
            stages = next(n for n in range(10) if 2**n >= pods)  # of the smallest network that reaches them
            best = min(best, math.ceil(clock + each - 1e-6) + 3 * stages)
    fixed = 2 * chip.rows + chip.columns - 2
    return best + fixed + math.ceil(chip.dram_latency_s * chip.clock_hz - 1e-6)


@settings(max_examples=40, deadline=None)
@given(SHAPES)
def test_cycles_equal_a_literal_loop(small_chip, gemm, network_of, shape):
    layer = gemm(*shape)
    terms = layer_terms(network_of(layer), small_chip)
    for pods in (1, 3, 8):
        expected = literal_cycles(layer, small_chip, pods, float(terms.moved.dram[0]))
        assert terms.timings.cycles[0, pods - 1] == expected


@settings(max_examples=60, deadline=None)
@given(SHAPES, st.floats(1.0, 50.0))
def test_time_falls_with_pods_and_bandwidth_and_never_beats_compute(small_chip, gemm, network_of, shape, factor):
    layer = gemm(*shape)
    network = network_of(layer)
    base = layer_terms(network, small_chip).timings
    assert (np.diff(base.cycles, axis=1) <= 0).all()
    assert (base.cycles >= base.compute_cycles).all()  # no negative stall
    assert (base.cycles * base.pods_used * small_chip.rows * small_chip.columns >= layer.macs).all()
    for field in ("dram_bandwidth_b_s", "buffer_bandwidth_b_s"):
        faster = small_chip.replace(**{field: getattr(small_chip, field) * factor})
        assert (layer_terms(network, faster).timings.cycles <= base.cycles).all()


@settings(max_examples=80, deadline=None)
@given(
    SHAPES, st.booleans(),
    st.sampled_from(["activation_buffer_bytes", "weight_buffer_bytes", "backing_bytes"]),
    st.lists(st.floats(1, 1e6), min_size=2, max_size=6),
)  # fmt: skip
def test_dram_bytes_fall_with_buffer_size(small_chip, gemm, network_of, shape, resident, field, sizes):
    layer = gemm(*shape)
    network = network_of(layer, gemm("middle", layer.m, layer.k, 3, inputs=layer.input_words), layer)
    before = math.inf
    for size in sorted(sizes):
        chip = small_chip.replace(**{field: size, "activations_stay_on_chip": int(resident)})
        moved = layer_terms(network, chip).moved.dram.sum()
        assert moved <= before
        before = moved
    least = sum(x.weights for x in network.layers) + min(layer.input_words, layer.groups * layer.m * layer.k)
    assert before >= least + layer.output_words


def test_traffic_of_a_known_layer(small_chip, gemm, network_of):
    """k = 20 is 3 row folds, n = 17 is 3 column folds, strips of 50 rows: 2 strips."""
    layer = gemm("layer", 100, 20, 17, inputs=900)
    chip = small_chip.replace(activations_stay_on_chip=0)
    moved = layer_terms(network_of(layer), chip).moved
    assert moved.dram_weights == 340
    assert moved.dram_inputs == 900
    assert moved.dram_outputs == 1700
    assert moved.buffer_inputs == 100 * 20 * 3
    assert moved.buffer_weights == 340 * 2
    assert moved.sums_written == moved.sums_read == 4 * 100 * 17 * 3
    tight = layer_terms(network_of(layer), chip.replace(activation_buffer_bytes=1000)).moved
    assert (tight.dram_inputs, tight.dram_weights) == (900, 340)  # strips outside, all weights stay
    tiny = layer_terms(network_of(layer), chip.replace(activation_buffer_bytes=10, weight_buffer_bytes=10)).moved
    assert (tiny.dram_inputs, tiny.dram_weights) == (3 * 2000, 680)  # nothing stays: min(m k, 3 x 900) a column fold
    one = layer_terms(network_of(layer), chip.replace(activation_buffer_bytes=1000, weight_buffer_bytes=330)).moved
    assert (one.dram_inputs, one.dram_weights) == (900, 680)


def test_activations_live_where_they_fit(mobile):
    chip = load_accelerator("tpu_v4")
    arrays = layer_arrays(mobile)
    peak = arrays.peak_activation_bytes
    assert peak == 12544 * 32 + 12544 * 64
    assert activation_home(arrays, chip) == "buffer"
    assert activation_home(arrays, chip.replace(activation_buffer_bytes=peak - 1)) == "backing"
    assert activation_home(arrays, chip.replace(activation_buffer_bytes=peak - 1, backing_bytes=0.0)) == "dram"
    assert activation_home(arrays, chip.replace(activations_stay_on_chip=0)) == "dram"
    moved = layer_terms(mobile, chip).moved
    assert moved.dram_inputs.tolist() == [12544 * 27 if 12544 * 27 < 150528 else 150528, 0, 0, 0, 0, 0]
    assert moved.dram_outputs.tolist() == [0, 0, 0, 0, 0, 1000]
    backed = layer_terms(mobile, chip.replace(activation_buffer_bytes=peak - 1)).moved
    assert backed.home_inputs[1:].sum() > 0
    assert backed.dram.sum() == moved.dram.sum()


def test_edges_name_the_ends(mobile):
    wired = Network(name="w", layers=mobile.layers, edges=(("input", "stem"), ("body", "output"), ("fc", "output")))
    arrays = layer_arrays(wired)
    assert arrays.to_output.tolist() == [False, False, False, True, False, True]
    assert arrays.from_input.tolist() == [True] + [False] * 5


def test_depthwise_is_not_flattered(mobile):
    """A depthwise layer fills 9 rows of one column."""
    chip = load_accelerator("tpu_v4")
    timings = layer_terms(mobile, chip).timings
    layer = mobile.layers[1]
    assert layer.macs / (timings.cycles[1, -1] * 8 * 128 * 128) < 9 / 128**2


def test_bound_labels(gemm, network_of):
    chip = load_accelerator("tpu_v4")
    fc = network_of(gemm("fc", 1, 4096, 4096))
    assert layer_terms(fc, chip.replace(dram_bandwidth_b_s=1e10)).timings.bound[0, -1] == 1
    big = network_of(gemm("big", 4096, 1024, 1024))
    assert layer_terms(big, chip).timings.bound[0, -1] == 0
    assert layer_terms(big, chip.replace(buffer_bandwidth_b_s=1e10)).timings.bound[0, -1] == 2


def test_illegal_networks_are_refused(small_chip, gemm, network_of):
    with pytest.raises(InvalidInputError, match="at least one layer"):
        layer_terms(network_of(), small_chip)
    with pytest.raises(InvalidInputError, match="k >= 1 must hold"):
        layer_terms(network_of(gemm("bad", 3, 0, 3, inputs=1)), small_chip)
