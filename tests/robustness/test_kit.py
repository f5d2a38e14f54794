"""Every attack keeps the laws of the kit; the kit finds attacks that do not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch

from axdnn.robustness import BIM, FGSM, PGD, AutoAttack, Ball, CarliniWagner, DeepFool, Settings, Square, Transfer
from axdnn.robustness.measure import AttackError, look, run_attack
from axdnn.testing import AttackLaws, law_images, law_victims


class TestFGSM(AttackLaws):
    breaks = 0.3

    def make_attack(self):
        return FGSM()


class TestBIM(AttackLaws):
    def make_attack(self):
        return BIM(steps=5)


class TestPGD(AttackLaws):
    def make_attack(self):
        return PGD(steps=5, restarts=2)


class TestPGDOnTheMargin(AttackLaws):
    def make_attack(self):
        return PGD(steps=5, restarts=1, loss="margin", step=0.5)


class TestCarliniWagner(AttackLaws):
    def make_attack(self):
        return CarliniWagner(steps=6, searches=2, rate=0.4)


class TestDeepFool(AttackLaws):
    def make_attack(self):
        return DeepFool(steps=5)


class TestAutoAttack(AttackLaws):
    def make_attack(self):
        return AutoAttack(steps=4, targets=2)


class TestSquare(AttackLaws):
    def make_attack(self):
        return Square(queries=30)


class TestTransfer(AttackLaws):
    breaks = 0.0

    def make_attack(self):
        return Transfer(law_victims()[0], "float", steps=5)


@dataclass(frozen=True)
class Escaping(Settings):
    """Leaves the ball by a part in a thousand."""

    name: ClassVar[str] = "escaping"

    def perturb(self, victim, images, labels, ball, seed):
        return (images + 1.001 * ball.eps).clamp(0, 1)


@dataclass(frozen=True)
class Chancy(Settings):
    """Draws from the global generator."""

    name: ClassVar[str] = "chancy"

    def perturb(self, victim, images, labels, ball, seed):
        return ball.project(images + torch.randn_like(images), images)


@dataclass(frozen=True)
class Bypassing(Settings):
    """Asks the network behind the victim's back."""

    name: ClassVar[str] = "bypassing"

    def perturb(self, victim, images, labels, ball, seed):
        victim.decide(images)
        return images.clone()


@pytest.mark.parametrize(
    ("attack", "law"),
    [
        (Escaping, "test_images_stay_within_the_ball_and_the_range"),
        (Chancy, "test_same_seed_same_images"),
        (Bypassing, "test_queries_are_counted"),
        (Bypassing, "test_it_breaks_what_can_be_broken"),
    ],
)
def test_the_kit_finds_what_is_wrong(attack, law):
    class Laws(AttackLaws):
        def make_attack(self):
            return attack()

    with pytest.raises(AssertionError):
        getattr(Laws(), law)()


def test_an_attack_that_leaves_the_ball_is_an_error():
    victim, images = law_victims()[0], law_images()
    pictures = look(victim, images, victim(images).argmax(1))
    with pytest.raises(AttackError, match=r"'escaping' broke its rules .* above eps=0.01"):
        run_attack(Escaping(), victim, pictures, Ball("linf", 0.01))
