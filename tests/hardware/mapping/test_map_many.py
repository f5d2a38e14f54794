"""Many chains at once: as one by one, and without a loop over them."""

import time

import numpy as np
import pytest

from axdnn.hardware.mapping import Problem, sequential, sequential_many
from axdnn.records import InvalidInputError


def candidates(rng, p, count):
    latency = rng.uniform(0.1, 3, (count, p.layers, p.cores))
    latency[rng.random(latency.shape) < 0.15] = np.inf
    return latency, rng.uniform(0.1, 3, latency.shape)


@pytest.mark.parametrize("objective", ["latency", "energy", "edp", (2.0, 0.5)])
def test_equals_one_by_one(random_problem, objective):
    """Twelve chips, one of them with layers whose weights are always reloaded, 25 candidates each."""
    none = 0
    for seed in range(12):
        rng = np.random.default_rng([seed, 3])
        layers, cores = int(rng.integers(1, 8)), int(rng.integers(1, 5))
        extra = {"need": rng.choice([0.0, np.inf], (layers, cores)), "reload_latency_s": 0.2, "reload_energy_j": 0.1}
        p = random_problem(seed, layers, cores, buffer=seed % 2 == 0, **(extra if seed % 3 == 0 else {}))
        latency, energy = candidates(rng, p, 25)
        many = sequential_many(p, latency, energy, objective)
        for i in range(25):
            fields = {name: getattr(p, name) for name in p.__dataclass_fields__}
            one = sequential(Problem(**fields | {"latency_s": latency[i], "energy_j": energy[i]}), objective)
            if not one.feasible:
                none += 1
                assert np.isinf(many.value[i])
                assert (many.cores[i] == -1).all()
                continue
            assert many.value[i] == pytest.approx(one.value, rel=1e-9)
            assert many.latency_s[i] * many.energy_j[i] > 0
            if objective == "latency":
                assert many.latency_s[i] == pytest.approx(one.latency_s, rel=1e-9)
            assert tuple(many.cores[i]) == one.cores or many.value[i] == pytest.approx(one.value, rel=1e-12)
    assert 0 < none < 150


def test_thousands_in_a_second(random_problem):
    rng = np.random.default_rng(0)
    p = random_problem(1, 20, 3, forbidden=0.0)
    latency, energy = candidates(rng, p, 4000)
    started = time.perf_counter()
    many = sequential_many(p, latency, energy, "energy")
    assert time.perf_counter() - started < 5
    assert np.isfinite(many.value).sum() > 3000


def test_what_it_does_not_know_is_refused(random_problem):
    rng = np.random.default_rng(0)
    chain, graph = random_problem(1, 5, 2), random_problem(1, 5, 2, chain=False)
    with pytest.raises(InvalidInputError, match="chains only"):
        sequential_many(graph, *candidates(rng, graph, 2))
    tight = random_problem(1, 5, 2, need=1.0, capacity=2.0, reload_latency_s=1.0, reload_energy_j=1.0)
    with pytest.raises(InvalidInputError, match="can bind on core 0, core 1"):
        sequential_many(tight, *candidates(rng, tight, 2))
    latency, energy = candidates(rng, chain, 2)
    with pytest.raises(InvalidInputError, match=r"\(B, 5, 2\)"):
        sequential_many(chain, latency[:, :3], energy)
    with pytest.raises(InvalidInputError, match="negative"):
        sequential_many(chain, latency, -energy)
    assert len(sequential_many(chain, latency[:0], energy[:0], "edp").value) == 0
