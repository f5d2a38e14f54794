"""`Dataset`: images and labels in memory, and the fixed split of the training images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from axdnn.records import InvalidInputError, unknown_name

if TYPE_CHECKING:
    import torch

SPLITS = ("fit", "calibration", "search", "accept", "test")
SPLIT_SEED = 20_250_101
CALIBRATION_IMAGES = 2_000
Int64Array = npt.NDArray[np.int64]
UInt8Array = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False, kw_only=True)
class Dataset:
    """A data set of labelled images.

    Attributes:
        name: e.g. `"mnist"`.
        train_images: uint8 `(N, C, H, W)`, values 0..255, read-only.
        train_labels: int64 `(N,)`, values 0..len(classes)-1, read-only.
        test_images, test_labels: the same for the test images, in their original order.
        classes: names of the classes, index = label.
        source: where the images come from, and whether they are all of the set.
        sha256: checksum of the contents.
        complete: False for the small stand-in (5,000 digits of MNIST).
    """

    name: str
    train_images: UInt8Array
    train_labels: Int64Array
    test_images: UInt8Array
    test_labels: Int64Array
    classes: tuple[str, ...]
    source: str
    sha256: str
    complete: bool = True

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """`(channels, height, width)` of an image."""
        channels, height, width = self.train_images.shape[1:]
        return channels, height, width

    def splits(self) -> dict[str, Int64Array]:
        """Return the fixed index sets of the training images.

        Returns:
            `fit`: all but the held-out images, for training weights. `calibration`: 2,000 of `fit` (a tenth of it if
            `fit` is small), in random order, so that any first n are a sample. `search` (split A) and `accept`
            (split B): the halves of a seeded permutation of the held-out images, which are the last 10,000 of the
            training images (the last fifth if there are fewer than 50,000). No weight is ever trained on the
            held-out images. The sets are the same on every machine.
        """
        total = len(self.train_images)
        held = 10_000 if total >= 50_000 else total // 5
        generator = np.random.RandomState(SPLIT_SEED)  # legacy on purpose: its stream is frozen for all versions
        held_out = total - held + generator.permutation(held)
        fit = np.arange(total - held)
        calibration = generator.permutation(total - held)[: min(CALIBRATION_IMAGES, (total - held) // 10)]
        half = held // 2
        parts = {"fit": fit, "calibration": calibration, "search": held_out[:half], "accept": held_out[half:]}
        return {name: part.astype(np.int64) for name, part in parts.items()}

    @staticmethod
    def as_float(images: npt.NDArray[Any]) -> torch.Tensor:
        """Return images as the models take them: a float32 tensor of the same shape, pixels / 255, so in [0, 1].

        Raises:
            InvalidInputError: the images are not uint8.
        """
        import torch

        if images.dtype != np.uint8:
            raise InvalidInputError(f"images must be uint8 with values 0..255, but got dtype {images.dtype}")
        return torch.from_numpy(images.astype(np.float32)) / 255.0

    def tensors(self, split: str, limit: int | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """Return a split as tensors that can be fed to a model.

        Args:
            split: `"fit"`, `"calibration"`, `"search"`, `"accept"` or `"test"`.
            limit: the first so many images of the split; None for all.

        Returns:
            Images, float32 `(n, C, H, W)` in [0, 1], and labels, int64 `(n,)`.

        Raises:
            UnknownNameError: no such split.
            InvalidInputError: `limit` is not between 1 and the number of images of the split.
        """
        import torch

        if split not in SPLITS:
            raise unknown_name("split", split, SPLITS)
        images, labels = self.test_images, self.test_labels
        index = np.arange(len(images)) if split == "test" else self.splits()[split]
        if split != "test":
            images, labels = self.train_images, self.train_labels
        if limit is not None and not 1 <= limit <= len(index):
            raise InvalidInputError(
                f"1 <= limit <= {len(index)} must hold for split {split!r} of {self.name}, but got limit={limit!r}"
            )
        index = index[:limit]
        return self.as_float(images[index]), torch.tensor(labels[index], dtype=torch.int64)
