"""Operators in a cost report: apart from the totals, requantisation included, notes, table, command."""

from __future__ import annotations

import json

import msgspec
import pytest

from axdnn.cli.main import run
from axdnn.hardware import estimate, load_accelerator, operator_costs, paper_literal, priced_operators, requantisations
from axdnn.multipliers import load_multiplier
from axdnn.records import Assignment, CostReport, ExactOperator, Network, from_json, to_json
from axdnn.report import cost_operators_table

EXACT = "mul8s_1KV6"


@pytest.fixture(scope="module")
def network(layer, operator) -> Network:
    """A layer, an activation, a pooling of each kind, an addition, a view."""
    operators = (
        operator("activation", "clamp", operations=64, read=64, written=64, name="relu"),
        operator("pooling", "max_pool2d", operations=48, read=64, written=16, name="max"),
        operator("pooling", "avg_pool2d", operations=80, read=64, written=16, name="mean"),
        operator("elementwise", "add", operations=16, read=32, written=16, name="sum"),
        operator("movement", "reshape", name="view"),
    )
    return Network(name="net", layers=(layer("fc", 4, 9, 16),), exact_operators=operators)


def priced(network, chip="tpu_v4", model=estimate) -> CostReport:
    chosen = Assignment(multipliers=dict.fromkeys(network.layer_names, EXACT))
    return model(network, chosen, chip, multipliers={EXACT: load_multiplier(EXACT)})


def test_results_are_requantised_where_they_become_new_codes(network):
    rows = [(o.name, o.operator, o.kind, o.output_words, o.operations) for o in requantisations(network)]
    assert rows == [
        ("fc", "requantise", "elementwise", 64, 320), ("mean", "requantise", "elementwise", 16, 80),
        ("sum", "requantise", "elementwise", 16, 80),
    ]  # fmt: skip


@pytest.mark.parametrize("chip", ["tpu_v4", "edge_16x16", "sosa_32x32", "xai_gen"])
def test_operators_are_apart_from_the_totals(network, chip):
    report, bare = priced(network, chip), priced(msgspec.structs.replace(network, exact_operators=()), chip)
    assert (report.energy_j, report.latency_s, report.layers) == (bare.energy_j, bare.latency_s, bare.layers)
    assert report.operator_energy_j == pytest.approx(sum(o.total_energy_j for o in report.operators), rel=1e-12)
    assert report.operator_latency_s == pytest.approx(sum(o.latency_s for o in report.operators), rel=1e-12)
    assert report.operator_energy_j > bare.operator_energy_j > 0
    assert [o.name for o in report.operators] == ["relu", "max", "mean", "sum", "fc", "mean", "sum"]
    assert report.operators == priced_operators(network, load_accelerator(chip))
    passes = {o.name for o in report.operators if not o.fused}
    assert passes == {"max", "mean"}
    assert all((o.latency_s > 0) == (not o.fused) for o in report.operators)
    assert from_json(CostReport, to_json(report)) == report
    text = " ".join(report.notes)
    assert "are not part of the totals" in text
    assert "Not priced: exact" not in text


def test_the_report_holds_what_the_vector_unit_says(network):
    """An activation buffer below the peak: passes go through the backing, or DRAM where there is none."""
    small = load_accelerator("tpu_v4").replace(activation_buffer_bytes=50.0)
    homes = {"backing": small, "dram": small.replace(backing_bytes=0.0), "buffer": load_accelerator("tpu_v4")}
    for home, chip in homes.items():
        costs = operator_costs(network.exact_operators, chip, home)
        found = {o.name: o for o in priced(network, chip).operators if o.operator != "requantise"}
        assert found["max"].energy_j == {
            "vector": costs.vector_j[1], "sram": costs.sram_j[1], "dram": costs.dram_j[1]
        }  # fmt: skip
        assert (found["max"].energy_j["dram"] > 0) == (home == "dram")


def test_assumed_parameters_are_among_the_sources(network):
    edge = load_accelerator("edge_16x16")
    report = priced(network, edge.replace(vector_lanes=None))
    assert report.sources["array.vector_lanes"].startswith("64; assumption")
    assert report.sources["energy.vector_8bit"] == edge.sources["energy.vector_8bit"]


def test_networks_saved_without_counts_say_so(network):
    old = tuple(ExactOperator(name=o.name, operator=o.operator, reason="x") for o in network.exact_operators)
    report = priced(msgspec.structs.replace(network, exact_operators=old))
    assert {o.operator for o in report.operators} == {"requantise"}
    assert any(note.startswith("5 exact operators have no counts") for note in report.notes)
    assert not any("have no counts" in note for note in priced(network).notes)


def test_skipped_neurons_are_not_requantised(network):
    whole = priced(network)
    chosen = Assignment(multipliers={"fc": EXACT}, skip={"fc": (0, 3)})
    less = estimate(network, chosen, multipliers={EXACT: load_multiplier(EXACT)})
    assert [o.operations for o in whole.operators if o.name == "fc"] == [320]
    assert [o.operations for o in less.operators if o.name == "fc"] == [5 * 4 * 14]
    assert less.operators[:4] == whole.operators[:4]


def test_reports_saved_before_still_load(network):
    data = json.loads(to_json(priced(network)))
    for key in ("operators", "operator_energy_j", "operator_latency_s"):
        del data[key]
    old = from_json(CostReport, json.dumps(data))
    assert (old.operators, old.operator_energy_j, old.operator_latency_s) == ((), 0.0, 0.0)
    assert cost_operators_table(old).rows == ()
    assert cost_operators_table(old).footer is None


def test_table_by_kind(network):
    report = priced(network)
    table = cost_operators_table(report)
    assert list(zip(table.column("kind"), table.column("runs"), table.column("operators"), strict=True)) == [
        ("activation", "behind the array", 1), ("pooling", "pass", 2), ("elementwise", "behind the array", 1),
        ("requantise", "behind the array", 3),
    ]  # fmt: skip
    assert table.column("operations") == (64, 48 + 80, 16, 480)
    assert table.footer is not None
    assert sum(table.column("energy_j")) == pytest.approx(report.operator_energy_j, rel=1e-12)
    assert sum(table.column("latency_s")) == pytest.approx(report.operator_latency_s, rel=1e-12)
    foot = dict(zip([c.key for c in table.columns], table.footer, strict=True))
    assert foot["operators"] == len(report.operators)
    assert foot["energy_j"] == pytest.approx(report.operator_energy_j, rel=1e-12)
    parts = [sum(table.column(f"{part}_j")) for part in ("vector", "sram", "dram")]
    assert sum(parts) == pytest.approx(report.operator_energy_j, rel=1e-12)


def test_the_command_prints_operators_of_the_streaming_model_alone(network, capsys):
    command = ["estimate", "--model", "lenet5"]
    assert run(command) == 0
    shown = capsys.readouterr().out
    assert "Operators that are no multiply-accumulate layers, streaming model" in shown
    assert shown.count("requantise") == 1
    assert run([*command, "--format", "json"]) == 0
    report = from_json(CostReport, capsys.readouterr().out)
    kinds = [(o.kind, o.operations) for o in report.operators if o.operator != "requantise"]
    assert kinds == [("activation", 4704), ("pooling", 3528), ("activation", 1600), ("pooling", 1200),
                     ("activation", 120), ("activation", 84)]  # fmt: skip
    paper = priced(network, "xai_gen", paper_literal)
    assert (paper.operators, paper.operator_energy_j) == ((), 0.0)
