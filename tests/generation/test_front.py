"""Several budgets with shared evaluations: never dearer with more budget, nothing measured twice, as good as alone."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from axdnn.evaluation import Split
from axdnn.generation import Judge, Request, Run, generate, generate_front
from axdnn.layers import Recipe
from axdnn.records import InvalidInputError
from axdnn.testing import counted_images

Small = tuple[nn.Module, torch.Tensor, dict[str, Split]]
CIRCUITS = "mul8s_1L2L,mul8u_2AC,mul8u_QKX,mul8u_R36,mul8u_13QR,mul8s_1L12,mul8u_18DU,mul8u_17R6,mul8s_1L2N"
BUDGETS = (12.0, 3.0, 6.0)


def request(**options: Any) -> Request:
    settings = {"multipliers": CIRCUITS, "evaluations": 8, "objective": "multiplier", "recipe": Recipe(fit_rows=64)}
    return Request(**{**settings, **options})


@pytest.mark.parametrize("strategy", ["integer", "greedy", "random", "uniform", "nsga2"])
def test_more_budget_never_costs_more_and_nothing_is_measured_twice(small: Small, strategy: str) -> None:
    with counted_images() as seen:
        results = generate_front(*small, request(strategy=strategy), BUDGETS)
    assert [r.max_accuracy_loss for r in results] == [3.0, 6.0, 12.0]
    energies = [r.multiplier_energy_j for r in results]
    assert energies == sorted(energies, reverse=True)
    assert energies[-1] < results[0].baseline_multiplier_energy_j
    for i, result in enumerate(results, start=1):
        assert result.evaluations <= 8 * i
        assert result.chosen.accuracy["accept"].loss_bound <= result.max_accuracy_loss / 100
        assert result.chosen.accuracy["search"].loss_bound <= result.max_accuracy_loss / 100
        assert result.chosen.accepted
    last = results[-1]
    assert sum(len(e.accuracy) for e in last.visited) == last.evaluations, "one evaluation a choice and split"
    assert sum(images == 400 for images in seen) <= last.evaluations + 6 * len(results), "and the test images"
    for early, late in itertools.pairwise(results):
        keys = [[e.assignment.key for e in r.visited] for r in (early, late)]
        assert keys[0] == keys[1][: len(keys[0])], "the later search goes on from the earlier one"


def test_shared_evaluations_find_what_budgets_alone_find(small: Small) -> None:
    """With a third of the evaluations for the two larger budgets; on this network no worse than 10 %."""
    front = generate_front(*small, request(evaluations=8), BUDGETS)
    alone = [generate(*small, request(evaluations=8, max_accuracy_loss=b)) for b in sorted(BUDGETS)]
    assert front[0].assignment == alone[0].assignment, "the smallest budget comes first and knows nothing more"
    assert front[-1].evaluations <= sum(r.evaluations for r in alone)
    for shared, one in zip(front, alone, strict=True):
        assert shared.multiplier_energy_j <= 1.1 * one.multiplier_energy_j


def test_one_budget_is_plain_generation(small: Small) -> None:
    (only,) = generate_front(*small, request(), [6.0])
    plain = generate(*small, request(max_accuracy_loss=6.0))
    assert (only.assignment, only.accuracy, only.evaluations, only.network_images, only.visited) == (
        plain.assignment, plain.accuracy, plain.evaluations, plain.network_images, plain.visited,
    )  # fmt: skip


def test_a_rerun_with_its_cache_gives_the_same_front(small: Small, tmp_path: Path) -> None:
    folders = {"cache": tmp_path / "cache", "codings": tmp_path / "codings"}
    first, again = (generate_front(*small, request(), BUDGETS, **folders) for _ in range(2))
    for a, b in zip(first, again, strict=True):
        assert (a.assignment, a.visited, a.network_images) == (b.assignment, b.visited, b.network_images)


def test_what_the_cap_kept_from_the_accept_split_is_not_sent_there_for_nothing(small: Small) -> None:
    """The last evaluation of the first budget found a choice to send: the next judge sends it, and it counts."""
    run = Run(*small, request(strategy="uniform", evaluations=3, max_accuracy_loss=6.0))
    problem = run.problem()
    first = run.attempt(problem)
    assert first.evaluator.left == 0
    waiting = [verdict for verdict in first.tried.values() if verdict.bound <= 0.06 and verdict.bound > 0]
    assert waiting
    assert not any(verdict.sent for verdict in waiting)
    run.evaluator.cap += 1
    Judge(problem, run.evaluator, "uniform").inherit(first)
    assert run.evaluator.full_evaluations == sum(len(e.accuracy) for e in run.evaluator.history.values()) == 4


@pytest.mark.parametrize(("budgets", "strategy"), [((), "integer"), ((1.0, 1.0), "integer"), ((1.0, 101.0), "integer"),
                                                   ((1.0, 2.0), "paper")])  # fmt: skip
def test_bad_requests(small: Small, budgets: tuple[float, ...], strategy: str) -> None:
    with pytest.raises(InvalidInputError):
        generate_front(*small, request(strategy=strategy), budgets)
