"""`--channel-groups`: a run on real data, resumed, simulated and exported with the run's own numbers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from axdnn.methods import load_run
from axdnn.records import GenerationResult, load_record, save_record

Command = Callable[..., Any]
MORE = ("--model", "lenet5", "--data", "mnist", "--multipliers", "mul8s_1L2N,mul8u_R36,mul8u_13QR", "--quiet",
        "--search-images", "300", "--accept-images", "250", "--test-images", "200", "--strategy", "random",
        "--evaluations", "6", "--max-accuracy-loss", "20",
        "--objective", "multiplier", "--seed", "4", "--score", "none", "--channel-groups", "2")  # fmt: skip


@pytest.fixture(scope="module")
def place(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished run with two groups in `two`."""
    from axdnn.cli.main import run

    folder = tmp_path_factory.mktemp("groups")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AXDNN_CACHE", str(cache))
        patch.chdir(folder)
        assert run(["generate", *MORE, "--out", "two"]) == 0
    return folder


@pytest.fixture
def at_place(place: Path, axdnn_data: Command, monkeypatch: pytest.MonkeyPatch) -> Path:
    """That folder as the current one, with MNIST at hand."""
    monkeypatch.chdir(place)
    return place


@pytest.mark.data
def test_a_saved_run_is_read_back_with_its_split(at_place: Path, axdnn_data: Command) -> None:
    """Accuracy on both splits, and the logits of what is exported, to the bit."""
    result = load_record(GenerationResult, at_place / "two" / "result.json")
    assert json.loads((at_place / "two" / "run.json").read_text())["channel_groups"] == "2"
    assert len(result.assignment) == 10
    assert any(result.assignment[f"{n}.part0"] != result.assignment[f"{n}.part1"] for n in ("conv1", "fc1", "fc2"))
    for split in ("test", "accept"):
        found = json.loads(axdnn_data("simulate", "two", "--split", split, "--format", "json", "--quiet").out)
        run = result.chosen.accuracy[split]
        assert (found["accuracy"], found["baseline_accuracy"]) == (run.accuracy, run.baseline_accuracy)
        assert (found["loss_bound"], found["images"]) == (run.loss_bound, run.images)
    done = axdnn_data("export", "two", "--to", "npz", "--quiet", "--format", "json")
    assert json.loads(done.out)["verified"], done.err
    with np.load(at_place / "two" / "lenet5.npz", allow_pickle=False) as archive:
        assert archive.files


@pytest.mark.data
def test_finished_runs_are_shown_again_and_belong_to_their_groups(at_place: Path, axdnn_data: Command) -> None:
    done = axdnn_data("generate", *MORE, "--out", "two")
    assert done.code == 0
    assert "was finished already" in done.err
    other = axdnn_data("generate", *MORE[:-1], "1", "--out", "two")
    assert other.code != 0
    assert "channel_groups: '2' there, '1' asked" in other.err


@pytest.mark.data
def test_an_assignment_of_parts_is_simulated_without_its_run(at_place: Path, axdnn_data: Command) -> None:
    """One multiplier for all parts gives what it gives without a split."""
    options = ("simulate", "--model", "lenet5", "--data", "mnist", "--multiplier", "mul8u_13QR", "--images", "300",
               "--format", "json", "--quiet")  # fmt: skip
    whole, split = (json.loads(axdnn_data(*options, *more).out) for more in ((), ("--channel-groups", "2")))
    assert all(whole[key] == split[key] for key in ("accuracy", "baseline_accuracy", "loss_bound"))
    assert set(split["multipliers"]) == {f"{name}.part{i}" for name in whole["multipliers"] for i in range(2)}
    result = load_record(GenerationResult, at_place / "two" / "result.json")
    save_record(at_place / "parts.json", result.chosen.assignment)
    refused = axdnn_data(*options[:5], "--assignment", "parts.json", "--quiet")
    assert refused.code != 0
    assert "must name the 5 layers" in refused.err
    both = axdnn_data("simulate", "two", "--channel-groups", "2", "--quiet")
    assert "--channel-groups must be left out beside a run" in both.err


@pytest.mark.data
def test_channels_of_another_run_are_noticed(at_place: Path, axdnn_data: Command) -> None:
    """The record decides, and one that does not fit the network is refused."""
    file = at_place / "two" / "result.json"
    before = file.read_text()
    result = json.loads(before)
    parts = {key: text for key, text in result["provenance"].items() if key.startswith("channels of conv1.")}
    swapped = dict(zip(parts, reversed(parts.values()), strict=True))
    try:
        result["provenance"] |= swapped
        file.write_text(json.dumps(result))
        built = load_run(at_place / "two")
        assert built.evaluator.bank.calibration.split.parts["conv1.part0"].channels == tuple(  # type: ignore[attr-defined]
            int(channel) for channel in swapped["channels of conv1.part0"].split()
        )
        result["provenance"]["channels of conv1.part0"] = "0"
        file.write_text(json.dumps(result))
        refused = axdnn_data("simulate", "two", "--quiet")
        assert refused.code != 0
        assert "channels of the parts" in refused.err
    finally:
        file.write_text(before)


@pytest.mark.parametrize(("groups", "message"), [("0", "at least 1"), ("two", "valid integer")])
def test_bad_numbers_of_groups(axdnn: Command, groups: str, message: str) -> None:
    for command in ("generate", "compare"):
        done = axdnn(command, "--model", "lenet5", "--data", "mnist", "--out", "x", "--channel-groups", groups)
        assert done.code != 0
        assert message in done.err
        assert not Path("x").exists()


@pytest.mark.data
def test_more_groups_than_channels(at_place: Path, axdnn_data: Command) -> None:
    done = axdnn_data("generate", *MORE[:-1], "500", "--out", "many")
    assert done.code != 0
    assert "`channel_groups` must be at most 120" in done.err
