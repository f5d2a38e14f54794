"""How wrong a multiplier is: the error metrics of EvoApproxLib, uniform or weighted by operand histograms.

Conventions are those that reproduce the digits which EvoApproxLib publishes (see `data/README.md` for the four it
rounds twice): percentages of MAE and WCE refer to 2**16 for every coding; relative errors are taken over pairs whose
exact product is not zero; WCRE is the largest relative error over those pairs.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from axdnn.records import InvalidInputError, Multiplier, Record

FULL_SCALE = 2**16
CODES = 256


class ErrorMetrics(Record, frozen=True, kw_only=True):
    """Error of a multiplier, e = table - exact product, over all 65,536 operand pairs or a weighting of them.

    Attributes:
        mae: mean of `|e|`, in units of the product.
        wce: largest `|e|` among pairs of non-zero weight.
        mae_pct, wce_pct: the same in per cent of 65,536.
        ep_pct: share of pairs with `e != 0`, per cent.
        mre_pct: mean of `|e| / |product|` over pairs with a non-zero product, per cent; 0 if there is none.
        wcre_pct: largest such ratio, per cent.
        mse: mean of `e**2`.
        mean_error: mean of `e` (bias).
        std_error: standard deviation of `e`.
    """

    mae: float
    wce: float
    mae_pct: float
    wce_pct: float
    ep_pct: float
    mre_pct: float
    wcre_pct: float
    mse: float
    mean_error: float
    std_error: float


def error_map(multiplier: Multiplier) -> npt.NDArray[np.int64]:
    """Return `table - exact product`, int64, shape `(256, 256)`, rows operand a, columns operand b."""
    return multiplier.table.astype(np.int64) - multiplier.exact_table


def error_metrics(
    multiplier: Multiplier, a_weights: npt.ArrayLike | None = None, w_weights: npt.ArrayLike | None = None
) -> ErrorMetrics:
    """Compute the error metrics of a multiplier.

    Args:
        multiplier: any coding; errors refer to the exact circuit of the same coding.
        a_weights: how often each code of operand a occurs, shape `(256,)`, by table index; any scale, not negative.
            Default: all codes alike.
        w_weights: the same for operand b.

    Raises:
        InvalidInputError: weights of the wrong shape, negative, not finite, or all zero.
    """
    error = error_map(multiplier).astype(np.float64)
    exact = multiplier.exact_table.astype(np.float64)
    a, w = _normalised("a_weights", a_weights), _normalised("w_weights", w_weights)
    seen = np.multiply.outer(a > 0, w > 0)
    counted = seen & (exact != 0)
    relative = np.divide(np.abs(error), np.abs(exact), out=np.zeros_like(error), where=counted)
    share = _mean((exact != 0).astype(np.float64), a, w)
    wce = float(np.abs(error[seen]).max())
    mae, mean, mse = (_mean(values, a, w) for values in (np.abs(error), error, error * error))
    return ErrorMetrics(
        mae=mae,
        wce=wce,
        mae_pct=100 * mae / FULL_SCALE,
        wce_pct=100 * wce / FULL_SCALE,
        ep_pct=100 * _mean((error != 0).astype(np.float64), a, w),
        mre_pct=100 * _mean(relative, a, w) / share if share else 0.0,
        wcre_pct=100 * float(relative.max()),
        mse=mse,
        mean_error=mean,
        std_error=math.sqrt(max(_mean((error - mean) ** 2, a, w), 0.0)),
    )


def _mean(values: npt.NDArray[np.float64], a: npt.NDArray[np.float64], w: npt.NDArray[np.float64]) -> float:
    """Weighted mean; equal weights are powers of two here, so that sums of integers below 2**53 stay exact."""
    return float(a @ (values @ w))


def _normalised(name: str, weights: npt.ArrayLike | None) -> npt.NDArray[np.float64]:
    if weights is None:
        return np.full(CODES, 1.0 / CODES)
    array = np.asarray(weights, dtype=np.float64)
    if array.shape != (CODES,):
        raise InvalidInputError(f"`{name}` must have shape (256,), but got {array.shape}")
    if not np.isfinite(array).all() or (array < 0).any() or not array.any():
        raise InvalidInputError(f"`{name}` must hold finite numbers >= 0, not all zero")
    return np.asarray(array / array.sum())
