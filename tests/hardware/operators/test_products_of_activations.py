"""Attention's products: the second operand is an activation, wherever activations live, and no weight."""

from __future__ import annotations

import msgspec
import pytest

from axdnn.hardware import cost_table, estimate, load_accelerator
from axdnn.hardware.layer_arrays import layer_arrays
from axdnn.hardware.streaming import layer_terms, memory_bytes
from axdnn.hardware.traffic import traffic
from axdnn.multipliers import load_multiplier
from axdnn.records import Assignment

EXACT = "mul8s_1KV6"
FIRST, SECOND = {"scores": 80, "context": 50}, {"scores": 80, "context": 80}


def moved(network, chip):
    """Traffic of the two products by name: (DRAM weights, DRAM inputs, backing inputs, operands to the pods)."""
    t = traffic(layer_arrays(network), chip)
    rows = zip(t.dram_weights, t.dram_inputs, t.home_inputs, t.buffer_inputs + t.buffer_weights, strict=True)
    return {
        name: tuple(map(float, row))
        for name, row in zip(network.layer_names, rows, strict=True) if name in FIRST
    }  # fmt: skip


def test_on_chip_products_read_nothing_from_dram(attention):
    chip = load_accelerator("tpu_v4")
    terms = layer_terms(attention, chip)
    for name, (weights, inputs, backing, pods) in moved(attention, chip).items():
        assert (weights, inputs, backing) == (0, 0, 0)
        assert pods == FIRST[name] + SECOND[name]
    assert terms.dram_j[1:3].tolist() == [0, 0]
    weights = [layer.weights for layer in attention.layers]
    assert terms.moved.dram_weights.tolist() == [weights[0], 0, 0, weights[3]]


def test_both_operands_come_from_where_activations_live(attention):
    tpu = load_accelerator("tpu_v4")
    backed = tpu.replace(activation_buffer_bytes=300.0)  # less than the peak
    outside = tpu.replace(activations_stay_on_chip=0)
    for name in FIRST:
        both = FIRST[name] + SECOND[name]
        assert moved(attention, backed)[name] == (0, 0, both, both)
        assert moved(attention, outside)[name] == (0, both, 0, both)


def test_a_second_operand_that_fits_no_buffer_is_read_again_for_every_strip(attention):
    """3 strips of 2 rows; 40 words a head do not fit half of 60 bytes."""
    chip = load_accelerator("tpu_v4").replace(
        rows=8, columns=8, accumulator_bytes=2 * 4 * 8, weight_buffer_bytes=60.0, activations_stay_on_chip=0
    )
    assert moved(attention, chip)["scores"] == (0, 80 + 3 * 80, 0, 80 + 3 * 80)
    assert moved(attention, chip.replace(weight_buffer_bytes=80.0))["scores"][1] == 80 + 80


def test_a_product_of_the_network_s_inputs_reads_both_from_dram(attention):
    edges = (*attention.edges, ("input", "scores"))
    read = moved(msgspec.structs.replace(attention, edges=edges), load_accelerator("tpu_v4"))
    assert read["scores"] == (0, 160, 0, 160)
    assert read["context"] == (0, 0, 0, 130)


def test_inputs_that_the_activation_buffer_holds_are_read_once_whatever_the_weight_buffer(attention):
    chip = load_accelerator("tpu_v4").replace(
        rows=8, columns=8, accumulator_bytes=2 * 4 * 8, weight_buffer_bytes=60.0
    )  # as above, but activations stay in the buffer
    read = moved(msgspec.structs.replace(attention, edges=(("input", "scores"),)), chip)
    assert read["scores"][:3] == (0, 160, 0)


def test_a_product_differs_from_a_layer_with_weights_by_its_operand_alone(attention):
    """Off the chip both read the same words; on it the weights alone are read from DRAM."""
    layers = [
        msgspec.structs.replace(one, kind="linear", input_words=FIRST[one.name]) if one.kind == "matmul" else one
        for one in attention.layers
    ]
    weighted = msgspec.structs.replace(attention, layers=tuple(layers))
    tpu = load_accelerator("tpu_v4")
    off = tpu.replace(activations_stay_on_chip=0)
    assert layer_terms(weighted, off).dram_j == pytest.approx(layer_terms(attention, off).dram_j, rel=1e-12)
    on = layer_terms(weighted, tpu).dram_j - layer_terms(attention, tpu).dram_j
    assert on == pytest.approx([0, 80 * 8 * tpu.dram_j_bit, 80 * 8 * tpu.dram_j_bit, 0])


def test_footprint_and_table(attention):
    chip = load_accelerator("tpu_v4")
    assert memory_bytes(attention, layer_terms(attention, chip), chip)["weights"] == 16 * 48 + 16 * 16
    exact = load_multiplier(EXACT)
    chosen = Assignment(multipliers=dict.fromkeys(attention.layer_names, EXACT))
    report = estimate(attention, chosen, chip, multipliers={EXACT: exact})
    assert [x.memory_bytes for x in report.layers[1:3]] == [80 + 80 + 50, 50 + 80 + 80]
    prices = cost_table(attention, [exact], chip).energy([0, 0, 0, 0])
    assert report.energy_j == pytest.approx(float(prices.energy_j[0]), rel=1e-12)
