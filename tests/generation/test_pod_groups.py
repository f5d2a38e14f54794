"""The programme on tables whose pods hold kinds in groups, and on the paper's cost model."""

import itertools
from dataclasses import replace

import msgspec
import numpy as np
import pytest

from axdnn.generation.programme import Around, Programme
from axdnn.hardware import paper_energy_j, paper_table
from axdnn.multipliers import load_multiplier


@pytest.mark.parametrize("seed", range(4))
def test_pods_that_stand_together_are_one_of_their_power(problem, seed):
    plain = problem(seed, 5, 4, 4)
    table = msgspec.structs.replace(plain.table, pods_together=3, static_w_pod=plain.table.static_w_pod / 3)
    grouped = replace(plain, table=table)
    one, other = Programme(plain, plain.damage), Programme(grouped, grouped.damage)
    around = Around(2.5, 0.7, plain.table.dynamic_j, plain.table.latency_s, np.empty(0))
    assert other._energy(around) == pytest.approx(one._energy(around), rel=1e-12)
    limit = float(np.median(plain.damage.sum(axis=0)))
    a, b = one.cheapest(limit), other.cheapest(limit)
    assert np.array_equal(a, b)
    assert grouped.energy_j(b) == pytest.approx(plain.energy_j(a), rel=1e-12)
    assert table.energy(b).pods.sum() == 12
    assert plain.table.energy(a).pods.sum() == 4


@pytest.mark.parametrize("most", [0.05, 0.5, 5.0])
def test_a_search_under_the_papers_model_is_exhaustively_best(lenet, real_problem, most):
    names = ("mul8s_1KV6", "mul8s_1KVP", "mul8s_1L2L", "mul8s_1L2N")
    circuits = [load_multiplier(name) for name in names]
    rng = np.random.default_rng(0)
    damage = rng.uniform(0.5, 2, (5, 4)) * np.array([0.0, 0.01, 0.1, 1.0])
    problem = replace(real_problem, multipliers=names, table=paper_table(lenet, circuits), noise=damage)
    found = Programme(problem, damage).cheapest(most)
    energies = paper_energy_j(lenet, circuits)
    layers = np.arange(5)
    best = min(
        energies[layers, choice].sum()
        for choice in map(list, itertools.product(range(4), repeat=5))
        if damage[layers, choice].sum() <= most
    )
    assert damage[layers, found].sum() <= most * (1 + 1e-9)
    assert energies[layers, found].sum() == pytest.approx(best, rel=1e-9)
