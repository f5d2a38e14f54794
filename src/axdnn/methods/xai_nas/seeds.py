"""Candidates that a search begins with: from importance and predicted loss, or from products and circuits alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from axdnn.generation import Problem, SkippingProblem, within_pods
from axdnn.methods.xai_nas.trade import Floats, Ints, Trade
from axdnn.records import Network

LEAST_LOSS = 2e-3  # the mildest seed is predicted to lose so much; fewer images than thousands cannot tell less
MOST_SHARE = 2.0  # the boldest so many times the limit: predictions may be too dark by that
SKIPPING_SHARE = 1 / 4  # of the seeds that skip by a threshold
THRESHOLDS = (0.125, 0.25, 0.5)  # t_p of the paper: a layer of importance z (at most 1) skips t_p (1 - z)
MOST_MOVES = 1000  # a guard; each move is better than the one before
TINY = 1e-12
BELOW = 1 - 1e-6  # beside a rate: on the other side of the step in predicted loss


def xai_seeds(problem: Problem, trade: Trade, count: int, loss_limit: float) -> list[Ints]:
    """Return choices of least energy at predicted losses from next to none up to the limit, in an order that halves.

    Three quarters choose multipliers and levels of skipping together. The others skip by a threshold, as the paper's 36
    networks do, the least important layers most, and choose multipliers that are predicted to lose as much again.

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

    def free(_: int, loss: float) -> Ints:
        return min((refined(problem, one, loss) for one in trades), key=lambda c: float(problem.energy_j(c)[0]))

    trades = [trade]
    if forced:  # a choice without skipping is sometimes the cheaper one, and beyond the reach of single moves
        trades.append(trade.fixed(dict.fromkeys(range(len(problem.layers), len(trade.counts)), 0)))
    add(halving(_losses(count - forced, loss_limit)), free, count - forced)
    if forced and isinstance(problem, SkippingProblem):
        levels = [_levels(problem, threshold) for threshold in THRESHOLDS]
        losses = np.repeat(halving(_losses(-(-forced // len(levels)), loss_limit)), len(levels))

        def skipping(i: int, loss: float) -> Ints:
            fixed = levels[i % len(levels)]
            lost = sum(float(trade.harm[position, level]) for position, level in fixed.items())
            return refined(problem, trade.fixed(fixed), lost + loss)

        add(losses, skipping, count)
    if len(found) < count:  # for those that repeated
        add(_losses(2 * count, loss_limit), free, count)
    return list(found.values())


def refined(problem: Problem, trade: Trade, loss: float) -> Ints:
    """Return a choice of little energy that is predicted to lose at most `loss`, with no more kinds than pods.

    The best choices of every layer at the exchange rates just below and just above that loss are made to fit the pods
    and improved move by move; the cheaper one is returned.

    Args:
        problem: exact energies.
        trade: energy and predicted loss of each option.
        loss: predicted, a fraction.
    """
    rate = trade.rate_for(loss)
    found = [_improved(problem, trade, _start(problem, trade, at), loss) for at in (rate, rate * BELOW)]
    within = [choice for choice in found if trade.loss(choice) <= loss * (1 + TINY)] or found[:1]
    return min(within, key=lambda choice: float(problem.energy_j(choice)[0]))


def _start(problem: Problem, trade: Trade, rate: float) -> Ints:
    scores, layers = trade.scores(rate), len(problem.layers)
    choice = np.asarray(scores.argmin(axis=1), dtype=np.int64)
    choice[:layers] = within_pods(problem, choice[:layers], scores[:layers, : len(problem.multipliers)])
    return choice


def _improved(problem: Problem, trade: Trade, choice: Ints, loss: float) -> Ints:
    """Take the move that saves the most energy for each point of predicted loss, as long as there are any within it.

    While the choice is predicted to lose too much, the move that mends the most for the least energy. A move is another
    option of one position, or another kind wherever one is used.
    """
    layers, kinds = len(problem.layers), len(problem.multipliers)
    for _ in range(MOST_MOVES):
        moves = _moves(choice, trade, layers, kinds)
        energy = problem.energy_j(np.vstack([choice[None, :], moves]))
        harm = trade.losses(np.vstack([choice[None, :], moves]))
        saved, added = energy[0] - energy[1:], harm[1:] - harm[0]
        if harm[0] > loss * (1 + TINY):
            gain = np.where(np.isfinite(saved) & (added < 0), -added / np.maximum(-saved, TINY * energy[0]), -1.0)
        else:
            useful = (harm[1:] <= loss) & (saved > TINY * energy[0])
            gain = np.where(useful, saved / np.maximum(added, TINY), -1.0)
        if not len(gain) or gain.max() <= 0:
            break
        choice = moves[int(gain.argmax())]
    return choice


def _moves(choice: Ints, trade: Trade, layers: int, kinds: int) -> Ints:
    """Return choices that differ in one position, or in the kind of all layers that have one, `(n, N)`."""
    positions, options = np.nonzero(trade.allowed)
    single = np.repeat(choice[None, :], len(positions), axis=0)
    single[np.arange(len(positions)), positions] = options
    used = np.unique(choice[:layers])
    whole = np.repeat(choice[None, :], len(used) * kinds, axis=0)
    for row, (old, new) in zip(whole, [(old, new) for old in used for new in range(kinds)], strict=True):
        row[:layers][choice[:layers] == old] = new
    moves = np.concatenate([single, whole])
    return np.asarray(moves[(moves != choice).any(axis=1)])


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
