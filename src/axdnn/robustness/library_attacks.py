"""AutoAttack and Square by the package `pyautoattack`, as F. Croce and M. Hein published them (their own code).

References:
    F. Croce, M. Hein, "Reliable evaluation of adversarial robustness with an ensemble of diverse parameter-free
    attacks", ICML 2020 (APGD, AutoAttack); "Minimally distorted adversarial examples with a fast adaptive boundary
    attack", ICML 2020 (FAB).
    M. Andriushchenko et al., "Square Attack: a query-efficient black-box adversarial attack via random search",
    ECCV 2020.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from axdnn.records import InvalidInputError
from axdnn.robustness.attack import Kind, Settings
from axdnn.robustness.threat import Ball
from axdnn.robustness.victim import Victim

NAMES = {"linf": "Linf", "l2": "L2"}
TARGETED_NEEDS = 4
"""Classes below which the targeted loss of APGD is not defined."""


@dataclass(frozen=True)
class AutoAttack(Settings):
    """The white-box members of AutoAttack: APGD on cross entropy, targeted APGD, targeted FAB; each on what is left.

    AutoAttack as published is these and Square, which is an attack of its own here: it is the black box that must not
    beat them. The nearest image that FAB found may lie outside the ball; it is pulled back and tried again, which
    breaks somewhat more than the original.

    Attributes:
        steps: of each member.
        targets: classes that targeted members aim at, the likeliest ones.
    """

    name: ClassVar[str] = "autoattack"
    steps: int = 100
    targets: int = 9

    def perturb(
        self, victim: Victim, images: torch.Tensor, labels: torch.Tensor, ball: Ball, seed: int
    ) -> torch.Tensor:
        """See `Attack`."""
        with torch.no_grad():
            classes = int(victim(images[:1]).shape[1])
        targets = min(self.targets, classes - 1)
        found, left = images.clone(), torch.arange(len(images))
        for member in self._members(victim, ball, seed, targets, classes >= TARGETED_NEEDS):
            with _quiet_and_seeded():
                moved = member.perturb(images[left].clone(), labels[left].clone())
            moved = ball.project(moved.detach().reshape(images[left].shape).nan_to_num(), images[left])
            right = victim.right(moved, labels[left])
            found[left[~right]], left = moved[~right], left[right]
            if not len(left):
                break
        return found

    def _members(self, victim: Victim, ball: Ball, seed: int, targets: int, targeted: bool) -> Iterator[Any]:
        from pyautoattack.autopgd_base import APGDAttack, APGDAttack_targeted
        from pyautoattack.fab_pt import FABAttack_PT

        common = {"n_iter": self.steps, "n_restarts": 1, "norm": NAMES[ball.norm], "eps": ball.eps, "verbose": False,
                  "seed": seed % 2**31, "device": "cpu"}  # fmt: skip
        yield APGDAttack(victim, **common)
        if targeted:
            apgd = APGDAttack_targeted(victim, **common)
            apgd.n_target_classes = targets
            yield apgd
        fab = FABAttack_PT(victim, **common)
        fab.targeted, fab.n_target_classes = True, targets
        yield fab


@dataclass(frozen=True)
class Square(Settings):
    """Random search over squares of pixels; asks for logits only.

    Attributes:
        queries: of each image.
    """

    name: ClassVar[str] = "square"
    kind: ClassVar[Kind] = "black_box"
    queries: int = 1000

    def perturb(
        self, victim: Victim, images: torch.Tensor, labels: torch.Tensor, ball: Ball, seed: int
    ) -> torch.Tensor:
        """See `Attack`."""
        from pyautoattack.square import SquareAttack

        if images.dim() != 4:
            raise InvalidInputError(f"the attack 'square' takes pictures (b, c, h, w), but got {tuple(images.shape)}")
        attack = SquareAttack(
            victim, norm=NAMES[ball.norm], n_queries=self.queries, eps=ball.eps, p_init=0.8, n_restarts=1,
            seed=seed % 2**31, verbose=False, device="cpu", resc_schedule=False,
        )  # fmt: skip
        with _quiet_and_seeded():
            moved = attack.perturb(images.clone(), labels.clone())
        return ball.project(moved.detach(), images)


@contextmanager
def _quiet_and_seeded() -> Iterator[None]:
    """Keep torch's generator, which the package seeds, as it was; its warnings are what our laws check."""
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
