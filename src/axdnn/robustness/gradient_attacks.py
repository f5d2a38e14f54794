"""Attacks that follow the gradient of a loss within the ball: FGSM, BIM, PGD.

References:
    I. J. Goodfellow, J. Shlens, C. Szegedy, "Explaining and harnessing adversarial examples", ICLR 2015 (FGSM).
    A. Kurakin, I. Goodfellow, S. Bengio, "Adversarial examples in the physical world", ICLR workshop 2017 (BIM).
    A. Madry et al., "Towards deep learning models resistant to adversarial attacks", ICLR 2018 (PGD).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch

from axdnn.records import unknown_name
from axdnn.robustness.attack import Settings, generator_of
from axdnn.robustness.threat import Ball
from axdnn.robustness.victim import Victim, margin

Loss = Literal["ce", "margin"]
LOSSES = ("ce", "margin")


@dataclass(frozen=True)
class FGSM(Settings):
    """One step of the whole radius along the gradient."""

    name: ClassVar[str] = "fgsm"
    iterative: ClassVar[bool] = False

    def perturb(
        self, victim: Victim, images: torch.Tensor, labels: torch.Tensor, ball: Ball, seed: int
    ) -> torch.Tensor:
        """See `Attack`."""
        gradient, _ = victim.loss_gradient(images, labels)
        return ball.project(images + ball.step(gradient, ball.eps), images)


@dataclass(frozen=True)
class BIM(Settings):
    """Steps of `eps / steps` from the image itself, projected after each."""

    name: ClassVar[str] = "bim"
    steps: int = 10

    def perturb(
        self, victim: Victim, images: torch.Tensor, labels: torch.Tensor, ball: Ball, seed: int
    ) -> torch.Tensor:
        """See `Attack`."""
        return ascend(victim, images, labels, images, ball, self.steps, ball.eps / self.steps, "ce")


@dataclass(frozen=True)
class PGD(Settings):
    """Steps along the gradient, projected after each, from several random starts.

    Attributes:
        steps: of each start.
        restarts: starts; an image that is fooled needs no further one.
        step: size of a step as a share of eps; 0 takes 2.5 / steps, which crosses the ball somewhat more than once.
        loss: `ce`, cross entropy, or `margin`, the best other logit less that of the label.
    """

    name: ClassVar[str] = "pgd"
    steps: int = 40
    restarts: int = 3
    step: float = 0.0
    loss: Loss = "ce"

    def __post_init__(self) -> None:
        """Check the options."""
        super().__post_init__()
        if self.loss not in LOSSES:
            raise unknown_name("loss", self.loss, LOSSES)

    def perturb(
        self, victim: Victim, images: torch.Tensor, labels: torch.Tensor, ball: Ball, seed: int
    ) -> torch.Tensor:
        """See `Attack`."""
        found, left = images.clone(), torch.arange(len(images))
        size = ball.eps * (self.step or 2.5 / self.steps)
        generator = generator_of(seed, self.name)
        for _ in range(self.restarts):
            x, y = images[left], labels[left]
            found[left] = ascend(victim, x, y, ball.random(x, generator), ball, self.steps, size, self.loss)
            left = left[victim.right(found[left], y)]
            if not len(left):
                break
        return found


def ascend(
    victim: Victim, images: torch.Tensor, labels: torch.Tensor, start: torch.Tensor, ball: Ball, steps: int,
    size: float, loss: str, until_fooled: bool = True,
) -> torch.Tensor:  # fmt: skip
    """Climb the loss from `start`.

    Args:
        victim: the network.
        images: centres of the balls `(b, ...)`.
        labels: int64 `(b,)`.
        start: where to begin, within the balls.
        ball: bounds.
        steps: at most so many.
        size: of a step, in the ball's norm.
        loss: see `Victim.loss_gradient`.
        until_fooled: an image stays where it first fools the network; else all steps are made.
    """
    found, left = start.clone(), torch.arange(len(images))
    for _ in range(steps):
        x, y = found[left], labels[left]
        gradient, logits = victim.loss_gradient(x, y, loss)
        fooled = (margin(logits, y) > 0) & until_fooled
        moved = ball.project(x + ball.step(gradient, size), images[left])
        found[left] = torch.where(fooled.view(-1, *([1] * (x.dim() - 1))), x, moved)
        left = left[~fooled]
        if not len(left):
            break
    return found
