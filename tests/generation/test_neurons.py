"""Which neurons may be skipped: fractions, the output layer's inputs, and runs that skip."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
import yaml
from torch import nn

from axdnn.evaluation import Split
from axdnn.generation import Neurons, PaperOptions, Request, generate, neurons_of
from axdnn.layers import Calibration, Recipe
from axdnn.quant import capture, dead_inputs, fold_batch_norm
from axdnn.records import GenerationResult, InvalidInputError, from_json, to_json
from axdnn.testing import counted_images

Small = tuple[nn.Module, torch.Tensor, dict[str, Split]]
CIRCUITS = "mul8s_1L2L,mul8u_QKX,mul8u_13QR"


@pytest.fixture(scope="module")
def neurons(small: Small) -> Neurons:
    """Of the network conv(4), fc1(12), fc2(4); importance of the outputs made up."""
    model, calibration, _ = small
    captured = fold_batch_norm(capture(model, calibration))
    rng = np.random.default_rng(0)
    values = {n: rng.permutation(captured.layer(n).weight.shape[0]).astype(float) for n in captured.layer_names}
    return neurons_of(captured, Calibration(captured, calibration, 64), values, frozenset({"fc2"}))


def test_the_least_important_share_and_never_all(neurons: Neurons) -> None:
    for layer, values in neurons.importance.items():
        for fraction in np.linspace(0, 1, 41):
            found = neurons.least(layer, float(fraction))
            assert len(found) == min(int(np.floor(fraction * len(values) + 1e-9)), len(values) - 1)
            assert list(found) == sorted(set(found))
            kept = [values[i] for i in range(len(values)) if i not in found]
            assert not found or max(values[list(found)]) <= min(kept)
    assert neurons.least("conv", 0.7) == tuple(sorted(np.argsort(neurons.importance["conv"])[:2].tolist()))


@pytest.mark.parametrize("fraction", [-0.01, 1.01, float("nan")])
def test_a_fraction_out_of_range(neurons: Neurons, fraction: float) -> None:
    with pytest.raises(InvalidInputError, match="fraction"):
        neurons.least("conv", fraction)


def test_an_output_layer_drops_inputs(neurons: Neurons, small: Small) -> None:
    """Importance of an input is mean |x| times the sum of its |weights|; classes stay."""
    model, calibration, _ = small
    assert len(neurons.importance["fc2"]) == 12
    with torch.no_grad():
        x = torch.relu(model.fc1(nn.functional.avg_pool2d(torch.relu(model.conv(calibration)), 2).flatten(1)))
        value = (x.abs().mean(0) * model.fc2.weight.abs().sum(0)).numpy()
    assert neurons.importance["fc2"] == pytest.approx(value, rel=1e-4)
    found = neurons.skipping({"fc2": 0.5}, remove=False)
    assert found.skip == {}
    assert found.absent == {"fc2": tuple(sorted(np.argsort(value)[:6].tolist()))}


def test_masking_and_removal_skip_the_same(neurons: Neurons) -> None:
    shares = {"conv": 0.5, "fc1": 0.3, "fc2": 0.5}
    masked, removed = neurons.skipping(shares, remove=False), neurons.skipping(shares, remove=True)
    assert masked.skip == removed.skip == {"conv": neurons.least("conv", 0.5), "fc1": neurons.least("fc1", 0.3)}
    dead = dead_inputs(neurons.model, masked.skip)
    assert set(masked.absent) == {"fc2"}
    assert {n: set(which) for n, which in removed.absent.items()} == {
        n: set(dead.get(n, ())) | set(masked.absent.get(n, ())) for n in (*dead, *masked.absent)
    }
    assert set(dead["fc2"]) <= set(masked.absent["fc2"]), "inputs that are 0 anyway are dropped first"
    assert len(masked.absent["fc2"]) == 6


@pytest.mark.parametrize("remove", [False, True])
def test_a_live_input_stays_whatever_the_share(neurons: Neurons, remove: bool) -> None:
    for share in (0.4, 0.9, 1.0):
        found = neurons.skipping(dict.fromkeys(neurons.importance, share), remove)
        live = set(range(12)) - set(found.skip["fc1"])
        assert live - set(found.absent["fc2"])
        assert len(found.skip["conv"]) < 4
        assert len(found.absent.get("fc1", ())) < 36


def test_nothing_to_skip(neurons: Neurons) -> None:
    assert not neurons.skipping({"conv": 0.0, "fc1": 0.05}, remove=True)


def run(
    small: Small, folder: Path | None = None, budget: float = 8.0, chip: str = "tpu_v4", objective: Any = "energy",
    **options: Any,
) -> GenerationResult:  # fmt: skip
    model, calibration, splits = small
    asked = Request(
        max_accuracy_loss=budget, multipliers=CIRCUITS, evaluations=16, recipe=Recipe(fit_rows=64), strategy="paper",
        paper=PaperOptions(**options), accelerator=chip, objective=objective,
    )  # fmt: skip
    return generate(model, calibration, splits, asked, cache=folder)


def test_a_run_that_skips(small: Small, tmp_path: Path) -> None:
    """Chosen, verified, priced and counted with what it skips; the result says how much."""
    with counted_images() as check:
        capture(*small[:2])
    with counted_images() as seen:
        result = run(small, tmp_path, skip=0.5, remove=True, multipliers=False)
    assert result.network_images == sum(seen) - sum(check)
    assert result.status == "met"
    chosen = result.chosen.assignment
    assert set(chosen.multipliers.values()) == {"mul8s_1KV6"}
    counts = {"conv": 4, "fc1": 12, "fc2": 12}
    expected = {n: len(which) / counts[n] for n, which in chosen.skip.items()}
    if "fc2" in chosen.absent:
        expected["fc2"] = len(chosen.absent["fc2"]) / 12
    assert result.skipped == expected
    assert result.skipped
    assert result.cost.energy_j < result.baseline_cost.energy_j
    assert result.cost.energy_j == result.energy_j == result.chosen.energy_j
    assert result.paper_literal is not None
    assert from_json(GenerationResult, to_json(result)) == result
    again = run(small, tmp_path, skip=0.5, remove=True, multipliers=False)
    assert (again.accuracy, again.skipped, again.network_images) == (
        result.accuracy, result.skipped, result.network_images
    )  # fmt: skip


def test_the_whole_of_a_layer_is_asked_for(small: Small) -> None:
    """Shares of 1 under a budget that lets everything pass: a neuron of each layer stays, nothing breaks."""
    for remove in (False, True):
        result = run(small, budget=100.0, skip=1.0, remove=remove, skip_rule="equal")
        assert result.skipped == {"conv": 3 / 4, "fc1": 11 / 12, "fc2": 11 / 12}


def test_masked_and_removed_runs_agree_on_accuracy(small: Small, tmp_path: Path) -> None:
    """With the exact circuit only the price differs, not the choice's accuracy on any split."""
    options: dict[str, Any] = {"budget": 100.0, "skip": 0.5, "skip_rule": "equal", "multipliers": False, "sweeps": 1}
    found = [run(small, tmp_path, remove=remove, **options) for remove in (False, True)]
    assert set(found[0].skipped) == {"conv", "fc1", "fc2"}
    assert found[0].chosen.assignment.skip == found[1].chosen.assignment.skip
    assert found[0].chosen.accuracy == found[1].chosen.accuracy
    assert found[1].energy_j < found[0].energy_j


