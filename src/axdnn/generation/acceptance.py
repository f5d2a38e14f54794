"""How much larger losses are on the accept split than on the search split, inferred from its yes or no alone.

Two choices that get the same images wrong on one split will do so on the other: what the accept split said of one of
them it says of the other as well. The difference of a choice's losses on the two splits is Gaussian before any answer,

    cov(c, c') = 2 s_c s_c' rho(c, c'),

with `s` the sampling error of a loss and `rho` the correlation of the images at which the choices differ from the exact
network, measured on the images that the exact network is least sure of. Answers are thresholds of it, so that the
posterior is that of a Gaussian process classification, here by Laplace's approximation.

References:
    C. E. Rasmussen, C. K. I. Williams, "Gaussian Processes for Machine Learning", MIT Press 2006, section 3.6.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import log_ndtr, ndtr

from axdnn.generation.problem import Floats

# Correlation of two choices whose images are not known.
UNKNOWN = 0.75
# Share of the sampling error by which an answer is blurred: widths are those of the search split.
BLUR = 0.2
SWEEPS, ENOUGH, FAR = 30, 1e-4, -20.0


class Sampled(NamedTuple):
    """Choices as they look on the search split, `(C,)` each, fractions.

    Attributes:
        loss: expected on the accept split if that were no harder.
        width: distance from loss to bound.
        sampled: standard deviation of a loss because images are few.
        doubt: standard deviation of `loss`, beyond that.
        differs: how each choice differs from the exact network on the same images, `(C, n)`: 1 where only the exact one
            is right, -1 where only the choice is; a row of zeros where it is not known.
    """

    loss: Floats
    width: Floats
    sampled: Floats
    doubt: Floats
    differs: Floats


class Acceptance:
    """Chances that the accept split accepts choices.

    Args:
        sent: choices that were sent there.
        accepted: its answers.
        budget: a fraction.
    """

    def __init__(self, sent: Sampled, accepted: Sequence[bool], budget: float) -> None:
        self.sent, self.budget = sent, budget
        self._sign = np.where(np.array(accepted, dtype=bool), 1.0, -1.0)
        known = sent.differs[np.any(sent.differs, axis=1)]
        mean = _rows_of_length_1(known).sum(axis=0) if len(known) else np.ones(sent.differs.shape[1])
        self._usual = mean / max(float(np.linalg.norm(mean)), 1e-12)
        self._covariance = self._with_sent(sent)
        own = 2 * sent.sampled**2 + (BLUR * sent.sampled) ** 2 + sent.doubt**2
        np.fill_diagonal(self._covariance, np.maximum(own, 1e-18))
        self._mean, self._precision, self._weights = self._propagated()

    @property
    def harder(self) -> float:
        """By how much losses of the choices sent are larger there, in the mean; 0 before any was sent."""
        return float(self._mean.mean()) if len(self._mean) else 0.0

    def chance(self, choices: Sampled) -> Floats:
        """Return the chance that each is accepted, `(C,)`."""
        cross = self._with_sent(choices)
        own = 2 * choices.sampled**2
        mean, variance = np.zeros(len(own)), own
        if len(self._mean):
            root = np.sqrt(self._precision)
            inner = np.eye(len(root)) + root[:, None] * self._covariance * root[None, :]
            halves = np.linalg.solve(np.linalg.cholesky(inner), root[:, None] * cross.T)
            mean, variance = cross @ self._weights, own - np.square(halves).sum(axis=0)
        blur = (BLUR * choices.sampled) ** 2 + choices.doubt**2
        room = self.budget - choices.width - choices.loss
        return np.asarray(ndtr((room - mean) / np.sqrt(np.maximum(variance, 0.0) + blur + 1e-24)))

    def _with_sent(self, choices: Sampled) -> Floats:
        """Prior covariance of the differences of choices with those of the choices sent, `(C, n)`."""
        rho = self._directions(choices) @ self._directions(self.sent).T
        return np.asarray(2 * choices.sampled[:, None] * self.sent.sampled[None, :] * rho)

    def _directions(self, choices: Sampled) -> Floats:
        """Rows whose products are correlations: those that are not known go with the mean of all others."""
        known = np.any(choices.differs, axis=1)[:, None]
        return np.where(known, _rows_of_length_1(choices.differs), np.sqrt(UNKNOWN) * self._usual)

    def _propagated(self) -> tuple[Floats, Floats, Floats]:
        """Return the mean differences of the choices sent, and precisions and weights that stand for the answers."""
        many, scale = len(self._sign), BLUR * self.sent.sampled + 1e-12
        room = self.budget - self.sent.width - self.sent.loss
        precision, natural = np.zeros(many), np.zeros(many)
        mean, variance = np.zeros(many), self._covariance.copy()
        for _ in range(SWEEPS if many else 0):
            before = mean
            for i in range(many):
                known = max(variance[i, i], 1e-30)
                without = max(1 / known - precision[i], 1e-30)
                centre, spread = (mean[i] / known - natural[i]) / without, 1 / without
                wide = spread + scale[i] ** 2
                z = self._sign[i] * (room[i] - centre) / np.sqrt(wide)
                ratio = np.exp(-0.5 * z**2 - 0.5 * np.log(2 * np.pi) - log_ndtr(z)) if z > FAR else -z
                moved = centre - self._sign[i] * spread * ratio / np.sqrt(wide)
                shrunk = max(spread - spread**2 * ratio * (z + ratio) / wide, 1e-6 * spread)
                precision[i] = max(1 / shrunk - without, 0.0)
                natural[i] = moved / shrunk - centre * without
                root = np.sqrt(precision)
                inner = np.eye(many) + root[:, None] * self._covariance * root[None, :]
                halves = np.linalg.solve(inner, root[:, None] * self._covariance)
                variance = self._covariance - self._covariance @ (root[:, None] * halves)
                mean = variance @ natural
            if np.abs(mean - before).max() < ENOUGH * self.budget:
                break
        root = np.sqrt(precision)
        inner = np.eye(many) + root[:, None] * self._covariance * root[None, :]
        weights = natural - root * np.linalg.solve(inner, root * (self._covariance @ natural)) if many else natural
        return mean, precision, weights


def _rows_of_length_1(rows: Floats) -> Floats:
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12))
