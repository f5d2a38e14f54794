"""The one interface of importance scores, and what a scorer is given."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar

import torch

from axdnn.layers import Calibration, Recipe
from axdnn.quant import CapturedModel
from axdnn.records import InvalidInputError, LayerScores, Network

Progress = Callable[[str, int, int], None]


@dataclass
class Context:
    """What a scorer may look at.

    Attributes:
        model: captured float network, batch norm folded.
        network: its description.
        images: held-out inputs `(n, ...)`.
        calibrate: makes the calibration of the integer network; called at most once, by the first score that needs it.
        recipe: conversion switches.
        progress: called with (message, done, total), or None.
    """

    model: CapturedModel
    network: Network
    images: torch.Tensor
    calibrate: Callable[[], Calibration]
    recipe: Recipe = field(default_factory=Recipe)
    progress: Progress | None = None

    def __post_init__(self) -> None:
        """Check that there is something to look at."""
        if len(self.images) == 0:
            raise InvalidInputError("`images` must hold at least one input, but is empty")

    @cached_property
    def calibration(self) -> Calibration:
        """Calibration of the integer network."""
        return self.calibrate()


class Scorer(ABC):
    """A measure of how much each layer matters: larger is more important.

    Laws, checked by `axdnn.testing.ScorerLaws`:

    - every layer of the network gets one finite value, in execution order, and nothing else does;
    - a layer whose output does not reach the network's output, or is always 0, scores lowest (ties allowed);
    - the same context and options give the same scores, also in another process;
    - no hooks stay on the model, also after an exception; mode, gradient flags, weights and random state are unchanged;
    - `network_images` is the number of images that went through any network, one for each point on a path.
    """

    name: ClassVar[str]

    @abstractmethod
    def score(self, context: Context) -> LayerScores:
        """Score the layers of a network."""
