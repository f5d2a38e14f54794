"""Operators in the totals: apart, plus the operators, plus static energy of the chip while their passes run."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from axdnn.cli.main import run
from axdnn.hardware import estimate, load_accelerator
from axdnn.multipliers import load_multiplier
from axdnn.records import Assignment, CostReport, InvalidInputError, Network, from_json, to_json
from axdnn.report import Quantity, cost_energy_table, cost_operators_table, cost_totals_table

KINDS = ("mul8s_1KV6", "mul8s_1L2N")


@pytest.fixture(scope="module")
def network(layer, operator) -> Network:
    """Two layers; operators behind the array and three passes."""
    operators = (
        operator("activation", "clamp", operations=6400, read=6400, written=6400, name="relu"),
        operator("pooling", "max_pool2d", operations=4800, read=6400, written=1600, name="max"),
        operator("softmax", "softmax", operations=6000, transcendental=1700, read=1600, written=1600, name="soft"),
        operator("movement", "cat", read=3200, written=3200, name="join"),
        operator("movement", "reshape", name="view"),
    )
    return Network(name="net", layers=(layer("a", 40, 90, 160), layer("b", 9, 64, 30)), exact_operators=operators)


def priced(network: Network, chip: str = "tpu_v4", **options: Any) -> CostReport:
    chosen = Assignment(multipliers=dict(zip(network.layer_names, KINDS, strict=True)))
    return estimate(network, chosen, chip, multipliers={n: load_multiplier(n) for n in KINDS}, **options)


CASES = [
    ("tpu_v4", {}), ("edge_16x16", {"batch": 3}), ("sosa_32x32", {"reading": "ideal"}),
    ("tpu_v4", {"delay_limits_clock": True}), ("eyeriss_like", {"reading": "ideal", "batch": 2}),
]  # fmt: skip


@pytest.mark.parametrize(("chip", "options"), CASES)
def test_totals_are_those_apart_and_the_operators_and_static_energy(network, chip, options):
    apart, whole = priced(network, chip, **options), priced(network, chip, operators="included", **options)
    static_w = apart.layers[0].energy_j["static"] / apart.layers[0].latency_s
    static_j = static_w * apart.operator_latency_s
    assert static_j > 0
    assert whole.latency_s == pytest.approx(apart.latency_s + apart.operator_latency_s, rel=1e-12)
    assert whole.energy_j == pytest.approx(apart.energy_j + apart.operator_energy_j + static_j, rel=1e-12)
    before, after = apart.energy_breakdown_j, whole.energy_breakdown_j
    assert sum(after.values()) == pytest.approx(whole.energy_j, rel=1e-12)
    assert sum(before.values()) == pytest.approx(apart.energy_j, rel=1e-12)
    assert after["static"] == pytest.approx(before["static"] + static_j, rel=1e-12)
    for part in ("vector", "sram", "dram"):
        own = sum(o.energy_j[part] for o in apart.operators)
        assert after[part] == pytest.approx(before.get(part, 0.0) + own, rel=1e-12)
    assert {key: after[key] for key in ("multiplier", "mac_rest")} == {
        key: before[key] for key in ("multiplier", "mac_rest")
    }


@pytest.mark.parametrize(("chip", "options"), CASES)
def test_nothing_else_changes(network, chip, options):
    apart, whole = priced(network, chip, **options), priced(network, chip, operators="included", **options)
    assert priced(network, chip, operators="apart", **options) == apart
    assert not apart.operators_included
    assert whole.operators_included
    changed = ("energy_j", "latency_s", "operators", "operator_energy_j", "operators_included", "notes")
    own = {field for field in apart.__struct_fields__ if getattr(apart, field) != getattr(whole, field)}
    assert own == set(changed)
    for one, other in zip(apart.operators, whole.operators, strict=True):
        static = other.energy_j["static"]
        assert (static > 0) == (not one.fused)
        assert (
            msgspec.structs.replace(other, energy_j={k: v for k, v in other.energy_j.items() if k != "static"}) == one
        )


def test_notes_say_what_the_totals_contain(network):
    apart, whole = (" ".join(priced(network, operators=o).notes) for o in ("apart", "included"))
    assert "are not part of the totals" in apart
    assert "the totals contain them" not in apart
    assert "are not part of the totals" not in whole
    assert "the totals contain them" in whole
    report = priced(network, operators="included")
    said = f"{1e6 * report.operator_energy_j:.6g} µJ and {1e6 * report.operator_latency_s:.6g} µs"
    assert said in whole
    low = float(whole.split("(total ")[1].split(" to ")[0]) * 1e-6  # the sensitivity is that of the whole total
    assert report.energy_j * 0.9 < low <= report.energy_j


def test_reports_are_saved_and_older_ones_load(network):
    whole = priced(network, operators="included")
    assert from_json(CostReport, to_json(whole)) == whole
    data = json.loads(to_json(priced(network)))
    del data["operators_included"]
    assert from_json(CostReport, json.dumps(data)) == priced(network)


def test_tables_add_up(network):
    whole = priced(network, operators="included")
    energy = cost_energy_table(whole)
    assert energy.column("layer") == ("a", "b", "operators")
    for i, column in enumerate(energy.columns[1:], start=1):
        assert sum(energy.column(column.key)) == pytest.approx(energy.footer[i], rel=1e-12)
    assert energy.footer[1] == whole.energy_j
    operators = cost_operators_table(whole)
    assert sum(operators.column("static_j")) == pytest.approx(sum(o.energy_j["static"] for o in whole.operators))
    assert operators.notes[0].startswith("Part of the totals")
    totals = cost_totals_table(whole)
    values = dict(zip(totals.column("figure"), totals.column("value"), strict=True))
    assert len(values) == len(totals.rows), "a label stands twice"
    assert values["of which operators"] == Quantity(whole.operator_energy_j, "J")
    assert values["of which passes of operators"] == Quantity(whole.operator_latency_s, "s")
    apart = priced(network)
    assert cost_energy_table(apart).column("layer") == ("a", "b")
    assert cost_operators_table(apart).notes[0].startswith("Not part of the totals")
    assert not any("operators" in str(figure) for figure in cost_totals_table(apart).column("figure"))


def test_the_machine_takes_the_option_and_wrong_ones_are_refused(network):
    chip = load_accelerator("tpu_v4")
    assert chip.cost(network, operators="included").energy_j > chip.cost(network).energy_j
    with pytest.raises(InvalidInputError, match="`operators` must be one of apart, included, but got 'inside'"):
        chip.cost(network, operators="inside")


def test_the_command(capsys):
    command = ["estimate", "--model", "lenet5", "--format", "json", "--accelerator", "edge_16x16"]
    found = []
    for options in ([], ["--operators", "apart"], ["--operators", "included"]):
        assert run([*command, *options]) == 0
        found.append(from_json(CostReport, capsys.readouterr().out))
    assert found[0] == found[1]
    assert found[2].latency_s == pytest.approx(found[0].latency_s + found[0].operator_latency_s, rel=1e-12)
    for options, said in (
        (["--operators", "inside"], "'inside'"),
        (["--operators", "included", "--accelerator", "isaac"], "prices layers alone"),
        (["--operators", "included", "--cost-model", "paper_literal"], "--cost-model streaming"),
        (["--operators", "included", "--sweep", "pods=1,2"], "--operators must be left out beside --sweep"),
        (["--operators", "included", "--explain", "conv1"], "--operators must be left out beside --explain"),
    ):
        assert run(["estimate", "--model", "lenet5", *options]) == 2
        assert said in capsys.readouterr().err
