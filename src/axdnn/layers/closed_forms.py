"""The two closed forms of the recipe: the lowest of many lines, and a regression per channel."""

from __future__ import annotations

from typing import NamedTuple

import torch


class Steps(NamedTuple):
    """A step function: `values[i]` between `breaks[i - 1]` and `breaks[i]`.

    Attributes:
        values: `(n,)`. breaks: float64 `(n - 1,)`, ascending.
    """

    values: torch.Tensor
    breaks: torch.Tensor

    def at(self, points: torch.Tensor) -> torch.Tensor:
        """Return the value at each point: a binary search each."""
        return self.values[torch.bucketize(points.contiguous(), self.breaks)]


def lowest_lines(slope: torch.Tensor, offset: torch.Tensor) -> Steps:
    """Return, as a function of m, the index of the line that minimises `slope * m + offset`: their lower envelope.

    Args:
        slope: `(c,)` float64.
        offset: `(c,)` float64.
    """
    ranked = sorted(range(len(slope)), key=lambda i: (-float(slope[i]), float(offset[i]), i))
    slopes, offsets = slope.tolist(), offset.tolist()
    hull: list[int] = []
    starts: list[float] = []
    for i in ranked:
        if hull and slopes[hull[-1]] == slopes[i]:
            continue
        while hull:
            j = hull[-1]
            start = (offsets[i] - offsets[j]) / (slopes[j] - slopes[i])
            if start > starts[-1]:
                break
            hull.pop()
            starts.pop()
        starts.append(start if hull else float("-inf"))
        hull.append(i)
    return Steps(torch.tensor(hull), torch.tensor(starts[1:], dtype=torch.float64))


def regress(z: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Least-squares gain and offset per output channel, `y ~ gain * z + offset`.

    Args:
        z: approximate values `(groups, r, n)`, float64.
        y: exact values, same shape.

    Returns:
        gain and offset, `(groups, 1, n)`. A channel without spread, or with a gain outside 0.25..4, keeps gain 1: no
        requantiser should amplify what is mostly noise.
    """
    z_mean, y_mean = z.mean(dim=1, keepdim=True), y.mean(dim=1, keepdim=True)
    covariance = ((z - z_mean) * (y - y_mean)).mean(dim=1, keepdim=True)
    variance = (z - z_mean).square().mean(dim=1, keepdim=True)
    gain = torch.where(variance > 0, covariance / variance.clamp(min=1e-300), torch.ones_like(variance))
    gain = torch.where((gain >= 0.25) & (gain <= 4.0), gain, torch.ones_like(gain))
    return gain, y_mean - gain * z_mean
