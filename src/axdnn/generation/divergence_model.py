"""Divergence that one multiplier in one layer causes, inferred from a few measured pairs, with its uncertainty.

    log D[l, m] = c + log w_l + log noise[l, m] + o_l + t(log noise) + g_l(log noise) + e[l, m]

`w_l` is the importance of the layer, `noise` the share of its output variance that the circuit gets wrong. `c` is
unknown, `o_l` what importance says wrongly of a layer, `t` how all layers, and `g_l` how one layer leaves the straight
line, as they do when errors are too large for an expansion; `e` is what is peculiar to a pair. All are Gaussian, so
that the posterior of `log D` is a Gaussian process regression; how large each part is, is chosen by its likelihood.

References:
    C. E. Rasmussen, C. K. I. Williams, "Gaussian Processes for Machine Learning", MIT Press 2006, chapters 2 and 5.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from axdnn.generation.problem import Floats, Ints

UNKNOWN_LEVEL = 5.0  # standard deviation of c
REACH = 2.0  # distance in log noise over which t and g_l bend
SAMPLED = 0.05  # standard deviation of a measured logarithm: few images
OFFSETS, BENDS, OWN_BENDS, PECULIAR = (0.25, 0.5, 1.0, 2.0), (0.3, 1.0), (0.1, 0.4, 0.8), (0.1, 0.2, 0.4, 0.8)


class Pairs(NamedTuple):
    """Pairs of layer and multiplier."""

    layer: Ints
    multiplier: Ints


class DivergenceModel:
    """Posterior of `log D` of every pair given some of them.

    Args:
        noise: `(L, M)`, positive.
        weights: importance, positive, `(L,)`.
        pairs: those measured.
        nats: their divergences, positive, `(n,)`.
    """

    def __init__(self, noise: Floats, weights: Floats, pairs: Pairs, nats: Floats) -> None:
        self._x = np.log(noise)
        self._line = self._x + np.log(weights)[:, None]
        self._pairs = pairs
        self._y = np.log(nats) - self._line[pairs]
        fits = [self._fit(sizes) for sizes in itertools.product(OFFSETS, BENDS, OWN_BENDS, PECULIAR)]
        self._likelihood, self.sizes, self._factor = max(fits, key=lambda fit: fit[0])

    def predict(self, pairs: Pairs) -> tuple[Floats, Floats]:
        """Return mean and standard deviation of `log D` of pairs, `(n,)` each."""
        cross = self._covariance(pairs, self._pairs, self.sizes)
        mean = self._line[pairs] + cross @ cho_solve(self._factor, self._y)
        own = np.diag(self._covariance(pairs, pairs, self.sizes))
        explained = np.einsum("ij,ji->i", cross, cho_solve(self._factor, cross.T))
        return mean, np.sqrt(np.maximum(own - explained, 0.0))

    def _fit(self, sizes: tuple[float, ...]) -> tuple[float, tuple[float, ...], tuple[Floats, bool]]:
        covariance = self._covariance(self._pairs, self._pairs, sizes) + SAMPLED**2 * np.eye(len(self._y))
        factor = cho_factor(covariance, lower=True)
        likelihood = -0.5 * float(self._y @ cho_solve(factor, self._y)) - float(np.log(np.diag(factor[0])).sum())
        return likelihood, sizes, factor

    def _covariance(self, a: Pairs, b: Pairs, sizes: tuple[float, ...]) -> Floats:
        offset, bend, own_bend, peculiar = sizes
        same_layer = a.layer[:, None] == b.layer[None, :]
        near = np.exp(-0.5 * ((self._x[a][:, None] - self._x[b][None, :]) / REACH) ** 2)
        same = same_layer & (a.multiplier[:, None] == b.multiplier[None, :])
        within = offset**2 + own_bend**2 * near + peculiar**2 * same
        return np.asarray(UNKNOWN_LEVEL**2 + bend**2 * near + same_layer * within)
