"""Area and memory of a chip: the explained figures are the report's, and formulas give them from the inputs."""

import pytest

from axdnn.hardware import estimate, explain_chip, list_accelerators, load_accelerator
from axdnn.records import Assignment

NOTHING = {"__builtins__": {}}


@pytest.mark.parametrize("name", list_accelerators())
@pytest.mark.parametrize("batch", [1, 3])
def test_formulas_give_the_report(mobile, multipliers, name, batch):
    kinds = ["mul8s_1L2N", "mul8u_QKX", "QKX_sm"][: 1 if name == "eyeriss_like" else 3]
    chosen = Assignment(multipliers={n: kinds[i % len(kinds)] for i, n in enumerate(mobile.layer_names)})
    chip = load_accelerator(name)
    report = estimate(mobile, chosen, chip, multipliers=multipliers, batch=batch)
    parts = explain_chip(report, mobile, chip, multipliers=multipliers)
    wanted = {f"area: {k}": v for k, v in report.area_breakdown_m2.items()}
    wanted |= {f"memory: {k}": v for k, v in report.memory_breakdown_bytes.items() if k != "partial_sums"}
    assert {p.name for p in parts} == set(wanted)
    for part in parts:
        assert part.value == wanted[part.name]
        found = eval(part.formula, NOTHING, {key: x.value for key, x in part.inputs.items()})
        assert found == pytest.approx(wanted[part.name], rel=1e-9), part.name
        assert all(x.source for x in part.inputs.values())


def test_on_every_kind_of_network(lenet, multipliers, uniform):
    chip = load_accelerator("sosa_32x32")
    for kind in ("bus", "mesh", "benes", "crossbar"):
        own = chip.replace(interconnect=kind)
        report = estimate(lenet, uniform(lenet, "mul8s_1KV6"), own, multipliers=multipliers)
        part = {p.name: p for p in explain_chip(report, lenet, own, multipliers=multipliers)}["area: interconnect"]
        assert eval(part.formula, NOTHING, {k: x.value for k, x in part.inputs.items()}) == pytest.approx(part.value)
        assert kind in part.inputs["ports"].source
