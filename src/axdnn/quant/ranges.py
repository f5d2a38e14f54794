"""Choosing the range of an activation from calibration values."""

from __future__ import annotations

from typing import Literal

import torch

from axdnn.quant.encoding import Encoding, range_encoding
from axdnn.records import InvalidInputError

RangeRule = Literal["error", "percentile", "minmax"]
RANGE_RULES: tuple[RangeRule, ...] = ("error", "percentile", "minmax")
CLIPS = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2)
PERCENTILE = 99.9


def candidate_ranges(values: torch.Tensor, rule: RangeRule) -> list[tuple[float, float]]:
    """Return ranges `(low, high)` worth trying, widest first.

    `minmax` and `percentile` (99.9 %, two-sided) give one; `error` gives fractions of min-max for the caller to choose
    from by error.

    Raises:
        InvalidInputError: unknown rule.
    """
    if rule not in RANGE_RULES:
        raise InvalidInputError(f"`activation_range` must be one of {', '.join(RANGE_RULES)}, but got {rule!r}")
    low, high = min(float(values.min()), 0.0), max(float(values.max()), 0.0)
    if rule == "percentile":
        flat = values.flatten().float()
        step = max(1, flat.numel() // 1_000_000)
        tail = (100.0 - PERCENTILE) / 100.0
        quantiles = torch.quantile(flat[::step], torch.tensor([tail, 1.0 - tail]))
        return [(min(float(quantiles[0]), 0.0), max(float(quantiles[1]), 0.0))]
    if rule == "minmax":
        return [(low, high)]
    return [(low * c, high * c) for c in CLIPS]


def plain_encoding(values: torch.Tensor, rule: RangeRule) -> Encoding:
    """Return an 8-bit encoding for an operator that is not a layer: unsigned with a zero point, least squared error."""
    best, best_error = None, float("inf")
    for low, high in candidate_ranges(values, rule):
        encoding = range_encoding(low, high, signed=False)
        error = float((encoding.dequantise(encoding.quantise(values)) - values).square().mean())
        if error < best_error:
            best, best_error = encoding, error
    assert best is not None
    return best
