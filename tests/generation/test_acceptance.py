"""What the answers of the accept split say of other choices: against counting samples of the prior."""

from __future__ import annotations

import numpy as np
import pytest

from axdnn.generation import Acceptance, Sampled

BUDGET, SAMPLED = 0.01, 0.0015


def choices(losses: list[float], differs: list[list[int]], doubt: float = 0.0) -> Sampled:
    many = len(losses)
    return Sampled(
        np.array(losses), np.full(many, 0.0025), np.full(many, SAMPLED), np.full(many, doubt),
        np.array(differs, dtype=np.float64).reshape(many, len(differs[0]) if many else 8),
    )  # fmt: skip


ALIKE, OTHER, NEAR = [1, 1, 1, 1, 0, 0, 0, 0], [0, 0, 0, 0, 1, 1, 1, -1], [1, 1, 1, 0, 1, 0, 0, 0]
NOTHING = choices([], [])


def test_without_answers_the_chance_is_that_of_two_samples() -> None:
    """Losses of a choice on two splits differ by a Gaussian of twice the variance: of those at the limit half pass."""
    free = Acceptance(NOTHING, [], BUDGET)
    found = free.chance(choices([0.0075, 0.004, 0.012], [ALIKE] * 3))
    assert found[0] == pytest.approx(0.5)
    assert found[1] > 0.9 > 0.1 > found[2]
    assert free.harder == 0.0


def test_an_answer_says_most_of_choices_that_fail_on_the_same_images() -> None:
    asked = choices([0.006] * 3, [ALIKE, NEAR, OTHER])
    before = Acceptance(NOTHING, [], BUDGET).chance(asked)
    refused = Acceptance(choices([0.006], [ALIKE]), [False], BUDGET)
    accepted = Acceptance(choices([0.006], [ALIKE]), [True], BUDGET)
    lower, higher = refused.chance(asked), accepted.chance(asked)
    assert lower[0] < lower[1] < lower[2] == pytest.approx(before[2])
    assert higher[0] > higher[1] > higher[2] == pytest.approx(before[2])
    assert refused.harder > 0 > accepted.harder


@pytest.mark.parametrize("seed", range(4))
def test_chances_are_those_of_counted_samples(seed: int) -> None:
    """Oracle: draw differences of all choices from the prior, keep draws that give the answers, count acceptances."""
    rng = np.random.default_rng(seed)
    differs = rng.choice([0, 0, 1, 1, -1], size=(6, 40)).tolist()
    losses = rng.uniform(0.004, 0.010, 6)
    answers = rng.random(4) < 0.5
    every = choices(losses.tolist(), differs)
    rows = every.differs / np.linalg.norm(every.differs, axis=1, keepdims=True)
    covariance = 2 * SAMPLED**2 * rows @ rows.T
    root = np.linalg.cholesky(covariance + 1e-12 * np.eye(6))
    drawn = rng.standard_normal((400_000, 6)) @ root.T
    drawn += rng.standard_normal(drawn.shape) * 0.2 * SAMPLED
    passed = drawn <= BUDGET - 0.0025 - losses
    kept = (passed[:, :4] == answers).all(axis=1)
    assert kept.sum() > 300
    counted = passed[kept][:, 4:].mean(axis=0)
    found = Acceptance(choices(losses[:4].tolist(), differs[:4]), answers.tolist(), BUDGET)
    assert found.chance(choices(losses[4:].tolist(), differs[4:])) == pytest.approx(counted, abs=0.03)


def test_many_equal_refusals_stay_finite() -> None:
    same = Acceptance(choices([0.002] * 12, [ALIKE] * 12), [False] * 12, BUDGET)
    chance = same.chance(choices([0.002, 0.002], [ALIKE, OTHER]))
    assert np.isfinite(chance).all()
    assert chance[0] < 0.3 < chance[1]


def test_known_and_unknown_choices_mix() -> None:
    """One of unknown images is taken to fail like the others do in the mean; two of them as alike as `UNKNOWN`."""
    unknown = [0] * 8
    sent, asked = choices([0.006] * 4, [ALIKE, unknown, OTHER, unknown]), choices([0.006] * 3, [ALIKE, OTHER, unknown])
    refused, accepted = (
        Acceptance(sent, [False, answer, False, answer], BUDGET).chance(asked) for answer in (False, True)
    )
    assert (refused > 0.0).all()
    assert (refused < accepted).all()
    assert (accepted < 1.0).all()
