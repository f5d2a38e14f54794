"""Energy against predicted loss, position by position: the best choice at any exchange rate between the two."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
STEPS = 60  # of the bisection: the rate to a relative 1e-9


class Trade:
    """Options of positions, each with the energy it leaves and the loss it is predicted to cause.

    Sums over positions are an approximation of both; they say where to look.

    Args:
        energy: of each option of each position, J; rows may differ in length.
        harm: predicted loss of each, a fraction, in the same shape.
    """

    def __init__(self, energy: Sequence[Sequence[float]], harm: Sequence[Sequence[float]]) -> None:
        width = max(map(len, energy))
        self.counts = np.array([len(row) for row in energy], dtype=np.int64)
        self.energy = np.full((len(energy), width), np.inf)
        self.harm = np.full((len(energy), width), np.inf)
        for i, (one, other) in enumerate(zip(energy, harm, strict=True)):
            self.energy[i, : len(one)], self.harm[i, : len(one)] = one, other
        self.allowed = np.isfinite(self.energy)
        self._rows = np.arange(len(energy))
        most = max(float(np.ptp(self.energy[self.allowed])), 1e-300)
        self._low, self._high = most * 1e-6, most * 1e9  # J per unit of loss

    def fixed(self, options: Mapping[int, int]) -> Trade:
        """Return the trade in which some positions have one option alone."""
        other = Trade.__new__(Trade)
        other.__dict__.update(self.__dict__)
        other.allowed = self.allowed.copy()
        for position, option in options.items():
            other.allowed[position] = False
            other.allowed[position, option] = True
        return other

    def scores(self, rate: float) -> Floats:
        """Return energy plus `rate` (J per unit of loss) times predicted loss, `(N, K)`; infinite if not allowed."""
        with np.errstate(invalid="ignore"):
            return np.where(self.allowed, self.energy + rate * self.harm, np.inf)

    def best(self, rate: float) -> Ints:
        """Return the best option of each position at a rate, `(N,)`."""
        return np.asarray(self.scores(rate).argmin(axis=1), dtype=np.int64)

    def loss(self, choice: Ints) -> float:
        """Return the predicted loss of a choice, a fraction."""
        return float(self.losses(choice[None, :])[0])

    def losses(self, choices: Ints) -> Floats:
        """Return the predicted losses of choices `(C, N)`, fractions, `(C,)`."""
        return np.asarray(self.harm[self._rows, choices].sum(axis=1))

    def rate_for(self, loss: float) -> float:
        """Return the lowest rate whose best choice is predicted to lose at most `loss`; the highest if none does."""
        low, high = np.log(self._low), np.log(self._high)
        if self.loss(self.best(self._low)) <= loss:
            return float(self._low)
        for _ in range(STEPS):
            middle = 0.5 * (low + high)
            low, high = (low, middle) if self.loss(self.best(float(np.exp(middle)))) <= loss else (middle, high)
        return float(np.exp(high))
