"""Baselines that order, match or predict: what each of them leaves out, and the laws that follow."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from axdnn.evaluation import OutOfEvaluationsError
from axdnn.generation import Judge, Problem, agn, greedy, matched_choices, noise_greedy, taylor

Strategy = Callable[[Judge, np.random.Generator], None]


def play(strategy: Strategy, p: Problem, evaluator: Any) -> Judge:
    judge = Judge(p, evaluator, "test")
    try:
        strategy(judge, np.random.default_rng(0))
    except OutOfEvaluationsError:
        assert evaluator.left == 0
    return judge


def skewed(p: Problem) -> Problem:
    """A problem in which importance turns the order of the layers round."""
    return replace(p, weights=np.geomspace(1e-3, 10, len(p.layers)))


def test_noise_greedy_does_not_look_at_importance(problem: Callable[..., Problem], known_truth: Any) -> None:
    p = problem(0, 5, 8, 4)
    theta = 0.1 * skewed(p).weights
    calls = {
        (name, weighed): play(strategy, q, known_truth(p, 30, theta)).evaluator.calls
        for name, strategy in (("greedy", greedy), ("noise_greedy", noise_greedy))
        for weighed, q in ((False, p), (True, skewed(p)))
    }
    assert calls["noise_greedy", False] == calls["noise_greedy", True]
    assert calls["greedy", False] != calls["greedy", True]
    assert calls["greedy", True] != calls["noise_greedy", True]
    alike = replace(p, weights=np.full(len(p.layers), 1.0))
    same = [play(s, alike, known_truth(p, 30, theta)).evaluator.calls for s in (greedy, noise_greedy)]
    assert same[0] == same[1]


@pytest.mark.parametrize("pods", [2, 8])
def test_matched_choices_tolerate_what_they_choose(problem: Callable[..., Problem], pods: int) -> None:
    """With pods to spare: at the level of its noisiest layer, each layer has the cheapest circuit it tolerates."""
    p = problem(3, 5, 7, pods)
    ladder = matched_choices(p)
    assert len({tuple(c.tolist()) for c in ladder}) == len(ladder)
    assert not ladder[-1].any(), "the least noise leaves the exact network"
    levels = []
    for choice in ladder:
        used = p.damage[np.arange(5), choice]
        level = used[choice > 0].max(initial=0.0)
        levels.append(level)
        assert len(np.unique(choice)) <= pods
        if pods == 8:
            for layer, kind in enumerate(choice):
                tolerated = [m for m in range(7) if p.damage[layer, m] <= level or m == p.exact]
                assert p.table.dynamic_j[layer, kind] == min(p.table.dynamic_j[layer, tolerated])
    if pods == 8:
        assert levels == sorted(levels, reverse=True)


def test_agn_finds_the_cheapest_matched_choice_when_loss_follows_noise(
    problem: Callable[..., Problem], known_truth: Any
) -> None:
    for seed in range(4):
        p = problem(seed, 4, 6, 6)
        evaluator = known_truth(p, 60, 0.1 * p.weights)
        judge = play(agn, p, evaluator)
        allowed = [
            c for c in matched_choices(p)
            if not c.any() or evaluator.loss_bound(p.assignment(c), "search") <= p.budget
        ]  # fmt: skip
        assert judge.best_energy_j == min(float(p.energy_j(c)[0]) for c in allowed)


def test_taylor_is_right_after_one_measurement_where_its_model_is(
    problem: Callable[..., Problem], known_truth: Any
) -> None:
    """Losses are proportional to weight times noise, by a factor that it does not know: all predictions but the first
    are right, and its choice is as cheap as any within the budget."""
    for factor in (0.03, 0.3):
        p = problem(1, 3, 6, 6, budget=0.02)
        evaluator = known_truth(p, 40, factor * p.weights, gap=0.0)
        predicted: dict[str, float] = {}
        evaluate = evaluator.evaluate

        def watched(assignment: Any, split: str = "search", said: float | None = None, strategy: str = "",
                    *, inner: Any = evaluate, seen: dict[str, float] = predicted) -> Any:  # fmt: skip
            if said is not None:
                seen[assignment.key] = said
            return inner(assignment, split, said, strategy)

        evaluator.evaluate = watched
        judge = play(taylor, p, evaluator)
        found = list(predicted.items())
        assert len(found) >= 3
        for key, said in found[2:]:  # the exact network, the guess, and what follows from it
            measured = evaluator.history[key].accuracy["search"].loss
            assert measured == pytest.approx(min(said, 0.9), rel=1e-6)
        every = np.array(list(itertools.product(range(6), repeat=3)))
        losses = factor * (p.weights * p.noise[np.arange(3), every]).sum(axis=1)
        cheapest = p.energy_j(every)[losses <= p.budget * 0.9].min()
        assert judge.best_energy_j <= cheapest * (1 + 1e-6)
        assert evaluator.loss(p.assignment(judge.best), "search") <= p.budget


def test_taylor_learns_one_scale_and_nothing_of_the_layers(problem: Callable[..., Problem], known_truth: Any) -> None:
    """Two networks that lose the same with its first choice, in different layers, get the same second one."""
    p = problem(0, 3, 5, 5)
    first = next(k for s, k in play(taylor, p, known_truth(p, 4, 0.1 * p.weights)).evaluator.calls[2:] if s == "search")
    second = []
    for theta in (0.1 * p.weights, np.array([0.0, 0.0, 1.0]), np.array([1.0, 0.0, 0.0])):
        probe = known_truth(p, 4, theta)
        choice = next(np.array(c) for c in np.ndindex(5, 5, 5) if p.assignment(np.array(c)).key == first)
        theta = theta * 0.004 / probe.loss(p.assignment(choice), "search")
        calls = play(taylor, p, known_truth(p, 20, theta)).evaluator.calls
        second.append([key for split, key in calls if split == "search"][1:3])
    assert second[0][0] == first
    assert len({tuple(keys) for keys in second}) == 1
    assert len(second[0]) == 2
