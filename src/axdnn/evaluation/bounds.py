"""How sure is an accuracy loss: a paired one-sided bound."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from axdnn.records import InvalidInputError

Z_95 = 1.6448536269514722
_HALVINGS = 60


def paired_loss_bound(exact: npt.NDArray[np.bool_], approximate: npt.NDArray[np.bool_], z: float = Z_95) -> float:
    """One-sided upper confidence bound of the accuracy loss on the same images, a fraction.

    With b images that only the exact network gets right and c that only the approximate one does, this is the largest
    loss that Tango's score test does not reject. The simpler adjusted Wald bound covers 87 to 94 % where the
    approximate network is hardly ever the only one that is right, which is the usual case here; the score bound keeps
    its 95 % (simulated in the tests).

    Args:
        exact: correct or not, per image.
        approximate: the same images in the same order.
        z: quantile of the normal distribution; the default is 95 %.

    Raises:
        InvalidInputError: different lengths or no images.

    References:
        T. Tango, "Equivalence test and confidence interval for the difference in proportions for the paired-sample
        design", Statistics in Medicine, 1998.
    """
    if exact.shape != approximate.shape or exact.size == 0:
        raise InvalidInputError(
            f"a paired bound needs the same images, at least one, but got {exact.shape} and {approximate.shape}"
        )
    n = exact.size
    b, c = int((exact & ~approximate).sum()), int((approximate & ~exact).sum())
    low, high = (b - c) / n, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if score(b, c, n, middle) > -z:
            low = middle
        else:
            high = middle
    return high


def score(b: int, c: int, n: int, loss: float) -> float:
    """Return Tango's statistic: by how many standard deviations the observed loss exceeds a supposed one.

    The standard deviation is that of the most likely probabilities whose difference is the supposed loss.

    Args:
        b: images that only the exact network gets right.
        c: images that only the approximate one gets right.
        n: images.
        loss: supposed, between -1 and 1.
    """
    first = -b - c + (2 * n - b + c) * loss
    q = (math.sqrt(max(first**2 + 8 * n * c * loss * (1 - loss), 0.0)) - first) / (4 * n)
    variance = n * (2 * q + loss * (1 - loss))
    gap = b - c - n * loss
    return gap / math.sqrt(variance) if variance > 0 else math.copysign(math.inf, gap) if gap else 0.0
