"""Many chips at a time give each chip's own figures, and obey the laws of one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from axdnn.hardware import Chips, estimate, load_accelerator, price_chips
from axdnn.hardware.layer_arrays import layer_arrays
from axdnn.hardware.streaming import layer_terms
from axdnn.records import InvalidInputError


def chips_of(dataflow, timing, seed, count=25):
    rng = np.random.default_rng(seed)
    base = load_accelerator("tpu_v4").replace(dataflow=dataflow, timing=timing)
    return [
        base.replace(
            rows=int(rng.integers(1, 200)), columns=int(rng.integers(1, 200)), pods=int(rng.integers(1, 12)),
            clock_hz=float(rng.uniform(1e8, 2e9)), accumulator_bytes=float(rng.integers(100, 10**6)),
            activation_buffer_bytes=float(rng.integers(10, 10**6)), weight_buffer_bytes=float(rng.integers(10, 10**6)),
            backing_bytes=float(rng.choice([0, 10**7])), activations_stay_on_chip=int(rng.integers(0, 2)),
            pack_groups=int(rng.integers(0, 2)), weights_stay_on_chip=int(rng.integers(0, 2)),
            dram_bandwidth_b_s=float(rng.uniform(1e9, 1e12)), buffer_bandwidth_b_s=float(rng.uniform(1e9, 1e12)),
            multiply_j=float(rng.uniform(1e-14, 1e-12)),
        )
        for _ in range(count)
    ]  # fmt: skip


@pytest.mark.parametrize("timing", ["pipelined", "scalesim3", "sosa"])
@pytest.mark.parametrize("dataflow", ["ws", "os", "is"])
@pytest.mark.parametrize("name", ["mul8s_1L2N", "mul8u_QKX"])
def test_each_chip_costs_what_estimate_says(mobile, multipliers, uniform, dataflow, timing, name, monkeypatch):
    monkeypatch.setattr("axdnn.hardware.many_chips.BLOCK", 50)  # several blocks
    chips = chips_of(dataflow, timing, seed=len(dataflow + timing + name))
    costs = price_chips(layer_arrays(mobile), chips, multipliers[name])
    for i, chip in enumerate(chips):
        report = estimate(mobile, uniform(mobile, name), chip, multipliers=multipliers)
        assert costs.cycles[i].tolist() == [layer.cycles for layer in report.layers]
        for component in costs.energy_j:
            assert costs.energy_j[component][i] == pytest.approx([x.energy_j[component] for x in report.layers])
        assert costs.total_energy_j[i] == pytest.approx(report.energy_j)
        assert costs.total_latency_s[i] == pytest.approx(report.latency_s)
        assert costs.total_area_m2[i] == pytest.approx(report.area_m2)


@pytest.mark.parametrize("network", ["bus", "mesh", "butterfly", "benes", "crossbar"])
@pytest.mark.parametrize("dataflow", ["ws", "os", "is"])
def test_fewer_pods_are_found_on_every_network(mobile, gemm, network_of, multipliers, dataflow, network):
    """Small arrays, slow memories: in many layers some pods stay idle, the same ones and for the same time."""
    layers = network_of(*(gemm(f"{i}", 3 + 5 * i, 2 + 3 * i, 1 + 7 * i % 40, 1 + i % 3) for i in range(12)))
    chips = [c.replace(interconnect=network, rows=4, columns=4) for c in chips_of(dataflow, "pipelined", 5)]
    costs = price_chips(layer_arrays(layers), chips, multipliers["mul8s_1KV6"])
    idle = 0
    for i, chip in enumerate(chips):
        terms = layer_terms(layers, chip)
        found, busy = terms.timings.cycles[:, -1], terms.timings.compute_cycles[:, -1]
        assert costs.cycles[i].tolist() == found.tolist()
        assert costs.stall_cycles[i].tolist() == (found - busy).tolist()
        assert costs.energy_j["sram"][i] == pytest.approx(terms.sram_j)
        idle += int((terms.timings.pods_used[:, -1] < chip.pods).sum())
    assert idle > 10


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(["ws", "os", "is"]), st.integers(0, 10**6), st.sampled_from(
    ["dram_bandwidth_b_s", "buffer_bandwidth_b_s", "backing_bandwidth_b_s"]))  # fmt: skip
def test_no_negative_stalls_and_bandwidth_never_hurts(mobile, multipliers, dataflow, seed, field):
    chips = chips_of(dataflow, "pipelined", seed, 8)
    slow = price_chips(layer_arrays(mobile), chips, multipliers["mul8s_1KV6"])
    fast = [c.replace(**{field: 3 * getattr(c, field)}) for c in chips]
    found = price_chips(layer_arrays(mobile), fast, multipliers["mul8s_1KV6"])
    assert (slow.stall_cycles >= 0).all()
    assert (found.cycles <= slow.cycles).all()


def test_varied_is_a_list_of_copies(lenet, multipliers):
    base, layers = load_accelerator("edge_16x16"), layer_arrays(lenet)
    rows, clocks = [8, 16, 32], [1e8, 2e8, 3e8]
    one = price_chips(layers, Chips.varied(base, rows=rows, clock_hz=clocks), multipliers["mul8s_1KV6"])
    other = price_chips(
        layers, [base.replace(rows=r, clock_hz=c) for r, c in zip(rows, clocks, strict=True)], multipliers["mul8s_1KV6"]
    )
    assert (one.cycles == other.cycles).all()
    assert one.total_energy_j == pytest.approx(other.total_energy_j)
    assert one.total_area_m2 == pytest.approx(other.total_area_m2)


def test_what_is_refused():
    base = load_accelerator("tpu_v4")
    with pytest.raises(InvalidInputError, match="at least one"):
        Chips([])
    with pytest.raises(InvalidInputError, match="one dataflow, timing and network"):
        Chips([base, base.replace(dataflow="os")])
    with pytest.raises(InvalidInputError, match="no exact rows"):
        Chips([base.replace(exact_rows=4)])
    with pytest.raises(InvalidInputError, match="unknown: \\['row'\\]"):
        Chips.varied(base, row=[1])
    with pytest.raises(InvalidInputError, match="arrays of one length"):
        Chips.varied(base, rows=[1, 2], columns=[1, 2, 3])
