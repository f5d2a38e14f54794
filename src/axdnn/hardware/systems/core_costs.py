"""What each core's own model says of every layer, as the mapping's problem."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from axdnn.hardware.accelerator import Accelerator
from axdnn.hardware.dataflows import Floats
from axdnn.hardware.estimate import estimate
from axdnn.hardware.imc import ImcChip, imc_cost
from axdnn.hardware.mapping import Problem, legality, network_edges
from axdnn.hardware.systems.chip import SystemChip
from axdnn.records import Assignment, Multiplier, Network


class CoreCosts(NamedTuple):
    """What the cores' models say: the mapping's problem, and each layer's energy by component on each core."""

    problem: Problem
    energy_j: tuple[tuple[dict[str, float], ...], ...]
    utilisation: Floats
    area_m2: dict[str, float]


class _OnCore(NamedTuple):
    """All layers on one core: arrays over layers; components without static power."""

    latency_s: Floats
    parts: tuple[dict[str, float], ...]
    need: Floats
    reload_s: Floats
    reload_j: Floats
    utilisation: Floats
    static_w: float
    capacity: float
    area_m2: float


def core_costs(
    chip: SystemChip, network: Network, assignment: Assignment, multipliers: Mapping[str, Multiplier]
) -> CoreCosts:
    """Price every layer on every core, and state the mapping's problem."""
    priced = [
        _systolic(core, network, assignment, multipliers)
        if isinstance(core, Accelerator)
        else _in_memory(core, network)
        for core in chip.cores.values()
    ]
    stationary = [isinstance(core, ImcChip) for core in chip.cores.values()]
    rules = legality(network.layers, stationary, depthwise=chip.depthwise, activation_products=chip.activation_products)
    edges, edge_bytes = network_edges(network)
    energy = np.array([[sum(part.values()) for part in p.parts] for p in priced]).T
    problem = Problem(
        latency_s=np.where(rules.forbidden, np.inf, np.stack([p.latency_s for p in priced], axis=1)),
        energy_j=np.where(rules.forbidden, np.inf, energy),
        reasons=rules.reasons,
        need=np.where(rules.never_stays, np.inf, np.stack([p.need for p in priced], axis=1)),
        capacity=np.array([p.capacity for p in priced]),
        reload_latency_s=np.stack([p.reload_s for p in priced], axis=1),
        reload_energy_j=np.stack([p.reload_j for p in priced], axis=1),
        edges=edges, edge_bytes=edge_bytes, link_bandwidth_b_s=chip.link_bandwidth_b_s,
        link_latency_s=chip.link_latency_s, link_j_b=chip.link_j_b, static_w=np.array([p.static_w for p in priced]),
        shared_static_w=chip.shared_static_w, idle_fraction=chip.idle_fraction, buffer_bytes=chip.buffer_bytes,
        dram_bandwidth_b_s=chip.dram_bandwidth_b_s, dram_j_b=chip.dram_j_b, layer_names=network.layer_names,
        core_names=tuple(chip.cores),
    )  # fmt: skip
    by_layer = tuple(tuple(p.parts[i] for p in priced) for i in range(len(network.layers)))
    areas = {name: p.area_m2 for name, p in zip(chip.cores, priced, strict=True)}
    return CoreCosts(problem, by_layer, np.stack([p.utilisation for p in priced], axis=1), areas)


def _systolic(
    core: Accelerator, network: Network, assignment: Assignment, multipliers: Mapping[str, Multiplier]
) -> _OnCore:
    """A systolic core: weights stream, so nothing has to stay."""
    plain = Assignment(multipliers=assignment.multipliers)
    report = estimate(network, plain, core, multipliers=multipliers)
    layers, none = report.layers, np.zeros(len(network.layers))
    static_w = layers[0].energy_j["static"] / layers[0].latency_s
    parts = tuple({name: e for name, e in x.energy_j.items() if name != "static"} for x in layers)
    use = np.array([x.utilisation for x in layers])
    return _OnCore(np.array([x.latency_s for x in layers]), parts, none, none, none, use, static_w, np.inf,
                   report.area_m2)  # fmt: skip


def _in_memory(core: ImcChip, network: Network) -> _OnCore:
    """An in-memory core: each layer alone with its weights in place, and what writing them takes."""
    costs = [imc_cost(Network(name=x.name, layers=(x,)), core.replace(reload=1)) for x in network.layers]
    kept = ("cells", "adc", "dac", "adders", "buffer", "interconnect")
    parts = tuple({f"{name}": float(c.energy_j[name][0]) for name in kept} for c in costs)
    return _OnCore(
        latency_s=np.array([float(c.compute_s[0]) for c in costs]),
        parts=parts,
        need=np.array([float(c.arrays[0]) for c in costs]),
        reload_s=np.array([float(c.setup_s) if c.setup_s > 0 else float(c.programming_s[0]) for c in costs]),
        reload_j=np.array([float(c.setup_j) if c.setup_j > 0 else float(c.energy_j["programming"][0]) for c in costs]),
        utilisation=np.array([float(c.utilisation[0]) for c in costs]),
        static_w=core.arrays * core.array_leakage_w + core.shared_leakage_w,
        capacity=float(core.arrays),
        area_m2=float(costs[0].total_m2),
    )
