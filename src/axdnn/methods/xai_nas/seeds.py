"""Candidates that a search begins with: from importance and predicted loss, or from products and circuits alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from axdnn.generation import Problem, SkippingProblem, within_pods
from axdnn.methods.xai_nas.trade import Floats, Ints, Trade
from axdnn.records import Network

LEAST_LOSS = 5e-4  # the mildest seed is predicted to lose so much, the boldest MOST_SHARE of the limit
MOST_SHARE = 0.8
SKIPPING_SHARE = 1 / 3  # of the seeds that skip by a threshold
THRESHOLDS = (0.125, 0.25, 0.5)  # t_p of the paper: a layer of importance z (at most 1) skips t_p (1 - z)
SWEEPS = 3
TINY = 1e-12


def xai_seeds(problem: Problem, trade: Trade, count: int, loss_limit: float) -> list[Ints]:
    """Return choices of least energy at predicted losses from next to none up to the limit, in an order that halves.

    Two thirds choose multipliers and levels of skipping together. The others skip by a threshold, as the paper's 36
    networks do, the least important layers most, and choose multipliers for that. Each is the best choice of every
    layer at one exchange rate, made to fit the pods, then improved layer by layer with exact energies.

    Args:
        problem: prices, importance and levels.
        trade: energy and predicted loss of each option.
        count: how many, or fewer where choices repeat.
        loss_limit: a fraction.
    """
    forced = round(count * SKIPPING_SHARE) if isinstance(problem, SkippingProblem) else 0
    found: dict[tuple[int, ...], Ints] = {}

    def add(losses: Floats, made: Callable[[int, float], Ints], most: int) -> None:
        for i, loss in enumerate(losses):
            choice = made(i, float(loss))
            if len(found) < most:
                found.setdefault(tuple(choice.tolist()), choice)

    add(halving(_losses(count - forced, loss_limit)), lambda _, loss: refined(problem, trade, loss), count - forced)
    if forced and isinstance(problem, SkippingProblem):
        levels = [_levels(problem, threshold) for threshold in THRESHOLDS]
        losses = np.repeat(halving(_losses(-(-forced // len(levels)), loss_limit)), len(levels))
        add(losses, lambda i, loss: refined(problem, trade.fixed(levels[i % len(levels)]), loss), count)
    add(_losses(4 * count, loss_limit), lambda _, loss: refined(problem, trade, loss), count)  # for those that repeated
    return list(found.values())


def refined(problem: Problem, trade: Trade, loss: float) -> Ints:
    """Return a choice of little energy at about a predicted loss, with no more kinds than pods."""
    rate = trade.rate_for(loss)
    scores, layers = trade.scores(rate), len(problem.layers)
    choice = trade.best(rate)
    choice[:layers] = within_pods(problem, choice[:layers], scores[:layers, : len(problem.multipliers)])

    def value(choices: Ints) -> Floats:
        harm = trade.harm[np.arange(choices.shape[1]), choices].sum(axis=1)
        return np.asarray(problem.energy_j(choices) + rate * harm)

    best = float(value(choice[None, :])[0])
    for _ in range(SWEEPS):
        before = best
        for position in range(len(choice)):
            options = np.flatnonzero(trade.allowed[position])
            moves = np.repeat(choice[None, :], len(options), axis=0)
            moves[:, position] = options
            values = value(moves)
            if values.min() < best * (1 - TINY):
                best, choice = float(values.min()), moves[int(values.argmin())]
        if best >= before * (1 - TINY):
            break
    return choice


def _losses(count: int, limit: float) -> Floats:
    return np.geomspace(min(LEAST_LOSS, MOST_SHARE * limit / 2), MOST_SHARE * limit, max(count, 1))


def _levels(problem: SkippingProblem, threshold: float) -> dict[int, int]:
    """Return the position of each level of skipping and the level that a threshold means."""
    importance = problem.levels.weights / problem.levels.weights.max()
    found = {}
    for i, (z, shares) in enumerate(zip(importance, problem.levels.fractions, strict=True)):
        within = [level for level, share in enumerate(shares) if share <= threshold * (1 - z) + 1e-9]
        found[len(problem.layers) + i] = within[-1]
    return found


def halving(values: Floats) -> Floats:
    """Return values in an order that sees the whole range soon: the middle, then the middles of the halves, ..."""
    order, spans = list[int](), [(0, len(values))]
    for low, high in spans:  # grows while it is read: breadth first
        if low < high:
            middle = (low + high) // 2
            order.append(middle)
            spans += [(low, middle), (middle + 1, high)]
    return values[order]


def macs_seeds(problem: Problem, network: Network, count: int) -> list[Ints]:
    """Return choices that use no importance: one circuit everywhere, or in the layers of most products alone.

    A third are uniform, spread evenly over energy; the others give one of these circuits to the quarter, half or three
    quarters of the layers that have the most products. Nothing is skipped.

    Args:
        problem: prices.
        network: whose layers are ordered by products.
        count: how many, or fewer where choices repeat.
    """
    exact, layers = problem.baseline, len(problem.layers)
    kinds = [m for m in range(len(problem.multipliers)) if m != problem.exact]

    def using(kind: int, where: Sequence[int]) -> Ints:
        choice = exact.copy()
        choice[list(where)] = kind
        return choice

    by_energy = sorted(kinds, key=lambda m: float(problem.energy_j(using(m, range(layers))[None, :])[0]))
    order = np.argsort([-layer.macs for layer in network.layers], kind="stable")
    found: dict[tuple[int, ...], Ints] = {}
    if by_energy:
        places = np.unique(np.linspace(0, len(by_energy) - 1, min(-(-count // 3), len(by_energy))).astype(np.int64))
        spread = halving(places.astype(np.float64)).astype(np.int64)
        for share in (1.0, 0.5, 0.25, 0.75):
            for place in spread:
                choice = using(by_energy[int(place)], order[: max(1, round(share * layers))].tolist())
                found.setdefault(tuple(choice.tolist()), choice)
    return list(found.values())[:count]
