"""`--model file.py:function` with weights and normalisation through `estimate`, `explain` and `generate`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from axdnn.models import build_model, save_weights
from axdnn.models.loading import PACKAGE_WEIGHTS
from axdnn.records import GenerationResult, load_record

Command = Callable[..., Any]
FEW = "mul8s_1L2N,mul8u_R36,mul8u_13QR"
LENET = PACKAGE_WEIGHTS / "lenet5-mnist.safetensors"
CODE = """
import torch
from axdnn.models import build_model

def net():
    return build_model("lenet5", 1, 10, 28)

class Scaled(torch.nn.Module):
    '''Takes pixels in -1..1; the weights are those of the network that takes 0..1.'''
    def __init__(self):
        super().__init__()
        self.inner = net()
    def forward(self, x):
        return self.inner(x * 0.5 + 0.5)

def raises(): raise RuntimeError("no luck")
def nothing(): return 3
def needs(size): return net()
"""


@pytest.fixture
def user(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(CODE)
    return tmp_path


MINE = ("--model", "mine.py:net", "--data", "mnist")
BAD: dict[str, tuple[tuple[object, ...], tuple[str, ...]]] = {
    "missing file": (("--model", "absent.py:net", "--data", "mnist"), ("absent.py",)),
    "missing module": (("--model", "no_such_module:net", "--data", "mnist"), ("no_such_module",)),
    "no function named": (("--model", "mine.py", "--data", "mnist"), ("file.py:function",)),
    "no such function": (("--model", "mine.py:nett", "--data", "mnist"), ("nett", "nearest: net")),
    "function raises": (("--model", "mine.py:raises", "--data", "mnist"), ("RuntimeError: no luck",)),
    "not a module": (("--model", "mine.py:nothing", "--data", "mnist"), ("torch.nn.Module", "int")),
    "needs arguments": (("--model", "mine.py:needs", "--data", "mnist"), ("without arguments", "size")),
    "other images": (("--model", "mine.py:net", "--data", "cifar10"), ("(n, 3, 32, 32)",)),
    "missing weights": ((*MINE, "--weights", "absent.pt"), ("absent.pt",)),
    "folder of weights": ((*MINE, "--weights", "."), ("weights",)),
    "wrong weights": ((*MINE, "--weights", "resnet.pt"), ("resnet.pt", "missing", "not expected")),
    "weights that are text": ((*MINE, "--weights", "mine.py"), ("mine.py", "weights file")),
    "mean of two": ((*MINE, "--mean", "0.1,0.2"), ("mean", "got 2")),
    "mean of words": ((*MINE, "--mean", "grey"), ("--mean", "'grey'")),
    "empty mean": ((*MINE, "--mean", ""), ("--mean", "''")),
    "NaN mean": ((*MINE, "--mean", "nan"), ("mean", "finite", "nan")),
    "infinite mean": ((*MINE, "--mean", "inf"), ("mean", "finite", "inf")),
    "std 0": ((*MINE, "--std", "0"), ("std", "above 0")),
    "negative std": ((*MINE, "--std", "-0.5"), ("std", "above 0", "-0.5")),
    "NaN std": ((*MINE, "--std", "nan"), ("std", "finite")),
    "std of three": ((*MINE, "--std", "1,1,1"), ("std", "got 3")),
    "mean of a known network": (("--model", "lenet5", "--data", "mnist", "--mean", "0.5"), ("--mean", "your own")),
}
COMMANDS: dict[str, tuple[object, ...]] = {
    "generate": ("generate", "--out", "out", "--quiet"),
    "explain": ("explain", "--out", "out", "--quiet"),
    "estimate": ("estimate",),
}


def refused(done: Any, *parts: str) -> None:
    assert (done.code, done.out) == (2, ""), done
    assert done.err.startswith("error: ")
    assert done.err.count("\n") == 1
    for part in parts:
        assert part in done.err


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("case", BAD)
def test_refused_in_one_line_and_nothing_written(case: str, command: str, axdnn: Command, user: Path) -> None:
    torch.save(build_model("resnet8", 1, 10, 28).state_dict(), user / "resnet.pt")
    before = sorted(user.rglob("*"))
    arguments, parts = BAD[case]
    refused(axdnn(*COMMANDS[command], *arguments), *parts)
    assert sorted(user.rglob("*")) == before


@pytest.mark.parametrize("option", ["--search-images", "--accept-images", "--test-images"])
@pytest.mark.parametrize("count", ["0", "-3", "2.5", "many"])
def test_counts_of_images_that_cannot_be(option: str, count: str, axdnn: Command, user: Path) -> None:
    refused(axdnn("generate", *MINE, "--out", "out", option, count), option)
    assert not (user / "out").exists()


@pytest.mark.data
@pytest.mark.parametrize("split", ["search", "accept", "test"])
def test_more_images_than_there_are(split: str, axdnn_data: Command, user: Path) -> None:
    done = axdnn_data("generate", *MINE, "--out", "out", f"--{split}-images", 10_001, "--quiet")
    refused(done, split, "10001")
    assert not (user / "out").exists()
    if split == "search":
        refused(axdnn_data("explain", *MINE, "--out", "out", "--images", 10_001, "--quiet"), split, "10001")
        assert not (user / "out").exists()


def test_estimate_needs_no_weights_and_prices_the_same(axdnn: Command, user: Path) -> None:
    refused(axdnn("estimate", "--model", "mine.py:net"), "--data")
    mine = json.loads(axdnn("estimate", *MINE, "--format", "json").out)
    known = json.loads(axdnn("estimate", "--model", "lenet5", "--format", "json").out)
    assert mine.pop("network") == "mine.py:net"
    assert known.pop("network") == "lenet5"
    assert mine == known
    module = axdnn("estimate", "--model", "mine:net", "--data", "mnist", "--format", "json", "--mean", "0.1")
    assert json.loads(module.out)["energy_j"] == known["energy_j"]


@pytest.mark.data
def test_explain_agrees_with_the_known_network(axdnn_data: Command, user: Path) -> None:
    """The same weights by three ways: by name, by code, and by code that wants pixels in -1..1."""
    scores = "conductance,integrated_gradients,gradient_x_activation"
    few = ("--conductance-images", 4, "--steps", 3, "--images", 8, "--scores", scores, "--quiet", "--format", "json")
    known = json.loads(axdnn_data("explain", "--model", "lenet5", "--data", "mnist", *few, "--out", "known").out)
    mine = json.loads(axdnn_data("explain", *MINE, "--weights", LENET, *few).out)
    assert mine == known
    assert [score["score"] for score in mine] == scores.split(",")
    assert (user / "runs" / "explain-mine-net-mnist" / "importance.png").exists()
    shipped = build_model("lenet5", 1, 10, 28)
    from safetensors.torch import load_file

    shipped.load_state_dict(load_file(LENET))
    torch.save({f"inner.{key}": value for key, value in shipped.state_dict().items()}, user / "scaled.pt")
    scaled = json.loads(
        axdnn_data("explain", "--model", "mine.py:Scaled", "--data", "mnist", "--weights", "scaled.pt", "--mean", "0.5",
                   "--std", "0.5", *few).out
    )  # fmt: skip
    for one, other in zip(scaled, known, strict=True):
        assert list(one["values"]) == [f"inner.{layer}" for layer in other["values"]]
        assert list(one["values"].values()) == pytest.approx(list(other["values"].values()), rel=1e-3)


@pytest.mark.data
def test_explain_shows_the_cost_of_each_score(axdnn_data: Command, user: Path) -> None:
    done = axdnn_data("explain", *MINE, "--weights", LENET, "--conductance-images", 4, "--steps", 3, "--images", 8,
                      "--scores", "conductance,gradient_x_activation", "--quiet")  # fmt: skip
    assert "Cost of scores" in done.out
    lines = {line.split()[0]: line.split() for line in done.out.splitlines() if line.strip()}
    cost = done.out.partition("Cost of scores")[2]
    assert "conductance" in lines
    rows = {line.split()[0]: line.split()[1:] for line in cost.splitlines() if " logit " in line}
    assert rows["conductance"][:3] == ["logit", "4", str(1 + 4 * 4)]
    assert rows["gradient_x_activation"][:3] == ["logit", "4", str(1 + 4)]


@pytest.mark.data
def test_generate_with_a_users_model_on_fewer_images(axdnn_data: Command, user: Path) -> None:
    save_weights(build_model("lenet5", 1, 10, 28), user / "random.safetensors", {})
    limits = ("--search-images", 300, "--accept-images", 400, "--test-images", 500)
    base = ("--multipliers", FEW, "--evaluations", 4, "--score", "none", "--max-accuracy-loss", 2, "--quiet", *limits)
    mine = (*MINE, "--weights", LENET)
    done = axdnn_data("generate", *mine, *base, "--out", "out")
    assert done.code == 0, done.err
    result = load_record(GenerationResult, user / "out" / "result.json")
    assert result.images == {"search": 300, "accept": 400, "test": 500, "calibration": 256}
    assert result.chosen.accuracy["test"].images == 500
    assert result.model == "mine.py:net"
    assert result.provenance["weights_source"] == "file"
    assert result.provenance["input"] == "pixels / 255"
    axdnn_data("generate", "--model", "lenet5", "--data", "mnist", "--weights", LENET, *base, "--out", "known")
    known = load_record(GenerationResult, user / "known" / "result.json")
    assert (result.assignment, result.accuracy, result.cost.energy_j) == (
        known.assignment, known.accuracy, known.cost.energy_j
    )  # fmt: skip

    again = axdnn_data("generate", *mine, *base, "--out", "out")
    assert "finished already" in again.err
    other_weights = (*MINE, "--weights", "random.safetensors")
    for changed in ((*mine, *base, "--mean", "0.1"), (*mine, *base, "--std", "2"), (*mine, *base[:-1], 499),
                    (*other_weights, *base), (*MINE, *base)):  # fmt: skip
        refused(axdnn_data("generate", *changed, "--out", "out"), "another run")
    (user / "mine.py").write_text(CODE + "# a comment\n")
    refused(axdnn_data("generate", *mine, *base, "--out", "out"), "another run", "mine.py:net")
    assert load_record(GenerationResult, user / "out" / "result.json") == result
