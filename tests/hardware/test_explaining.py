"""Every explained figure is the report's, and its formula gives it from the inputs."""

import math

import pytest

from axdnn.hardware import estimate, explain_layer, list_accelerators, load_accelerator
from axdnn.multipliers import load_multiplier
from axdnn.records import Assignment, UnknownNameError

FUNCTIONS = {"ceil": math.ceil, "log2": math.log2, "max": max, "__builtins__": {}}


def recomputed(explained):
    return eval(explained.formula, FUNCTIONS, {name: x.value for name, x in explained.inputs.items()})


@pytest.mark.parametrize("dataflow", ["ws", "os", "is", ""])
@pytest.mark.parametrize("name", list_accelerators())
@pytest.mark.parametrize(("batch", "reading"), [(1, "buildable"), (4, "buildable"), (4, "ideal")])
def test_formulas_give_the_report(mobile, multipliers, name, dataflow, batch, reading):
    accelerator = load_accelerator(name)
    if dataflow and accelerator.exact_rows == 0 and accelerator.timing != "sosa":
        accelerator = accelerator.replace(dataflow=dataflow)
    kinds = ["mul8s_1L2N", "mul8u_QKX", "QKX_sm"]
    few = kinds[: 1 if accelerator.pods == 1 else 3]
    chosen = Assignment(multipliers={n: few[i % len(few)] for i, n in enumerate(mobile.layer_names)})
    options = {"multipliers": multipliers, "batch": batch, "reading": reading}
    report = estimate(mobile, chosen, accelerator, **options)
    for layer in report.layers:
        parts = explain_layer(mobile, chosen, accelerator, layer.layer, **options)
        for part in parts:
            wanted = layer.cycles if part.name == "cycles" else layer.energy_j[part.name]
            assert part.value == wanted
            assert recomputed(part) == pytest.approx(wanted, rel=1e-9, abs=1e-30), part.name
            assert all(x.source for x in part.inputs.values())
        assert {p.name for p in parts} == {*layer.energy_j, "cycles"}


def test_sources_are_those_of_the_file(lenet, multipliers, uniform):
    chip = load_accelerator("tpu_v4")
    parts = {p.name: p for p in explain_layer(
        lenet, uniform(lenet, "mul8u_QKX"), chip, "conv2", multipliers=multipliers)}  # fmt: skip
    assert "Jouppi" in parts["multiplier"].inputs["multiply_j"].source
    assert "HBM2" in parts["dram"].inputs["dram_j_bit"].source
    assert parts["multiplier"].inputs["power_ratio"].source.endswith(multipliers["mul8u_QKX"].figures.source)
    assert parts["mac_rest"].inputs["corrections"].value == 100 * (150 + 16)
    changed = chip.replace(dram_j_bit=1e-12)
    again = explain_layer(lenet, uniform(lenet, "mul8u_QKX"), changed, "conv2", multipliers=multipliers)
    assert "changed by the caller" in {p.name: p for p in again}["dram"].inputs["dram_j_bit"].source


@pytest.mark.parametrize("name", ["mul8s_1KVA@v2022", "mul8s_1L2N"])
def test_a_clock_that_delays_limit(lenet, uniform, name):
    """Bound by DRAM, whose cycles follow the clock, so that layers at another clock have other cycles."""
    given, chosen = {name: load_multiplier(name)}, uniform(lenet, name)
    chip = load_accelerator("edge_16x16").replace(dram_bandwidth_b_s=1e8)
    report = estimate(lenet, chosen, chip, multipliers=given, delay_limits_clock=True)
    for layer in report.layers:
        parts = explain_layer(lenet, chosen, chip, layer.layer, multipliers=given, delay_limits_clock=True)
        assert {p.name: p.value for p in parts} == {**layer.energy_j, "cycles": layer.cycles}
        assert all(recomputed(p) == pytest.approx(p.value, rel=1e-9, abs=1e-30) for p in parts)
        clock = next(p for p in parts if p.name == "static").inputs["clock_hz"]
        assert clock.value == pytest.approx(layer.cycles / layer.latency_s)
        assert (name in clock.source) == (name == "mul8s_1KVA@v2022")


def test_exact_rows_are_told_apart(lenet, multipliers, uniform):
    chip = load_accelerator("xai_gen")
    part = explain_layer(lenet, uniform(lenet, "mul8s_1L2N"), chip, "conv3", multipliers=multipliers)[0]
    assert part.inputs["terms"].value + part.inputs["exact_terms"].value == 400
    assert part.inputs["exact_terms"].value > 0


def test_unknown_layer(lenet, multipliers, uniform):
    with pytest.raises(UnknownNameError, match="conv2"):
        explain_layer(lenet, uniform(lenet, "mul8s_1L2N"), "tpu_v4", "conv22", multipliers=multipliers)
