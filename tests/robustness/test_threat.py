"""Balls, epsilons, and what chance may do."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from axdnn.records import AxdnnError, InvalidInputError
from axdnn.robustness import Ball, default_epsilons, parse_attacks, wilson
from axdnn.robustness.attack import generator_of
from axdnn.robustness.statistics import above_chance, chance_of_lead, stronger
from axdnn.robustness.suite import LEVELS, make_attacks
from axdnn.robustness.threat import check_epsilons, unbounded

balls = st.builds(Ball, st.sampled_from(["linf", "l2"]), st.sampled_from([1e-4, 1 / 255, 0.1, 0.5, 1.0, 4.0]))


@settings(max_examples=40)
@given(balls, st.integers(0, 50))
def test_projections_and_random_points_stay_within_the_ball_and_the_range(ball, seed):
    generator = torch.Generator().manual_seed(seed)
    start = (torch.rand(5, 1, 4, 4, generator=generator) * 1.6 - 0.3).clamp(0, 1)
    far = start + torch.randn(start.shape, generator=generator) * 3
    assert not ball.fault(ball.project(far, start), start)
    assert not ball.fault(ball.random(start, generator), start)
    inside = ball.random(start, generator)
    assert torch.allclose(ball.project(inside, start), inside, atol=1e-6)
    step = ball.step(torch.randn(start.shape, generator=generator), ball.eps)
    assert torch.allclose(ball.distance(step, torch.zeros_like(step)), torch.tensor(ball.eps).double(), rtol=1e-5)
    assert not Ball("l2", 1.0).step(torch.zeros(2, 3), 1.0).any()


def test_faults_are_named():
    start = torch.full((2, 3), 0.5)
    for x, says in (
        (torch.full((2, 3), 0.7), "size of a perturbation is 0.2, above eps=0.1"), (start + 0.6, "not [0, 1]"),
        (start * float("nan"), "not finite"), (start[:1], "became (1, 3)"),
    ):  # fmt: skip
        assert says in Ball("linf", 0.1).fault(x, start)
    assert "l2 size" in Ball("l2", 0.1).fault(start + 0.1, start)


def test_random_points_fill_the_ball():
    start, ball = torch.full((4000, 3), 0.5), Ball("l2", 0.4)
    sizes = ball.distance(ball.random(start, generator_of(0)), start)
    assert abs(float((sizes < 0.4 * 0.5 ** (1 / 3)).double().mean()) - 0.5) < 0.03


def test_an_unbounded_ball_holds_one_grey_image_for_all():
    corner = torch.stack([torch.zeros(1, 3, 3), torch.ones(1, 3, 3)])
    for norm in ("linf", "l2"):
        assert not unbounded(norm, (1, 3, 3)).fault(torch.full_like(corner, 0.5), corner)


def test_epsilons():
    assert default_epsilons("mnist", "linf") == (0.1, 0.2)
    assert default_epsilons("cifar10", "linf") == (1 / 255, 2 / 255)
    assert check_epsilons([0.2, 0.1, 0.2]) == (0.1, 0.2)
    with pytest.raises(InvalidInputError, match="eps must be given for 'mnist' and l2"):
        default_epsilons("mnist", "l2")
    for wrong in ([], [-0.1], [0.0], [math.nan], [math.inf], [0.1, -1]):
        with pytest.raises(InvalidInputError, match="above 0"):
            check_epsilons(wrong)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("pdg", "unknown attack 'pdg'; nearest: pgd"), ("pgd,pgd:steps=3", "each once"), ("", "must be named"),
        ("pgd:stps=3", "unknown option of pgd 'stps'; nearest: steps"), ("pgd:steps=0", "steps >= 1"),
        ("pgd:steps=many", "steps must be a whole number"), ("pgd:step=-1", "step >= 0"),
        ("pgd:loss=mse", "unknown loss"),
        ("transfer:steps=0", "steps >= 1"), ("transfer:source=x", "unknown option of transfer"),
        ("fgsm:steps=2", "it has none"),
    ],
)  # fmt: skip
def test_wrong_attacks(text, says):
    with pytest.raises(AxdnnError, match=says):
        parse_attacks(text)


def test_levels_and_options():
    assert parse_attacks("autoattack") == ("autoattack", "square"), "AutoAttack is not whole without its black box"
    for level in LEVELS:
        assert parse_attacks(level, "l2")
    (pgd,) = make_attacks(parse_attacks("inner"), {})
    assert pgd.settings == "pgd(steps=10, restarts=1, step=0.25, loss=ce)"
    (square,) = make_attacks(parse_attacks("square:queries=7"), {})
    assert square.queries == 7
    with pytest.raises(AxdnnError, match="unknown norm 'l1'"):
        parse_attacks("pgd", "l1")


def test_wilson_covers_and_ends_at_the_borders():
    assert wilson(0, 10)[0] == 0.0
    assert wilson(10, 10)[1] == 1.0
    assert wilson(42, 100) == pytest.approx((0.328, 0.518), abs=1e-3)  # tables of Wilson intervals
    generator = np.random.default_rng(0)
    for share in (0.05, 0.42, 0.9):
        counts = generator.binomial(100, share, 4000)
        covered = np.mean([low <= share <= high for low, high in (wilson(int(c), 100) for c in counts)])
        assert 0.93 < covered < 0.985
    with pytest.raises(InvalidInputError):
        wilson(3, 2)


def test_the_sign_test_raises_few_false_alarms_and_finds_what_is_there():
    assert chance_of_lead(5, 0) == 1 / 32
    generator = np.random.default_rng(1)
    alarms = [stronger(*(generator.random((2, 100)) < 0.3)) for _ in range(2000)]
    assert np.mean(alarms) < 0.012
    weak = generator.random(100) < 0.2
    assert stronger(weak | (generator.random(100) < 0.3), weak)
    assert not stronger(weak, weak)
    assert above_chance(30, 100, 0.1)
    assert not above_chance(14, 100, 0.1)
