"""How a product changes with its operands: the derivative a trainable layer uses, as factors of a few columns.

With U the product of codes after its zero-point corrections, training needs dU/da and dU/dw. Both are 256 x 256 tables
again; written as sum_j P[a, j] Q[w, j] they turn the backward pass of a layer into r ordinary ones:

    dL/dx = sum_j P[x, j] * (g against Q[w, j]),      dL/dw = sum_j Q[w, j] * (g against P[x, j]).

`straight_through` takes the exact product's derivative (r = 1). `table_slope` takes the table's own, smoothed: the
difference over `width` codes to either side, which is the derivative of the table interpolated linearly and averaged
over that window. The idea of differencing a smoothed table is that of C. Meng et al., "Gradient approximation of
approximate multipliers for high-accuracy deep neural network retraining", DATE 2025. Smoothing makes the rank small;
what is left out of the factors is at most `tolerance` of the slope table in the Frobenius norm.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt
import torch

from axdnn.layers import LayerCoding
from axdnn.records import InvalidInputError, Multiplier

Gradient = Literal["straight_through", "table_slope"]
Table = npt.NDArray[np.float64]


@dataclass(frozen=True)
class GradientRule:
    """Which derivative of a product training uses.

    Attributes:
        kind: `straight_through`, as if the product were exact, or `table_slope`, see the module.
        width: half the window of the difference, in codes, 1..127.
        tolerance: relative error allowed to the factors of a slope table, 0..1; 0 keeps every factor.
    """

    kind: Gradient = "straight_through"
    width: int = 64
    tolerance: float = 0.03

    def __post_init__(self) -> None:
        """Check the values."""
        if self.kind not in get_args(Gradient):
            raise InvalidInputError(f"`gradient` must be one of {', '.join(get_args(Gradient))}, but got {self.kind!r}")
        if not 1 <= self.width <= 127:
            raise InvalidInputError(f"1 <= width <= 127 must hold, but got width={self.width}")
        if not 0 <= self.tolerance < 1:
            raise InvalidInputError(f"0 <= tolerance < 1 must hold, but got tolerance={self.tolerance}")


class Slope(NamedTuple):
    """A derivative as factors: `slope[a, w] = sum_j P[a, j] Q[w, j]`.

    Attributes:
        p: float32 `(256, r)`, by row of the table. q: float32 `(256, r)`, by column.
    """

    p: torch.Tensor
    q: torch.Tensor


class Slopes(NamedTuple):
    """dU/da and dU/dw, each per unit of the operand's value."""

    a: Slope
    w: Slope


def slopes(coding: LayerCoding, effective: torch.Tensor, rule: GradientRule) -> Slopes:
    """Return the derivatives of `U = T - w_zero a - a_zero (w - w_zero)`.

    Args:
        coding: of the layer.
        effective: the weight that each column stands for best, float64 `(256,)`; the exact product's derivative by
            the activation.
        rule: which derivative.
    """
    multiplier, a_zero, w_zero = coding.multiplier, coding.encoding.zero_point, coding.w_zero
    if rule.kind == "straight_through":
        ones = np.ones(256)
        return Slopes(_outer(ones, effective.numpy()), _outer(multiplier.a_values - float(a_zero), ones))
    d_a, d_w = _table_slopes(multiplier, rule.width)
    return Slopes(_factored(d_a - w_zero, rule.tolerance), _factored(d_w - a_zero, rule.tolerance))


def _table_slopes(multiplier: Multiplier, width: int) -> tuple[Table, Table]:
    """Return the smoothed dT/da and dT/dw, per unit of the operands' values."""
    table = multiplier.table.astype(np.float64)
    halved = multiplier.coding == "sign_magnitude"  # codes count two; column 0 is minus zero, no neighbour of -127
    d_w = smoothed_difference(table.T, width, 1 if halved else 0).T
    return smoothed_difference(table, width), d_w / 2.0 if halved else d_w


def smoothed_difference(table: Table, width: int, lowest: int = 0) -> Table:
    """Return `(T[i + width] - T[i - width]) / (2 width)` along the rows; windows are cut at the borders.

    Args:
        table: float64 `(256, n)`.
        width: half the window.
        lowest: first row that is part of the order.
    """
    i = np.arange(256)
    high, low = np.minimum(i + width, 255), np.maximum(i - width, lowest)
    slope: Table = (table[high] - table[low]) / (high - low)[:, None]
    return slope


def _outer(p: Table, q: Table) -> Slope:
    return Slope(torch.from_numpy(p).float().view(256, 1), torch.from_numpy(q).float().view(256, 1))


def _factored(slope: Table, tolerance: float) -> Slope:
    left, sizes, right = np.linalg.svd(slope)
    rest = np.sqrt(np.cumsum(sizes[::-1] ** 2)[::-1])  # error of keeping the first j columns
    rank = int((rest > max(tolerance, 1e-12) * rest[0]).sum())
    root = np.sqrt(sizes[:rank])
    return Slope(torch.from_numpy(left[:, :rank] * root).float(), torch.from_numpy(right[:rank].T * root).float())
