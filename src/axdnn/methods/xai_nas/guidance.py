"""Guidance of mutations by importance and noise: what matters little may become coarser, what matters much finer.

The paper says that XAI-Gen guides XAI-NAS and not how; this is a reconstruction. A parent stands somewhere on the way
from exact to coarse. There the predicted losses, which are importance times noise or divergences measured of single
layers, have one exchange rate against energy; at that rate every layer has options that suit it and others that do
not. A field that is far from what suits it is changed more often, and to options in proportion to how well they suit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from axdnn.methods.xai_nas.trade import Trade
from axdnn.records import Scalar
from axdnn.search import Guidance

SHARPNESS = 0.5  # score by which an option is e times less likely, as a share of the mean best score of a field
FREE = 0.1  # chance of any option, whatever is predicted
MOST_WEIGHT = 10.0


def make_guidance(
    fields: Sequence[str],
    values: Sequence[Sequence[Scalar]],
    energy: Sequence[Sequence[float]],
    harm: Sequence[Sequence[float]],
) -> Callable[[Mapping[str, Scalar]], Guidance]:
    """Make the guidance from plain data.

    Args:
        fields: paths, N of them.
        values: of each field.
        energy: of the layer with each multiplier, J; what each level of skipping adds to it, 0 or less.
        harm: predicted loss of each value, a fraction.
    """
    trade = Trade(energy, harm)
    place = [{value: i for i, value in enumerate(row)} for row in values]

    def guide(parent: Mapping[str, Scalar]) -> Guidance:
        now = np.array([place[i][parent[path]] for i, path in enumerate(fields)], dtype=np.int64)
        scores = trade.scores(trade.rate_for(trade.loss(now)))
        regret = scores - scores.min(axis=1, keepdims=True)
        scale = max(SHARPNESS * float(scores.min(axis=1).sum()) / len(fields), 1e-300)
        weights, preferences = {}, {}
        for i, path in enumerate(fields):
            liked = np.exp(-regret[i, : len(values[i])] / scale)
            chances = (1 - FREE) * liked / liked.sum() + FREE / len(liked)
            preferences[path] = {v: float(c) for v, c in zip(values[i], chances, strict=True)}
            weights[path] = min(1.0 + float(regret[i, now[i]]) / scale, MOST_WEIGHT)
        return Guidance(weights, preferences)

    return guide
