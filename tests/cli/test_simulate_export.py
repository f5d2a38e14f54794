"""`axdnn simulate` and `axdnn export` on real finished runs: the run's own numbers, and errors for what has changed."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import axdnn.hardware
from axdnn.data import Dataset, load_dataset
from axdnn.methods import load_run, simulate
from axdnn.models.loading import PACKAGE_WEIGHTS
from axdnn.records import GenerationResult, InvalidInputError, load_record, save_record

Command = Callable[..., Any]
LENET = PACKAGE_WEIGHTS / "lenet5-mnist.safetensors"
XAI_GEN = Path(axdnn.hardware.__file__).parent / "designs" / "xai_gen.yaml"
READER = Path(__file__).resolve().parents[2] / "examples" / "read_export.py"
CODE = "from axdnn.models import build_model\ndef net():\n    return build_model('lenet5', 1, 10, 28)\n"
FEW = ("--multipliers", "mul8s_1L2N,mul8u_R36,mul8u_13QR", "--quiet", "--data", "mnist",
       "--search-images", "300", "--accept-images", "250", "--test-images", "200")  # fmt: skip
SETTING = {"known": (), "own": ("--weights", LENET, "--accelerator", "half.yaml")}


@pytest.fixture(scope="module")
def runs(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`known`: a network of the zoo. `own`: a user's code, weights and chip with exact rows, and skipped neurons."""
    from axdnn.cli.main import run

    place = tmp_path_factory.mktemp("runs")
    (place / "net.py").write_text(CODE)
    shutil.copy(XAI_GEN, place / "half.yaml")
    known = ("--model", "lenet5", "--strategy", "random", "--seed", "3", "--evaluations", "4", "--score", "none")
    own = ("--model", "net.py:net", *SETTING["own"], "--strategy", "paper", "--paper", "skip=0.2",
           "--paper", "remove=true", "--max-accuracy-loss", "30", "--evaluations", "10")  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AXDNN_CACHE", str(cache))
        patch.chdir(place)
        for name, options in (("known", known), ("own", own)):
            assert run([str(v) for v in ("generate", *options, *FEW, "--out", name)]) == 0
    return place


