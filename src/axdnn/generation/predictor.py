"""Predicted accuracy loss: damage times a scale per layer, corrected by what was measured."""

from __future__ import annotations

import numpy as np
from scipy.optimize import nnls

from axdnn.generation.problem import Floats, Ints, Problem

# Loss per unit of noise before anything was measured: LeNet-5 and the CIFAR ResNets lie between 0.03 and 0.3.
FIRST_SCALE = 0.1
TRUST = 0.5


class LossPredictor:
    """Loss of a choice = sum over layers of `theta_l * noise[l, m]`.

    `theta` starts from the layers' importance times a common scale and is refitted after each measurement: non-negative
    least squares with a pull towards the prior, measurements near the budget weighing most (far from it the loss is
    not linear in the noise).

    Args:
        problem: noise and importance.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.theta: Floats = FIRST_SCALE * problem.weights
        self._noise: list[Floats] = []
        self._loss: list[float] = []

    @property
    def table(self) -> Floats:
        """Predicted loss of multiplier m in layer l, `(L, M)`."""
        return self.theta[:, None] * self.problem.noise

    def predict(self, choice: Ints) -> float:
        """Return the predicted loss of a choice, a fraction."""
        return float(self.table[np.arange(len(choice)), choice].sum())

    def learn(self, choice: Ints, loss: float) -> None:
        """Correct the scales by a measured loss."""
        self._noise.append(self.problem.noise[np.arange(len(choice)), choice])
        self._loss.append(max(loss, 0.0))
        noise, losses = np.stack(self._noise), np.array(self._loss)
        weight = 1.0 / (0.25 * self.problem.budget + np.abs(losses - self.problem.budget) + 1e-6)
        prior = self.problem.weights * self._common_scale(noise @ self.problem.weights, losses, weight)
        rows = noise * prior * weight[:, None]
        pull = TRUST * float(np.linalg.norm(rows)) / np.sqrt(len(prior)) + 1e-12
        stacked = np.vstack([rows, pull * np.eye(len(prior))])
        ratio, _ = nnls(stacked, np.concatenate([losses * weight, np.full(len(prior), pull)]))
        self.theta = prior * np.maximum(ratio, 0.02)

    def _common_scale(self, damage: Floats, losses: Floats, weight: Floats) -> float:
        top, bottom = float((weight**2 * damage * losses).sum()), float((weight**2 * damage**2).sum())
        return max(top / bottom, 1e-4) if bottom > 0 else FIRST_SCALE
