"""Training images moved and mirrored a little, as they are when the shipped networks are trained."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional

from axdnn.records import InvalidInputError


@dataclass(frozen=True)
class ShiftAndMirror:
    """Moves each image of a batch by a few pixels and mirrors half of them; an `augment` of `fine_tune`.

    Attributes:
        shift: most pixels either way, 0 or more; what comes in is 0.
        mirror: whether half of the images are mirrored left to right.
    """

    shift: int = 0
    mirror: bool = False

    def __post_init__(self) -> None:
        """Check the range."""
        if self.shift < 0:
            raise InvalidInputError(f"shift >= 0 must hold, but got shift={self.shift}")

    def __call__(self, images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return a batch of the same shape.

        Args:
            images: float `(n, c, height, width)`.
            generator: source of every choice.
        """
        moved = self._moved(images, generator) if self.shift else images
        if not self.mirror:
            return moved
        mirrored = torch.rand(len(images), generator=generator) < 0.5
        return torch.where(mirrored[:, None, None, None], moved.flip(-1), moved)

    def _moved(self, images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        padded = functional.pad(images, (self.shift,) * 4)
        down, right = torch.randint(2 * self.shift + 1, (2, len(images)), generator=generator)
        height, width = images.shape[2:]
        return torch.stack([
            p[:, y : y + height, x : x + width] for p, y, x in zip(padded, down.tolist(), right.tolist(), strict=True)
        ])  # fmt: skip
