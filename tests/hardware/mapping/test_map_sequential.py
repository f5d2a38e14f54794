"""Layers one after the other: equal to brute force over every mapping, and laws."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from axdnn.hardware.mapping import given as price_given
from axdnn.hardware.mapping import greedy, pareto_front, sequential, single_core, spilled_bytes

GOALS = {
    "latency": lambda t, e: t,
    "energy": lambda t, e: e,
    "edp": lambda t, e: t * e,
    (1.0, 2.0): lambda t, e: t + 2 * e,
}


def drawn(random_problem, seed):
    """A problem of 1 to 6 layers on 1 to 3 cores; chain or graph, with and without capacity and a small buffer."""
    rng = np.random.default_rng([seed, 1])
    cores = int(rng.integers(1, 4))
    layers = int(rng.integers(1, 6 if cores == 3 else 7))
    return random_problem(
        seed, layers, cores, chain=seed % 2 == 0, limited=seed % 3 != 0, buffer=seed % 5 < 2,
        reloads=float(rng.choice([0.3, 0.9])),
    )  # fmt: skip


@pytest.mark.parametrize("block", [0, 1, *(pytest.param(b, marks=pytest.mark.slow) for b in range(2, 8))])
def test_equals_brute_force(random_problem, all_mappings, block):
    """320 networks x 4 objectives: value, feasibility, bound <= least <= bounded, and the answer's own figures."""
    infeasible = 0
    for seed in range(40 * block, 40 * block + 40):
        p = drawn(random_problem, seed)
        everything = all_mappings(p, spilled_bytes(p))
        infeasible += not everything
        for objective, goal in GOALS.items():
            answer = sequential(p, objective)
            assert answer.exact
            assert answer.feasible == bool(everything)
            if not everything:
                assert answer.binding
                assert answer.remedy
                continue
            least = min(goal(m.latency_s, m.energy_j) for m in everything)
            assert answer.value == pytest.approx(least, rel=1e-9), (seed, objective)
            assert goal(answer.latency_s, answer.energy_j) == pytest.approx(answer.value, rel=1e-9)
            same = [m for m in everything if (m.cores, m.resident) == (answer.cores, answer.resident)]
            assert answer.latency_s == pytest.approx(same[0].latency_s, rel=1e-9)
            assert answer.energy_j == pytest.approx(same[0].energy_j, rel=1e-9)
            quick = sequential(p, objective, method="bounded")
            assert quick.bound <= least * (1 + 1e-9)
            assert not quick.feasible or quick.value >= least * (1 - 1e-9)
            narrow = sequential(p, objective, most_labels=1)
            assert narrow.bound <= least * (1 + 1e-9)
            assert not narrow.feasible or least * (1 - 1e-9) <= narrow.value <= (1 + narrow.gap) * least * (1 + 1e-6)
            assert not (narrow.exact and narrow.feasible) or narrow.value == pytest.approx(least, rel=1e-7)
    assert infeasible < 30


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.integers(1, 3), st.booleans(), st.booleans())
def test_front_and_product_equal_brute_force(random_problem, all_mappings, seed, layers, cores, chain, limited):
    p = random_problem(seed, layers, cores, chain=chain, limited=limited)
    points = {(m.latency_s, m.energy_j) for m in all_mappings(p, 0.0)}
    front = pareto_front(p)
    best = [(t, e) for t, e in sorted(points) if not any((a <= t and b < e) or (a < t and b <= e) for a, b in points)]
    found = np.array([(m.latency_s, m.energy_j) for m in front]).reshape(-1, 2)
    # Sums in another order differ in the last digits, so points are compared by what they dominate.
    for t, e in best:
        assert ((found[:, 0] <= t * (1 + 1e-9)) & (found[:, 1] <= e * (1 + 1e-9))).any()
    for t, e in found:
        assert any(a >= t * (1 - 1e-9) and b >= e * (1 - 1e-9) for a, b in best)
        assert any(t == pytest.approx(a, rel=1e-9) and e == pytest.approx(b, rel=1e-9) for a, b in points)
    product = sequential(p, "edp")
    assert product.feasible == bool(points)
    if points:
        assert product.value == pytest.approx(min(m.latency_s * m.energy_j for m in front), rel=1e-9)


