"""Explanations of a bank: figures are the report's, and formulas give them from the inputs."""

import math

import pytest

from axdnn.hardware import ArrayBank, BankArray, explain_bank, explain_bank_layer, load_accelerator, load_machine
from axdnn.records import Assignment, InfeasibleError, UnknownNameError

FUNCTIONS = {"ceil": math.ceil, "log2": math.log2, "max": max, "__builtins__": {}}


def recomputed(part):
    return eval(part.formula, FUNCTIONS, {name: x.value for name, x in part.inputs.items()})


def bank(chip="tpu_v3", network="butterfly", idle=0.3, limits=False):
    """Sizes, codings and a slow circuit."""
    arrays = (
        (128, 128, "exact"),
        (16, 32, "mul8u_QKX"),
        (64, 8, "QKX_sm"),
        (32, 32, "mul8s_1KVA@v2022"),
        (8, 8, "exact"),
    )
    return ArrayBank(
        chip=load_accelerator(chip).replace(interconnect=network), idle_fraction=idle, delay_limits_clock=limits,
        arrays=tuple(BankArray(rows=r, columns=c, multiplier=m) for r, c, m in arrays),
    )  # fmt: skip


def mixed(network, kinds=("exact", "mul8u_QKX", "QKX_sm", "mul8s_1KVA@v2022")):
    return Assignment(multipliers={n: kinds[i % len(kinds)] for i, n in enumerate(network.layer_names)})


@pytest.mark.parametrize(("chip", "network"), [("tpu_v3", "butterfly"), ("eyeriss_like", "bus"), ("tpu_v4i", "mesh")])
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("limits", [False, True])
def test_formulas_give_the_report(mobile, multipliers, chip, network, batch, limits):
    machine, chosen = bank(chip, network, limits=limits), mixed(mobile)
    report = machine.cost(mobile, chosen, multipliers=multipliers, batch=batch)
    for layer in report.layers:
        index, parts = explain_bank_layer(mobile, chosen, machine, layer.layer, multipliers=multipliers, batch=batch)
        assert machine.arrays[index].multiplier == layer.multiplier
        assert {p.name for p in parts} == {*layer.energy_j, "cycles"}
        for part in parts:
            wanted = layer.cycles if part.name == "cycles" else layer.energy_j[part.name]
            assert part.value == wanted
            assert recomputed(part) == pytest.approx(wanted, rel=1e-9, abs=1e-30), part.name
            assert all(x.source.strip() for x in part.inputs.values())


@pytest.mark.parametrize(
    ("chip", "network"), [("tpu_v3", "butterfly"), ("eyeriss_like", "bus"), ("tpu_v4", "crossbar")]
)
@pytest.mark.parametrize("limits", [False, True])
def test_area_memory_and_power(mobile, multipliers, chip, network, limits):
    machine, chosen = bank(chip, network, limits=limits), mixed(mobile)
    report = machine.cost(mobile, chosen, multipliers=multipliers, batch=3)
    parts = {p.name: p for p in explain_bank(mobile, chosen, machine, multipliers=multipliers, batch=3)}
    wanted = {f"area: {k}": v for k, v in report.area_breakdown_m2.items()}
    wanted |= {f"memory: {k}": v for k, v in report.memory_breakdown_bytes.items() if k != "partial_sums"}
    for name, value in wanted.items():
        assert parts[name].value == value
    for part in parts.values():
        assert recomputed(part) == pytest.approx(part.value, rel=1e-9), part.name
        assert all(x.source.strip() for x in part.inputs.values())
    powers = {name: p.value for name, p in parts.items() if name.startswith("static: ")}
    assert set(parts) == {*wanted, *powers}
    assert len(powers) == 6
    for layer in report.layers:
        a, explained = explain_bank_layer(mobile, chosen, machine, layer.layer, multipliers=multipliers, batch=3)
        own, shared = powers[f"static: array {a}"], powers["static: shared"]
        others = sum(powers.values()) - own - shared
        assert layer.energy_j["static"] / layer.latency_s == pytest.approx(own + shared + 0.3 * others)
        static = {p.name: p for p in explained}["static"]
        assert "own_w + shared_w + idle_fraction * others_w" in static.formula
        told = [static.inputs[name].value for name in ("own_w", "shared_w", "others_w", "idle_fraction")]
        assert told == pytest.approx([own, shared, others, 0.3])


def test_the_array_that_works_is_explained(gemm, network_of, multipliers):
    network = network_of(gemm("large", 4096, 1024, 1024), gemm("tiny", 8, 8, 8))
    machine = bank()
    for layer, index, rows in (("large", 0, 128), ("tiny", 4, 8)):
        found, parts = explain_bank_layer(network, None, machine, layer, multipliers=multipliers)
        rest = {p.name: p for p in parts}["mac_rest"]
        assert (found, rest.inputs["rows"].value) == (index, rows)
        assert rest.inputs["rows"].source.endswith(f"array.rows: {rows}; array {index} of tpu_v3 bank")


def test_sources_lead_to_the_files(lenet, uniform, multipliers):
    machine = load_machine("tpu_v3_bank")
    _, parts = explain_bank_layer(lenet, uniform(lenet, "mul8s_1L2N"), machine, "conv2")
    by_name = {p.name: p for p in parts}
    assert "EvoApproxLib" in by_name["multiplier"].inputs["power_ratio"].source
    assert "HBM2" in by_name["dram"].inputs["dram_j_bit"].source
    assert "assumption" in by_name["static"].inputs["idle_fraction"].source
    assert by_name["static"].inputs["clock_hz"].source.startswith("tpu_v3, array.clock: 0.94 GHz")
    slow = bank(limits=True)
    _, parts = explain_bank_layer(lenet, uniform(lenet, "mul8s_1KVA@v2022"), slow, "conv2", multipliers=multipliers)
    clock = {p.name: p for p in parts}["static"].inputs["clock_hz"]
    assert clock.value < slow.chip.clock_hz
    assert "delay of mul8s_1KVA@v2022 / delay of the exact circuit" in clock.source


def test_skipped_neurons_are_left_out(lenet):
    machine = load_machine("tpu_v3_bank")
    chosen = Assignment(multipliers=dict.fromkeys(lenet.layer_names, "mul8s_1L2N"), skip={"fc1": tuple(range(40))})
    report = machine.cost(lenet, chosen)
    for layer in report.layers:
        _, parts = explain_bank_layer(lenet, chosen, machine, layer.layer)
        assert [recomputed(p) for p in parts[:-1]] == pytest.approx(list(layer.energy_j.values()), rel=1e-9, abs=1e-30)
    memory = {p.name: p for p in explain_bank(lenet, chosen, machine)}["memory: weights"]
    assert recomputed(memory) == report.memory_breakdown_bytes["weights"] == lenet.weights - 40 * 120


def test_what_is_refused(lenet, uniform):
    machine = load_machine("tpu_v3_bank")
    with pytest.raises(UnknownNameError, match="conv2"):
        explain_bank_layer(lenet, None, machine, "conv22")
    with pytest.raises(InfeasibleError, match="the arrays hold exact, mul8s_1KVP, mul8s_1L2N"):
        explain_bank_layer(lenet, uniform(lenet, "mul8u_QKX"), machine, "conv2")
