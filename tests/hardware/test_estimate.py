"""`estimate`: totals, readings, definitions, errors."""

import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from axdnn.hardware import COMPONENTS, estimate, load_accelerator
from axdnn.hardware.components import pod_area_m2
from axdnn.multipliers import load_multiplier
from axdnn.records import (
    Assignment,
    CostReport,
    Figures,
    InvalidInputError,
    Multiplier,
    UnknownNameError,
    from_json,
    to_json,
)

KINDS = ("mul8s_1KV6", "mul8s_1L2N", "mul8u_QKX", "QKX_sm")
relaxed = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def mixed(network, *names: str) -> Assignment:
    return Assignment(multipliers={layer: names[i % len(names)] for i, layer in enumerate(network.layer_names)})


@pytest.mark.parametrize("accelerator", ["tpu_v4", "edge_16x16"])
@pytest.mark.parametrize("reading", ["ideal", "buildable"])
def test_breakdowns_sum_to_totals(mobile, multipliers, accelerator, reading):
    report = estimate(mobile, mixed(mobile, *KINDS), accelerator, multipliers=multipliers, reading=reading)
    assert report.energy_j == pytest.approx(sum(report.energy_breakdown_j.values()), rel=1e-12)
    assert report.latency_s == pytest.approx(sum(layer.latency_s for layer in report.layers), rel=1e-12)
    assert report.area_m2 == pytest.approx(sum(report.area_breakdown_m2.values()), rel=1e-12)
    assert report.memory_bytes == sum(report.memory_breakdown_bytes.values())
    assert report.multiplier_energy_j == pytest.approx(report.energy_breakdown_j["multiplier"], rel=1e-12)
    for layer in report.layers:
        assert tuple(layer.energy_j) == COMPONENTS
        assert all(value >= 0 and math.isfinite(value) for value in layer.energy_j.values())
        assert 0 < layer.utilisation <= 1
        assert 1 <= layer.pods <= report.pods[layer.multiplier]
    assert from_json(CostReport, to_json(report)) == report


def test_multiplier_energy_is_defined_by_the_same_signedness(lenet, multipliers, uniform):
    powers = {name: multipliers[name].figures.power_w for name in multipliers}
    expected = {
        "mul8s_1KV6": 1.0,
        "mul8u_1JFF": 1.0,
        "mul8s_1L2N": powers["mul8s_1L2N"] / 0.425e-3,
        "mul8u_QKX": powers["mul8u_QKX"] / 0.391e-3,
        "QKX_sm": powers["mul8u_QKX"] / 0.391e-3,
    }
    for name, ratio in expected.items():
        report = estimate(lenet, uniform(lenet, name), multipliers=multipliers)
        assert report.multiplier_energy_j == pytest.approx(lenet.macs * 0.07e-12 * ratio, rel=1e-9), name


def test_energy_of_a_known_layer(small_chip, gemm, network_of, multipliers, uniform):
    """Counts of `test_traffic_of_a_known_layer` (its activations are read from and written to DRAM) x constants."""
    network = network_of(gemm("layer", 100, 20, 17, inputs=900))
    report = estimate(network, uniform(network, "mul8s_1KV6"), small_chip, multipliers=multipliers)
    pj = {name: 1e12 * joules for name, joules in report.energy_breakdown_j.items()}
    macs, sums = 34000, 4 * 100 * 17 * 3
    assert pj["multiplier"] == pytest.approx(macs * 0.07)
    assert pj["mac_rest"] == pytest.approx(macs * (0.03 + 40 * 2.1e-3) + 2 * 340 * 8 * 4 * 2.1e-3)
    assert pj["dram"] == pytest.approx(8 * 7.03 * (340 + 900 + 1700))
    read, written = 6000 + 680 + 1700, 340 + 900 + 1700
    assert pj["sram"] == pytest.approx(read * 8 * 0.249 + written * 8 * 0.293 + 2 * sums * 8.5 / 8)
    assert pj["interconnect"] == pytest.approx((6000 + 680 + 2 * sums) * 0.005595 * 2 * 3)
    mm2 = report.area_breakdown_m2["multiplier"] + report.area_breakdown_m2["mac_rest"]
    assert mm2 == pytest.approx(8 * 64 * (729.8e-12 * 0.059 + 33.92e-12))
    memory = (220e3 + 8 * 1600) / 2**20 * 3.1875e-6
    assert report.area_breakdown_m2["sram"] == pytest.approx(memory)
    butterfly = 2 * 8 * 3 * 8 * (8 + 5 * 8) * 0.617e-12
    assert report.area_breakdown_m2["interconnect"] == pytest.approx(butterfly)
    clock = 0.05 * 40 * 2.1e-15 * 1.05e9 * 8 * 64
    watts = clock + 14.6e3 * (mm2 + butterfly) + 2.9e3 * memory
    assert report.energy_breakdown_j["static"] == pytest.approx(watts * report.latency_s)


