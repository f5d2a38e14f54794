"""Exact search: partial mappings as labels, layer by layer, with what is dominated or cannot win left out.

A label is a mapping of the layers so far. What matters for the rest is the cores of the frontier (layers whose output
is still wanted), the costs so far and the capacity used. Of two labels with the same frontier, one that is nowhere
better is dropped; so is one whose lower bound is above a known solution.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from axdnn.hardware.components import Floats
from axdnn.hardware.mapping.problem import Bools, Ints, Problem
from axdnn.hardware.mapping.relaxation import Relaxed
from axdnn.hardware.mapping.terms import Terms, next_stage

SLACK = 1e-9
"""Relative: a label is dropped by its bound only if that is worse than the known solution by more than this."""
FULL = 1 + 1e-12
"""Rounding allowed to sums of needs."""
PIVOTS = 200
"""Labels that others are compared with, cheapest first; more would drop more, for more time."""


class Labels(NamedTuple):
    """Mappings that are left: values `(n, D)`, cores `(n, L)`, resident weights `(n, L)`, capacity used `(n, C)`.

    `stage` `(n, L)`: most boundaries between cores on a path to each layer; counted only where it costs.
    """

    values: Floats
    cores: Ints
    resident: Bools
    used: Floats
    stage: Ints


class Limits(NamedTuple):
    """What a mapping must keep: `relaxed` and `upper` prune by bound, `ceiling` `(D,)` holds for every value.

    With a ceiling on busy times the goal must not depend on them.
    `contiguous`: each core runs one unbroken stretch of layers. `most`: labels that are kept of each layer.
    """

    most: int
    relaxed: Relaxed | None = None
    upper: float = np.inf
    ceiling: Floats | None = None
    contiguous: bool = False


def all_best(terms: Terms, limits: Limits) -> tuple[Labels, float]:
    """Return every mapping that no other beats in all values, and a lower bound of what was left out.

    The values include `terms.constant`. With `limits.relaxed`, mappings that cannot beat `limits.upper` are missing,
    and of more labels than `limits.most` those of least bound go on (a beam). Without, the search stops there: no
    labels and minus infinity. The bound is infinite if only what could not win was left out: the search was exact.
    """
    problem = terms.problem
    labels = Labels(
        np.broadcast_to(terms.constant, (1, len(terms.constant))).copy(),
        np.zeros((1, problem.layers), dtype=np.int64),
        np.zeros((1, problem.layers), dtype=bool),
        np.zeros((1, problem.cores)),
        np.zeros((1, problem.layers), dtype=np.int64),
    )
    lost = np.inf
    for layer in range(problem.layers):
        labels = _extended(terms, labels, layer, limits)
        frontier = sorted({p for p, c in problem.pairs() if p <= layer < c} | ({layer} if limits.contiguous else set()))
        bound = _bounds(terms, labels, layer, frontier, limits)
        promising = bound <= limits.upper + SLACK * abs(limits.upper)
        labels, bound = _pick(labels, promising), bound[promising]
        kept = _undominated(terms, labels, layer, frontier, limits)
        if len(kept) > limits.most:
            if limits.relaxed is None:
                return _pick(labels, kept[:0]), -np.inf
            kept = kept[np.argsort(bound[kept], kind="stable")]
            lost = min(lost, float(bound[kept[limits.most]]))
            kept = kept[: limits.most]
        labels = _pick(labels, kept)
    return labels, lost


def _pick(labels: Labels, keep: Bools | Ints) -> Labels:
    return Labels._make(array[keep] for array in labels)


def _options(problem: Problem, layer: int) -> list[tuple[int, bool]]:
    """Cores that can run a layer, with its weights resident or not; never both where capacity cannot bind."""
    found = []
    for core in np.flatnonzero(problem.allowed[layer]):
        stays, takes = bool(problem.can_stay[layer, core]), problem.need[layer, core] > 0
        if stays:
            found.append((int(core), True))
        if problem.can_reload[layer, core] and not (stays and (core not in problem.limited or not takes)):
            found.append((int(core), False))
    return found


def _extended(terms: Terms, labels: Labels, layer: int, limits: Limits) -> Labels:
    """Every label with every option of the next layer that keeps capacity, links, ceiling and contiguity."""
    problem = terms.problem
    parts = []
    for core, stays in _options(problem, layer):
        values = labels.values + terms.node[layer, core] + (0.0 if stays else terms.reload[layer, core])
        fits = np.ones(len(values), dtype=bool)
        for e in problem.inputs_of[layer]:
            source = labels.cores[:, problem.pairs()[e][0]]
            values = values + terms.edge[e, source, core]
            fits &= terms.linked[source, core]
        stage = labels.stage.copy()
        if terms.waiting >= 0:
            stage[:, layer], extra = next_stage(problem, labels.cores, stage, layer, np.full(len(values), core))
            values[:, terms.waiting] += extra
        used = labels.used.copy()
        if stays:
            used[:, core] += problem.need[layer, core]
            fits &= used[:, core] <= problem.capacity[core] * FULL
        if limits.ceiling is not None:
            fits &= (values <= limits.ceiling * FULL).all(axis=1)
        if limits.contiguous and layer:
            fits &= (labels.cores[:, layer - 1] == core) | ~(labels.cores[:, :layer] == core).any(axis=1)
        cores, resident = labels.cores.copy(), labels.resident.copy()
        cores[:, layer], resident[:, layer] = core, stays
        parts.append(_pick(Labels(values, cores, resident, used, stage), fits))
    empty = _pick(labels, np.zeros(len(labels.values), dtype=bool))
    return Labels._make(np.concatenate(arrays) for arrays in zip(empty, *parts, strict=True))


def _bounds(terms: Terms, labels: Labels, layer: int, frontier: list[int], limits: Limits) -> Floats:
    """Lower bound of what each label can come to: costs so far, and the tree's bound of the rest."""
    if limits.relaxed is None:
        return np.zeros(len(labels.values))
    relaxed = limits.relaxed
    tree, producer = relaxed.tree, relaxed.tree.producer
    bound = labels.values @ relaxed.weights + labels.used @ relaxed.prices + relaxed.offset
    for later in range(layer + 1, terms.problem.layers):
        if producer[later] < 0:
            bound = bound + tree.below[later].min()
        elif producer[later] in frontier:
            bound = bound + tree.message[later, labels.cores[:, producer[later]]]
    return np.asarray(bound)


