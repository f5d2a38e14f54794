"""Predicted accuracy loss and how far it is trusted: harm of each pair times a scale, conditioned on measurements."""

from __future__ import annotations

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from axdnn.generation.problem import Floats, Ints, Problem

# Loss per unit of noise before anything was measured: LeNet-5 and the CIFAR ResNets lie between 0.03 and 0.3.
FIRST_SCALE = 0.1
# The same per nat of divergence, where divergences were measured; how much layers differ in it, and pairs at least.
SCALE_OF_NATS, OWN_OF_NATS, EACH_OF_NATS = 0.2, 0.5, 0.25
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
    """Loss of a choice = sum over layers of `loss[l, m]`, unknown; levels of skipping are positions like layers.

    Each is about a scale times the layer's importance times the noise of the multiplier, or times the divergence that
    the multiplier alone causes where that was inferred from measured pairs (`Expected`). What they deviate by is
    Gaussian: a part that all have in common, one of each layer, one of each pair. Measured losses of choices condition
    them (a Gaussian process over choices: those that share pairs with one that was tried are better known). A
    measurement counts by its own error (the sampling of the images) and that of the model, which is not additive far
    above the budget. `spread` says how far a prediction may be off; it grows where predictions were further off than
    they claimed, and shrinks where they were nearer.

    Args:
        problem: noise and importance, or divergences.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self._harm, self._weights, spread, self._first_growing = problem.prior
        self._each = np.full_like(self._harm, EACH) if spread is None else np.hypot(spread, EACH_OF_NATS)
        self._first, self._own = (FIRST_SCALE, OWN) if spread is None else (SCALE_OF_NATS, OWN_OF_NATS)
        self._rows = np.arange(len(self._weights))
        self._choices = np.empty((0, len(self._weights)), dtype=np.int64)
        self._loss: list[float] = []
        self._sd: list[float] = []
        self._surprise: list[float] = []
        self._fit()

    def cautious(self, caution: float) -> Floats:
        """Return the predicted loss plus so many standard deviations of each pair's own, `(L, M)`."""
        return self.table + caution * self._inflation * self._deviation

    def predict(self, choice: Ints) -> float:
        """Return the predicted loss of a choice, a fraction."""
        return float(self.table[self._rows, choice].sum())

    def spread(self, choice: Ints) -> float:
        """Return the standard deviation of a choice's true loss around the predicted one, a fraction."""
        return self._inflation * float(np.sqrt(self._variance(choice)))

    def predict_all(self, choices: Ints) -> Floats:
        """Return the predicted losses of choices `(C, N)`, fractions."""
        return np.asarray(self.table[self._rows, choices].sum(axis=1))

    def learn(self, choice: Ints, loss: float, sampled: float = 0.0) -> None:
        """Condition on a measured loss; what was known of the same choice before gives way.

        Args:
            choice: indices of multipliers.
            loss: measured, a fraction; may be negative.
            sampled: standard deviation of the measured loss because images are few, a fraction.
        """
        sd = self._measured_sd(loss, sampled)
        again = np.flatnonzero((self._choices == choice).all(axis=1))
        if len(again):
            self._loss[int(again[0])], self._sd[int(again[0])] = loss, sd
            self._fit()
            return
        self._surprise.append((loss - self.predict(choice)) / float(np.sqrt(self._variance(choice) + sd**2)))
        self._choices = np.vstack([self._choices, choice])
        self._loss.append(loss)
        self._sd.append(sd)
        self._fit()

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
        """Posterior mean `table` and standard deviation of each pair's loss, `(L, M)`, and `theta` of each layer."""
        chosen, losses, sd = self._choices, np.array(self._loss), np.array(self._sd)
        each, harm = self._each[self._rows, chosen], self._harm[self._rows, chosen]  # (n, L)
        scale = _common_scale(harm * self._weights, losses, sd, self._own**2 + each**2, self._first)
        self._prior = scale * self._weights[:, None] * self._harm
        self._parts = self._prior[self._rows, chosen]
        covariance = np.array([self._with(choice) for choice in chosen]).reshape(len(losses), len(losses))
        self._factor = cho_factor(covariance + np.diag(sd**2), lower=True)
        gain = cho_solve(self._factor, losses - self._parts.sum(axis=1))
        common = TOGETHER**2 * self._parts.sum(axis=1)[:, None] + self._own**2 * self._parts  # (n, L)
        self.theta: Floats = scale * self._weights * np.maximum(1 + gain @ common, LEAST_RATIO)
        same = chosen[:, :, None] == np.arange(self._harm.shape[1])  # (n, L, M)
        with_pairs = self._prior * (common[:, :, None] + (self._each**2 * self._parts[:, :, None]) * same)
        moved = np.tensordot(gain, with_pairs, axes=1)
        self.table: Floats = np.maximum(self._prior + moved, LEAST_RATIO * self._prior)
        growing = self.table[self._first_growing :]
        growing[:] = np.maximum.accumulate(growing, axis=1)
        flat = with_pairs.reshape(len(losses), self._harm.size)
        explained = (flat * cho_solve(self._factor, flat)).sum(axis=0).reshape(self._harm.shape)
        claimed = self._prior**2 * (TOGETHER**2 + self._own**2 + self._each**2)
        self._deviation: Floats = np.sqrt(np.maximum(claimed - explained, 0.0))

    def _with(self, choice: Ints) -> Floats:
        """Prior covariance of a choice's loss with those measured, `(n,)`."""
        parts, each = self._prior[self._rows, choice], self._each[self._rows, choice]
        own = self._own**2 + each**2 * (self._choices == choice)  # (n, L)
        return np.asarray(TOGETHER**2 * parts.sum() * self._parts.sum(axis=1) + (own * self._parts) @ parts)

    def _variance(self, choice: Ints) -> float:
        """What the posterior claims of the loss of a choice."""
        parts, each = self._prior[self._rows, choice], self._each[self._rows, choice]
        claimed = (TOGETHER * parts.sum()) ** 2 + float(((self._own**2 + each**2) * parts**2).sum())
        cross = self._with(choice)
        return float(max(claimed - cross @ cho_solve(self._factor, cross), 0.0))


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
