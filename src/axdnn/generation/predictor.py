"""Predicted accuracy loss and how far it is trusted: damage times a scale per layer, corrected by what was measured."""

from __future__ import annotations

import numpy as np
from scipy.optimize import nnls

from axdnn.generation.problem import Floats, Ints, Problem

# Loss per unit of noise before anything was measured: LeNet-5 and the CIFAR ResNets lie between 0.03 and 0.3.
FIRST_SCALE = 0.1
# The same per nat of divergence, where divergences were measured, and how much layers differ in it.
SCALE_OF_NATS, OWN_OF_NATS = 0.2, 0.25
# Standard deviations as shares of the prior: of a layer's own scale, and of all scales together.
OWN, TOGETHER = 0.7, 0.7
# Standard deviation of the noise of one multiplier in one layer, as a share of its part of the loss.
EACH = 0.3
# Error of the additive model: a share of the budget, and a share of what a loss lies above the budget.
NEAR, FAR = 0.1, 0.5
LEAST_RATIO = 0.05
# The common scale: how far the first guess may be off, as the standard deviation of a logarithm, and what is looked at.
SCALE_SPREAD = 1.0
FACTORS = np.geomspace(1e-3, 1e3, 241)
# How far predictions are off is claimed by the model until measurements say otherwise; the claim counts like so many.
CLAIM, LEAST_INFLATION = 3.0, 0.3


class LossPredictor:
    """Loss of a choice = sum over layers of `theta_l * harm[l, m]`, `theta` unknown.

    Harm is the divergence that a multiplier alone causes, where it was inferred from measured pairs (`Expected`), and
    noise otherwise.

    Bayesian linear regression: `theta` is Gaussian around a common scale (times the layers' importance where harm is
    noise), which is fitted to the measurements; the posterior mean is kept non-negative. A measurement counts by its
    own error (the sampling of the images) and that of the model, which is not linear far above the budget. `spread`
    says how far a prediction may be off; it grows where predictions were further off than they claimed, and shrinks
    where they were nearer.

    Args:
        problem: noise and importance, or divergences.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        expected, ones = problem.expected, np.ones(len(problem.layers))
        self._harm, self._weights = (problem.noise, problem.weights) if expected is None else (expected.nats, ones)
        self._each = np.full_like(problem.noise, EACH) if expected is None else expected.spread
        self._first, self._own = (FIRST_SCALE, OWN) if expected is None else (SCALE_OF_NATS, OWN_OF_NATS)
        self._choices: list[Ints] = []
        self._loss: list[float] = []
        self._sd: list[float] = []
        self._surprise: list[float] = []
        self._fit()

    @property
    def table(self) -> Floats:
        """Predicted loss of multiplier m in layer l, `(L, M)`."""
        return self.theta[:, None] * self._harm

    def cautious(self, caution: float) -> Floats:
        """Return the predicted loss plus so many standard deviations of each layer's own, `(L, M)`."""
        own = np.sqrt(np.diag(self._covariance))[:, None] + self._each * self.theta[:, None]
        return self.table + caution * self._inflation * own * self._harm

    def predict(self, choice: Ints) -> float:
        """Return the predicted loss of a choice, a fraction."""
        return float(self.theta @ self._of(choice, self._harm))

    def spread(self, choice: Ints) -> float:
        """Return the standard deviation of a choice's true loss around the predicted one, a fraction."""
        return self._inflation * float(np.sqrt(self._variance(choice)))

    def learn(self, choice: Ints, loss: float, sampled: float = 0.0) -> None:
        """Correct the scales by a measured loss.

        Args:
            choice: indices of multipliers.
            loss: measured, a fraction; may be negative.
            sampled: standard deviation of the measured loss because images are few, a fraction.
        """
        sd = self._measured_sd(loss, sampled)
        self._surprise.append((loss - self.predict(choice)) / float(np.sqrt(self._variance(choice) + sd**2)))
        self._choices.append(np.array(choice))
        self._loss.append(loss)
        self._sd.append(sd)
        self._fit()

    def _of(self, choice: Ints, table: Floats) -> Floats:
        return np.asarray(table[np.arange(len(choice)), choice])

    def _variance(self, choice: Ints) -> float:
        """What the posterior claims: of the scales, and of the multipliers each in its layer."""
        harm = self._of(choice, self._harm)
        each = self._of(choice, self._each) * self.theta * harm
        return float(harm @ self._covariance @ harm + each @ each)

    def _measured_sd(self, loss: float, sampled: float) -> float:
        budget = self.problem.budget
        return float(np.sqrt(sampled**2 + (NEAR * budget + FAR * max(loss - budget, 0.0)) ** 2)) + 1e-6

    @property
    def _inflation(self) -> float:
        """Root mean square of the errors so far in claimed standard deviations, the claim itself counted in."""
        errors = np.clip(self._surprise, -3.0, 3.0)
        mean = (CLAIM + float(np.square(errors).sum())) / (CLAIM + len(errors))
        return max(LEAST_INFLATION, float(np.sqrt(mean)))

    def _fit(self) -> None:
        """Posterior mean and covariance of `theta`."""
        layers = len(self.problem.layers)
        harm = np.reshape([self._of(choice, self._harm) for choice in self._choices], (-1, layers))
        each = np.reshape([self._of(choice, self._each) for choice in self._choices], (-1, layers))
        losses, sd = np.array(self._loss), np.array(self._sd)
        weighted = harm * self._weights
        prior = self._weights * _common_scale(weighted, losses, sd, self._own**2 + each**2, self._first)
        sd = np.sqrt(sd**2 + ((each * harm * prior) ** 2).sum(axis=1))
        # Precision of the prior in units of the prior: own parts and one in common.
        covariance = self._own**2 * np.eye(layers) + TOGETHER**2 * np.ones((layers, layers))
        root = np.linalg.cholesky(np.linalg.inv(covariance)).T
        rows = np.vstack([harm * prior / sd[:, None], root])
        ratio, _ = nnls(rows, np.concatenate([losses / sd, root @ np.ones(layers)]))
        self.theta: Floats = prior * np.maximum(ratio, LEAST_RATIO)
        self._covariance: Floats = np.linalg.inv(rows.T @ rows) * np.outer(prior, prior)


def _common_scale(damage: Floats, losses: Floats, sd: Floats, relative: Floats, first: float) -> float:
    """Scale of all layers together, given that each has a part of its own.

    Mean of the logarithm under its posterior: Gaussian around the first scale before any measurement, so that a loss of
    zero or less, which few images show now and then, lowers the scale by a factor instead of ending it.

    Args:
        damage: `(n, L)`.
        losses: measured, `(n,)`.
        sd: their standard deviations, `(n,)`.
        relative: variance of each part of the damage as a share of its square, `(n, L)`.
        first: scale before any measurement.
    """
    scales = first * FACTORS
    total, square = damage.sum(axis=1), (relative * damage**2).sum(axis=1)
    variance = sd**2 + scales[:, None] ** 2 * square  # (scales, n)
    likely = -0.5 * ((losses - scales[:, None] * total) ** 2 / variance + np.log(variance)).sum(axis=1)
    likely -= 0.5 * (np.log(FACTORS) / SCALE_SPREAD) ** 2
    chance = np.exp(likely - likely.max())
    return float(np.exp((chance * np.log(scales)).sum() / chance.sum()))
