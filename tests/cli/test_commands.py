"""`estimate`, `explain`, `train` and `report`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from axdnn.models import build_model, load_weights
from axdnn.records import CostReport, GenerationResult, from_json, load_record, save_record

Command = Callable[..., Any]
LAYERS = ["conv1", "conv2", "conv3", "fc1", "fc2"]


def test_estimate_as_a_table(axdnn: Command) -> None:
    done = axdnn("estimate", "--model", "lenet5")
    assert (done.code, done.err) == (0, "")
    assert all(layer in done.out for layer in LAYERS)
    assert "mul8s_1KV6" in done.out


def test_estimate_as_json_in_both_readings(axdnn: Command) -> None:
    costs = {}
    for reading in ("ideal", "buildable"):
        done = axdnn("estimate", "--model", "lenet5", "--accelerator", "edge_16x16", "--multiplier", "mul8u_QKX",
                     "--reading", reading, "--format", "json")  # fmt: skip
        costs[reading] = from_json(CostReport, done.out)
        assert costs[reading].reading == reading
        assert costs[reading].accelerator == "edge_16x16"
    assert [layer.layer for layer in costs["ideal"].layers] == LAYERS
    assert 0 < costs["ideal"].energy_j <= costs["buildable"].energy_j


def test_estimate_of_another_input(axdnn: Command) -> None:
    done = axdnn("estimate", "--model", "resnet8", "--data", "mnist", "--format", "json")
    assert json.loads(done.out)["network"] == "resnet8"


@pytest.mark.data
def test_explain(axdnn_data: Command, tmp_path: Path) -> None:
    few = ("--images", 20, "--conductance-images", 2, "--steps", 2)
    done = axdnn_data("explain", "--model", "lenet5", "--data", "mnist", *few, "--out", tmp_path / "why")
    assert done.code == 0, done.err
    assert all(layer in done.out for layer in LAYERS)
    saved = json.loads((tmp_path / "why" / "scores.json").read_text())
    assert [score["score"] for score in saved] == ["conductance", "ablation"]
    assert all(list(score["values"]) == LAYERS for score in saved)
    assert (tmp_path / "why" / "importance.png").read_bytes().startswith(b"\x89PNG")
    done = axdnn_data("explain", "--model", "lenet5", "--data", "mnist", *few, "--scores", "conductance",
                      "--format", "json", "--quiet")  # fmt: skip
    assert done.err == ""
    assert json.loads(done.out)[0]["values"] == saved[0]["values"]


@pytest.mark.data
def test_train(axdnn_data: Command, tmp_path: Path) -> None:
    out = tmp_path / "weights" / "mine.safetensors"
    arguments = ("train", "--model", "lenet5", "--data", "mnist", "--out", out, "--images", 512, "--epochs", 1)
    done = axdnn_data(*arguments, "--format", "json", "--quiet")
    assert (done.code, done.err) == (0, "")
    facts = json.loads(done.out)
    assert set(facts) == {"model", "data", "weights", "test_accuracy", "test_images", "recipe"}
    assert 0 < facts["test_accuracy"] < 1
    assert facts["test_images"] == 10_000
    assert load_weights(build_model("lenet5", 1, 10, 28), out)["images"] == facts["recipe"]["images"]
    before = out.read_bytes()
    done = axdnn_data(*arguments)
    assert "test accuracy" in done.out
    assert out.read_bytes() == before


@pytest.mark.data
def test_report_draws_a_run_again(small: Any, axdnn: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_record(tmp_path / "copy" / "result.json", load_record(GenerationResult, small.folder / "result.json"))
    done = axdnn("report", tmp_path / "copy")
    assert (done.code, done.err) == (0, "")
    assert (tmp_path / "copy" / "report.html").exists()
    assert str(tmp_path / "copy" / "report.html") in done.out
    monkeypatch.setattr("axdnn.report.write_report", lambda *_, **__: [])
    done = axdnn("report", tmp_path / "copy" / "result.json", "--format", "json")
    assert done.out == (tmp_path / "copy" / "result.json").read_text(encoding="utf-8")


@pytest.mark.data
def test_report_compares_runs(small: Any, axdnn: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = load_record(GenerationResult, small.folder / "result.json")
    for name in ("random", "greedy"):
        save_record(tmp_path / name / "result.json", msgspec.structs.replace(result, strategy=name))
    runs = (tmp_path / "random", tmp_path / "greedy")
    done = axdnn("report", *runs)
    assert done.code == 0
    assert str(tmp_path / "comparison.html") in done.out
    monkeypatch.setattr("axdnn.report.write_report", lambda *_, **__: [])
    done = axdnn("report", *runs, "--out", tmp_path / "page", "--format", "json")
    assert [row["strategy"] for row in json.loads(done.out)["rows"]] == ["random", "greedy"]
    assert (tmp_path / "page" / "comparison.html").exists()
    assert (tmp_path / "greedy" / "report.html").exists()


@pytest.mark.data
def test_an_assignment_of_another_network_is_refused(small: Any, axdnn: Command, tmp_path: Path) -> None:
    result = load_record(GenerationResult, small.folder / "result.json")
    renamed = {("conv9" if layer == "conv1" else layer): name for layer, name in result.assignment.items()}
    save_record(tmp_path / "result.json", msgspec.structs.replace(result, assignment=renamed))
    done = axdnn("estimate", "--model", "lenet5", "--assignment", tmp_path / "result.json")
    assert done.code == 2
    assert "conv9" in done.err or "conv1" in done.err
    unknown = dict.fromkeys(result.assignment, "mul8u_QKY")
    save_record(tmp_path / "result.json", msgspec.structs.replace(result, assignment=unknown))
    done = axdnn("estimate", "--model", "lenet5", "--assignment", tmp_path)
    assert done.code == 2
    assert "mul8u_QKX" in done.err
