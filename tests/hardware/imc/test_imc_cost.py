"""Cost of networks on in-memory chips: a literal sum as oracle, laws, candidates, what does not fit, speed."""

import math
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from axdnn.hardware.imc import (
    AREA_COMPONENTS,
    BOUNDS,
    COMPONENTS,
    Activity,
    balanced_replicas,
    imc_cost,
    list_imc_chips,
    load_imc_chip,
    sar_adc,
    sram_macro,
)  # fmt: skip
from axdnn.records import InvalidInputError, Network, UnknownNameError

ISAAC, SRAM = load_imc_chip("isaac"), load_imc_chip("sram_cim")
AIMC = SRAM.replace(kind="aimc", adc_bits=6)
CHIPS = [load_imc_chip(name).replace(reload=1) for name in list_imc_chips()] + [AIMC]
chips = pytest.mark.parametrize("chip", CHIPS, ids=lambda chip: f"{chip.name}-{chip.kind}")


def test_isaac_by_hand(product, network_of):
    """One layer, 300 x 40 weights on crossbars of 128 x 128, all figures written out."""
    cost = imc_cost(network_of(product("one", 10, 300, 40)), ISAAC)
    columns, steps = 40 * 4, 10 * 8
    assert cost.arrays.item() == 3 * 2
    conversions, drives = steps * columns * 3, steps * 300 * 2
    expected = {
        "cells": steps * 300 * columns * 0.3**2 * 203.5e-9 * 100e-9,
        "adc": conversions * (1.67e-12 + 0.98e-15),
        "dac": drives * 0.41667e-12,
        "adders": conversions * 0.021e-12 + 10 * 40 * 2 * 0.042e-12,
        "buffer": (10 * 300 + 10 * 40) * 0.639e-12,
        "interconnect": (2 * 10 * 300 + 10 * 40 + 10 * 40 * 2 * 4) * 1.08e-12,
        "programming": 0,
        "leakage": 0,
    }
    assert {part: float(value.sum()) for part, value in cost.energy_j.items()} == pytest.approx(expected)
    assert cost.total_s == pytest.approx(steps * 100e-9)
    assert cost.setup_j == pytest.approx(300 * columns * 8e-12 + 300 * 40 * 64e-12)
    assert cost.setup_s == pytest.approx(300 * 2 * 10e-9 / 168)
    assert cost.area_m2["adc"] == pytest.approx(16128 * (1200e-12 + 128 * 0.039e-12))


@pytest.mark.parametrize("kind", ["aimc", "dimc"])
def test_a_full_macro_costs_what_its_closed_form_says(kind, product, network_of):
    chip = (AIMC if kind == "aimc" else SRAM).replace(input_bits=2, buffer_bandwidth_b_s=1e18)
    macro = sram_macro(kind, 128, 32, bits_per_cycle=2, adc_bits=chip.adc_bits)
    cost = imc_cost(network_of(product("full", 50, 128, 32)), chip)
    inside = sum(cost.energy_j[part] for part in ("cells", "adc", "dac", "adders"))
    assert inside.item() == pytest.approx(50 * 4 * float(macro.cycle_j))
    assert cost.compute_s.item() == pytest.approx(50 * 4 * float(macro.clock_s))
    assert sum(cost.area_m2[part] for part in ("cells", "adc", "dac", "adders")) == pytest.approx(
        64 * sum(map(float, macro.area_m2.values()))
    )


@chips
def test_breakdown_sums(chip, mixed):
    cost = imc_cost(mixed, chip)
    assert tuple(cost.energy_j) == COMPONENTS
    assert tuple(cost.area_m2) == AREA_COMPONENTS
    assert cost.total_j == pytest.approx(sum(float(value.sum()) for value in cost.energy_j.values()))
    assert cost.total_s == pytest.approx(float(cost.compute_s.sum() + cost.programming_s.sum()))
    assert all(np.all(value >= 0) for value in cost.energy_j.values())
    assert set(cost.bound.tolist()) <= set(range(len(BOUNDS)))
    static = chip.arrays * chip.array_leakage_w + chip.shared_leakage_w
    np.testing.assert_allclose(cost.energy_j["leakage"], static * cost.latency_s)


@pytest.mark.parametrize("chip", [ISAAC, ISAAC.replace(adc_model="survey"), load_imc_chip("neurram"), AIMC])
def test_more_adc_bits_are_never_cheaper(chip, mixed):
    cost = imc_cost(mixed, chip.replace(reload=1), vary={"adc_bits": np.arange(4, 11)})
    assert np.all(np.diff(cost.total_j) > 0)
    assert np.all(np.diff(cost.total_s) >= 0)
    if chip.adc_model != "survey":  # here more bits take longer, and a slower converter of the survey is smaller
        assert np.all(np.diff(cost.total_m2) >= 0)
    assert np.all(np.diff(cost.adc_bits_missing, axis=0) <= 0)


