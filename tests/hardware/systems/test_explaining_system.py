"""Every explained figure of a system is the report's, and its formula gives it from the inputs."""

import math

import msgspec
import pytest

from axdnn.hardware import exact_assignment, load_accelerator, load_machine
from axdnn.hardware.imc import load_imc_chip
from axdnn.hardware.systems import explain_system_chip, explain_system_layer, mapped_report
from axdnn.multipliers import load_multiplier
from axdnn.records import Assignment, UnknownNameError
from axdnn.testing import law_network

FUNCTIONS = {"ceil": math.ceil, "log2": math.log2, "max": max, "__builtins__": {}}
EXACT = {"exact": load_multiplier("exact")}
BASE = load_machine("npu_cim").replace(activation_products="poor")
FEW = load_imc_chip("sram_cim").replace(arrays=4)
SYSTEMS = {
    "shipped": BASE,
    "spill": BASE.replace(buffer_bytes=5000.0),
    "reload": BASE.replace(cores={"few": FEW, "more": FEW.replace(arrays=9)}, link_latency_s=0.0),
    "three": BASE.replace(
        cores={
            **BASE.cores,
            "isaac": load_imc_chip("isaac"),
            "edge 2": load_accelerator("edge_16x16").replace(rows=64),
        },
        buffer_bytes=3000.0,
    ),
}
IDLE = (0.0, 0.5, 1.0)


def attention():
    """Layers of several inputs, one of them a product of two activations, behind a layer whose output waits."""
    chain = law_network()
    stem, body, _, _, head = chain.layers
    scores = msgspec.structs.replace(body, name="scores", kind="matmul", m=49, k=64, n=49, groups=4)
    layers = (stem, body, msgspec.structs.replace(body, name="other"), scores, head)
    edges = (("stem", "body"), ("stem", "other"), ("body", "scores"), ("other", "scores"), ("scores", "head"),
             ("stem", "head"))  # fmt: skip
    return msgspec.structs.replace(chain, name="attention", layers=layers, edges=edges, peak_activation_words=0)


NETWORKS = {"chain": law_network(), "attention": attention()}


def recomputed(explained):
    return eval(explained.formula, FUNCTIONS, {name: x.value for name, x in explained.inputs.items()})


def check(network, assignment, chip, known, **options):
    """Hold all layers to the report, which is returned."""
    report = mapped_report(chip, network, assignment, known, **options)
    for layer in report.layers:
        parts = explain_system_layer(network, assignment, chip, layer.layer, multipliers=known, **options)
        assert [p.name for p in parts] == [*layer.energy_j, "latency"]
        for part in parts:
            wanted = layer.latency_s if part.name == "latency" else layer.energy_j[part.name]
            assert part.value == wanted
            assert recomputed(part) == pytest.approx(wanted, rel=1e-12, abs=1e-30), part.name
            assert all(x.source for x in part.inputs.values())
        energies = sum(recomputed(p) for p in parts if p.unit == "J")
        assert energies == pytest.approx(layer.total_energy_j, rel=1e-12)
    return report


@pytest.mark.parametrize("idle", IDLE)
@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("options", [{}, {"objective": "latency", "batch": 3}, {"schedule": "pipelined"}])
def test_formulas_give_the_report(network, system, idle, options):
    net = NETWORKS[network]
    check(net, exact_assignment(net), SYSTEMS[system].replace(idle_fraction=idle), EXACT, **options)


@pytest.mark.parametrize("idle", IDLE)
def test_on_other_networks_with_approximate_multipliers(lenet, mobile, multipliers, idle):
    kinds = ["mul8s_1L2N", "mul8u_QKX", "QKX_sm"]
    for network in (lenet, mobile):
        chosen = Assignment(multipliers={n: kinds[i % 3] for i, n in enumerate(network.layer_names)})
        check(network, chosen, SYSTEMS["three"].replace(idle_fraction=idle), multipliers)


def test_the_systems_above_spill_reload_and_transfer():
    """Else the formulas of these parts would have been held to 0 alone."""
    seen = {
        part: max(
            mapped_report(chip, net, None, EXACT, objective="latency").energy_breakdown_j[part]
            for chip in SYSTEMS.values() for net in NETWORKS.values()
        )
        for part in ("transfer", "reload", "spill", "static")
    }  # fmt: skip
    assert all(joules > 0 for joules in seen.values()), seen
    report = mapped_report(SYSTEMS["reload"], NETWORKS["attention"], None, EXACT)
    assert {x.layer for x in report.layers if x.energy_j["reload"] > 0} > {"scores"}


def test_sources_are_those_of_the_files():
    def of(chip, layer):
        found = explain_system_layer(law_network(), None, chip, layer, multipliers=EXACT)
        return {part.name: part.inputs for part in found}

    parts = of(BASE, "stem")
    assert parts["static"]["idle_fraction"].source.startswith("npu_cim, static.idle_fraction: 0.1; assumption")
    assert "LPDDR4" in parts["spill"]["dram_j_b"].source
    changed = of(BASE.replace(idle_fraction=0.5), "stem")["static"]["idle_fraction"]
    assert changed == (0.5, "npu_cim, static.idle_fraction: 0.5 (SI); changed by the caller")
    with pytest.raises(UnknownNameError, match="stem"):
        of(BASE, "stemm")


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("network", NETWORKS)
def test_area_and_memory(network, system, batch, multipliers):
    net, chip, kinds = NETWORKS[network], SYSTEMS[system], ["mul8s_1L2N", "mul8u_QKX"]
    chosen = Assignment(multipliers={n: kinds[i % 2] for i, n in enumerate(net.layer_names)})
    report = mapped_report(chip, net, chosen, multipliers, batch=batch)
    parts = explain_system_chip(report, net, chip, multipliers=multipliers)
    wanted = {f"area: {k}": v for k, v in report.area_breakdown_m2.items()}
    wanted |= {f"memory: {k}": v for k, v in report.memory_breakdown_bytes.items()}
    assert {p.name: p.value for p in parts} == wanted
    for part in parts:
        assert recomputed(part) == pytest.approx(part.value, rel=1e-12), part.name
        assert all(x.source for x in part.inputs.values())
    assert sum(recomputed(p) for p in parts if p.unit == "m2") == pytest.approx(report.area_m2, rel=1e-12)


def test_skipped_neurons_take_no_memory(multipliers):
    net = law_network()
    chosen = Assignment(multipliers=dict.fromkeys(net.layer_names, "mul8s_1L2N"), skip={"body": (0, 1)})
    body = net.layers[1]
    report = mapped_report(BASE, net, chosen, multipliers)
    channel = body.k * body.n * body.groups // body.out_channels
    assert report.memory_breakdown_bytes["weights"] == net.weights - 2 * channel
