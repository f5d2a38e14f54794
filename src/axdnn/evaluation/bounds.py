"""How sure is an accuracy loss: a paired one-sided bound."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from axdnn.records import InvalidInputError

Z_95 = 1.6448536269514722


def paired_loss_bound(exact: npt.NDArray[np.bool_], approximate: npt.NDArray[np.bool_], z: float = Z_95) -> float:
    """One-sided upper confidence bound of the accuracy loss on the same images, a fraction.

    With b images that only the exact network gets right and c that only the approximate one does, the adjusted Wald
    bound adds half an image to b and c and two to n, which keeps it honest when few images differ.

    Args:
        exact: correct or not, per image.
        approximate: the same images in the same order.
        z: quantile of the normal distribution; the default is 95 %.

    Raises:
        InvalidInputError: different lengths or no images.

    References:
        A. Agresti, Y. Min, "Simple improved confidence intervals for comparing matched proportions", Statistics in
        Medicine, 2005.
    """
    if exact.shape != approximate.shape or exact.size == 0:
        raise InvalidInputError(
            f"a paired bound needs the same images, at least one, but got {exact.shape} and {approximate.shape}"
        )
    n = exact.size + 2
    only_exact = float((exact & ~approximate).sum()) + 0.5
    only_approximate = float((approximate & ~exact).sum()) + 0.5
    loss = (only_exact - only_approximate) / n
    spread = math.sqrt(max(only_exact + only_approximate - (only_exact - only_approximate) ** 2 / n, 0.0)) / n
    return loss + z * spread