@chips
def test_more_arrays_are_never_slower(chip, mixed):
    needed = int(imc_cost(mixed, chip).arrays_needed)
    cost = imc_cost(mixed, chip, vary={"arrays": np.arange(1, needed + 20)})
    assert np.all(np.diff(cost.total_s) <= 1e-12 * cost.total_s[1:])
    assert np.all(np.diff(cost.energy_j["programming"].sum(axis=-1)) <= 1e-18)
    fits = cost.arrays_available >= needed
    dynamic = np.array([layer.kind == "matmul" for layer in mixed.layers])
    assert np.all((cost.loaded[fits] > 0) == dynamic)


@chips
def test_idle_operands_cost_no_cell_energy(chip, mixed):
    full, idle = (imc_cost(mixed, chip, activity) for activity in (None, Activity(0, 0, 0, 0, 0)))
    assert np.all(idle.energy_j["cells"] == 0)
    assert np.all(full.energy_j["cells"] > 0)
    for part in ("adc", "dac", "buffer", "programming"):
        np.testing.assert_array_equal(idle.energy_j[part], full.energy_j[part])
    np.testing.assert_array_equal(imc_cost(mixed, chip, Activity()).layer_j, full.layer_j)


@given(st.lists(st.floats(0, 1), min_size=5, max_size=5), st.integers(0, 4))
def test_energy_does_not_fall_with_activity(mixed, shares, which):
    more = [1.0 if i == which else share for i, share in enumerate(shares)]
    for chip in CHIPS:
        assert imc_cost(mixed, chip, Activity(*more)).total_j >= imc_cost(mixed, chip, Activity(*shares)).total_j


def test_activity_by_layer(mixed):
    shares = np.linspace(0, 1, len(mixed.layers))
    cost, full = imc_cost(mixed, SRAM, Activity(activation_toggles=shares)), imc_cost(mixed, SRAM)
    np.testing.assert_allclose(cost.energy_j["cells"], shares * full.energy_j["cells"])


def test_candidates_equal_single_chips(mixed):
    rows, columns = np.array([32, 64, 128])[:, None], np.array([128, 256])
    together = imc_cost(mixed, ISAAC, vary={"rows": rows, "columns": columns, "adc_bits": 7})
    assert together.total_j.shape == (3, 2)
    for i in range(3):
        for j in range(2):
            chip = ISAAC.replace(rows=int(rows[i, 0]), columns=int(columns[j]), adc_bits=7)
            alone = imc_cost(mixed, chip)
            for part in COMPONENTS:
                np.testing.assert_array_equal(together.energy_j[part][i, j], alone.energy_j[part])
            np.testing.assert_array_equal(together.latency_s[i, j], alone.latency_s)
            assert together.total_m2[i, j] == alone.total_m2
            assert together.arrays_needed[i, j] == alone.arrays_needed


def test_weights_that_do_not_fit(mixed):
    small = ISAAC.replace(arrays=20)
    cost = imc_cost(mixed, small)
    assert math.isinf(cost.total_j)
    assert math.isinf(cost.total_s)
    short = cost.shortfall()
    assert (short.resource, short.available) == ("arrays", 20)
    assert short.needed == cost.arrays_needed
    assert short.largest[0] == ("body", 72)
    assert f"`arrays` of at least {short.needed}" in str(short)
    enough = imc_cost(mixed, small, vary={"arrays": [20, short.needed - 1, short.needed]})
    assert enough.feasible.tolist() == [False, False, True]
    assert np.isfinite(enough.total_j).tolist() == [False, False, True]
    assert enough.shortfall(2) is None
    assert enough.shortfall(1).needed - enough.shortfall(1).available == 1
    with pytest.raises(InvalidInputError, match="1 indices"):
        enough.shortfall()
    assert np.isfinite(imc_cost(mixed, small.replace(reload=1)).total_j)


def test_products_of_activations_are_written_every_time(product, network_of):
    weights, scores = (imc_cost(network_of(product("x", 49, 64, 49, 4, kind)), SRAM) for kind in ("conv2d", "matmul"))
    assert weights.programming_s.sum() == weights.energy_j["programming"].sum() == 0
    bits = 4 * 64 * 49 * 8
    assert scores.energy_j["programming"].sum() == pytest.approx(bits * SRAM.write_j + bits / 8 * SRAM.buffer_read_j_b)
    assert scores.programming_s.sum() == pytest.approx(4 * 64 * 2 * SRAM.write_row_s / SRAM.parallel_writes)
    assert scores.setup_j == 0


