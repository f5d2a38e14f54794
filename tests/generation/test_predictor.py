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


def test_measurements_set_the_common_scale(problem: Callable[..., Problem]) -> None:
    """One tells most of it, a few the rest; the first guess of 0.1 is wrong by seven."""
    p = problem(1, layers=4, kinds=6, pods=4, budget=0.1)
    theta = 0.7 * p.weights
    predictor = LossPredictor(p)
    for choice, allowed in (([3, 3, 3, 3], 0.5), ([2, 3, 3, 4], 0.25), ([4, 2, 3, 3], 0.25), ([3, 4, 4, 2], 0.1)):
        predictor.learn(np.array(choice), float(losses(p, theta, np.array([choice]))[0]))
        assert np.median(np.abs(predictor.theta / theta - 1)) < allowed


def test_a_loss_of_nothing_lowers_the_prediction_and_does_not_end_it(problem: Callable[..., Problem]) -> None:
    """A few images may show no loss where there is some: the next prediction is lower by a factor, not zero."""
    p = problem(2, layers=5, kinds=6, pods=4)
    choice = near_budget(p, 0.1 * p.weights, np.random.default_rng(0), 1)[0]
    for loss in (0.0, -0.002):
        predictor = LossPredictor(p)
        before = predictor.predict(choice)
        predictor.learn(choice, loss, sampled=0.02)
        assert 0.2 * before < predictor.predict(choice) < before


def test_what_was_never_tried_is_less_certain(problem: Callable[..., Problem]) -> None:
    """After measurements of one layer alone its losses are certain, those of the others are not."""
    p = problem(3, layers=4, kinds=6, pods=4, budget=0.05)
    theta = 0.1 * p.weights
    predictor = LossPredictor(p)
    alone = np.eye(4, dtype=np.int64)
    first = [predictor.spread(4 * one) / predictor.predict(4 * one) for one in alone]
    for kind in (3, 4, 5, 4):
        choice = kind * alone[0]
        predictor.learn(choice, float(losses(p, theta, choice[None])[0]))
    after = [predictor.spread(4 * one) / predictor.predict(4 * one) for one in alone]
    assert after[0] < 0.6 * first[0]
    assert min(after[1:]) > 1.3 * after[0]


def test_few_images_teach_less_than_many(problem: Callable[..., Problem]) -> None:
    p = problem(4, layers=4, kinds=6, pods=4, budget=0.02)
    theta = 0.5 * p.weights
    choice = near_budget(p, theta, np.random.default_rng(1), 1)[0]
    truth = float(losses(p, theta, choice[None])[0])
    found = []
    for sampled in (0.0, 0.01, 0.1):
        predictor = LossPredictor(p)
        predictor.learn(choice, truth, sampled)
        found.append((abs(predictor.predict(choice) - truth), predictor.spread(choice)))
    assert found == sorted(found)


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
