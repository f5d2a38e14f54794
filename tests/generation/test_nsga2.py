"""NSGA-II against the true front and pymoo's implementation, its seeding, its archive and its cap."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from axdnn.evaluation import OutOfEvaluationsError
from axdnn.generation import Judge, NsgaOptions, Problem, nsga2, within_pods
from axdnn.records import InvalidInputError

LAYERS, KINDS = 6, 6
Setting = tuple[Problem, Any, Judge]


@pytest.fixture
def setting(problem: Callable[..., Problem], known_truth: Any) -> Callable[..., Setting]:
    def make(seed: int, cap: int, pods: int = KINDS, scale: float = 0.1) -> Setting:
        p = problem(seed, LAYERS, KINDS, pods, 0.01)
        evaluator = known_truth(p, cap, scale * p.weights)
        return p, evaluator, Judge(p, evaluator, "nsga2")

    return make


def hypervolume(points: np.ndarray, corner: np.ndarray) -> float:
    """Area that points `(n, 2)`, both to be minimised, dominate below a corner."""
    inside = points[(points < corner).all(axis=1)]
    area, ceiling = 0.0, float(corner[1])
    for x, y in inside[np.lexsort((inside[:, 1], inside[:, 0]))]:
        if y < ceiling:
            area, ceiling = area + float(corner[0] - x) * (ceiling - float(y)), float(y)
    return area


def objectives(p: Problem, theta: np.ndarray, choices: np.ndarray) -> np.ndarray:
    loss = np.minimum((theta * p.noise[np.arange(LAYERS), choices]).sum(axis=1), 0.9)
    loss[~choices.any(axis=1)] = 0.0
    return np.stack([loss, p.energy_j(choices)], axis=1)


def test_hypervolume_is_pymoos() -> None:
    indicators = pytest.importorskip("pymoo.indicators.hv", reason="pymoo, of the extra `dev`, is not installed")
    rng = np.random.default_rng(0)
    for _ in range(5):
        points, corner = rng.random((12, 2)), np.array([0.9, 0.8])
        assert hypervolume(points, corner) == pytest.approx(float(indicators.HV(ref_point=corner)(points)))


def test_as_good_as_pymoo_and_close_to_the_true_front(setting: Callable[..., Setting]) -> None:
    """Both get the same evaluations, population and operators' rates; the true front is that of all 46,656 choices."""
    pytest.importorskip("pymoo", reason="pymoo, of the extra `dev`, is not installed")
    shares = []
    for seed in range(2):
        p, evaluator, judge = setting(seed, 400)
        nsga2(judge, np.random.default_rng(seed))
        every = np.stack(np.meshgrid(*[np.arange(KINDS)] * LAYERS), axis=-1).reshape(-1, LAYERS)
        truth = objectives(p, evaluator.theta, every)
        low, high = truth.min(axis=0), truth.max(axis=0)
        corner = np.array([low[0] + 0.2 * (high[0] - low[0]), high[1] + 1e-9])
        ours = objectives(p, evaluator.theta, np.array(list(judge.tried)))
        theirs = objectives(p, evaluator.theta, pymoo_archive(p, evaluator.theta, 400, seed))
        whole = hypervolume(truth, corner)
        shares.append((hypervolume(ours, corner) / whole, hypervolume(theirs, corner) / whole))
    ours, theirs = np.mean(shares, axis=0)
    assert ours >= 0.9, shares
    assert ours >= theirs - 0.02, shares


def pymoo_archive(p: Problem, theta: np.ndarray, evaluations: int, seed: int) -> np.ndarray:
    """All choices that pymoo's NSGA-II looked at."""
    from pymoo.algorithms.moo.nsga2 import NSGA2
    from pymoo.core.problem import Problem as Task
    from pymoo.operators.crossover.ux import UX
    from pymoo.operators.mutation.pm import PM
    from pymoo.operators.repair.rounding import RoundingRepair
    from pymoo.operators.sampling.rnd import IntegerRandomSampling
    from pymoo.optimize import minimize

    seen: list[np.ndarray] = []

    class Choose(Task):
        def __init__(self) -> None:
            super().__init__(n_var=LAYERS, n_obj=2, xl=0, xu=KINDS - 1, vtype=int)

        def _evaluate(self, x: np.ndarray, out: dict[str, Any], *args: Any, **kwargs: Any) -> None:
            seen.extend(x.astype(np.int64))
            out["F"] = objectives(p, theta, x.astype(np.int64))

    algorithm = NSGA2(
        pop_size=50, sampling=IntegerRandomSampling(), crossover=UX(prob=0.9),
        mutation=PM(prob=1.0, prob_var=1 / LAYERS, eta=3, vtype=float, repair=RoundingRepair()),
    )  # fmt: skip
    minimize(Choose(), algorithm, ("n_evals", evaluations), seed=seed)
    return np.stack(seen)


