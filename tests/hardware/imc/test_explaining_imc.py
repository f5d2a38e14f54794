"""Every explained figure of an in-memory layer is the report's, and its formula gives it from the inputs."""

import math

import msgspec
import pytest

from axdnn.hardware.imc import Activity, explain_imc_chip, explain_imc_layer, list_imc_chips, load_imc_chip
from axdnn.records import UnknownNameError
from axdnn.testing import law_network

FUNCTIONS = {"max": max, "__builtins__": {}}
CALM = Activity(activation_mean=0.2, activation_ones=0.3, activation_toggles=0.4, weight_mean=0.5, weight_ones=0.6)


@pytest.mark.parametrize("name", list_imc_chips())
@pytest.mark.parametrize("options", [{}, {"batch": 3}, {"activity": CALM, "replicas": 2, "pack_groups": True}])
def test_formulas_give_the_report(name, options):
    chip, network = load_imc_chip(name).replace(reload=1), law_network()
    scores = msgspec.structs.replace(network.layers[0], name="scores", kind="matmul", m=20, k=30, n=40)
    network = msgspec.structs.replace(network, layers=(*network.layers, scores))
    report = chip.cost(network, **options)
    for layer in report.layers:
        parts = explain_imc_layer(network, chip, layer.layer, **options)
        assert {p.name for p in parts} == {*layer.energy_j, "latency"}
        for part in parts:
            wanted = layer.latency_s if part.name == "latency" else layer.energy_j[part.name]
            assert part.value == wanted
            found = eval(part.formula, FUNCTIONS, {key: x.value for key, x in part.inputs.items()})
            assert found == pytest.approx(wanted, rel=1e-9, abs=1e-30), part.name
            assert all(x.source for x in part.inputs.values())


def test_sources_are_those_of_the_file():
    parts = {p.name: p for p in explain_imc_layer(law_network(), load_imc_chip("isaac"), "body")}
    source = parts["interconnect"].inputs["interconnect_j_b"].source
    assert source.startswith("isaac, energy.interconnect: ")
    assert "20.74" in source or "ISAAC" in source.upper()
    with pytest.raises(UnknownNameError, match="body"):
        explain_imc_layer(law_network(), load_imc_chip("isaac"), "bodi")


@pytest.mark.parametrize("name", [*list_imc_chips(), "analogue", "survey", "wide"])
@pytest.mark.parametrize("batch", [1, 3])
def test_area_and_memory_of_a_chip(name, batch):
    if name == "analogue":
        chip = load_imc_chip("sram_cim").replace(kind="aimc", adc_bits=6, input_bits=2)
    elif name == "survey":
        chip = load_imc_chip("isaac").replace(adc_model="survey", columns_per_adc=48)
    elif name == "wide":
        chip = load_imc_chip("sram_cim").replace(input_bits=4, weight_bits=4)
    else:
        chip = load_imc_chip(name)
    chip, network = chip.replace(reload=1), law_network()
    report = chip.cost(network, batch=batch)
    parts = explain_imc_chip(report, network, chip)
    wanted = {f"area: {k}": v for k, v in report.area_breakdown_m2.items()}
    assert {p.name: p.value for p in parts} == wanted | {
        f"memory: {k}": v for k, v in report.memory_breakdown_bytes.items()
    }
    for part in parts:
        found = eval(part.formula, {**FUNCTIONS, "ceil": math.ceil}, {key: x.value for key, x in part.inputs.items()})
        assert found == pytest.approx(part.value, rel=1e-12), part.name
        assert all(x.source for x in part.inputs.values())
