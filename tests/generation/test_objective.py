"""Objectives: what is minimised is what is priced, and the answer is the best of all choices."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from torch import nn

from axdnn.evaluation import Split
from axdnn.generation import OBJECTIVES, Problem, Programme, Request, generate, objective_table
from axdnn.hardware import estimate, load_accelerator, paper_energy_j, paper_literal
from axdnn.layers import Recipe, coded
from axdnn.multipliers import load_multiplier
from axdnn.records import Assignment, Network

NAMES = ("mul8s_1KV6", "mul8s_1L2L", "mul8s_1L2N", "mul8u_QKX", "mul8u_13QR")
Small = tuple[nn.Module, torch.Tensor, dict[str, Split]]


@pytest.fixture(scope="module")
def three(lenet: Network) -> Network:
    """Three layers of LeNet-5."""
    return msgspec.structs.replace(lenet, layers=lenet.layers[1:4])


def problem_of(network: Network, objective: Any, chip: str = "tpu_v4", seed: int = 0) -> Problem:
    wired = [coded(load_multiplier(n), Recipe()) for n in NAMES]
    layers, rng = len(network.layers), np.random.default_rng(seed)
    noise = rng.uniform(0.5, 2, (layers, 5)) * np.array([1e-6, 5e-3, 3e-2, 1e-2, 8e-2])
    return Problem(
        layers=network.layer_names, multipliers=NAMES, noise=noise, weights=rng.uniform(0.3, 2, layers), exact=0,
        table=objective_table(network, wired, load_accelerator(chip), objective), budget=0.01,
        mean_error=noise.mean(axis=0), objective=objective,
    )  # fmt: skip


def priced(network: Network, choice: tuple[int, ...], objective: str, chip: str) -> float:
    """What the cost models themselves say, without a table."""
    assignment = Assignment(multipliers={n: NAMES[m] for n, m in zip(network.layer_names, choice, strict=True)})
    wired = {n: coded(load_multiplier(n), Recipe()) for n in NAMES}
    if objective == "paper_literal":
        return paper_literal(network, assignment, multipliers=wired).energy_j
    if objective == "multiplier":  # kinds that do not fit the pods are refused, and any fitting allocation costs alike
        return estimate(network, assignment, chip, multipliers=wired).multiplier_energy_j
    return estimate(network, assignment, chip, multipliers=wired).energy_j


@pytest.mark.parametrize("chip", ["tpu_v4", "xai_gen"])
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_table_is_the_cost_model(three: Network, objective: str, chip: str) -> None:
    p = problem_of(three, objective, chip)
    for choice in itertools.product(range(5), repeat=3):
        if len(set(choice)) <= load_accelerator(chip).pods:
            assert p.energy_j(np.array(choice))[0] == pytest.approx(priced(three, choice, objective, chip), rel=1e-9)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_programme_finds_the_best_of_all(three: Network, objective: str, seed: int) -> None:
    p = problem_of(three, objective, "xai_gen", seed)
    programme = Programme(p, p.damage)
    every = list(itertools.product(range(5), repeat=3))
    cost = np.array([priced(three, c, objective, "xai_gen") for c in every])
    damage = programme.damage_of(np.array(every))
    for share in (0.1, 0.4, 0.8):
        most = float(np.quantile(damage, share))
        found = programme.cheapest(most)
        assert found is not None
        assert programme.damage_of(found)[0] <= most * (1 + 1e-9)
        best = cost[damage <= most].min()
        assert priced(three, tuple(found.tolist()), objective, "xai_gen") == pytest.approx(best, rel=1e-9)


def test_multiplier_energy_is_a_sum_over_layers(three: Network) -> None:
    """Nothing is shared, so each layer's cheapest circuit is best; the paper's half-exact pods keep that order."""
    wired = [coded(load_multiplier(n), Recipe()) for n in NAMES]
    for objective in ("multiplier", "paper_literal"):
        p = problem_of(three, objective, "xai_gen")
        best = Programme(p, p.damage).cheapest(np.inf)
        assert best is not None
        assert len(set(best.tolist())) == 1
        assert p.energy_j(best)[0] == pytest.approx(p.table.dynamic_j.min(axis=1).sum(), rel=1e-12)
    assert np.allclose(problem_of(three, "paper_literal").table.dynamic_j, paper_energy_j(three, wired), rtol=1e-12)


@pytest.mark.parametrize("strategy", ["integer", "paper", "greedy"])
def test_a_run_minimises_what_was_asked(small: Small, tmp_path: Path, strategy: str) -> None:
    model, calibration, splits = small
    figures = {}
    for objective in OBJECTIVES:
        asked = Request(
            max_accuracy_loss=8.0, multipliers="mul8s_1L2L,mul8u_QKX,mul8u_13QR", evaluations=8,
            recipe=Recipe(fit_rows=64), strategy=strategy, objective=objective, score="none",
        )  # fmt: skip
        result = generate(model, calibration, splits, asked, cache=tmp_path)
        assert result.objective == objective
        assert result.paper_literal is not None
        assert result.baseline_paper_literal is not None
        chosen = {
            "energy": result.energy_j, "multiplier": result.multiplier_energy_j,
            "paper_literal": result.paper_literal.energy_j,
        }[objective]  # fmt: skip
        baseline = {
            "energy": result.baseline_energy_j, "multiplier": result.baseline_multiplier_energy_j,
            "paper_literal": result.baseline_paper_literal.energy_j,
        }[objective]  # fmt: skip
        assert chosen < baseline
        figures[objective] = result
    accepted = [e.multiplier_energy_j for e in figures["multiplier"].visited if e.accepted]
    assert figures["multiplier"].multiplier_energy_j == min(accepted)
