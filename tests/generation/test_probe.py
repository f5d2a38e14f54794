"""Probes: what a tenth of the images shows of the whole split, how many there may be, what the search makes of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from axdnn.generation import Judge, Probe, ProbeOptions, Problem, integer
from axdnn.records import InvalidInputError


def judged(problem: Callable[..., Problem], known_truth: Any, cap: int = 12, seed: int = 0) -> tuple[Judge, Any]:
    p = problem(seed, 4, 8, 4)
    evaluator = known_truth(p, cap, 0.1 * p.weights)
    return Judge(p, evaluator, "integer"), evaluator


def test_a_probe_shows_the_loss_where_the_network_errs_on_its_images(
    problem: Callable[..., Problem], known_truth: Any
) -> None:
    judge, evaluator = judged(problem, known_truth)
    p, probe = judge.problem, Probe(evaluator, 10)
    all_choices = np.random.default_rng(0).integers(0, 4, (9, 4))
    for choice, seen in zip(all_choices, probe.look(p, all_choices), strict=True):
        truth = evaluator.loss(p.assignment(choice), "search")
        assert seen.loss == pytest.approx(min(truth, 0.1), abs=1e-4), "the images are a tenth of the split"
        assert seen.loss <= seen.bound < seen.loss + 0.01
        assert seen.differs.sum() == pytest.approx(seen.loss * 10_000)
    assert len(probe.seen) == len({tuple(c) for c in all_choices.tolist()})


def test_probes_are_earned_by_full_evaluations(problem: Callable[..., Problem], known_truth: Any) -> None:
    judge, evaluator = judged(problem, known_truth)
    probe = Probe(evaluator, 1.5)
    assert (evaluator.full_evaluations, probe.left) == (2, 3)
    probe.look(judge.problem, np.array([[1, 0, 0, 0], [0, 1, 0, 0], [1, 0, 0, 0]]))
    assert probe.left == 1, "what is known costs nothing"
    evaluator.evaluate(judge.problem.assignment(np.array([1, 1, 1, 1])))
    assert probe.left == 2


@pytest.mark.parametrize("seed", range(3))
def test_the_search_keeps_within_its_probes(problem: Callable[..., Problem], known_truth: Any, seed: int) -> None:
    for each in (0.0, 1.0, 10.0):
        judge, evaluator = judged(problem, known_truth, 12, seed)
        integer(judge, np.random.default_rng(0), ProbeOptions(choices=each))
        seen = 0 if judge.probe is None else len(judge.probe.seen)
        assert seen <= each * evaluator.full_evaluations
        assert (judge.probe is None) == (each == 0.0)


def test_probing_helps_where_the_prediction_is_wrong(problem: Callable[..., Problem], known_truth: Any) -> None:
    """Layers weigh up to ten times more or less than importance says."""
    energies: dict[float, list[float]] = {0.0: [], 10.0: []}
    for seed in range(8):
        for each, found in energies.items():
            p = problem(seed, 6, 12, 4)
            theta = 0.1 * p.weights * 10 ** np.random.default_rng(seed).uniform(-1, 1, 6)
            judge = Judge(p, known_truth(p, 10, theta), "integer")
            integer(judge, np.random.default_rng(seed), ProbeOptions(choices=each))
            found.append(judge.best_energy_j / p.exact_energy_j)
    assert np.mean(energies[10.0]) < np.mean(energies[0.0])


@pytest.mark.parametrize("wrong", [{"choices": -1}, {"batch": 0}, {"rounds": 0}, {"choices": float("nan")}])
def test_options_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InvalidInputError):
        ProbeOptions(**wrong)
