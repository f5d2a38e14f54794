"""What single layers suffer, inferred from few measured pairs: right where truth is known, honest about its error."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from axdnn.generation import DivergenceModel, LossPredictor, Pairs, Problem, SensitivityOptions, expect
from axdnn.generation.sensitivity import HOPELESS_NOISE, design
from axdnn.records import InvalidInputError


class Truth:
    """Divergences that grow with the noise, and less than it where it is coarse, as outputs can only get so wrong."""

    def __init__(self, problem: Problem, seed: int) -> None:
        rng = np.random.default_rng(seed)
        shape = problem.noise.shape
        sizes = problem.weights * np.exp(rng.normal(0.0, 0.7, shape[0]))  # importance is wrong by a factor of two
        bend = 10 ** rng.uniform(-2.5, -1.0, shape[0])[:, None]
        self.nats = sizes[:, None] * problem.noise / (1 + problem.noise / bend) * np.exp(rng.normal(0.0, 0.1, shape))
        self.nats[:, problem.exact] = 0.0
        self.problem, self.measured = problem, 0

    def __call__(self, choices: np.ndarray) -> np.ndarray:
        assert ((choices != self.problem.exact).sum(axis=1) == 1).all(), "one layer alone is not exact"
        self.measured += len(choices)
        return self.nats[np.arange(len(self.problem.layers)), choices].sum(axis=1)


@pytest.mark.parametrize("seed", range(6))
def test_four_points_a_layer_tell_of_all_pairs(problem: Callable[..., Problem], seed: int) -> None:
    p = problem(seed, layers=6, kinds=20, pods=2)
    truth = Truth(p, seed)
    expected = expect(p, truth, SensitivityOptions(), np.random.default_rng(seed))
    inexact = np.arange(20) != p.exact
    errors = np.abs(np.log(expected.nats[:, inexact] / truth.nats[:, inexact]))
    assert np.median(errors) < np.log(1.15)
    assert errors.max() < np.log(2.5)
    assert (errors < 2.5 * expected.spread[:, inexact] + 0.15).mean() > 0.95, "and the spread says how far they are off"
    assert truth.measured == expected.measured_pairs <= 6 * (4 + 1)
    assert not expected.nats[:, p.exact].any()


@pytest.mark.parametrize("seed", range(3))
def test_coarse_multipliers_are_where_a_local_expansion_fails(problem: Callable[..., Problem], seed: int) -> None:
    """A straight line through the finest measured multiplier, the best that a Taylor expansion could be."""
    p = problem(seed, layers=6, kinds=20, pods=2)
    truth = Truth(p, seed)
    expected = expect(p, truth, SensitivityOptions(), np.random.default_rng(seed))
    coarse = p.noise > 0.2
    local = p.noise * (truth.nats[:, 1] / p.noise[:, 1])[:, None]
    off = [np.median(np.abs(np.log(table[coarse] / truth.nats[coarse]))) for table in (expected.nats, local)]
    assert off[0] < np.log(1.3)
    assert off[1] > np.log(3)


def test_what_is_held_out_is_predicted_before_it_is_seen(problem: Callable[..., Problem]) -> None:
    p = problem(1, layers=6, kinds=20, pods=2)
    truth = Truth(p, 1)
    expected = expect(p, truth, SensitivityOptions(held_out=2.0), np.random.default_rng(1))
    assert len(expected.found) == len(expected.predicted) == 12
    assert (expected.factors >= 1).all()
    assert 1.0 < np.median(expected.factors) < 1.4
    assert (np.abs(np.log(expected.predicted / expected.found)) > 1e-3).all(), "no prediction has seen its own answer"
    known = np.isin(truth.nats, expected.found)
    assert np.allclose(expected.nats[known], truth.nats[known], rtol=0.1), "afterwards they are known"
    assert expected.spread[known].max() < 0.1 < np.median(expected.spread[~known])


def test_points_are_spread_over_useful_noise(problem: Callable[..., Problem]) -> None:
    p = problem(2, layers=5, kinds=20, pods=2)
    noise = p.noise * np.array([1, 1, 1, 1, 1e6])[:, None]  # hopeless in the last layer, all of them
    pairs = design(noise, p.exact, 4)
    for layer in range(5):
        chosen = pairs.multiplier[pairs.layer == layer]
        assert p.exact not in chosen
        assert 1 <= len(set(chosen)) == len(chosen) <= 4
        if layer < 4:
            assert noise[layer, chosen].max() <= HOPELESS_NOISE
            useful = np.sort(noise[layer][(noise[layer] <= HOPELESS_NOISE) & (np.arange(20) != p.exact)])
            assert {noise[layer, chosen].min(), noise[layer, chosen].max()} == {useful[0], useful[-1]}
    assert (pairs.layer == 4).sum() == 1


def test_with_two_multipliers_there_is_one_point_a_layer(problem: Callable[..., Problem]) -> None:
    p = problem(3, layers=3, kinds=2, pods=2)
    expected = expect(p, Truth(p, 3), SensitivityOptions(), np.random.default_rng(0))
    assert (expected.measured_pairs, len(expected.found)) == (3, 0)
    assert np.isfinite(expected.nats).all()


def test_the_model_is_gaussian_conditioning_by_hand() -> None:
    """Two pairs of one layer and one of another, all parts written out."""
    noise, weights = np.array([[1e-3, 1e-2, 1e-1], [2e-3, 2e-2, 2e-1]]), np.array([1.0, 3.0])
    pairs, nats = Pairs(np.array([0, 0, 1]), np.array([0, 2, 1])), np.array([2e-4, 8e-3, 1e-2])
    model = DivergenceModel(noise, weights, pairs, nats)
    offset, bend, own, peculiar = model.sizes
    spots = [(layer, kind) for layer in range(2) for kind in range(3)]

    def covariance(a: tuple[int, int], b: tuple[int, int]) -> float:
        near = np.exp(-0.5 * (np.log(noise[a] / noise[b]) / 2.0) ** 2)
        same = offset**2 + own**2 * near if a[0] == b[0] else 0.0
        return float(25 + bend**2 * near + same + (peculiar**2 if a == b else 0.0))

    full = np.array([[covariance(a, b) for b in spots] for a in spots])
    known = [spots.index(spot) for spot in zip(*(part.tolist() for part in pairs), strict=True)]
    line = np.log([noise[s] * weights[s[0]] for s in spots])
    inner = np.linalg.inv(full[np.ix_(known, known)] + 0.05**2 * np.eye(3))
    mean = line + full[:, known] @ inner @ (np.log(nats) - line[known])
    deviation = np.sqrt(np.diag(full - full[:, known] @ inner @ full[known]))
    got = model.predict(Pairs(np.array([s[0] for s in spots]), np.array([s[1] for s in spots])))
    np.testing.assert_allclose(got[0], mean, rtol=1e-9)
    np.testing.assert_allclose(got[1], deviation, rtol=1e-6)


def test_divergences_guide_the_prediction_of_losses(problem: Callable[..., Problem]) -> None:
    """A loss in proportion to the sum of divergences is learned from one measurement, wherever importance is wrong."""
    p = problem(5, layers=6, kinds=12, pods=2, budget=0.02)
    truth = Truth(p, 5)
    q = dataclasses.replace(p, expected=expect(p, truth, SensitivityOptions(), np.random.default_rng(0)))
    rng = np.random.default_rng(1)
    choices = rng.integers(0, 12, (4000, 6))
    loss = 0.4 * truth.nats[np.arange(6), choices].sum(axis=1)
    near = (loss > 0.01) & (loss < 0.04)
    choices, loss = choices[near][:41], loss[near][:41]
    off = []
    for each in (p, q):
        predictor = LossPredictor(each)
        predictor.learn(choices[0], float(loss[0]))
        off.append(
            np.median([abs(np.log(predictor.predict(c) / x)) for c, x in zip(choices[1:], loss[1:], strict=True)])
        )
    assert off[1] < 0.25
    assert off[1] < 0.7 * off[0]


@pytest.mark.parametrize("wrong", [{"points": -1}, {"held_out": -0.5}, {"images": 0}])
def test_bad_options(wrong: dict[str, float]) -> None:
    with pytest.raises(InvalidInputError, match=next(iter(wrong))):
        SensitivityOptions(**wrong)  # type: ignore[arg-type]
