"""`axdnn estimate` and `accelerators` with a bank of arrays."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from axdnn.records import Assignment, CostReport, GenerationResult, from_json, to_json

Command = Callable[..., Any]
ON_BANK = ("estimate", "--model", "lenet5", "--accelerator", "tpu_v3_bank")
TEXT = """
name: two
description: Two arrays, neither of them exact.
kind: bank
chip: tpu_v3
arrays:
  - {rows: 32, columns: 32, multiplier: mul8u_17KS}
  - {rows: 64, columns: 64, multiplier: mul8s_1KVA@v2022}
"""


@pytest.fixture
def two(tmp_path: Path) -> Path:
    path = tmp_path / "two.yaml"
    path.write_text(TEXT)
    return path


def test_default_multiplier_batch_and_names(axdnn: Command) -> None:
    plain = from_json(CostReport, axdnn(*ON_BANK, "--format", "json").out)
    assert {x.multiplier for x in plain.layers} == {"exact"}
    assert plain.layers[0].traffic_bytes
    for name in ("exact", "mul8s_1KV6"):
        assert from_json(CostReport, axdnn(*ON_BANK, "--multiplier", name, "--format", "json").out) == plain
    coarse = from_json(
        CostReport, axdnn(*ON_BANK, "--multiplier", "mul8s_1L2N", "--batch", "4", "--format", "json").out
    )
    assert {x.multiplier for x in coarse.layers} == {"mul8s_1L2N"}
    assert coarse.batch == 4
    assert coarse.layers[0].macs == 4 * plain.layers[0].macs
    shown = axdnn(*ON_BANK).out
    assert shown.startswith("lenet5 on tpu_v3_bank, bank model")
    assert "array 0 (128 x 128 of exact): conv1, conv2, conv3, fc1, fc2" in shown


def test_the_assignment_of_a_run(
    axdnn: Command, tmp_path: Path, result_of: Callable[[Assignment, CostReport], GenerationResult]
) -> None:
    priced = from_json(CostReport, axdnn(*ON_BANK, "--format", "json").out)
    kinds = ("mul8s_1KV6", "mul8s_1KVP", "mul8s_1L2N")
    names = [x.layer for x in priced.layers]
    chosen = Assignment(multipliers={n: kinds[i % 3] for i, n in enumerate(names)}, skip={"fc1": tuple(range(20))})
    (tmp_path / "result.json").write_text(to_json(result_of(chosen, priced)))
    found = from_json(CostReport, axdnn(*ON_BANK, "--assignment", tmp_path, "--format", "json").out)
    assert [x.multiplier for x in found.layers] == ["exact", "mul8s_1KVP", "mul8s_1L2N", "exact", "mul8s_1KVP"]
    macs = {x.layer: x.macs for x in found.layers}
    assert macs["fc1"] == 64 * 120
    told = axdnn(*ON_BANK, "--assignment", tmp_path, "--explain", "fc1").out
    assert "fc1 on array 0 (128 x 128 of exact), static:" in told


def test_figures_are_explained(axdnn: Command) -> None:
    chosen = (*ON_BANK, "--multiplier", "mul8s_1KVP", "--format", "json")
    report = json.loads(axdnn(*chosen).out)
    told = json.loads(axdnn(*chosen, "--explain", "conv2").out)
    (layer,) = (x for x in report["layers"] if x["layer"] == "conv2")
    assert {p["name"]: p["value"] for p in told} == {**layer["energy_j"], "cycles": layer["cycles"]}
    chip = {p["name"]: p["value"] for p in json.loads(axdnn(*chosen, "--explain", "chip").out)}
    for component, area in report["area_breakdown_m2"].items():
        assert chip[f"area: {component}"] == area
    assert chip["memory: weights"] == report["memory_breakdown_bytes"]["weights"]
    assert "static: array 2" in chip


def test_banks_of_the_users(axdnn: Command, two: Path) -> None:
    estimate = ("estimate", "--model", "lenet5", "--accelerator", two)
    refused = axdnn(*estimate)
    assert (refused.code, refused.out) == (2, "")
    assert "'two' has no exact array" in refused.err
    assert "mul8s_1KVA@v2022, mul8u_17KS" in refused.err
    wired = from_json(CostReport, axdnn(*estimate, "--multiplier", "mul8u_17C8@v2022", "--format", "json").out)
    of_chip = ("estimate", "--model", "lenet5", "--accelerator", "tpu_v3", "--multiplier", "mul8u_17KS")
    plain = from_json(CostReport, axdnn(*of_chip, "--format", "json").out)
    assert {x.multiplier for x in wired.layers} == {"mul8u_17KS"}
    assert wired.layers[0].energy_j["multiplier"] == pytest.approx(plain.layers[0].energy_j["multiplier"])
    slow = [from_json(CostReport, axdnn(*estimate, "--multiplier", "mul8s_1KVA@v2022", "--format", "json", *more).out)
            for more in ((), ("--delay-limits-clock",))]  # fmt: skip
    assert slow[0].latency_s < slow[1].latency_s


def test_listed_shown_and_validated(axdnn: Command, two: Path) -> None:
    rows = {row["name"]: row for row in json.loads(axdnn("accelerators", "list", "--format", "json").out)}
    assert (rows["tpu_v3_bank"]["kind"], rows["tpu_v3_bank"]["pods"]) == ("bank", 3)
    shown = axdnn("accelerators", "show", two).out
    assert "arrays.1" in shown
    assert "64 x 64 of mul8s_1KVA@v2022" in shown
    facts = json.loads(axdnn("accelerators", "show", two, "--format", "json").out)
    assert facts["arrays"][0] == {"rows": 32, "columns": 32, "multiplier": "mul8u_17KS"}
    assert facts["sources"]["idle_fraction"].startswith("1; default")
    valid = axdnn("accelerators", "validate", two)
    assert valid.code == 0
    assert "valid (two: arrays 32 x 32 of mul8u_17KS, 64 x 64 of mul8s_1KVA@v2022)" in valid.out
    two.write_text(TEXT.replace("rows: 32", "rows: -32").replace("mul8s_1KVA", "mul8s_9XXX"))
    wrong = axdnn("accelerators", "validate", two)
    assert wrong.code == 2
    assert len(wrong.err.splitlines()) == 2


@pytest.mark.parametrize(("arguments", "said"), [
    (("--multiplier", "mul8s_1L2J"), "wants multiplier 'mul8s_1L2J', but the arrays hold exact, mul8s_1KVP"),
    (("--multiplier", "mul8s_1L2X"), "unknown multiplier 'mul8s_1L2X'"),
    (("--reading", "ideal"), "--reading must be left out beside --accelerator tpu_v3_bank, which is a bank of arrays"),
    (("--sweep", "pods=1,2"), "--sweep must be left out beside --accelerator tpu_v3_bank"),
    (("--voltage", "0.8"), "--voltage must be left out beside --accelerator tpu_v3_bank"),
    (("--cost-model", "paper_literal"), "--cost-model must be left out beside --accelerator tpu_v3_bank"),
    (("--explain", "conv9"), "conv2"),
])  # fmt: skip
def test_faults(axdnn: Command, arguments: tuple[str, ...], said: str) -> None:
    done = axdnn(*ON_BANK, *arguments)
    assert (done.code, done.out) == (2, "")
    assert said in done.err