def test_wrapper_and_zero_points_are_charged_outside_the_multiplier(lenet, multipliers, uniform):
    def rest(name):
        return estimate(lenet, uniform(lenet, name), multipliers=multipliers).energy_breakdown_j["mac_rest"]

    chip = load_accelerator("tpu_v4")
    assert rest("QKX_sm") - rest("mul8s_1KV6") == pytest.approx(lenet.macs * chip.sign_magnitude_j, rel=1e-6)
    sums = sum(layer.groups * layer.m * (layer.k + layer.n) for layer in lenet.layers)
    assert rest("mul8u_QKX") - rest("mul8s_1KV6") == pytest.approx(sums * chip.add_j, rel=1e-6)


def test_uniform_exact_is_the_baseline_in_both_readings(mobile, multipliers, uniform):
    a, b = (estimate(mobile, uniform(mobile, "mul8s_1KV6"), multipliers=multipliers, reading=reading)
            for reading in ("ideal", "buildable"))  # fmt: skip
    assert (a.layers, a.energy_j, a.latency_s, a.area_m2, a.pods) == (
        b.layers, b.energy_j, b.latency_s, b.area_m2, b.pods)  # fmt: skip
    assert a.pods == {"mul8s_1KV6": 8}


@relaxed
@given(st.lists(st.sampled_from(KINDS), min_size=6, max_size=6), st.sampled_from(["tpu_v4", "edge_16x16"]))
def test_ideal_bounds_buildable(mobile, multipliers, names, accelerator):
    ideal, real = (estimate(mobile, mixed(mobile, *names), accelerator, multipliers=multipliers, reading=reading)
                   for reading in ("ideal", "buildable"))  # fmt: skip
    assert ideal.energy_j <= real.energy_j * (1 + 1e-12)
    assert ideal.latency_s <= real.latency_s * (1 + 1e-12)
    assert "upper bound" in ideal.notes[0]
    assert sum(real.pods.values()) == load_accelerator(accelerator).pods


@relaxed
@given(st.floats(0.0, 1.0), st.floats(0.0, 1.0), st.lists(st.booleans(), min_size=5, max_size=5))
def test_a_cheaper_multiplier_never_costs_more(lenet, multipliers, one, two, places):
    """Same kinds, same area: less power is never more energy."""
    low, high = sorted((one, two))
    assignment = mixed(lenet, *("cheap" if place else "mul8s_1KV6" for place in places))
    cheap = multipliers["mul8s_1L2N"]

    def energy(power_ratio):
        figures = Figures(power_w=power_ratio * 0.425e-3, area_m2=cheap.figures.area_m2, delay_s=1e-9, source="test")
        own = Multiplier.from_table(cheap.table, signed=True, name="cheap", figures=figures)
        return estimate(lenet, assignment, multipliers={**multipliers, "cheap": own}).energy_j

    assert energy(low) <= energy(high) * (1 + 1e-12)