def _undominated(terms: Terms, labels: Labels, layer: int, frontier: list[int], limits: Limits) -> Ints:
    """Indices of labels that no other of the same frontier dominates; equal ones once."""
    problem = terms.problem
    last = layer == problem.layers - 1
    binding = [] if last else list(problem.limited)
    points = np.concatenate([labels.values, labels.used[:, binding]], axis=1)
    keys = labels.cores[:, [] if last else frontier]
    if limits.contiguous and not last:
        seen = [(labels.cores[:, : layer + 1] == core).any(axis=1) for core in range(problem.cores)]
        keys = np.concatenate([keys, np.stack(seen, axis=1)], axis=1)
    if terms.waiting >= 0 and not last and frontier:
        stage = labels.stage[:, frontier]
        keys = np.concatenate([keys, stage - stage.min(axis=1, keepdims=True)], axis=1)
    if len(points) == 0 or keys.shape[1] == 0:
        return undominated(points)
    group = np.unique(keys, axis=0, return_inverse=True)[1].reshape(-1)
    order = np.argsort(group, kind="stable")
    members = np.split(order, np.flatnonzero(np.diff(group[order])) + 1)
    if limits.contiguous and terms.busy and not last:
        live = [_live_points(terms, labels, layer, frontier, limits, member) for member in members]
    else:
        live = [points[member] for member in members]
    return np.concatenate([member[undominated(some)] for member, some in zip(members, live, strict=True)])


def _live_points(terms: Terms, labels: Labels, layer: int, frontier: list[int], limits: Limits, member: Ints) -> Floats:
    """What matters of labels of one frontier when cores that have run their stretch get no more work.

    Of those cores' busy times only the longest can matter, and not even that where they have a ceiling.
    """
    first = labels.cores[member[0]]
    dead = sorted(set(first[: layer + 1].tolist()) - set(first[frontier].tolist()))
    values = labels.values[member]
    binding = [core for core in terms.problem.limited if core not in dead]
    parts = [np.delete(values, dead, axis=1), labels.used[member][:, binding]]
    if dead and limits.ceiling is None:
        parts.append(values[:, dead].max(axis=1, keepdims=True))
    return np.concatenate(parts, axis=1)


def undominated(points: Floats) -> Ints:
    """Indices of points `(n, d)` that no other is below or equal to in all coordinates; equal points once.

    In two coordinates or fewer all dominated points go; in more, those dominated by the `PIVOTS` of least sum.
    """
    points = points[:, points.min(axis=0, initial=np.inf) < points.max(axis=0, initial=-np.inf)]
    if points.shape[1] == 0:
        return np.arange(min(len(points), 1))
    order = np.lexsort(points.T[::-1])
    if points.shape[1] <= 2:
        last = points[order, -1]
        best = np.minimum.accumulate(np.concatenate([[np.inf], last[:-1]])) if len(order) else last
        keep = last < best
        return np.asarray(order[keep if points.shape[1] == 2 else slice(0, 1)])
    scale = np.where(points.max(axis=0, initial=0) > 0, points.max(axis=0, initial=0), 1.0)
    left = order[np.argsort((points[order] / scale).sum(axis=1), kind="stable")]
    kept: list[int] = []
    while len(left) and len(kept) < PIVOTS:
        kept.append(int(left[0]))
        left = left[1:]
        left = left[~(points[kept[-1]] <= points[left]).all(axis=1)]
    return np.concatenate([np.array(kept, dtype=np.int64), left])
