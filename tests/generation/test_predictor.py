"""The loss predictor learns an additive truth."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from axdnn.generation import LossPredictor, Problem


def losses(p: Problem, theta: np.ndarray, choices: np.ndarray) -> np.ndarray:
    return (theta * p.noise[np.arange(len(p.layers)), choices]).sum(axis=1)


def near_budget(p: Problem, theta: np.ndarray, rng: np.random.Generator, count: int) -> np.ndarray:
    """Random choices whose loss is between a quarter of the budget and four budgets."""
    draws = rng.integers(0, len(p.multipliers), (20_000, len(p.layers)))
    truth = losses(p, theta, draws)
    return draws[(truth > 0.25 * p.budget) & (truth < 4 * p.budget)][:count]


@pytest.mark.parametrize("seed", range(5))
def test_learns_an_additive_truth(problem: Callable[..., Problem], seed: int) -> None:
    """From a prior that is wrong by a factor of up to ten a layer, 20 measurements predict held-out choices."""
    rng = np.random.default_rng(seed)
    p = problem(seed, layers=5, kinds=8, pods=4)
    theta = p.weights * 0.05 * 10 ** rng.uniform(-0.5, 0.5, 5)
    choices = near_budget(p, theta, rng, 60)
    predictor = LossPredictor(p)
    truth = losses(p, theta, choices)

    def error(which: slice) -> float:
        predicted = np.array([predictor.predict(c) for c in choices[which]])
        return float(np.median(np.abs(np.log(predicted / truth[which]))))

    before = error(slice(20, 60))
    for choice, loss in zip(choices[:20], truth[:20], strict=True):
        predictor.learn(choice, float(loss))
    assert error(slice(20, 60)) < 0.25
    assert error(slice(20, 60)) < before


def test_one_measurement_sets_the_common_scale(problem: Callable[..., Problem]) -> None:
    p = problem(1, layers=4, kinds=6, pods=4)
    theta = 0.7 * p.weights
    choice = np.array([3, 3, 3, 3])
    predictor = LossPredictor(p)
    predictor.learn(choice, float(losses(p, theta, choice[None])[0]))
    np.testing.assert_allclose(predictor.theta, theta, rtol=0.02)


def test_never_negative_and_deterministic(problem: Callable[..., Problem]) -> None:
    p = problem(2, layers=5, kinds=6, pods=4)
    tables = []
    for _ in range(2):
        rng, predictor = np.random.default_rng(0), LossPredictor(p)
        for _ in range(30):
            predictor.learn(rng.integers(0, 6, 5), float(rng.normal(0, 0.02)))
            assert (predictor.table >= 0).all()
            assert np.isfinite(predictor.table).all()
            assert (predictor.theta > 0).all(), "no layer is ever free"
        tables.append(predictor.table)
    assert np.array_equal(*tables)


@pytest.mark.parametrize("budget", [0.0, 1.0])
def test_extreme_budgets(problem: Callable[..., Problem], budget: float) -> None:
    p = problem(3, layers=3, kinds=4, pods=2, budget=budget)
    predictor = LossPredictor(p)
    for loss in (0.0, 0.0, 0.9, 1e-9):
        predictor.learn(np.array([1, 2, 3]), loss)
        assert np.isfinite(predictor.predict(np.array([3, 3, 3])))


def test_prediction_is_the_sum_of_the_table(problem: Callable[..., Problem]) -> None:
    p = problem(4, layers=3, kinds=4, pods=2)
    predictor = LossPredictor(p)
    choice = np.array([2, 0, 3])
    assert predictor.predict(choice) == pytest.approx(predictor.table[[0, 1, 2], choice].sum())
