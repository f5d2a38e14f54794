"""Hill climbers over assignments in the manner of Cartesian genetic programming: (1 + lambda), mutation alone.

CGP-based search of networks is EuroGP 2021's (M. Pinos, V. Mrazek, L. Sekanina, "Evolutionary neural architecture
search supporting approximate multipliers"); XAI-Gen's authors print figures of it and not what they ran. This is a
reconstruction on our genotype: a fixed network has no graph to evolve, so what is left of CGP is its search.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from axdnn.records import InfeasibleError, Scalar
from axdnn.search import GuidedSampler, Space, mutate

LIMITS = (0.005, 0.01, 0.02, 0.05, 0.1)
EVERYTHING = 1_000_000


class ClimbingSampler(GuidedSampler):
    """One climber for each limit of loss, in turns; its parent is the cheapest candidate so far within the limit.

    While none is within it, the one of least loss. A later candidate that is as good takes its place, as CGP's neutral
    moves do. Objectives are (loss, energy), in this order.

    Args:
        space: what is searched.
        seed: of all chance.
        start: random candidates at first.
        mutation: chance that a field is changed, at least one is.
        limits: of the first objective.
    """

    keeps = True

    def __init__(
        self, space: Space, seed: int = 0, *, start: int = 5, mutation: float = 0.1,
        limits: tuple[float, ...] = LIMITS, **options: Any,
    ) -> None:  # fmt: skip
        super().__init__(space, seed, population=EVERYTHING, start=start, mutation=mutation, **options)
        self.limits = tuple(limits)

    def _child(self, rng: np.random.Generator) -> tuple[dict[str, Scalar], tuple[str, ...]]:
        limit = self.limits[int(rng.integers(len(self.limits)))]
        points = np.array(self._kept._points)
        beyond = np.maximum(points[:, 0] - limit, 0.0)
        order = np.lexsort((-np.arange(len(points)), points[:, 1], beyond))
        parent, key = self._kept.candidates[int(order[0])], self._kept.keys[int(order[0])]
        fields = max(1, int(rng.binomial(len(parent), self.mutation or 1.0 / len(parent))))
        try:
            return mutate(self.space, parent, rng, fields), (key,)
        except InfeasibleError:
            return self.space.sample(rng), ()