@pytest.fixture
def at_runs(runs: Path, axdnn_data: Command, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the runs as the current one, with MNIST at hand."""
    monkeypatch.chdir(runs)
    return runs


@pytest.mark.parametrize("name", ["known", "own"])
def test_simulating_a_run_gives_its_numbers(at_runs: Path, axdnn_data: Command, name: str) -> None:
    result = load_record(GenerationResult, at_runs / name / "result.json")
    before = {file: file.stat().st_mtime_ns for file in (at_runs / name).rglob("*")}
    for split in ("test", "accept"):
        done = axdnn_data("simulate", name, "--split", split, "--format", "json", *SETTING[name])
        found, run = json.loads(done.out), result.chosen.accuracy[split]
        assert (found["accuracy"], found["baseline_accuracy"]) == (run.accuracy, run.baseline_accuracy)
        assert (found["loss_bound"], found["images"]) == (run.loss_bound, run.images)
        assert f"approximate network, {split}" in done.err
    assert json.loads(axdnn_data("simulate", name, *SETTING[name], "--format", "json").out)["float_accuracy"] == (
        result.float_accuracy
    )
    assert {file: file.stat().st_mtime_ns for file in (at_runs / name).rglob("*")} == before
    if name == "own":
        built = load_run(name, weights=LENET, accelerator="half.yaml")
        model = built.model()
        assert result.chosen.assignment.skip
        assert result.chosen.assignment.absent
        assert any(model.layer(layer).terms is not None for layer in model.layer_names)


def test_every_path_and_fewer_images(at_runs: Path, axdnn_data: Command) -> None:
    found = [
        json.loads(axdnn_data("simulate", "known", "--images", "20", "--path", path, "--format", "json").out)
        for path in ("auto", "reference", "lookup")
    ]
    assert [f.pop("path") for f in found] == ["auto", "reference", "lookup"]
    assert found[0] == found[1] == found[2]
    assert found[0]["images"] == 20
    assert "20 images of mnist, calibration" in axdnn_data(
        "simulate", "known", "--images", 20, "--split", "calibration"
    ).out  # fmt: skip


def test_without_a_run(at_runs: Path, axdnn_data: Command, tmp_path: Path) -> None:
    chosen = load_record(GenerationResult, at_runs / "known" / "result.json").chosen
    save_record(tmp_path / "chosen.json", chosen.assignment)
    names = ("--model", "lenet5", "--data", "mnist")
    options = ("--seed", "3", "--images", "200", "--format", "json", "--quiet")
    done = axdnn_data("simulate", *names, "--assignment", tmp_path / "chosen.json", *options)
    assert json.loads(done.out)["accuracy"] == chosen.accuracy["test"].accuracy
    assert done.err == ""
    one = json.loads(axdnn_data("simulate", *names, "--multiplier", "mul8s_1L2N", *options).out)
    assert set(one["multipliers"].values()) == {"mul8s_1L2N"}
    few = chosen.assignment.multipliers
    few.popitem()
    save_record(tmp_path / "few.json", chosen.assignment)
    for wrong, says in (
        (("--assignment", tmp_path / "few.json"), "must name the 5 layers"),
        (("--multiplier", "mul8s_1L2X"), "mul8s_1L2N"),
        ((), "one of --multiplier and --assignment"),
        (("--multiplier", "exact", "--assignment", tmp_path / "few.json"), "one of --multiplier and --assignment"),
    ):
        done = axdnn_data("simulate", *names, *wrong)
        assert done.code == 2
        assert says in done.err


def test_exporting_a_run(at_runs: Path, axdnn_data: Command, tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("read_export", READER)
    assert spec is not None
    assert spec.loader is not None
    reader = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(reader)
    images = load_dataset("mnist").tensors("test", 6)[0]
    for name in ("known", "own"):
        model = load_run(name, **{"weights": LENET, "accelerator": "half.yaml"} if name == "own" else {}).model()
        out = tmp_path / f"{name}.npz"
        done = axdnn_data("export", name, "--to", "npz", "--out", out, *SETTING[name], "--quiet")
        assert "identical" in done.out
        assert np.array_equal(reader.run(out, images.numpy())[0], model(images).numpy())
    for to in ("onnx", "pt2"):
        done = axdnn_data("export", "known", "--to", to, "--out", tmp_path / f"x.{to}", "--format", "json")
        found = json.loads(done.out)
        assert found["verified"] is True
        assert found["bytes"] == (tmp_path / f"x.{to}").stat().st_size
    assert (tmp_path / "x.pt2").exists()
    with torch.no_grad():
        again = torch.export.load(tmp_path / "x.pt2").module()(images)
    assert torch.equal(again, load_run("known").model()(images))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["known", "--to", "onnx", "--out", "net.npz"], "end in .onnx"),
        (["known", "--to", "onnx", "--multiplier", "exact"], "--multiplier must be left out"),
        (["known", "--to", "onnx", "--data", "mnist"], "--data must be left out"),
        (["known", "--to", "onnx", "--weights", str(LENET)], "leave --weights out"),
        (["own", "--to", "onnx"], "give it with --weights"),
        (["own", "--to", "onnx", "--weights", str(LENET)], "give it with --accelerator"),
        (["nowhere", "--to", "npz"], "there must be a finished run"),
    ],
)
def test_what_does_not_go_together(at_runs: Path, axdnn_data: Command, arguments: list[str], says: str) -> None:
    done = axdnn_data("export", *arguments, "--quiet")
    assert done.code == 2
    assert says in done.err


def test_what_has_changed_since_the_run_is_found(at_runs: Path, axdnn_data: Command, tmp_path: Path) -> None:
    def changed(**settings: str | None) -> str:
        shutil.rmtree(tmp_path / "run", ignore_errors=True)
        shutil.copytree(at_runs / "known", tmp_path / "run")
        file = tmp_path / "run" / "run.json"
        found = {**json.loads(file.read_text()), **settings}
        file.write_text(json.dumps({key: value for key, value in found.items() if value is not None}))
        done = axdnn_data("simulate", tmp_path / "run", "--quiet")
        assert done.code == 2
        return str(done.err)

    assert "weights_digest" in changed(weights_digest="0" * 20)
    assert "data_sha256" in changed(data_sha256="0" * 64)
    assert "lacks seed" in changed(seed=None)
    assert "recipe" in changed(recipe="Recipe(magic=True)")
    assert "recipe" in changed(recipe="__import__('os').getcwd()")
    assert "has changed since the run" in changed(model="net.py:net " + "0" * 64)
    (tmp_path / "run" / "result.json").unlink()
    assert "is not finished" in axdnn_data("simulate", tmp_path / "run").err


def test_data_of_another_shape_are_refused(at_runs: Path, axdnn_data: Command) -> None:
    built = load_run("known")
    pixels, labels = np.zeros((100, 3, 32, 32), np.uint8), np.zeros(100, np.int64)
    other = Dataset(
        name="colours", train_images=pixels, train_labels=labels, test_images=pixels, test_labels=labels,
        classes=tuple("0123456789"), source="made here", sha256="",
    )  # fmt: skip
    with pytest.raises(InvalidInputError, match=r"takes images \(3, 32, 32\) of 10 classes, but 'mnist'"):
        simulate(dataclasses.replace(built, dataset=other), data="mnist", images=5)


ATTENTION_AND_LSTM = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.patch = nn.Conv2d(1, 8, 7, 7)
        self.token = nn.Parameter(torch.randn(1, 1, 8))
        self.block = nn.TransformerEncoderLayer(8, 2, 16, 0.0, batch_first=True, norm_first=True)
        self.rnn, self.head = nn.LSTM(8, 6, batch_first=True), nn.Linear(6, 10)

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = self.block(torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1))
        return self.head(self.rnn(x[:, ::4])[0][:, -1])

def net():
    torch.manual_seed(0)
    return Net()
"""


@pytest.mark.slow
def test_exporting_a_run_of_a_network_with_attention_and_recurrence(
    axdnn_data: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(READER.parent))
    (tmp_path / "net.py").write_text(ATTENTION_AND_LSTM)
    options = ("--strategy", "random", "--evaluations", "3", "--score", "none", "--max-accuracy-loss", "30")
    assert axdnn_data("generate", "--model", "net.py:net", *options, *FEW, "--out", "run").code == 0
    images = load_dataset("mnist").tensors("test", 6)[0]
    wanted = load_run("run").model()(images)
    for to in ("onnx", "pt2", "npz"):
        done = axdnn_data("export", "run", "--to", to, "--out", f"net.{to}", "--quiet")
        assert "results on 4 inputs identical" in done.out
    found = torch.export.load(tmp_path / "net.pt2").module()(images)
    assert torch.equal(found, wanted)
    read = importlib.import_module("read_export").run(tmp_path / "net.npz", images.numpy())[0]
    assert np.array_equal(read, wanted.numpy())