def test_allocation_given_by_the_user(lenet, multipliers):
    base = mixed(lenet, "mul8s_1KV6", "mul8s_1L2N")
    free = estimate(lenet, base, multipliers=multipliers)
    pinned = Assignment(multipliers=base.multipliers, pods=free.pods)
    assert estimate(lenet, pinned, multipliers=multipliers).energy_j == pytest.approx(free.energy_j, rel=1e-12)
    fewer = Assignment(multipliers=base.multipliers, pods={"mul8s_1KV6": 1, "mul8s_1L2N": 1})
    report = estimate(lenet, fewer, multipliers=multipliers)
    assert report.pods == fewer.pods
    assert report.area_m2 < free.area_m2
    assert report.latency_s >= free.latency_s
    spare = Assignment(multipliers=base.multipliers, pods={"mul8s_1KV6": 4, "mul8s_1L2N": 2, "mul8u_QKX": 2})
    assert estimate(lenet, spare, multipliers=multipliers).pods["mul8u_QKX"] == 2


def test_ideal_area_is_that_of_the_largest_kind(lenet, multipliers):
    report = estimate(lenet, mixed(lenet, *KINDS), multipliers=multipliers, reading="ideal")
    chip = load_accelerator("tpu_v4")
    pods = report.area_breakdown_m2["multiplier"] + report.area_breakdown_m2["mac_rest"]
    assert pods == pytest.approx(8 * max(pod_area_m2(multipliers[name], chip) for name in KINDS), rel=1e-12)


def test_memory_footprint(lenet, multipliers, uniform):
    report = estimate(lenet, uniform(lenet, "mul8s_1KV6"), multipliers=multipliers)
    assert report.memory_breakdown_bytes == {
        "weights": 150 + 2400 + 48000 + 10080 + 840,
        "biases": 4 * (6 + 16 + 120 + 84 + 10),
        "activations": 5728,
        "partial_sums": 4 * 784 * 6,
    }


def test_notes_and_sources(lenet, multipliers):
    report = estimate(lenet, mixed(lenet, "mul8s_1KV6", "mul8u_QKX"), multipliers=multipliers)
    signed = sum(
        layer.energy_j["multiplier"] * (391 / 425 if layer.multiplier == "mul8u_QKX" else 1) for layer in report.layers
    )
    note = next(text for text in report.notes if text.startswith("sensitivity"))
    assert f"{report.multiplier_energy_j * 1e6:.6g} µJ relative" in note
    assert f"{signed * 1e6:.6g} µJ if all" in note
    half = sum(layer.energy_j["multiplier"] for layer in report.layers if layer.multiplier == "mul8u_QKX") / 2
    low, high = report.multiplier_energy_j - half, report.multiplier_energy_j + half
    assert f"{low * 1e6:.6g} to {high * 1e6:.6g} µJ" in note
    assert f"total {(report.energy_j - half) * 1e6:.6g} to {(report.energy_j + half) * 1e6:.6g} µJ" in note
    chip = load_accelerator("tpu_v4")
    assert set(chip.sources) <= set(report.sources)
    assert {"exact.signed", "exact.unsigned", "multiplier.mul8u_QKX"} <= set(report.sources)
    assert all(text.strip() for text in report.sources.values())
    slow = Multiplier.from_table(
        multipliers["mul8s_1L2N"].table, signed=True, name="slow",
        figures=Figures(power_w=1e-4, area_m2=1e-10, delay_s=2e-9, source="test"),
    )  # fmt: skip
    report = estimate(lenet, mixed(lenet, "mul8s_1KV6", "slow"), multipliers={**multipliers, "slow": slow})
    assert any(note.endswith("(not charged): slow") for note in report.notes)


def test_chip_level_order_of_magnitude(multipliers, uniform, gemm, network_of):
    """A large product: within a factor 5 of the mean board power of TPU v4 per bf16 MAC, 1.24 pJ."""
    network = network_of(gemm("gemm", 4096, 4096, 4096))
    report = estimate(network, uniform(network, "mul8s_1KV6"), multipliers=multipliers)
    assert report.layers[0].utilisation > 0.99
    assert 1.24e-12 / 5 < report.energy_j / network.macs < 1.24e-12 * 5


