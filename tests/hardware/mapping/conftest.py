"""Random small problems, and every mapping of them priced one by one in plain Python: the oracle."""

import itertools
from typing import NamedTuple

import numpy as np
import pytest

from axdnn.hardware.mapping import Problem


class Priced(NamedTuple):
    """One mapping: latency and energy in series; busy time, held bytes and energy without time, as a pipeline."""

    cores: tuple[int, ...]
    resident: tuple[bool, ...]
    latency_s: float
    energy_j: float
    busy_s: tuple[float, ...]
    held: float
    dynamic_j: float


def random_problem(
    seed, layers, cores, *, chain=True, limited=False, forbidden=0.15, reloads=0.8, buffer=False, **rest
):
    rng = np.random.default_rng(seed)
    edges = None
    if not chain:
        pairs = itertools.combinations(range(layers), 2)
        edges = [pair for pair in pairs if rng.random() < (0.6 if pair[1] == pair[0] + 1 else 0.25)]
    count = layers - 1 if edges is None else len(edges)
    shape = (layers, cores)
    latency = rng.uniform(0.1, 3, shape)
    latency[rng.random(shape) < forbidden] = np.inf
    link = rng.uniform(0, 0.4, (cores, cores))
    link[rng.random((cores, cores)) < 0.05] = np.inf
    fields = {
        "latency_s": latency,
        "energy_j": rng.uniform(0.1, 3, shape),
        "edges": edges,
        "edge_bytes": rng.integers(0, 20, count).astype(float),
        "link_bandwidth_b_s": rng.uniform(5, 40, (cores, cores)),
        "link_latency_s": link,
        "link_j_b": rng.uniform(0, 0.05, (cores, cores)),
        "static_w": rng.uniform(0, 0.3, cores),
        "shared_static_w": 0.1,
        "idle_fraction": float(rng.choice([0.0, 0.3, 1.0])),
    }
    if limited:
        reload = rng.uniform(0.1, 2, shape)
        reload[rng.random(shape) > reloads] = np.inf
        need = rng.integers(0, 6, shape).astype(float)
        need[rng.random(shape) < 0.05] = np.inf
        capacity = rng.integers(0, 3 * layers // cores + 3, cores).astype(float)
        capacity[rng.random(cores) < 0.25] = np.inf
        fields |= {"reload_latency_s": reload, "reload_energy_j": rng.uniform(0, 2, shape), "need": need,
                   "capacity": capacity}  # fmt: skip
    if buffer:
        fields |= {"buffer_bytes": float(rng.integers(0, 60)), "dram_bandwidth_b_s": float(rng.choice([15.0, 100.0])),
                   "dram_j_b": float(rng.choice([0.0, 0.05]))}  # fmt: skip
    return Problem(**fields | rest)


def price_one(p, cores, resident, spilled, occupies="both"):
    """Walk through one mapping; None if it is not legal."""
    everything = p.shared_static_w + p.idle_fraction * sum(p.static_w)
    awake = [(1 - p.idle_fraction) * w for w in p.static_w]
    used, busy = [0.0] * p.cores, [0.0] * p.cores
    stage = [0] * p.layers
    latency = 2 * spilled / p.dram_bandwidth_b_s
    dynamic = 0.0
    energy = 2 * spilled * p.dram_j_b + latency * everything
    held = 0.0
    for layer, (core, stays) in enumerate(zip(cores, resident, strict=True)):
        seconds, joules = p.latency_s[layer, core], p.energy_j[layer, core]
        if stays:
            used[core] += p.need[layer, core]
        else:
            seconds, joules = seconds + p.reload_latency_s[layer, core], joules + p.reload_energy_j[layer, core]
        if not np.isfinite(seconds + joules) or used[core] > p.capacity[core] or np.isinf(used[core]):
            return None
        latency += seconds
        energy += joules + seconds * (everything + awake[core])
        dynamic += joules
        busy[core] += seconds
        arrives = [(e, a) for e, (a, b) in enumerate(p.pairs()) if b == layer]
        stage[layer] = max([stage[a] + (cores[a] != core) for _, a in arrives], default=0)
        for e, source in arrives:
            held += p.edge_bytes[e] * (1 + stage[layer] - stage[source])
            if cores[source] == core:
                continue
            moved = p.link_latency_s[cores[source], core] + p.edge_bytes[e] / p.link_bandwidth_b_s[cores[source], core]
            if not np.isfinite(moved):
                return None
            joules = p.edge_bytes[e] * p.link_j_b[cores[source], core]
            latency += moved
            energy += joules + moved * (everything + awake[core] + awake[cores[source]])
            dynamic += joules
            busy[core] += moved * (occupies != "producer")
            busy[cores[source]] += moved * (occupies != "consumer")
    return Priced(cores, resident, latency, energy, tuple(busy), held, dynamic)


def all_mappings(p, spilled=0.0, occupies="both"):
    """Every legal mapping with every choice of resident weights that could matter."""
    found = []
    for cores in itertools.product(range(p.cores), repeat=p.layers):
        if not all(np.isfinite(p.latency_s[i, c]) for i, c in enumerate(cores)):
            continue
        choices = [
            (True,) if np.isinf(p.capacity[c]) and np.isfinite(p.need[i, c]) else (True, False)
            for i, c in enumerate(cores)
        ]
        for resident in itertools.product(*choices):
            if (priced := price_one(p, cores, resident, spilled, occupies)) is not None:
                found.append(priced)
    return found


def as_pipeline(p, priced):
    """Period of one mapping."""
    return max(*priced.busy_s, 2 * max(priced.held - p.buffer_bytes, 0.0) / p.dram_bandwidth_b_s)


def energy_at(p, priced, period):
    """Energy of one mapping as a pipeline of some period."""
    everything = p.shared_static_w + p.idle_fraction * sum(p.static_w)
    awake = sum((1 - p.idle_fraction) * w * b for w, b in zip(p.static_w, priced.busy_s, strict=True))
    spill = 2 * max(priced.held - p.buffer_bytes, 0.0) * p.dram_j_b
    return priced.dynamic_j + spill + awake + everything * period


@pytest.fixture(scope="session", name="random_problem")
def random_problem_fixture():
    return random_problem


@pytest.fixture(scope="session", name="all_mappings")
def all_mappings_fixture():
    return all_mappings


@pytest.fixture(scope="session", name="as_pipeline")
def as_pipeline_fixture():
    return as_pipeline


@pytest.fixture(scope="session", name="energy_at")
def energy_at_fixture():
    return energy_at
