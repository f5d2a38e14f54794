"""Which shares of its neurons each layer may skip: the options of a search that chooses them with the multipliers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from axdnn.evaluation import Skipping
from axdnn.generation.neurons import Neurons
from axdnn.generation.problem import Expected, Floats, Ints
from axdnn.records import InvalidInputError, require_finite

AUTO = (1 / 16, 1 / 8, 3 / 16, 1 / 4, 3 / 8, 1 / 2, 5 / 8, 3 / 4, 7 / 8)
MOST_LEVELS = 32
HOPELESS = 1e6  # noise of levels that a layer does not have: none is measured
LEAST_SHARE = 0.01  # of importance: what loses less is hardly measurable, and no point is spent to tell how much less


@dataclass(frozen=True, kw_only=True)
class SkipOptions:
    """How strategy `integer` skips neurons: the least important of a layer, their later products removed with them.

    Attributes:
        fractions: shares of a layer's neurons that may be skipped, 0..1; 0 may always be chosen. Of those that mean the
            same number of neurons the layer has one.
        multipliers: choose multipliers as well; False keeps all of them exact.
    """

    fractions: tuple[float, ...] = AUTO
    multipliers: bool = True

    def __post_init__(self) -> None:
        """Check the options; equal ones get one text."""
        if isinstance(self.fractions, str) or not isinstance(self.fractions, Sequence) or not self.fractions:
            raise InvalidInputError(f"`fractions` must be numbers within 0..1, but got {self.fractions!r}")
        for share in self.fractions:
            require_finite("fractions", share, 0.0, 1.0)
        object.__setattr__(self, "fractions", tuple(sorted({float(share) for share in self.fractions} - {0.0})))
        if len(self.fractions) > MOST_LEVELS:
            raise InvalidInputError(f"at most {MOST_LEVELS} `fractions` can be, but got {len(self.fractions)}")
        if not isinstance(self.multipliers, bool):
            raise InvalidInputError(f"`multipliers` must be True or False, but got {self.multipliers!r}")
        if not self.multipliers and not self.fractions:
            raise InvalidInputError("skipping alone (multipliers=False) needs a fraction above 0")


@dataclass(frozen=True)
class SkipLevels:
    """Levels of skipping of S layers, K of one layer at most; level 0 skips nothing.

    Attributes:
        neurons: importance of the neurons, and the graph that zeros are followed through.
        layers: names of the layers that can skip.
        fractions: of each, the share of each of its levels, ascending, the first 0.
        noise: square of the share of the layer's importance that a level leaves out, at least `LEAST_SHARE`, `(S, K)`;
            `HOPELESS` beyond the levels of a layer. Importance says what outputs lose, and divergence grows with the
            square of that.
        weights: importance of each layer beside the others, `(S,)`.
        expected: divergences of the levels, never falling along them; None if none were measured.
    """

    neurons: Neurons
    layers: tuple[str, ...]
    fractions: tuple[tuple[float, ...], ...]
    noise: Floats
    weights: Floats
    expected: Expected | None = None

    @property
    def allowed(self) -> npt.NDArray[np.bool_]:
        """Which levels there are, `(S, K)`."""
        return self.noise < HOPELESS

    @property
    def last(self) -> Ints:
        """The level of each layer that skips the most, `(S,)`."""
        return np.asarray(self.allowed.sum(axis=1) - 1, dtype=np.int64)

    def skipping(self, levels: Ints) -> Skipping:
        """Return what is left out at levels `(S,)`, with all that zeros make needless."""
        shares = {n: f[int(k)] for n, f, k in zip(self.layers, self.fractions, levels, strict=True) if k > 0}
        return self.neurons.skipping(shares, remove=True) if shares else Skipping()

    def filled(self, values: Floats) -> Floats:
        """Return values `(S, K)` with the last level's beyond the levels of a layer."""
        column = np.minimum(np.arange(values.shape[1])[None, :], self.last[:, None])
        return np.take_along_axis(values, column, axis=1)


def skip_levels(
    neurons: Neurons, layers: Sequence[str], options: SkipOptions, weights: Mapping[str, float]
) -> SkipLevels | None:
    """Return the levels of the layers that can skip; None if none can.

    A layer cannot if it has no weights, or so few neurons that every fraction rounds to none of them.

    Args:
        neurons: importance of the neurons of each layer.
        layers: names, in the order of the network.
        options: fractions.
        weights: layer name -> importance beside the others.
    """
    names, fractions, noises = list[str](), list[tuple[float, ...]](), list[list[float]]()
    for name in layers:
        counts = {0: 0.0}
        for share in options.fractions if name in neurons.importance else ():
            counts.setdefault(len(neurons.least(name, share)), share)
        if len(counts) > 1:
            values = np.sort(np.maximum(np.asarray(neurons.importance[name], dtype=np.float64), 0.0))
            lost = np.concatenate([[0.0], np.cumsum(values)]) / max(float(values.sum()), 1e-300)
            names.append(name)
            fractions.append(tuple(counts.values()))
            noises.append([max(float(lost[count]), LEAST_SHARE) ** 2 for count in counts])
    if not names:
        return None
    noise = np.full((len(names), max(map(len, noises))), HOPELESS)
    for row, values_of in zip(noise, noises, strict=True):
        row[: len(values_of)] = values_of
    return SkipLevels(neurons, tuple(names), tuple(fractions), noise, np.array([weights[name] for name in names]))
