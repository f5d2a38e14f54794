"""Allocation of many pods without enumeration, and the two presets of published designs."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from axdnn.hardware import (
    allocate,
    cost_table,
    estimate,
    hull_allocation,
    list_accelerators,
    load_accelerator,
    sosa_point,
)
from axdnn.hardware.components import AREA_BY_NODE_NM, ENERGY_BY_NODE_NM, node_factor
from axdnn.records import Assignment


def priced(way, latency, watts, shared):
    seconds = sum(latency[kind, count - 1] for kind, count in enumerate(way))
    return (shared + float(watts @ way)) * seconds


@settings(max_examples=250, deadline=None)
@given(
    st.integers(1, 5), st.integers(5, 13), st.booleans(), st.sampled_from([0.0, 1.0, 40.0]), st.integers(0, 2**32 - 1)
)
def test_hull_equals_enumeration(kinds, pods, steps, shared, seed):
    """Convex, stepped or without any order, cheap or dear pods: the least energy is that of all allocations."""
    rng = np.random.default_rng(seed)
    latency = rng.random((kinds, pods)) * 10
    if steps:
        latency = np.ceil(rng.integers(1, 60, (kinds, 3, 1)) / np.arange(1, pods + 1)).sum(axis=1)
    watts = rng.uniform(0.01, rng.choice([0.02, 1.0, 9.0]), kinds)
    way = hull_allocation(latency, watts, shared)
    assert way.min() >= 1
    assert way.sum() == pods
    best = allocate(latency[None], watts[None], shared).static_j[0]
    assert priced(way, latency, watts, shared) == pytest.approx(best, rel=1e-9)


def test_allocate_goes_to_the_hull_where_it_cannot_enumerate(monkeypatch):
    rng = np.random.default_rng(2)
    latency = np.ceil(rng.integers(1, 500, (40, 3, 5, 1)) / np.arange(1, 13)).sum(axis=2)
    watts = rng.uniform(0.5, 2.0, (40, 3))
    enumerated = allocate(latency, watts, 3.0)
    monkeypatch.setattr("axdnn.hardware.pods.MAX_ALLOCATIONS", 10)
    found = allocate(latency, watts, 3.0)
    assert np.allclose(found.static_j, enumerated.static_j, rtol=1e-11)
    for c in range(40):
        assert found.static_j[c] == pytest.approx(priced(found.pods[c], latency[c], watts[c], 3.0), rel=1e-12)


def test_a_chip_of_256_single_pods_can_be_priced(mobile, multipliers):
    """Six kinds on 256 pods have 8.6 thousand million allocations; no move of a pod or two betters the one found."""
    chip = load_accelerator("sosa_32x32").replace(pods_together=1)
    names = list(multipliers)[:6]
    assignment = Assignment(multipliers=dict(zip(mobile.layer_names, names, strict=True)))
    started = time.perf_counter()
    report = estimate(mobile, assignment, chip, multipliers=multipliers)
    assert time.perf_counter() - started < 10
    assert sum(report.pods.values()) == 256
    table = cost_table(mobile, [multipliers[name] for name in names], chip)
    way = np.array([report.pods[name] for name in names])

    def static(counts):
        seconds = sum(table.latency_s[i, n - 1] for i, n in enumerate(counts))
        return (table.static_w_shared + table.static_w_pod @ counts) * seconds

    best = static(way)
    assert best == pytest.approx(report.energy_breakdown_j["static"], rel=1e-9)
    for a in range(6):
        for b in range(6):
            for step in (1, 2, 5, 16):
                moved = way.copy()
                moved[a], moved[b] = moved[a] - step, moved[b] + step
                if a != b and moved.min() >= 1:
                    assert static(moved) >= best * (1 - 1e-11)


def test_groups_of_pods_cost_little(mobile, multipliers):
    """Groups of 16 are a restriction: never better than single pods, and here at most 3 % of the energy worse."""
    chip, names = load_accelerator("sosa_32x32"), list(multipliers)
    choice = np.random.default_rng(0).choice([0, 2], (10, len(mobile.layers)))
    alone, together = (
        cost_table(mobile, [multipliers[n] for n in names], chip.replace(pods_together=n)).energy(choice).energy_j
        for n in (1, 16)
    )
    assert (alone <= together * (1 + 1e-12)).all()
    assert (together <= 1.03 * alone).all()


def test_published_designs():
    assert {"sosa_32x32", "xai_gen"} <= set(list_accelerators())
    sosa, xai = load_accelerator("sosa_32x32"), load_accelerator("xai_gen")
    assert (sosa.pods, sosa.rows, sosa.columns, sosa.clock_hz) == (256, 32, 32, 1e9)
    assert (xai.pods, xai.rows, xai.columns, xai.exact_rows, xai.fill) == (8, 256, 256, 128, "top")
    assert xai.buffer_read_j_b == sosa.buffer_read_j_b == pytest.approx(2.7e-12)
    fifo = 56 * 5.98e-12
    for chip in (sosa, xai):  # 28 nm
        energy, area = node_factor(ENERGY_BY_NODE_NM, 45, 28), node_factor(AREA_BY_NODE_NM, 45, 28)
        assert chip.multiply_j == pytest.approx(0.2e-12 * energy, rel=1e-3)
        assert chip.add_j == pytest.approx(0.1e-12 * energy, rel=1e-3)
        assert chip.multiplier_area_scale == pytest.approx(area, rel=1e-3)
        rest = 137e-12 * area + fifo * node_factor(AREA_BY_NODE_NM, 40, 28)
        assert chip.pe_rest_m2 == pytest.approx(rest, rel=1e-3)
        assert chip.interconnect_m2_bit == pytest.approx(8e-12 * node_factor(AREA_BY_NODE_NM, 40, 28), rel=1e-3)
        assert chip.sign_magnitude_j == pytest.approx(16 * 0.25 / 32 * chip.add_j, rel=1e-3)
        assert chip.interconnect_j_b == pytest.approx(28.75e-15)
        # SOSA's synthesised element at 28 nm: 477 um2, and 0.4 pJ a MAC in its model.
        assert chip.pe_rest_m2 + 729.8e-12 * chip.multiplier_area_scale == pytest.approx(477e-12, rel=0.1)
        assert chip.multiply_j + chip.add_j + 40 * chip.register_j_bit == pytest.approx(0.4e-12, rel=0.1)


def test_28_nm_memory_lies_between_cacti_at_22_and_32(reference):
    rows = {
        int(r["tech_nm"]): r for r in reference("cacti_sram.csv")
        if (r["size_kB"], r["block_bits"], r["banks"]) == ("256", "64", "1")
    }  # fmt: skip
    chip = load_accelerator("sosa_32x32")
    area = [4 * float(rows[nm]["area_mm2"]) * 1e-6 / 2**20 for nm in (22, 32)]
    assert area[0] < chip.buffer_m2_b < area[1]
    leak = [float(rows[nm]["leak_mW"]) * 1e-3 / (float(rows[nm]["area_mm2"]) * 1e-6) for nm in (22, 32)]
    assert leak[1] < chip.memory_leakage_w_m2 < leak[0]
    assert float(rows[22]["read_pJ_per_byte"]) < chip.buffer_read_j_b * 1e12 < float(rows[32]["read_pJ_per_byte"])


def test_power_of_a_busy_sosa(gemm, network_of, multipliers, uniform):
    """A product that fills the chip: MAC power is SOSA's within 10 %; traffic is r + 9c bytes a cycle, not r + 5c.

    SOSA moves 16-bit sums, 2c bytes in and 2c out; here they have 32 bits.
    """
    network = network_of(gemm("layer", 4096, 4096, 4096))
    report = estimate(network, uniform(network, "mul8s_1KV6"), "sosa_32x32", multipliers=multipliers)
    published = sosa_point([(4096, 4096, 4096)], 32, 32, 256)
    energy, seconds = report.energy_breakdown_j, report.latency_s
    assert report.layers[0].utilisation > 0.97
    assert (energy["multiplier"] + energy["mac_rest"]) / seconds == pytest.approx(published.mac_w, rel=0.1)
    wider = (32 + 9 * 32) / (32 + 5 * 32)
    assert energy["sram"] / seconds == pytest.approx(published.sram_w * wider, rel=0.1)
    assert energy["interconnect"] / seconds == pytest.approx(published.interconnect_w * wider, rel=0.1)