def test_the_first_generation_is_uniform_choices_and_random_ones(setting: Callable[..., Setting]) -> None:
    p, _, judge = setting(0, 60)
    nsga2(judge, np.random.default_rng(0), NsgaOptions(population=40, uniform=4))
    tried = list(judge.tried)
    uniform = [t for t in tried[:6] if len(set(t)) == 1]
    assert len(uniform) >= 4
    energies = sorted(float(p.energy_j(np.array(t))[0]) for t in uniform)
    assert energies[0] < 0.6 * energies[-1], "they are spread over the energies"
    assert any(len(set(t)) > 2 for t in tried)


def test_evaluations_kept_back_return_to_the_search(setting: Callable[..., Setting]) -> None:
    for cap in (12, 25, 60):
        _, evaluator, judge = setting(1, cap)
        try:
            nsga2(judge, np.random.default_rng(0))
        except OutOfEvaluationsError:
            pytest.fail("it plans with what is left")
        assert evaluator.left <= 1, "none is lost but one that could not be confirmed"
        assert sum(split == "accept" for split, _ in evaluator.calls) <= 1 + 10 + 3


def test_more_evaluations_find_a_better_front(setting: Callable[..., Setting]) -> None:
    """Mean over seeds; one seed alone may be unlucky."""
    fronts = []
    for cap in (60, 240):
        areas = []
        for seed in range(2):
            p, evaluator, judge = setting(seed, cap)
            nsga2(judge, np.random.default_rng(0))
            points = objectives(p, evaluator.theta, np.array(list(judge.tried)))
            dearest = float(p.energy_j(p.baseline)[0])
            areas.append(hypervolume(points / [1, dearest], np.array([0.05, 1.01])))
        fronts.append(np.mean(areas))
    assert fronts[1] > fronts[0]


def test_a_small_space_is_searched_once(problem: Callable[..., Problem], known_truth: Any) -> None:
    p = problem(0, 2, 3, 3, 0.01)
    evaluator = known_truth(p, 500, 0.1 * p.weights)
    nsga2(Judge(p, evaluator, "nsga2"), np.random.default_rng(0))
    assert sum(split == "search" for split, _ in evaluator.calls) == 9


def test_kinds_fit_the_pods(setting: Callable[..., Setting]) -> None:
    p, _, judge = setting(2, 80, pods=2)
    nsga2(judge, np.random.default_rng(0))
    assert max(len(set(t)) for t in judge.tried) == 2
    rng = np.random.default_rng(0)
    for _ in range(50):
        choice, cost = rng.integers(0, KINDS, LAYERS), rng.random((LAYERS, KINDS))
        fitted = within_pods(p, choice, cost)
        assert len(np.unique(fitted)) <= 2
        assert set(fitted.tolist()) <= {*choice.tolist(), p.exact}
        if len(np.unique(choice)) <= 2:
            assert np.array_equal(fitted, choice)


def test_options_are_checked_and_matter(setting: Callable[..., Setting]) -> None:
    with pytest.raises(InvalidInputError, match="population"):
        NsgaOptions(population=1)
    with pytest.raises(InvalidInputError, match="mutation"):
        NsgaOptions(mutation=1.5)
    seen = []
    for mutation in (None, 0.9):
        _, evaluator, judge = setting(0, 60)
        nsga2(judge, np.random.default_rng(0), NsgaOptions(population=10, uniform=4, mutation=mutation))
        seen.append(evaluator.calls)
    assert seen[0] != seen[1]
