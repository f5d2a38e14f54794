"""`axdnn generate` on the whole of MNIST, and what its result says."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch

import axdnn
from axdnn.data import load_dataset
from axdnn.layers import Recipe
from axdnn.methods import splits_of
from axdnn.models import load_model
from axdnn.records import GenerationResult, Study, load_record

# One worker makes the shared run; the others need not make it again.
pytestmark = [pytest.mark.data, pytest.mark.xdist_group("full_run")]

NUMBERS = (
    "baseline_accuracy", "accuracy", "float_accuracy", "energy_j", "baseline_energy_j", "multiplier_energy_j",
    "baseline_multiplier_energy_j", "latency_s", "baseline_latency_s", "memory_bytes", "baseline_memory_bytes",
    "area_m2", "baseline_area_m2", "evaluations", "network_images", "wall_s",
)  # fmt: skip
LABELS = ("model", "data", "accelerator", "multiplier_set", "strategy", "status", "reason")
LAYERS = ["conv1", "conv2", "conv3", "fc1", "fc2"]


@pytest.fixture(scope="module")
def result(finished: Any) -> GenerationResult:
    assert finished.done.code == 0, finished.done.err
    return load_record(GenerationResult, finished.folder / "result.json")


def test_the_budget_is_met_at_a_tenth_of_the_multiplier_energy(result: GenerationResult) -> None:
    assert result.status == "met"
    assert 100 * (result.baseline_accuracy - result.accuracy) <= 1.0
    assert result.baseline_accuracy > 0.99
    assert result.baseline_multiplier_energy_j >= 10 * result.multiplier_energy_j > 0
    assert result.energy_j < result.baseline_energy_j


def test_the_result_file_holds_what_is_documented(finished: Any, result: GenerationResult) -> None:
    plain = json.loads((finished.folder / "result.json").read_text(encoding="utf-8"))
    assert (plain["_type"], plain["_version"]) == ("GenerationResult", 1)
    for key in NUMBERS:
        assert isinstance(plain[key], int | float), key
        assert math.isfinite(plain[key]), key
        assert plain[key] > 0, key
    for key in LABELS:
        assert plain[key].strip(), key
    assert list(plain["assignment"]) == LAYERS
    assert plain["images"] == {"search": 5000, "accept": 5000, "test": 10_000, "calibration": 256}
    for key in ("axdnn", "torch", "numpy", "data_source", "data_sha256", "weights_source", "multiplier_library"):
        assert plain["provenance"][key]
    assert 2 < plain["evaluations"] <= 30
    assert len(plain["visited"]) >= 2
    assert result.chosen.accuracy.keys() == {"search", "accept", "test"}
    assert result.chosen.accepted
    assert 100 * result.chosen.accuracy["accept"].loss_bound <= 1.0


def test_figures_of_the_result_are_those_of_its_cost_reports(result: GenerationResult) -> None:
    for prefix, cost in (("", result.cost), ("baseline_", result.baseline_cost)):
        for key in ("energy_j", "multiplier_energy_j", "latency_s", "memory_bytes", "area_m2"):
            assert getattr(result, prefix + key) == getattr(cost, key)
        assert cost.reading == "buildable"
        assert sum(cost.energy_breakdown_j.values()) == pytest.approx(cost.energy_j, rel=1e-9)
    assert {layer.layer: layer.multiplier for layer in result.cost.layers} == result.assignment


def test_the_printed_summary_names_the_answer(finished: Any, result: GenerationResult) -> None:
    for part in (result.status, *set(result.assignment.values()), str(finished.folder / "report.html"), "10,000"):
        assert part in finished.done.out
    assert finished.done.err.count("\n") < 60, "progress is a line now and then"
    assert "Traceback" not in finished.done.err


def test_the_folder_holds_report_figures_and_history(finished: Any, result: GenerationResult) -> None:
    report = (finished.folder / "report.html").read_text(encoding="utf-8")
    assert "lenet5" in report
    assert {f.suffix for f in (finished.folder / "figures").iterdir()} == {".png"}
    study = load_record(Study, finished.folder / "study.json")
    assert study.finished
    assert study.best is not None
    assert study.best.assignment.key == result.chosen.assignment.key
    assert study.full_evaluations == result.evaluations
    assert not [f for f in finished.folder.iterdir() if f.name.startswith(".") and f.name != ".lock"]


def test_the_recorded_accuracy_is_that_of_the_recorded_assignment(
    result: GenerationResult, axdnn_data: Callable[..., Any]
) -> None:
    """From the assignment alone, without the caches of the run: every one of the 10,000 test images."""
    dataset, model = load_dataset("mnist"), load_model("lenet5", "mnist").model
    calibration, splits = splits_of(dataset, result.seed)
    for chosen, recorded in ((result.assignment, result.accuracy), ("exact", result.baseline_accuracy)):
        approximate = axdnn.approximate(model, chosen, calibration, recipe=Recipe(seed=result.seed))
        images, labels = splits["test"].images, splits["test"].labels
        found = torch.cat([approximate(part).argmax(dim=1) for part in images.split(1000)])
        assert int((found == labels).sum()) / len(labels) == recorded


def test_estimate_prices_the_recorded_assignment_alike(finished: Any, axdnn: Callable[..., Any]) -> None:
    result = load_record(GenerationResult, finished.folder / "result.json")
    for given in (finished.folder, finished.folder / "result.json"):
        done = axdnn("estimate", "--model", "lenet5", "--assignment", given, "--format", "json")
        assert done.code == 0
        assert json.loads(done.out)["energy_j"] == result.energy_j


def test_a_finished_folder_is_shown_again(finished: Any, axdnn_data: Callable[..., Any]) -> None:
    before = (finished.folder / "result.json").read_bytes()
    done = axdnn_data(*finished.arguments, "--format", "json")
    assert done.code == 0
    assert "finished already" in done.err
    assert done.out.encode() == before == (finished.folder / "result.json").read_bytes()


def test_other_settings_do_not_touch_a_finished_folder(finished: Any, axdnn_data: Callable[..., Any]) -> None:
    before = (finished.folder / "result.json").stat()
    for option, value in (("--seed", 1), ("--max-accuracy-loss", 2), ("--strategy", "greedy"), ("--evaluations", 29)):
        done = axdnn_data(*finished.arguments, option, value)
        assert done.code == 2
        assert "another run" in done.err
        assert str(value) in done.err
        assert "--out" in done.err
    assert (finished.folder / "result.json").stat() == before


def test_a_budget_that_cannot_be_met_returns_the_exact_network(tmp_path: Any, axdnn_data: Callable[..., Any]) -> None:
    done = axdnn_data(
        "generate", "--model", "lenet5", "--data", "mnist", "--out", tmp_path / "none", "--max-accuracy-loss", 0,
        "--multipliers", "mul8u_13QR,mul8s_1L2N", "--score", "none", "--evaluations", 4, "--quiet",
    )  # fmt: skip
    assert (done.code, done.err) == (0, "")
    result = load_record(GenerationResult, tmp_path / "none" / "result.json")
    assert result.status == "exact"
    assert "exact network" in result.reason
    assert "exact network" in done.out
    assert result.accuracy == result.baseline_accuracy
    assert result.energy_j == result.baseline_energy_j
    assert set(result.assignment.values()) == {"mul8s_1KV6"}
    assert result.evaluations <= 4
