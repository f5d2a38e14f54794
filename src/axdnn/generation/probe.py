"""`Probe`: the loss of a choice on the search split, told by the images that the exact network is least sure of.

An approximate network differs from the exact one where the two largest outputs are near each other. The tenth of the
split with the smallest margins therefore shows nearly all that the whole split would show (on LeNet-5 94 of 100 images
whose outcome differs, rank correlation of losses near one point 0.987; a tenth taken at random: 0.55), for a tenth of
the images. What it does not show is learned from choices that were run on the whole split as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from axdnn.evaluation import FULL_SHARE, Evaluator, paired_loss_bound
from axdnn.generation.problem import Ints, Problem
from axdnn.records import require_finite


@dataclass(frozen=True, kw_only=True)
class ProbeOptions:
    """How much strategy `integer` looks at before it tries a choice.

    Attributes:
        choices: probed at most, for each full evaluation made so far; 0 probes none.
        batch: choices probed together, which share the work of their common layers.
        rounds: of them at most before a choice is tried.
    """

    choices: float = 10.0
    batch: int = 8
    rounds: int = 3

    def __post_init__(self) -> None:
        """Check the ranges."""
        require_finite("choices", self.choices, 0.0)
        require_finite("batch", self.batch, 1)
        require_finite("rounds", self.rounds, 1)


class Seen(NamedTuple):
    """What the images show of a choice.

    Attributes:
        loss: on the whole search split, a fraction.
        bound: its one-sided 95 % bound.
        differs: on each image 1 where only the exact network is right, -1 where only the choice is, `(n,)`.
    """

    loss: float
    bound: float
    differs: npt.NDArray[np.int8]


class Probe:
    """Probes choices and remembers them.

    Args:
        evaluator: counts images and keeps outcomes.
        each: choices that may be probed for each full evaluation. It does not depend on the cap, so that a search with
            a larger one begins like one with a smaller.

    Attributes:
        seen: choice -> what was seen.
    """

    def __init__(self, evaluator: Evaluator, each: float) -> None:
        self.evaluator, self.each = evaluator, each
        self.seen: dict[tuple[int, ...], Seen] = {}
        self._all = len(evaluator.splits["search"])
        self._images = evaluator.least_sure("search", max(1, int(FULL_SHARE * self._all)))
        self._exact = evaluator.correct_on([evaluator.baseline], self._images)[0]

    @property
    def images(self) -> int:
        """Images that each choice is run on."""
        return len(self._exact)

    @property
    def left(self) -> int:
        """Choices that may be probed now."""
        return int(self.each * self.evaluator.full_evaluations) - len(self.seen)

    def look(self, problem: Problem, choices: Ints) -> list[Seen]:
        """Probe choices `(C, N)`, or recall them."""
        keys = keys_of(choices)
        new = [i for i, key in enumerate(keys) if key not in self.seen]
        found = self.evaluator.correct_on([problem.assignment(choices[i]) for i in new], self._images)
        rest = np.ones(self._all - len(self._exact), dtype=bool)  # both are taken to be right there
        exact = np.concatenate([self._exact, rest])
        for i, correct in zip(new, found, strict=True):
            loss = (float(self._exact.sum()) - float(correct.sum())) / self._all
            bound = paired_loss_bound(exact, np.concatenate([correct, rest]))
            self.seen[keys[i]] = Seen(loss, bound, self._exact.astype(np.int8) - correct)
        return [self.seen[key] for key in keys]


def keys_of(choices: Ints) -> list[tuple[int, ...]]:
    """Return choices `(C, N)` as keys."""
    return [tuple(choice) for choice in np.atleast_2d(choices).tolist()]
