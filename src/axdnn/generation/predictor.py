"""Predicted accuracy loss and how far it is trusted: damage times a scale per layer, corrected by what was measured."""

from __future__ import annotations

import numpy as np
from scipy.optimize import nnls

from axdnn.generation.problem import Floats, Ints, Problem

# Loss per unit of noise before anything was measured: LeNet-5 and the CIFAR ResNets lie between 0.03 and 0.3.
FIRST_SCALE = 0.1
# Standard deviations as shares of the prior: of a layer's own scale, and of all scales together.
OWN, TOGETHER = 0.7, 0.7
# Standard deviation of the noise of one multiplier in one layer, as a share of its part of the loss.
EACH = 0.3
# Error of the additive model: a share of the budget, and a share of what a loss lies above the budget.
NEAR, FAR = 0.1, 0.5
LEAST_RATIO = 0.05
# The common scale: how far the first guess may be off, as the standard deviation of a logarithm, and what is looked at.
SCALE_SPREAD = 1.0
SCALES = FIRST_SCALE * np.geomspace(1e-3, 1e3, 241)
RECENT = 6


class LossPredictor:
    """Loss of a choice = sum over layers of `theta_l * noise[l, m]`, `theta` unknown.

    Bayesian linear regression: `theta` is Gaussian around the layers' importance times a common scale, which is fitted
    to the measurements; the posterior mean is kept non-negative. A measurement counts by its own error (the sampling
    of the images) and that of the model, which is not linear far above the budget. `spread` says how far a prediction
    may be off; where recent predictions were further off than they claimed, it grows.

    Args:
        problem: noise and importance.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self._noise: list[Floats] = []
        self._loss: list[float] = []
        self._sd: list[float] = []
        self._surprise: list[float] = []
        self._fit()

    @property
    def table(self) -> Floats:
        """Predicted loss of multiplier m in layer l, `(L, M)`."""
        return self.theta[:, None] * self.problem.noise

    def cautious(self, caution: float) -> Floats:
        """Return the predicted loss plus so many standard deviations of each layer's own, `(L, M)`."""
        own = np.sqrt(np.diag(self._covariance)) + EACH * self.theta
        return self.table + caution * self._inflation * own[:, None] * self.problem.noise

    def predict(self, choice: Ints) -> float:
        """Return the predicted loss of a choice, a fraction."""
        return float(self.theta @ self._noise_of(choice))

    def spread(self, choice: Ints) -> float:
        """Return the standard deviation of a choice's true loss around the predicted one, a fraction."""
        noise = self._noise_of(choice)
        each = EACH * self.theta * noise
        return self._inflation * float(np.sqrt(noise @ self._covariance @ noise + each @ each))

    def learn(self, choice: Ints, loss: float, sampled: float = 0.0) -> None:
        """Correct the scales by a measured loss.

        Args:
            choice: indices of multipliers.
            loss: measured, a fraction; may be negative.
            sampled: standard deviation of the measured loss because images are few, a fraction.
        """
        noise, sd = self._noise_of(choice), self._measured_sd(loss, sampled)
        each = EACH * self.theta * noise
        claimed = np.sqrt(noise @ self._covariance @ noise + each @ each + sd**2)
        self._surprise.append((loss - self.predict(choice)) / float(claimed))
        self._noise.append(noise)
        self._loss.append(loss)
        self._sd.append(sd)
        self._fit()

    def _noise_of(self, choice: Ints) -> Floats:
        return self.problem.noise[np.arange(len(choice)), choice]

    def _measured_sd(self, loss: float, sampled: float) -> float:
        budget = self.problem.budget
        return float(np.sqrt(sampled**2 + (NEAR * budget + FAR * max(loss - budget, 0.0)) ** 2)) + 1e-6

    @property
    def _inflation(self) -> float:
        """At least 1: root mean square of recent errors in claimed standard deviations."""
        recent = np.clip(self._surprise[-RECENT:], -3.0, 3.0)
        return max(1.0, float(np.sqrt(np.mean(np.square(recent))))) if len(recent) else 1.0

    def _fit(self) -> None:
        """Posterior mean and covariance of `theta`."""
        layers, weights = len(self.problem.layers), self.problem.weights
        noise, losses = np.reshape(self._noise, (-1, layers)), np.array(self._loss)
        sd = np.array(self._sd)
        prior = weights * _common_scale(noise * weights, losses, sd)
        sd = np.sqrt(sd**2 + EACH**2 * ((noise * prior) ** 2).sum(axis=1))
        # Precision of the prior in units of the prior: own parts and one in common.
        covariance = OWN**2 * np.eye(layers) + TOGETHER**2 * np.ones((layers, layers))
        root = np.linalg.cholesky(np.linalg.inv(covariance)).T
        rows = np.vstack([noise * prior / sd[:, None], root])
        ratio, _ = nnls(rows, np.concatenate([losses / sd, root @ np.ones(layers)]))
        self.theta: Floats = prior * np.maximum(ratio, LEAST_RATIO)
        self._covariance: Floats = np.linalg.inv(rows.T @ rows) * np.outer(prior, prior)


def _common_scale(damage: Floats, losses: Floats, sd: Floats) -> float:
    """Scale of all layers together, given that each has a part of its own; `damage` is `(n, L)`.

    Mean of the logarithm under its posterior: Gaussian around the first scale before any measurement, so that a loss of
    zero or less, which few images show now and then, lowers the scale by a factor instead of ending it.
    """
    total, square = damage.sum(axis=1), (damage**2).sum(axis=1)
    variance = sd**2 + (OWN**2 + EACH**2) * SCALES[:, None] ** 2 * square  # (scales, n)
    likely = -0.5 * ((losses - SCALES[:, None] * total) ** 2 / variance + np.log(variance)).sum(axis=1)
    likely -= 0.5 * (np.log(SCALES / FIRST_SCALE) / SCALE_SPREAD) ** 2
    chance = np.exp(likely - likely.max())
    return float(np.exp((chance * np.log(SCALES)).sum() / chance.sum()))
