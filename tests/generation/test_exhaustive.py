"""All choices: what is the front, what it costs, and that nothing beats it."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from axdnn.evaluation import OutOfEvaluationsError, Split
from axdnn.generation import STRATEGIES, Judge, Problem, Request, exhaustive, generate
from axdnn.layers import Recipe
from axdnn.records import InvalidInputError
from axdnn.testing import counted_images

Small = tuple[nn.Module, torch.Tensor, dict[str, Split]]
TWO = "mul8s_1L2N,mul8u_13QR"


def settled(problem: Callable[..., Problem], known_truth: Any, seed: int, cap: int, pods: int = 4) -> Judge:
    p = problem(seed, 3, 4, pods, 0.02)
    return Judge(p, known_truth(p, cap, 0.1 * p.weights), "exhaustive")


@pytest.mark.parametrize("seed", range(3))
def test_the_cheapest_of_all_choices_within_the_budget(
    problem: Callable[..., Problem], known_truth: Any, seed: int
) -> None:
    judge = settled(problem, known_truth, seed, 4**3 + 2)
    exhaustive(judge, np.random.default_rng(0))
    p, evaluator = judge.problem, judge.evaluator
    assert set(judge.tried) == set(itertools.product(range(4), repeat=3))
    allowed = [
        float(p.energy_j(np.array(c))[0]) for c in judge.tried
        if evaluator.loss_bound(p.assignment(np.array(c)), "search") <= p.budget or not any(c)
    ]  # fmt: skip
    assert judge.best_energy_j == min(allowed)


def test_one_evaluation_too_few_is_refused_with_the_count(problem: Callable[..., Problem], known_truth: Any) -> None:
    judge = settled(problem, known_truth, 0, 4**3 + 1)
    with pytest.raises(InvalidInputError, match=r"4\^3 = 64 choices and needs 66 evaluations, but the cap is 65"):
        exhaustive(judge, np.random.default_rng(0))
    assert len(judge.tried) == 1


def test_more_evaluations_confirm_more_and_never_cost_more(problem: Callable[..., Problem], known_truth: Any) -> None:
    """The accept split is harder than the search split, so that the cheapest are refused."""
    best = []
    for cap in (66, 68, 72, 120):
        p = problem(1, 3, 4, 4, 0.05)
        judge = Judge(p, known_truth(p, cap, 0.1 * p.weights, shift=0.02), "exhaustive")
        exhaustive(judge, np.random.default_rng(0))
        best.append(judge.best_energy_j)
    assert best == sorted(best, reverse=True)
    assert best[-1] < best[0]


def test_choices_with_more_kinds_than_pods_do_not_exist(problem: Callable[..., Problem], known_truth: Any) -> None:
    judge = settled(problem, known_truth, 0, 4**3 + 2, pods=2)
    exhaustive(judge, np.random.default_rng(0))
    assert len(judge.tried) == sum(len(set(c)) <= 2 for c in itertools.product(range(4), repeat=3))


def test_no_strategy_beats_it_on_the_same_circuits(problem: Callable[..., Problem], known_truth: Any) -> None:
    judge = settled(problem, known_truth, 0, 200)
    exhaustive(judge, np.random.default_rng(0))
    for name in ("integer", "greedy", "noise_greedy", "nsga2", "agn", "taylor", "uniform", "random"):
        other = settled(problem, known_truth, 0, 10 if name == "integer" else 30)
        try:
            STRATEGIES[name](other, np.random.default_rng(0))
        except OutOfEvaluationsError:
            assert other.left == 0
        assert judge.best_energy_j <= other.best_energy_j * (1 + 1e-12), name


def request(**options: Any) -> Request:
    return Request(**{
        "max_accuracy_loss": 8.0, "multipliers": TWO, "evaluations": 40, "recipe": Recipe(fit_rows=64),
        "strategy": "exhaustive", "objective": "multiplier", "score": "none", **options,
    })  # fmt: skip


def test_a_real_network_every_circuit_a_candidate_and_the_front_recorded(small: Small) -> None:
    model, calibration, splits = small
    result = generate(model, calibration, splits, request())
    assert len(result.visited) == 3**3
    assert "none was screened out" in result.notes[0]
    within = [e for e in result.visited if e.accuracy["search"].loss_bound <= 0.08]
    assert result.status == "met"
    refused = [e for e in within if e.multiplier_energy_j < result.multiplier_energy_j * (1 - 1e-9)]
    assert all("accept" in e.accuracy and not e.accepted for e in refused)
    for strategy in ("uniform", "nsga2"):
        other = generate(model, calibration, splits, request(strategy=strategy))
        assert result.multiplier_energy_j <= other.multiplier_energy_j * (1 + 1e-9), strategy


def test_too_many_are_refused_before_any_work(small: Small) -> None:
    model, calibration, splits = small
    with (
        counted_images() as seen,
        pytest.raises(InvalidInputError, match=r"3\^3 = 27 choices"),
    ):
        generate(model, calibration, splits, request(evaluations=28))
    assert max(seen, default=0) < len(splits["search"])