def test_balanced_replicas_use_what_is_there(mixed):
    copies = balanced_replicas(mixed, ISAAC)
    one, many = imc_cost(mixed, ISAAC), imc_cost(mixed, ISAAC, replicas=copies)
    assert many.arrays_needed <= ISAAC.arrays
    assert copies[4] == 1  # scores
    assert many.compute_s.max() < one.compute_s.max() / 50
    assert many.setup_j > one.setup_j
    assert balanced_replicas(mixed, ISAAC.replace(arrays=20)).tolist() == [1] * 6
    np.testing.assert_array_equal(many.energy_j["adc"], one.energy_j["adc"])


def test_packed_groups_take_fewer_arrays(mixed):
    chip = SRAM.replace(arrays=128)
    alone, packed = imc_cost(mixed, chip), imc_cost(mixed, chip, pack_groups=True)
    assert (alone.arrays[1], packed.arrays[1]) == (32, 3)
    assert packed.total_j < alone.total_j / 1.02  # now everything stays
    assert packed.total_s < alone.total_s


def test_the_chosen_model_of_the_converter(mixed):
    wide = imc_cost(mixed, ISAAC.replace(adc_bits=10)).energy_j["adc"].sum()
    base = imc_cost(mixed, ISAAC).energy_j["adc"].sum()
    assert wide / base == pytest.approx(float(sar_adc(10).energy_j / sar_adc(8).energy_j), rel=1e-3)


@pytest.mark.parametrize(
    ("args", "error", "match"),
    [
        ({"vary": {"rows": 64.5}}, InvalidInputError, "`rows` must be whole numbers in 2..8192"),
        ({"vary": {"adc_model": 1}}, UnknownNameError, "field to vary"),
        ({"vary": {"adc_bit": 1}}, UnknownNameError, "adc_bits"),
        ({"vary": {"rows": [2, 3], "columns": [128, 256, 512]}}, InvalidInputError, "broadcast"),
        ({"vary": {"columns": 64}}, InvalidInputError, "`columns_per_adc` must be at most `columns`"),
        ({"vary": {"adc_bits": 3}}, InvalidInputError, "4 <= adc_bits <= 10"),
        ({"replicas": 0}, InvalidInputError, "`replicas`"),
        ({"replicas": [1, 2]}, InvalidInputError, "`replicas`"),
        ({"activity": Activity(weight_mean=2.0)}, InvalidInputError, "weight_mean"),
    ],
)
def test_illegal_questions(args, error, match, mixed):
    with pytest.raises(error, match=match):
        imc_cost(mixed, ISAAC, **args)


def test_a_survey_converter_needs_time(mixed):
    with pytest.raises(InvalidInputError, match="`convert_bit_s` > 0"):
        imc_cost(mixed, ISAAC.replace(adc_model="survey", convert_bit_s=0.0))


def test_illegal_networks(product, network_of):
    with pytest.raises(InvalidInputError, match="at least one layer"):
        imc_cost(network_of(), "isaac")
    with pytest.raises(InvalidInputError, match="k >= 1"):
        imc_cost(network_of(product("bad", 1, 0, 1)), "isaac")
    with pytest.raises(InvalidInputError, match="multiple of `weight_bits`"):
        imc_cost(network_of(product("one", 1, 1, 1)), SRAM, vary={"columns": [256, 100]})
    with pytest.raises(InvalidInputError, match="`node_nm` must be 28"):
        imc_cost(network_of(product("one", 1, 1, 1)), SRAM, vary={"node_nm": 22})
    with pytest.raises(UnknownNameError, match="vdd_v"):
        imc_cost(network_of(product("one", 1, 1, 1)), ISAAC, vary={"vdd_v": 0.8})


def test_a_million_macros_a_second(mixed):
    """Layers x candidates priced per second, best of three; about nine million on an idle core."""
    network = Network(name="many", layers=mixed.layers * 8)
    rows = np.array([32, 64, 128, 256])[:, None, None]
    vary = {"rows": rows, "columns": np.array([128, 256])[:, None], "adc_bits": np.linspace(4, 10, 7).repeat(40)}
    rates = []
    for _ in range(3):
        start = time.perf_counter()
        cost = imc_cost(network, ISAAC, vary=vary)
        rates.append(cost.layer_j.size / (time.perf_counter() - start))
    print(f"{max(rates) / 1e6:.1f} million a second")
    assert max(rates) > 1e6
