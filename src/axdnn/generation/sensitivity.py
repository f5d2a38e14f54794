"""What each multiplier in each layer does to the outputs: a few pairs measured, the rest inferred and checked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from axdnn.generation.divergence_model import DivergenceModel, Pairs
from axdnn.generation.problem import Expected, Floats, Ints, Problem
from axdnn.records import require_finite

Measure = Callable[[Ints], Floats]
"""Mean divergence in nats of choices `(C, L)` from the exact network."""
LEAST_NATS = 1e-9
LEAST_NOISE = 1e-9
HOPELESS_NOISE = 1.0  # a layer whose error is as large as its signal; no point is spent beyond


@dataclass(frozen=True)
class SensitivityOptions:
    """How much is measured before a search.

    Attributes:
        points: multipliers measured in each layer, alone; 0 to infer nothing and trust noise and importance.
        held_out: other pairs, as a share of the layers, that check the inference before they join it.
        images: at most; a tenth of the search split is the limit in any case.
    """

    points: int = 4
    held_out: float = 1.0
    images: int = 256

    def __post_init__(self) -> None:
        """Check the ranges."""
        require_finite("points", self.points, 0)
        require_finite("held_out", self.held_out, 0.0)
        require_finite("images", self.images, 1)


def expect(problem: Problem, measure: Measure, options: SensitivityOptions, rng: np.random.Generator) -> Expected:
    """Measure a few pairs of layer and multiplier, check what they say of others, and infer all.

    Args:
        problem: noise and importance.
        measure: divergences of choices in which one layer is not exact.
        options: how many.
        rng: picks the pairs held out.
    """

    def nats(pairs: Pairs) -> Floats:
        choices = np.repeat(problem.baseline[None, :], len(pairs.layer), axis=0)
        choices[np.arange(len(choices)), pairs.layer] = pairs.multiplier
        return measure(choices)

    return infer(problem.noise, problem.weights, problem.exact, nats, options, rng)


def infer(
    noise: Floats, weights: Floats, nothing: int, measure: Callable[[Pairs], Floats], options: SensitivityOptions,
    rng: np.random.Generator, least: float = LEAST_NATS,
) -> Expected:  # fmt: skip
    """Measure a few pairs of position and option, check what they say of others, and infer all.

    Args:
        noise: of each option in each position, `(N, K)`; above `HOPELESS_NOISE` no point is spent.
        weights: importance of the positions, `(N,)`.
        nothing: option that changes nothing.
        measure: divergences of pairs, `(n,)`.
        options: how many.
        rng: picks the pairs held out.
        least: nats; what is measured below counts as this, so that nothing that does not matter bends the inference.
    """
    noise = np.maximum(noise, LEAST_NOISE)
    points = design(noise, nothing, options.points)
    nats = _ordered(measure, points, least)
    model = DivergenceModel(noise, weights, points, nats)
    checks = _others(noise, nothing, points, options.held_out, rng)
    predicted, measured = np.empty(0), np.empty(0)
    if len(checks.layer):
        predicted, measured = np.exp(model.predict(checks)[0]), _ordered(measure, checks, least)
        points = Pairs(*(np.concatenate([a, b]) for a, b in zip(points, checks, strict=True)))
        model = DivergenceModel(noise, weights, points, np.concatenate([nats, measured]))
    return _table(noise.shape, nothing, model, points, predicted, measured)


def design(noise: Floats, exact: int, points: int) -> Pairs:
    """Choose for each layer multipliers whose noise is spread evenly on a logarithmic scale, from least to hopeless."""
    layers, kinds = [], []
    for layer, row in enumerate(noise):
        others = np.array([m for m in np.argsort(row, kind="stable") if m != exact], dtype=np.int64)
        useful = others[row[others] <= HOPELESS_NOISE] if (row[others] <= HOPELESS_NOISE).any() else others[:1]
        x = np.log(row[useful])
        targets = np.linspace(x[0], x[-1], points) if points > 1 else np.array([x[-1]])
        chosen = {int(useful[np.argmin(np.abs(x - target))]) for target in targets}
        layers += [layer] * len(chosen)
        kinds += sorted(chosen)
    return Pairs(np.array(layers, dtype=np.int64), np.array(kinds, dtype=np.int64))


def _others(noise: Floats, exact: int, known: Pairs, share: float, rng: np.random.Generator) -> Pairs:
    """Return pairs that are not known and not hopeless, each layer as often as the others, in random order."""
    left = noise <= HOPELESS_NOISE
    left[:, exact] = False
    left[known] = False
    kinds = [rng.permutation(np.flatnonzero(row)).tolist() for row in left]
    turns = [
        layer for turn in range(left.shape[1]) for layer in rng.permutation(len(noise)) if turn < len(kinds[layer])
    ]
    picked = [(layer, kinds[layer].pop()) for layer in turns[: round(share * len(noise))]]
    return Pairs(*np.array(picked, dtype=np.int64).reshape(-1, 2).T)


def _ordered(measure: Callable[[Pairs], Floats], pairs: Pairs, least: float) -> Floats:
    """Measure pairs, the last layers first: what begins like its neighbour shares the most with it."""
    order = np.argsort(-pairs.layer, kind="stable")
    nats = np.empty(len(order))
    nats[order] = measure(Pairs(pairs.layer[order], pairs.multiplier[order]))
    return np.maximum(nats, least)


def _table(
    shape: tuple[int, ...], nothing: int, model: DivergenceModel, points: Pairs, predicted: Floats, measured: Floats
) -> Expected:
    grid = np.indices(shape).reshape(2, -1)
    mean, deviation = (part.reshape(shape) for part in model.predict(Pairs(grid[0], grid[1])))
    nats = np.exp(mean)
    nats[:, nothing] = 0.0
    spread = np.sqrt(np.expm1(np.minimum(deviation, 1.0) ** 2))
    return Expected(nats, spread, len(points.layer), predicted, measured)
