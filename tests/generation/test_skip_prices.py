"""Prices of choices with skipped neurons are those of the evaluator, whatever chip, network and objective."""

from __future__ import annotations

import dataclasses
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from torch import nn

from axdnn.evaluation import Split
from axdnn.generation import (
    OBJECTIVES,
    Constraints,
    Request,
    Run,
    SensitivityOptions,
    SkipOptions,
    SkippingProblem,
    skip_levels,
    with_skipping,
)
from axdnn.hardware import load_accelerator
from axdnn.layers import Recipe

Small = tuple[nn.Module, torch.Tensor, dict[str, Split]]
CIRCUITS = "mul8s_1L2L,mul8u_QKX,mul8u_13QR"


class Residual(nn.Module):
    """A sum of two branches, a depthwise and a grouped convolution, a concatenation, a layer with one channel."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 6, 3, padding=1)
        self.deep = nn.Conv2d(6, 6, 3, padding=1, groups=6)
        self.wide = nn.Conv2d(6, 6, 3, padding=1, groups=2)
        self.one = nn.Conv2d(6, 1, 1)
        self.mix = nn.Conv2d(7, 8, 1)
        self.fc = nn.Linear(8 * 9, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.stem(x))
        y = torch.relu(x + self.wide(torch.relu(self.deep(x))))
        y = torch.relu(self.mix(torch.cat([y, torch.relu(self.one(y))], dim=1)))
        return self.fc(nn.functional.max_pool2d(y, 2).flatten(1))


@pytest.fixture(scope="module")
def residual(small: Small) -> Small:
    torch.manual_seed(1)
    return Residual().eval(), small[1], small[2]


def chip_file(folder: Path, **changes: Any) -> str:
    """TPU v4 with other figures."""
    data = yaml.safe_load((resources.files("axdnn.hardware") / "designs" / "tpu_v4.yaml").read_text(encoding="utf-8"))
    for path, value in changes.items():
        part, key = path.split("__")
        data[part][key] = {**data[part].get(key, {"unit": "1"}), "value": value, "source": "a test"}
    file = folder / "chip.yaml"
    file.write_text(yaml.safe_dump(data))
    return str(file)


def problem_of(small: Small, **options: Any) -> tuple[Run, SkippingProblem]:
    """A problem with levels of skipping, nothing of them measured."""
    settings: dict[str, Any] = {
        "multipliers": CIRCUITS, "recipe": Recipe(fit_rows=64), "sensitivity": SensitivityOptions(points=0),
        "skip": SkipOptions(), "score": "none", **options,
    }  # fmt: skip
    run = Run(*small, Request(**settings))
    problem = run.problem()
    assert isinstance(problem, SkippingProblem)
    return run, problem


@pytest.fixture(scope="module")
def known(small: Small, residual: Small) -> dict[str, tuple[Run, SkippingProblem]]:
    return {"small": problem_of(small), "residual": problem_of(residual)}


def drawn(problem: SkippingProblem, count: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    kinds = rng.integers(0, len(problem.multipliers), (count, len(problem.layers)))
    levels = rng.integers(0, problem.levels.last + 1, (count, len(problem.levels.layers)))
    return np.concatenate([np.hstack([kinds, levels]), problem.baseline[None, :]])


CHIPS: dict[str, dict[str, Any]] = {
    "tpu_v4": {}, "small, exact rows": {"array__rows": 8, "array__columns": 8, "array__exact_rows": 4},
    "weights stay where they fit": {"memory__weights_stay_on_chip": 1, "memory__weight_buffer": 315 / 2**20},
}  # fmt: skip


@pytest.mark.parametrize("network", ["small", "residual"])
@pytest.mark.parametrize("chip", list(CHIPS))
def test_energy_is_what_the_evaluator_says(
    known: dict[str, tuple[Run, SkippingProblem]], tmp_path: Path, network: str, chip: str
) -> None:
    run, problem = known[network]
    priced = load_accelerator(chip_file(tmp_path, **CHIPS[chip]))
    run.evaluator.accelerator, before = priced, run.evaluator.accelerator
    choices = drawn(problem, 40)
    costs = [run.evaluator.cost(problem.assignment(choice)) for choice in choices]
    for objective in OBJECTIVES:
        found = with_skipping(
            dataclasses.replace(problem, objective=objective), problem.levels.neurons, SkipOptions(), run.evaluator,
            None, lambda assignments: np.empty(0), SensitivityOptions(points=0), 0,
        )  # fmt: skip
        energies = found.energy_j(choices).tolist()
        if objective == "paper_literal":
            want = [run.evaluator.paper_cost(problem.assignment(choice)).energy_j for choice in choices]
        else:
            want = [cost.energy_j if objective == "energy" else cost.multiplier_energy_j for cost in costs]
        assert energies == pytest.approx(want, rel=1e-12), objective
        assert [found.energy_j(choice)[0] for choice in choices] == energies, "one by one"
        if objective == "energy":
            assert isinstance(found, SkippingProblem)
            latency = found.prices.energy(choices).latency_s.tolist()
            assert latency == pytest.approx([cost.latency_s for cost in costs], rel=1e-12)
    run.evaluator.accelerator = before


def left(run: Run, problem: SkippingProblem, layer: str) -> dict[str, float]:
    """Share of the products of each layer that is left when one layer skips, where any go."""
    choice = problem.baseline
    choice[len(problem.layers) + problem.levels.layers.index(layer)] = 2
    costs = run.evaluator.cost(problem.assignment(choice)).layers
    shares = {c.layer: c.macs / whole.macs for c, whole in zip(costs, run.network.layers, strict=True)}
    return {name: share for name, share in shares.items() if share < 1}


def test_skipping_saves_in_the_layer_and_in_those_that_read_it(
    known: dict[str, tuple[Run, SkippingProblem]],
) -> None:
    """A sum loses a channel only if both branches lose it."""
    assert left(*known["small"], "conv") == {"conv": 0.5, "fc1": 0.5}
    assert left(*known["small"], "fc2") == {"fc2": 1 - 2 / 12}
    assert set(left(*known["residual"], "wide")) == {"wide"}
    assert set(left(*known["residual"], "mix")) == {"mix", "fc"}


def test_layers_that_cannot_skip_have_no_level(known: dict[str, tuple[Run, SkippingProblem]]) -> None:
    run, problem = known["residual"]
    options, weights = SkipOptions(fractions=(0.1, 0.13, 0.5)), dict.fromkeys(run.network.layer_names, 1.0)
    levels = skip_levels(problem.levels.neurons, run.network.layer_names, options, weights)
    assert levels is not None
    found = dict(zip(levels.layers, levels.fractions, strict=True))
    assert "one" not in found
    assert found["mix"] == (0.0, 0.13, 0.5), "0.1 of 8 is none"
    assert found["stem"] == (0.0, 0.5), "a tenth of 6 is none"
    assert found["fc"] == (0.0, 0.1, 0.13, 0.5)
    assert levels.allowed.sum(axis=1).tolist() == [len(f) for f in found.values()]
    none = skip_levels(problem.levels.neurons, ["one"], options, weights)
    assert none is None


def test_shared_multipliers_and_levels_of_their_own(small: Small) -> None:
    run, problem = problem_of(small, constraints=Constraints(tied=("fc*",), most_kinds=2))
    assert problem.layers == ("conv", "fc1+fc2")
    assert problem.levels.layers == ("conv", "fc1", "fc2")
    for choice in drawn(problem, 20):
        assignment = problem.assignment(choice)
        assert assignment.multipliers["fc1"] == assignment.multipliers["fc2"]
        assert problem.energy_j(choice)[0] == pytest.approx(run.evaluator.cost(assignment).energy_j, rel=1e-12)
