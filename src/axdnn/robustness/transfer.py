"""Attacks made on another network, the exact int8 or the float one, and tried on this one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from axdnn.robustness.attack import Kind, generator_of
from axdnn.robustness.gradient_attacks import ascend
from axdnn.robustness.threat import NORMS, Ball
from axdnn.robustness.victim import Victim


@dataclass(frozen=True)
class Transfer:
    """PGD on the margin of a source network, all steps, so that the images are sure; they are then shown to the victim.

    Attributes:
        source: the network that is attacked.
        label: of the source, part of the attack's name.
        steps: of PGD, each of size `2.5 eps / steps`.
    """

    source: Victim
    label: str
    steps: int = 40
    kind: ClassVar[Kind] = "black_box"
    iterative: ClassVar[bool] = False
    norms: ClassVar[tuple[str, ...]] = NORMS

    @property
    def name(self) -> str:
        """`transfer_` and the source."""
        return f"transfer_{self.label}"

    @property
    def settings(self) -> str:
        """Attack and source, by content."""
        return f"{self.name}(steps={self.steps}, source={self.source.digest})"

    def perturb(
        self, victim: Victim, images: torch.Tensor, labels: torch.Tensor, ball: Ball, seed: int
    ) -> torch.Tensor:
        """See `Attack`. Passes are those of the source."""
        start, size = ball.random(images, generator_of(seed, self.name)), 2.5 * ball.eps / self.steps
        return ascend(self.source, images, labels, start, ball, self.steps, size, "margin", until_fooled=False)