def test_own_exact_reference(lenet, multipliers, uniform):
    figures = Figures(power_w=0.85e-3, area_m2=1e-9, delay_s=1e-9, source="mine")
    report = estimate(lenet, uniform(lenet, "mul8s_1KV6"), multipliers=multipliers, exact={"signed": figures})
    assert report.multiplier_energy_j == pytest.approx(lenet.macs * 0.07e-12 / 2, rel=1e-12)
    bad = Figures(power_w=0.0, area_m2=1e-9, delay_s=1e-9, source="mine")
    with pytest.raises(InvalidInputError, match="must be > 0"):
        estimate(lenet, uniform(lenet, "mul8s_1KV6"), multipliers=multipliers, exact={"signed": bad})


def test_errors_are_plain(lenet, multipliers, uniform):
    good = uniform(lenet, "mul8s_1KV6")

    def refuse(error, match, assignment=good, **changes):
        with pytest.raises(error, match=match):
            estimate(lenet, assignment, **{"multipliers": multipliers, **changes})

    missing = {k: v for k, v in good.multipliers.items() if k != "conv2"}
    refuse(InvalidInputError, "layer 'conv2' has none", Assignment(multipliers=missing))
    refuse(
        UnknownNameError, "unknown layer 'conv9'", Assignment(multipliers={**good.multipliers, "conv9": "mul8s_1KV6"})
    )
    refuse(UnknownNameError, "unknown multiplier 'mul8s_1KV7'.*mul8s_1KV6", uniform(lenet, "mul8s_1KV7"))
    refuse(UnknownNameError, "unknown accelerator 'tpu_v5'.*tpu_v4", accelerator="tpu_v5")
    refuse(InvalidInputError, "`reading` must be one of ideal, buildable", reading="headline")
    bare = Multiplier.from_table(multipliers["mul8s_1KV6"].table, signed=True, name="bare")
    refuse(InvalidInputError, "'bare' has no figures", uniform(lenet, "bare"), multipliers={"bare": bare})
    five = mixed(lenet, "mul8s_1KV6", "mul8s_1KVP", "mul8s_1L2N", "mul8u_QKX", "mul8u_R36")
    refuse(InvalidInputError, "at most 4 kinds.*has 5", five, accelerator="edge_16x16")
    assert estimate(lenet, five, "edge_16x16", multipliers=multipliers, reading="ideal").energy_j > 0
    names = good.multipliers
    refuse(InvalidInputError, "at most 8.*got 9", Assignment(multipliers=names, pods={"mul8s_1KV6": 9}))
    refuse(InvalidInputError, "'mul8s_1KV6' has none", Assignment(multipliers=names, pods={"mul8s_1L2N": 2}))
    refuse(InvalidInputError, "whole numbers >= 0", Assignment(multipliers=names, pods={"mul8s_1KV6": -1}))


def test_a_slower_circuit_may_lower_the_clock(lenet, uniform):
    name = "mul8s_1KVA@v2022"
    given = {name: load_multiplier(name), "mul8s_1L2N": load_multiplier("mul8s_1L2N")}
    ratio = given[name].figures.delay_s / load_multiplier("exact").figures.delay_s
    free, bound = (
        estimate(lenet, uniform(lenet, name), "edge_16x16", multipliers=given, delay_limits_clock=limits)
        for limits in (False, True)
    )
    assert ratio > 1
    assert free.latency_s < bound.latency_s <= ratio * free.latency_s
    assert any("the clock is 490" in note for note in bound.notes)
    assert any("not charged" in note for note in free.notes)
    fast = uniform(lenet, "mul8s_1L2N")  # faster than the exact one: nothing changes
    assert estimate(lenet, fast, "edge_16x16", multipliers=given, delay_limits_clock=True) == estimate(
        lenet, fast, "edge_16x16", multipliers=given
    )
