"""Batches of training images from memory, shuffled and augmented by one generator."""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F


class Batches:
    """The training images, as shuffled and augmented batches.

    Args:
        images: uint8 `(n, c, h, w)`.
        labels: int64 `(n,)`.
        batch_size: images a batch; the last batch of an epoch may be smaller.
        shift: pixels that an image may move each way; what comes in is 0.
        flip: whether to mirror half of the images.
        generator: source of every choice.
    """

    def __init__(
        self,
        images: torch.Tensor,
        labels: torch.Tensor,
        batch_size: int,
        shift: int,
        flip: bool,
        generator: torch.Generator,
    ) -> None:
        self.labels, self.batch_size, self.flip, self.generator = labels, batch_size, flip, generator
        self.places = 2 * shift + 1
        height, width = images.shape[2:]
        padded = F.pad(images, (shift, shift, shift, shift))
        self.windows = padded.unfold(2, height, 1).unfold(3, width, 1)  # a view: (n, c, places, places, h, w)

    def __len__(self) -> int:
        """Batches an epoch."""
        return -(-len(self.labels) // self.batch_size)

    def order(self) -> torch.Tensor:
        """Draw the order of the images in one epoch."""
        return torch.randperm(len(self.labels), generator=self.generator)

    def epoch(self, order: torch.Tensor | None = None, done: int = 0) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield every image once, as float32 `(b, c, h, w)` in [0, 1] with labels `(b,)`.

        Args:
            order: of the images; None to draw one.
            done: batches at the start that are left out.
        """
        order = self.order() if order is None else order
        for index in order.split(self.batch_size)[done:]:
            yield self._images(index), self.labels[index]

    def _images(self, index: torch.Tensor) -> torch.Tensor:
        size = (2, len(index))
        down, right = torch.randint(self.places, size, generator=self.generator)
        images = self.windows[index, :, down, right]
        if self.flip:
            mirrored = torch.rand(len(index), generator=self.generator) < 0.5
            images = torch.where(mirrored[:, None, None, None], images.flip(-1), images)
        return images.float() / 255.0
