"""How well a score ranks layers, against measured ablation."""

from __future__ import annotations

import math

from scipy.stats import kendalltau

from axdnn.records import InvalidInputError, LayerScores


def kendall_tau(score: LayerScores, truth: LayerScores) -> float:
    """Rank agreement (Kendall's tau-b) of two scores over the same layers, -1..1; 0 when one of them is constant.

    Raises:
        InvalidInputError: they do not cover the same layers, or fewer than 2.
    """
    if set(score.values) != set(truth.values) or len(score.values) < 2:
        raise InvalidInputError(
            f"two scores must cover the same layers (at least 2), but {score.score} has {len(score.values)} and "
            f"{truth.score} has {len(truth.values)}"
        )
    layers = list(score.values)
    tau = float(kendalltau([score.values[n] for n in layers], [truth.values[n] for n in layers]).statistic)
    return 0.0 if math.isnan(tau) else tau
