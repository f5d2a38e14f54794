"""Wrong input: one clear line on standard error, an exit code that is not 0, and nothing written."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from axdnn.data import get_dataset
from axdnn.models import build_model, save_weights

Command = Callable[..., Any]
GENERATE = ("generate", "--model", "lenet5", "--data", "mnist", "--out", "out")
PAPER = (*GENERATE, "--strategy", "paper", "--paper")
ESTIMATE = ("estimate", "--model", "lenet5")
EXPLAIN = ("explain", "--model", "lenet5", "--data", "mnist")
TRAIN = ("train", "--model", "lenet5", "--data", "mnist", "--out", "out.safetensors")

CASES: dict[str, tuple[tuple[object, ...], tuple[str, ...]]] = {
    "command": (("generat",), ("generate",)),
    "option": ((*GENERATE, "--budgt", 1), ("--budgt",)),
    "missing option": (("generate", "--model", "lenet5"), ("--data",)),
    "missing argument": (("multipliers", "show"), ("name",)),
    "no runs": (("report",), ("runs",)),
    "multiplier": ((*GENERATE, "--multipliers", "mul8u_QKY"), ("mul8u_QKX", "mul8u_QKY", "multipliers list")),
    "one of several": ((*GENERATE, "--multipliers", "exact,mul8u_QKY"), ("mul8u_QKX", "mul8u_QKY")),
    "case": ((*GENERATE, "--multipliers", "MUL8U_QKX"), ("mul8u_QKX",)),
    "no multiplier": ((*GENERATE, "--multipliers", " , "), ("names with commas",)),
    "set": ((*GENERATE, "--multipliers", "evoapprox8"), ("evoapprox8b",)),
    "ambiguous": ((*GENERATE, "--multipliers", "mul8s_1KV8"), ("mul8s_1KV8@v1", "mul8s_1KV8@v2022")),
    "ambiguous to show": (("multipliers", "show", "mul8s_1KV8"), ("mul8s_1KV8@v1", "mul8s_1KV8@v2022")),
    "multiplier to show": (("multipliers", "show", "nothing"), ("nothing",)),
    "transposed symmetric": (("multipliers", "show", "exact.T"), ("symmetric",)),
    "set to list": (("multipliers", "list", "--set", "evoapprox9b"), ("evoapprox8b",)),
    "model": (("generate", "--model", "lenet", "--data", "mnist", "--out", "out"), ("lenet5", "models list")),
    "data": (("generate", "--model", "lenet5", "--data", "mnits", "--out", "out"), ("mnist", "data list")),
    "data to get": (("data", "get", "cifar"), ("cifar10",)),
    "accelerator": ((*GENERATE, "--accelerator", "tpu4"), ("tpu_v4", "accelerators list")),
    "accelerator file": ((*GENERATE, "--accelerator", "absent.yaml"), ("absent.yaml",)),
    "accelerator to show": (("accelerators", "show", "tpu"), ("tpu_v4",)),
    "strategy": ((*GENERATE, "--strategy", "integr"), ("integer",)),
    "score": ((*GENERATE, "--score", "conductanc"), ("conductance",)),
    "objective": ((*GENERATE, "--objective", "energi"), ("energy",)),
    "paper: other strategy": ((*GENERATE, "--paper", "skip=0.5"), ("--strategy paper", "integer")),
    "paper: strategy": ((*GENERATE, "--strategy", "papr", "--paper", "skip=0.5"), ("paper",)),
    "paper: key": ((*PAPER, "skp=0.5"), ("skip", "skp")),
    "paper: no key": ((*PAPER, "=0.5"), ("skip",)),
    "paper: no value": ((*PAPER, "skip"), ("KEY=VALUE", "'skip'")),
    "paper: literal is no key": ((*PAPER, "literal=true"), ("literal",)),
    "paper: empty": ((*PAPER, ""), ("--paper",)),
    "paper: twice": ((*PAPER, "skip=0.5", "--paper", "skip=0.4"), ("skip", "once")),
    "paper: text": ((*PAPER, "skip=half"), ("skip", "a number", "half")),
    "paper: share": ((*PAPER, "skip=1.5"), ("skip", "1.5")),
    "paper: NaN": ((*PAPER, "threshold=nan"), ("threshold", "nan")),
    "paper: fraction of a sweep": ((*PAPER, "sweeps=1.5"), ("sweeps", "whole number")),
    "paper: no sweep": ((*PAPER, "sweeps=0"), ("sweeps", "0")),
    "paper: yes": ((*PAPER, "remove=yes"), ("remove", "true or false", "yes")),
    "paper: units": ((*PAPER, "units=blocks"), ("units", "groups, layers", "blocks")),
    "paper: nothing to do": ((*PAPER, "multipliers=false"), ("skip > 0",)),
    "paper: negative energy": ((*PAPER, "max_energy_j=-1"), ("max_energy_j", "-1")),
    "paper set": ((*GENERATE, "--multipliers", "xai_gen"), ("xai-gen",)),
    "negative budget": ((*GENERATE, "--max-accuracy-loss", -1), ("max_accuracy_loss", "-1")),
    "NaN budget": ((*GENERATE, "--max-accuracy-loss", "nan"), ("max_accuracy_loss", "nan")),
    "infinite budget": ((*GENERATE, "--max-accuracy-loss", "inf"), ("max_accuracy_loss", "inf")),
    "budget over 100": ((*GENERATE, "--max-accuracy-loss", 101), ("max_accuracy_loss", "100")),
    "text budget": ((*GENERATE, "--max-accuracy-loss", "much"), ("--max-accuracy-loss",)),
    "two evaluations": ((*GENERATE, "--evaluations", 2), ("evaluations", "3", "2")),
    "negative evaluations": ((*GENERATE, "--evaluations", -5), ("evaluations", "3", "-5")),
    "half an evaluation": ((*GENERATE, "--evaluations", "4.5"), ("--evaluations",)),
    "negative seed": ((*GENERATE, "--seed", -1), ("seed", "-1")),
    "seed too large": ((*GENERATE, "--seed", 2**63), ("seed",)),
    "format": ((*GENERATE, "--format", "yaml"), ("table", "json", "yaml")),
    "weights that are not there": ((*GENERATE, "--weights", "absent.safetensors"), ("absent.safetensors",)),
    "weights that are a folder": ((*GENERATE, "--weights", "."), ("weights",)),
    "estimate: model": (("estimate", "--model", "resnet9"), ("resnet8",)),
    "estimate: data": ((*ESTIMATE, "--data", "mnst"), ("mnist",)),
    "estimate: multiplier": ((*ESTIMATE, "--multiplier", "mul8u_QKY"), ("mul8u_QKX",)),
    "estimate: accelerator": ((*ESTIMATE, "--accelerator", "tpu4"), ("tpu_v4",)),
    "estimate: reading": ((*ESTIMATE, "--reading", "idea"), ("ideal",)),
    "estimate: both": ((*ESTIMATE, "--multiplier", "exact", "--assignment", "x"), ("not both",)),
    "estimate: no result": ((*ESTIMATE, "--assignment", "absent"), ("absent",)),
    "explain: model": (("explain", "--model", "lenet", "--data", "mnist"), ("lenet5",)),
    "explain: data": (("explain", "--model", "lenet5", "--data", "mnits"), ("mnist",)),
    "explain: score": ((*EXPLAIN, "--scores", "conductance,ablatio"), ("ablation",)),
    "explain: no score": ((*EXPLAIN, "--scores", ","), ("--scores",)),
    "explain: images": ((*EXPLAIN, "--images", 0), ("--images",)),
    "explain: seed": ((*EXPLAIN, "--seed", -3), ("seed", "-3")),
    "train: model": (("train", "--model", "lenet", "--data", "mnist", "--out", "out.safetensors"), ("lenet5",)),
    "train: data": (("train", "--model", "lenet5", "--data", "mnits", "--out", "out.safetensors"), ("mnist",)),
    "train: epochs": ((*TRAIN, "--epochs", 0), ("--epochs",)),
    "train: seed": ((*TRAIN, "--seed", -1), ("seed", "-1")),
    "train: suffix": ((*TRAIN[:-1], "out.pt"), (".safetensors", "out.pt")),
    "report: no run": (("report", "absent"), ("absent",)),
    "report: no result": (("report", "."), ("result.json",)),
}


def refused(done: Any, *parts: str) -> None:
    assert done.code == 2, done
    assert done.out == ""
    assert done.err.startswith("error: ")
    assert done.err.count("\n") == 1
    assert "Traceback" not in done.err
    for part in parts:
        assert part in done.err


@pytest.mark.parametrize("case", CASES)
def test_refused_in_one_line_and_nothing_written(case: str, axdnn: Command, tmp_path: Path) -> None:
    arguments, parts = CASES[case]
    refused(axdnn(*arguments), *parts)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", [b"", b"not weights", b"PK\x03\x04" + b"\0" * 40])
@pytest.mark.parametrize("name", ["w.safetensors", "w.pt"])
@pytest.mark.parametrize("command", [GENERATE, EXPLAIN])
def test_corrupt_weights(command: tuple[str, ...], name: str, content: bytes, axdnn: Command, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    refused(axdnn(*command, "--weights", name), name, "weights file")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_cut_weights(axdnn: Command, tmp_path: Path) -> None:
    path = save_weights(build_model("lenet5", 1, 10, 28), tmp_path / "w.safetensors", {})
    path.write_bytes(path.read_bytes()[:-100])
    refused(axdnn(*GENERATE, "--weights", path), "w.safetensors")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("suffix", ["safetensors", "pt"])
def test_weights_of_another_model(suffix: str, axdnn: Command, tmp_path: Path) -> None:
    other, path = build_model("resnet8", 1, 10, 28), tmp_path / f"w.{suffix}"
    if suffix == "pt":
        torch.save(other.state_dict(), path)
    else:
        save_weights(other, path, {})
    refused(axdnn(*GENERATE, "--weights", path), "lenet5", "missing", "not expected")
    assert not (tmp_path / "out").exists()


@pytest.mark.data
@pytest.mark.parametrize("damage", ["cut", "empty", "changed"])
def test_corrupt_data_cache(
    damage: str, axdnn: Command, data_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "cache" / "data" / "mnist.npz"
    file.parent.mkdir(parents=True)
    shutil.copy(get_dataset("mnist", cache=data_cache), file)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0xFF
    file.write_bytes({"cut": content[: len(content) // 2], "empty": b"", "changed": bytes(content)}[damage])
    monkeypatch.setenv("AXDNN_CACHE", str(tmp_path / "cache"))
    refused(axdnn(*GENERATE, "--quiet"), "mnist.npz", "corrupt", "axdnn data get mnist --force")
    refused(axdnn("data", "get", "mnist", "--quiet"), "mnist.npz")
    assert not (tmp_path / "out").exists()


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_output_folder_of_another_run(axdnn: Command, tmp_path: Path) -> None:
    write(tmp_path / "out" / "run.json", '{"model": "resnet8"}')
    refused(axdnn(*GENERATE), "another run", "resnet8", "lenet5", "--out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["run.json"]


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "\x00"])
def test_output_folder_with_damaged_settings(text: str, axdnn: Command, tmp_path: Path) -> None:
    write(tmp_path / "out" / "run.json", text)
    refused(axdnn(*GENERATE), "run.json", "--out")


def test_output_folder_with_foreign_files(axdnn: Command, tmp_path: Path) -> None:
    write(tmp_path / "out" / "thesis.tex", "years of work")
    refused(axdnn(*GENERATE), "out", "files that are not of a run")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("out", ["file", "file/below", "file/far/below"])
def test_output_path_that_is_a_file(out: str, axdnn: Command, tmp_path: Path) -> None:
    file = write(tmp_path / "file", "text")
    refused(axdnn(*GENERATE[:-1], out), "file", "folder")
    assert file.read_text() == "text"


def test_places_that_cannot_be_written(axdnn: Command, tmp_path: Path) -> None:
    write(tmp_path / "file", "text")
    (tmp_path / "folder.safetensors").mkdir()
    (tmp_path / "folder.png").mkdir()
    refused(axdnn(*EXPLAIN, "--out", "file"), "file")
    refused(axdnn(*TRAIN[:-1], "folder.safetensors"), "folder.safetensors")
    refused(axdnn(*TRAIN[:-1], "file/w.safetensors"), "file")
    refused(axdnn("multipliers", "show", "exact", "--figure", "folder.png"), "folder.png")
    refused(axdnn("multipliers", "show", "exact", "--figure", "map.jpg"), ".png")
    refused(axdnn("report", ".", "--out", "file"), "result.json")


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "JSON"),
        ('{"_type": "GenerationResult", "_version": 1', "JSON"),
        ("[]", "GenerationResult"),
        ('{"_type": "Study", "_version": 1, "settings": {}}', "GenerationResult"),
        ('{"_type": "GenerationResult", "_version": 2}', "_version 1"),
        ('{"_type": "GenerationResult", "_version": 1}', "model"),
        ('{"_type": "GenerationResult", "_version": 1, "accuracy": NaN}', "NaN"),
    ],
)
def test_corrupt_result(text: str, part: str, axdnn: Command, tmp_path: Path) -> None:
    write(tmp_path / "run" / "result.json", text)
    refused(axdnn("report", "run"), "result.json", part)
    refused(axdnn("report", "run/result.json", "run"), "result.json", part)
    refused(axdnn(*ESTIMATE, "--assignment", "run"), "result.json", part)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["result.json"]


def test_corrupt_result_of_the_run_itself(axdnn: Command, tmp_path: Path) -> None:
    from axdnn.generation import Request
    from axdnn.methods.run_folder import RunFolder
    from axdnn.methods.xai_gen import settings_of

    with RunFolder(tmp_path / "out", settings_of("lenet5", "mnist", Request(), None)):
        pass
    write(tmp_path / "out" / "result.json", "{")
    refused(axdnn(*GENERATE), "result.json", "Delete the file")


def test_unfinished_run_is_named_so(axdnn: Command, tmp_path: Path) -> None:
    write(tmp_path / "run" / "study.json", "{}")
    refused(axdnn("report", "run"), "not finished", "rerun")


@pytest.mark.parametrize("text", ["", "- 1", "name: x", "name: [", "\x00"])
def test_corrupt_accelerator_file(text: str, axdnn: Command, tmp_path: Path) -> None:
    write(tmp_path / "chip.yaml", text)
    refused(axdnn(*GENERATE, "--accelerator", "chip.yaml"), "chip.yaml")
    refused(axdnn("accelerators", "show", "chip.yaml"), "chip.yaml")
    assert not (tmp_path / "out").exists()
