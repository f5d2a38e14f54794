"""Batches, and weights that stay on the chip."""

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from axdnn.hardware import batched, estimate, load_accelerator
from axdnn.hardware.layer_arrays import layer_arrays
from axdnn.hardware.streaming import layer_terms
from axdnn.hardware.traffic import activation_home, resident_weights
from axdnn.records import InvalidInputError


def test_a_batch_of_products_has_more_rows_or_more_groups(gemm, network_of):
    network = network_of(
        gemm("dense", 10, 20, 30, inputs=77), msgspec.structs.replace(gemm("scores", 5, 6, 7, groups=2), kind="matmul"),
        peak=100,
    )  # fmt: skip
    eight = batched(network, 8)
    dense, scores = eight.layers
    assert (dense.m, dense.groups, dense.input_words, dense.output_words) == (80, 1, 616, 2400)
    assert (scores.m, scores.groups, scores.input_words) == (5, 16, 8 * 60)
    assert (eight.macs, eight.peak_activation_words) == (8 * network.macs, 800)
    assert dense.weights == network.layers[0].weights
    assert batched(network, 1) is network
    for bad in (0, -1, True, 1.5):
        with pytest.raises(InvalidInputError, match="`batch` must be a whole number >= 1"):
            batched(network, bad)


@pytest.mark.parametrize("name", ["tpu_v4", "edge_16x16", "eyeriss_like"])
def test_an_inference_of_a_larger_batch_never_costs_more(mobile, multipliers, uniform, name):
    """Products cost the same; weights, fills and latencies are shared (activations that no longer fit cost more)."""
    chip = load_accelerator(name).replace(activation_buffer_bytes=1e12)
    exact = uniform(mobile, "mul8s_1KV6")
    reports = [estimate(mobile, exact, chip, multipliers=multipliers, batch=b) for b in (1, 2, 8, 64)]
    assert [r.batch for r in reports] == [1, 2, 8, 64]
    each = [(r.energy_j / r.batch, r.latency_s / r.batch) for r in reports]
    assert each == sorted(each, reverse=True)
    assert each[0][0] > each[-1][0]
    assert [r.multiplier_energy_j / r.batch for r in reports] == pytest.approx([reports[0].multiplier_energy_j] * 4)
    assert reports[0] == estimate(mobile, exact, chip, multipliers=multipliers)


def test_weights_stay_where_they_fit(mobile):
    chip = load_accelerator("tpu_v4")
    arrays, kept = layer_arrays(mobile), chip.replace(weights_stay_on_chip=1)
    words = np.array([layer.weights for layer in mobile.layers])
    assert resident_weights(arrays, kept, activation_home(arrays, kept)).all()
    assert not resident_weights(arrays, chip, activation_home(arrays, chip)).any()
    moved = layer_terms(mobile, kept).moved
    assert (moved.dram_weights == 0).all()
    assert moved.home_weights.tolist() == layer_terms(mobile, chip).moved.dram_weights.tolist()
    some = kept.replace(backing_bytes=float(words[:3].sum()))
    assert resident_weights(arrays, some, activation_home(arrays, some)).tolist() == [True] * 3 + [False] * 3
    none = kept.replace(backing_bytes=0.0)
    assert (layer_terms(mobile, none).moved.dram == layer_terms(mobile, none).moved.dram_inputs
            + layer_terms(mobile, none).moved.dram_outputs).all()  # fmt: skip
    small = none.replace(weight_buffer_bytes=float(words.sum() - 1))
    assert (layer_terms(mobile, small).moved.dram_weights > 0).all()


def test_beside_activations_that_live_behind_the_buffers_there_is_less_room(mobile):
    arrays = layer_arrays(mobile)
    chip = load_accelerator("tpu_v4").replace(weights_stay_on_chip=1, activation_buffer_bytes=1.0)
    room = arrays.peak_activation_bytes + mobile.layers[0].weights
    tight = chip.replace(backing_bytes=float(room))
    assert resident_weights(arrays, tight, activation_home(arrays, tight)).tolist() == [True] + [False] * 5


@settings(max_examples=40, deadline=None)
@given(st.floats(0, 1e6), st.floats(1, 1e6), st.sampled_from(["ws", "os", "is"]))
def test_what_stays_is_not_read_from_dram(mobile, small_chip, backing, weights, dataflow):
    chip = small_chip.replace(backing_bytes=backing, weight_buffer_bytes=weights, dataflow=dataflow)
    before, after = (layer_terms(mobile, c) for c in (chip, chip.replace(weights_stay_on_chip=1)))
    assert (after.moved.dram <= before.moved.dram).all()
    assert (after.moved.dram_weights + after.moved.home_weights <= before.moved.dram_weights).all()
    assert (after.dram_j <= before.dram_j).all()
