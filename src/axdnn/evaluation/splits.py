"""Labelled images of one split."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import torch

from axdnn.layers import digest_of
from axdnn.records import InvalidInputError

DECIDING = ("records", "multipliers", "kernels", "quant", "layers")


@dataclass(frozen=True, eq=False)
class Split:
    """Images and labels of one purpose.

    Attributes:
        name: `search`, `accept` or `test`.
        images: float32 `(n, ...)`.
        labels: int64 `(n,)`.
    """

    name: str
    images: torch.Tensor
    labels: torch.Tensor

    def __post_init__(self) -> None:
        """Check that there is one label an image."""
        if len(self.images) == 0 or len(self.images) != len(self.labels):
            raise InvalidInputError(
                f"split {self.name!r} must have images and as many labels, "
                f"but got {len(self.images)} and {len(self.labels)}"
            )

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.images)

    @cached_property
    def digest(self) -> str:
        """Content key of images and labels."""
        return digest_of(self.images, self.labels)


def describe(value: Any) -> str:
    """Return a text that is equal for equal plain data, tensors and small objects, in every process."""
    if isinstance(value, torch.Tensor):
        return digest_of(value)
    if isinstance(value, Mapping):
        return str(sorted((str(k), describe(v)) for k, v in value.items()))
    if isinstance(value, list | tuple):
        return str([describe(v) for v in value])
    if hasattr(value, "__qualname__"):
        return str(value.__qualname__)
    if hasattr(value, "__dict__"):
        return f"{type(value).__qualname__}{describe(vars(value))}"
    return repr(value)


@cache
def code_key() -> str:
    """Return a content key of the code that decides codings and predictions: saved files of other code are not read."""
    digest = hashlib.sha256()
    for package in DECIDING:
        for file in sorted((Path(__file__).parents[1] / package).glob("*.py")):
            digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:20]