@pytest.fixture(scope="module")
def half_exact(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file with pods of 8 x 8 whose upper half of rows is exact."""
    data = yaml.safe_load((resources.files("axdnn.hardware") / "designs" / "tpu_v4.yaml").read_text(encoding="utf-8"))
    for key, value in (("rows", 8), ("columns", 8), ("exact_rows", 4)):
        data["array"][key] = {"value": value, "unit": "1", "source": "a test"}
    path = tmp_path_factory.mktemp("chips") / "half.yaml"
    path.write_text(yaml.safe_dump(data))
    return str(path)


@pytest.mark.parametrize("objective", ["energy", "multiplier"])
def test_a_run_on_exact_rows(small: Small, half_exact: str, tmp_path: Path, objective: Any) -> None:
    """Skips, removal and exact rows together: proven on the reference path, cached, and repeated alike."""
    options: dict[str, Any] = {
        "chip": half_exact, "objective": objective, "skip": 0.5, "remove": True, "skip_rule": "equal", "budget": 12.0,
    }  # fmt: skip
    first, again = (run(small, tmp_path, **options) for _ in range(2))
    assert first.provenance["reference_check"].startswith("logits of")
    assert first.skipped
    assert first.status == "met"
    assert msgspec.structs.replace(again, wall_s=0.0) == msgspec.structs.replace(first, wall_s=0.0)
    chosen = first.chosen.assignment
    assert set(chosen.multipliers) == {"conv", "fc1", "fc2"}
    assert first.multiplier_energy_j < first.baseline_multiplier_energy_j