@pytest.mark.parametrize("objective", ["latency", "energy", "edp"])
def test_more_of_anything_is_never_worse(random_problem, objective):
    """Capacity, bandwidth, buffer, quicker set-up, one more core without leakage."""
    compared = 0
    for seed in range(40):
        p = drawn(random_problem, 3 * seed + 1)
        before = sequential(p, objective)
        wider = np.concatenate([p.latency_s, np.full((p.layers, 1), 1.5)], axis=1)
        joules = np.concatenate([p.energy_j, np.full((p.layers, 1), 1.5)], axis=1)
        matrix = np.pad(p.link_latency_s, (0, 1), constant_values=0.1)
        rich = [
            replace(p, capacity=p.capacity * 1.5),
            replace(p, link_bandwidth_b_s=p.link_bandwidth_b_s * 3),
            replace(p, link_latency_s=p.link_latency_s / 2),
            replace(p, buffer_bytes=p.buffer_bytes + 7),
            replace(p, idle_fraction=0.0),
            replace(
                p, latency_s=wider, energy_j=joules, need=np.pad(p.need, ((0, 0), (0, 1))),
                capacity=np.append(p.capacity, np.inf), link_latency_s=matrix, core_names=(),
                reload_latency_s=np.pad(p.reload_latency_s, ((0, 0), (0, 1))),
                reload_energy_j=np.pad(p.reload_energy_j, ((0, 0), (0, 1))),
                link_bandwidth_b_s=np.pad(p.link_bandwidth_b_s, (0, 1), constant_values=9.0),
                link_j_b=np.pad(p.link_j_b, (0, 1)), static_w=np.append(p.static_w, 0.0),
            ),
        ]  # fmt: skip
        for richer in rich:
            after = sequential(richer, objective)
            assert not before.feasible or after.value <= before.value * (1 + 1e-9)
            compared += before.feasible and after.value < before.value
    assert compared > 25


def test_free_transfers_give_the_least_of_each_layer(random_problem):
    for seed in range(30):
        p = random_problem(seed, 12, 4, chain=seed % 2 == 0, forbidden=0.1, link_latency_s=0.0, link_j_b=0.0,
                           link_bandwidth_b_s=np.inf, static_w=0.0, shared_static_w=0.0)  # fmt: skip
        for objective, costs in (("latency", p.latency_s), ("energy", np.where(np.isinf(p.latency_s), 9, p.energy_j))):
            assert sequential(p, objective).value == pytest.approx(costs.min(axis=1).sum(), rel=1e-12)


def test_one_core_is_the_sum(random_problem):
    for seed in range(10):
        p = random_problem(seed, 7, 1, chain=seed % 2 == 0, forbidden=0.0)
        answer = sequential(p, "edp")
        assert answer.latency_s == pytest.approx(p.latency_s.sum())
        assert answer.energy_j == pytest.approx(p.energy_j.sum() + p.latency_s.sum() * (0.1 + p.static_w[0]))
        assert single_core(p, 0, "edp").value == pytest.approx(answer.value)


def test_parts_and_rows_sum(random_problem):
    for seed in range(60):
        p = drawn(random_problem, seed)
        answer = sequential(p, "energy")
        if not answer.feasible:
            continue
        assert sum(answer.latency_parts_s.values()) == pytest.approx(answer.latency_s, rel=1e-12)
        assert sum(answer.energy_parts_j.values()) == pytest.approx(answer.energy_j, rel=1e-12)
        for kind in ("compute", "transfer", "reload"):
            assert sum(getattr(row, f"{kind}_s") for row in answer.layers) == answer.latency_parts_s[kind]
            assert sum(getattr(row, f"{kind}_j") for row in answer.layers) == answer.energy_parts_j[kind]
        assert [row.core for row in answer.layers] == [p.core_names[core] for core in answer.cores]
        assert answer.latency_parts_s["spill"] == pytest.approx(2 * spilled_bytes(p) / p.dram_bandwidth_b_s)


def test_baselines_are_mappings_and_never_better(random_problem, all_mappings):
    better = 0
    for seed in range(60):
        p = drawn(random_problem, seed)
        legal = {(m.cores, m.resident): m for m in all_mappings(p, spilled_bytes(p))}
        for objective, goal in GOALS.items():
            least = sequential(p, objective)
            for base in [greedy(p, objective), *(single_core(p, core, objective) for core in range(p.cores))]:
                if not base.feasible:
                    assert base.binding
                    continue
                priced = legal[base.cores, base.resident]
                assert base.value == pytest.approx(goal(priced.latency_s, priced.energy_j), rel=1e-9)
                assert base.value >= least.value * (1 - 1e-9)
                better += base.value > least.value * (1 + 1e-9)
    assert better > 100


def test_a_long_chain_with_capacity_says_how_far_it_may_be_off(random_problem):
    p = random_problem(5, 60, 4, limited=True, reloads=1.0, forbidden=0.0)
    exact = sequential(p, method="auto")
    quick = sequential(p, method="bounded")
    assert exact.bound <= exact.value <= quick.value
    assert quick.bound <= exact.value
    assert quick.gap < 0.05
    assert (quick.method, quick.exact) in {("local", False), ("bound met", True)}
    again = price_given(p, np.array(quick.cores))
    assert again.value == pytest.approx(quick.value, rel=1e-12)
