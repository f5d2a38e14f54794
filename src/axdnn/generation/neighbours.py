"""Choices that local searches look at: near one, and to start from."""

from __future__ import annotations

import numpy as np

from axdnn.generation.problem import Floats, Ints


def kind_moves(choice: Ints, kinds: int) -> Ints:
    """Return choices of multipliers near one: of one layer, of two layers, of a kind wherever it is used.

    Args:
        choice: indices of multipliers, `(L,)`.
        kinds: how many there are.

    Returns:
        `(C, L)`, sorted, the choice itself among them.
    """
    layers, used = len(choice), np.unique(choice)
    single = np.repeat(choice[None, :], layers * kinds, axis=0)
    single[np.arange(layers * kinds), np.repeat(np.arange(layers), kinds)] = np.tile(np.arange(kinds), layers)
    pairs = single[np.isin(single, used).all(axis=1)]  # two layers at once, among the kinds in use
    double = np.repeat(pairs, layers * len(used), axis=0)
    spots = np.repeat(np.arange(layers), len(used))
    double[np.arange(len(double)), np.tile(spots, len(pairs))] = np.tile(np.tile(used, layers), len(pairs))
    return np.unique(np.concatenate([single, kind_swaps(choice, kinds), double]), axis=0)


def kind_swaps(choice: Ints, kinds: int) -> Ints:
    """Return choices in which one kind gives way to another wherever it is used, `(C, L)`."""
    return np.stack([np.where(choice == kind, m, choice) for kind in np.unique(choice) for m in range(kinds)])


def two_kinds(dynamic_j: Floats, damage: Floats, pods: int) -> Ints:
    """Return choices of one or two kinds: of each pair, layers move to the second in the order of damage per saving.

    Two kinds share the pods, which the linearised programme prices badly from afar; here the prices are exact.

    Args:
        dynamic_j: energy without static power, `(L, M)`.
        damage: predicted loss, `(L, M)`.
        pods: of the chip; with one there are no pairs.
    """
    layers, kinds = damage.shape
    choices = [np.repeat(np.arange(kinds)[:, None], layers, axis=1)]
    for a in range(kinds if pods > 1 else 0):
        saved = dynamic_j[:, [a]] - dynamic_j
        ratio = (damage - damage[:, [a]]) / np.where(saved > 0, saved, np.nan)
        rank = np.argsort(np.argsort(np.where(np.isnan(ratio), np.inf, ratio), axis=0), axis=0)
        later = np.flatnonzero(saved.sum(axis=0) > 0)
        moved = rank.T[later, None, :] < np.arange(1, layers)[None, :, None]
        choices.append(np.where(moved, later[:, None, None], a).reshape(-1, layers))
    return np.concatenate(choices).astype(np.int64)
