"""Costs of a mapping as sums over layers and edges: the one form that every solver here works on.

A mapping costs a vector of D numbers: `sum_l node[l, core] + sum_l reload[l, core] (if not resident)
+ sum_e edge[e, core of producer, core of consumer] + constant`. One after the other, D = 2: latency and energy, static
power included, since it is power x time. As a pipeline: the busy time of every core, bytes in the shared buffer, and
the energy that does not depend on the period.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

import numpy as np

from axdnn.hardware.components import Floats
from axdnn.hardware.mapping.problem import Bools, Ints, Problem
from axdnn.records import unknown_name

Occupies = Literal["both", "producer", "consumer"]


class Terms(NamedTuple):
    """The arrays of a sum: `node`, `reload` `(L, C, D)`, `edge` `(E, C, C, D)`, `constant` `(D,)`; 0 where forbidden.

    `linked` `(C, C)`: cores that can pass data on. `waiting`: the value to which bytes are added that wait at more than
    one boundary between cores (only joins of a pipeline), -1 = none; see `stages_of`. `busy`: the first values, one a
    core, are busy times; 0 = they are not.
    """

    problem: Problem
    node: Floats
    reload: Floats
    edge: Floats
    constant: Floats
    linked: Bools
    waiting: int = -1
    busy: int = 0

    def weighted(self, weights: Floats) -> tuple[Floats, Floats, Floats]:
        """Scalar costs `(L, C)`, `(L, C)`, `(E, C, C)` under weights `(D,)`; `inf` where forbidden."""
        p = self.problem
        node = np.where(p.allowed, self.node @ weights, np.inf)
        reload = np.where(p.can_reload, self.reload @ weights, np.inf)
        return node, reload, np.where(self.linked, self.edge @ weights, np.inf)

    def select(self, weights: Floats) -> Terms:
        """Return the terms of linear combinations; weights `(D, K)` give K numbers."""
        return self._replace(
            node=self.node @ weights, reload=self.reload @ weights, edge=self.edge @ weights,
            constant=self.constant @ weights,
        )  # fmt: skip


def spilled_bytes(problem: Problem) -> float:
    """Least bytes that do not find room in the shared buffer when layers run one after the other.

    An output is alive from its producer's run to its consumer's, both included, and whatever is spilled stays away all
    that time (written by the producer, read by the consumer). Going through the layers in order and spilling what is
    needed last is optimal, as for any packing of intervals. Independent of the mapping.
    """
    kept = np.zeros(len(problem.edge_bytes))
    spilled = 0.0
    for layer in range(problem.layers):
        alive = []
        for e, (producer, consumer) in enumerate(problem.pairs()):
            if producer == layer:
                kept[e] = problem.edge_bytes[e]
            if producer <= layer <= consumer:
                alive.append((consumer, e))
        excess = kept[[e for _, e in alive]].sum() - problem.buffer_bytes
        for _, e in sorted(alive, reverse=True):
            if excess <= 0:
                break
            away = min(kept[e], excess)
            kept[e], excess, spilled = kept[e] - away, excess - away, spilled + away
    return float(spilled)


def transfer_s(problem: Problem) -> Floats:
    """Time of every edge between every pair of cores, `(E, C, C)`: set-up, and bytes over bandwidth."""
    time = problem.link_latency_s + problem.edge_bytes[:, None, None] / problem.link_bandwidth_b_s
    return np.where(np.eye(problem.cores, dtype=bool), 0.0, time)


def transfer_j(problem: Problem) -> Floats:
    """Energy of every edge between every pair of cores, without static power, `(E, C, C)`."""
    energy = problem.edge_bytes[:, None, None] * problem.link_j_b
    return np.where(np.eye(problem.cores, dtype=bool), 0.0, energy)


def linked(problem: Problem) -> Bools:
    """Pairs of cores with a link, `(C, C)`; a core reaches itself."""
    return np.asarray(np.isfinite(problem.link_latency_s) | np.eye(problem.cores, dtype=bool))


def always_w(problem: Problem) -> float:
    """Power that is drawn whatever runs: the shared part, and what idle cores draw."""
    return float(problem.shared_static_w + problem.idle_fraction * problem.static_w.sum())


def awake_w(problem: Problem) -> Floats:
    """Power that a core draws more when it works than when it is idle, `(C,)`."""
    return np.asarray((1 - problem.idle_fraction) * problem.static_w)


def next_stage(problem: Problem, cores: Ints, stage: Ints, layer: int, core: Ints) -> tuple[Ints, Floats]:
    """Stage of a layer on `core` `(n,)`, and bytes that its inputs hold beyond one boundary; mappings `(n, L)`."""
    sources = [problem.pairs()[e][0] for e in problem.inputs_of[layer]]
    if not sources:
        return np.zeros(len(core), dtype=np.int64), np.zeros(len(core))
    crossed = (cores[:, sources] != core[:, None]).astype(np.int64)
    reached = stage[:, sources] + crossed
    found = reached.max(axis=1)
    return found, (found[:, None] - reached) @ problem.edge_bytes[list(problem.inputs_of[layer])]


def stages_of(problem: Problem, cores: Ints) -> tuple[Ints, Floats]:
    """Boundaries between cores on the way to each layer, the most of all paths, and bytes that wait beyond one.

    For whole mappings `(B, L)`; stages `(B, L)`, bytes `(B,)`.
    """
    stage, extra = np.zeros_like(cores), np.zeros(len(cores))
    for layer in range(problem.layers):
        stage[:, layer], more = next_stage(problem, cores, stage, layer, cores[:, layer])
        extra += more
    return stage, extra


def _finite(array: Floats) -> Floats:
    return np.where(np.isfinite(array), array, 0.0)


def sequential_terms(problem: Problem) -> Terms:
    """Latency and energy of layers run one after the other: D = 2.

    While a layer runs or reloads, its core is awake; during a transfer both ends are; during a spill none.
    """
    base, awake = always_w(problem), awake_w(problem)
    time, reload = _finite(problem.latency_s), _finite(problem.reload_latency_s)
    moved = _finite(transfer_s(problem))
    spill = spilled_bytes(problem)
    spill_s = 2 * spill / problem.dram_bandwidth_b_s
    return Terms(
        problem=problem,
        node=np.stack([time, _finite(problem.energy_j) + time * (base + awake)], axis=-1),
        reload=np.stack([reload, _finite(problem.reload_energy_j) + reload * (base + awake)], axis=-1),
        edge=np.stack([moved, transfer_j(problem) + moved * (base + awake[:, None] + awake)], axis=-1),
        constant=np.array([spill_s, 2 * spill * problem.dram_j_b + spill_s * base]),
        linked=linked(problem),
    )


def pipelined_terms(problem: Problem, occupies: Occupies) -> Terms:
    """Busy time of each core, bytes in the shared buffer, and energy without the power of the period: D = C + 2.

    `occupies` says which end of a transfer is busy with it. An edge inside a core holds its bytes once, one between
    cores twice: one copy is written while the other is read. Where paths join, the shorter one waits: an edge that
    spans several boundaries holds a copy for each. Energy contains what awake cores draw more than idle ones.

    Raises:
        UnknownNameError: another `occupies`.
    """
    if occupies not in get_args(Occupies):
        raise unknown_name("end of a transfer (`occupies`)", occupies, get_args(Occupies))
    cores, awake = problem.cores, awake_w(problem)
    own = np.eye(cores)
    moved = _finite(transfer_s(problem))
    ends = (occupies != "consumer") * own[:, None, :] + (occupies != "producer") * own[None, :, :]
    busy = {
        "node": _finite(problem.latency_s)[..., None] * own,
        "reload": _finite(problem.reload_latency_s)[..., None] * own,
        "edge": moved[..., None] * ends,
    }
    dynamic = {
        "node": _finite(problem.energy_j), "reload": _finite(problem.reload_energy_j), "edge": transfer_j(problem)
    }  # fmt: skip
    held = {key: np.zeros_like(value) for key, value in dynamic.items()}
    binds = np.isfinite(problem.buffer_bytes) and (np.isfinite(problem.dram_bandwidth_b_s) or problem.dram_j_b > 0)
    if binds:
        held["edge"] = problem.edge_bytes[:, None, None] * (2 - own)
    stacked = {
        key: np.concatenate([busy[key], held[key][..., None], (dynamic[key] + busy[key] @ awake)[..., None]], axis=-1)
        for key in busy
    }
    joins = bool(binds) and not problem.is_forest
    return Terms(
        problem=problem, constant=np.zeros(cores + 2), linked=linked(problem), waiting=cores if joins else -1,
        busy=cores, **stacked,
    )  # fmt: skip
