"""The parts of the search, each against brute force or a linear programme, and a bank of real arrays."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from axdnn.hardware import cost_table, load_accelerator
from axdnn.hardware.mapping import Problem, network_edges, pipelined, sequential, single_core, spilled_bytes
from axdnn.hardware.mapping.labels import undominated
from axdnn.hardware.mapping.moves import choose_resident, is_contiguous
from axdnn.hardware.mapping.objective import least_product, product_bound
from axdnn.hardware.mapping.terms import sequential_terms
from axdnn.hardware.mapping.tree import solve_tree
from axdnn.multipliers import load_multiplier
from axdnn.records import Layer, Network


@pytest.mark.parametrize("seed", range(40))
def test_spilled_bytes_are_the_least(random_problem, seed):
    """As a linear programme: every byte on a fraction of its edge, room at every layer."""
    p = random_problem(seed, 8, 1, chain=seed % 4 == 0, buffer_bytes=float(seed))
    pairs = np.array(p.pairs()).reshape(-1, 2)
    alive = np.array([(pairs[:, 0] <= i) & (i <= pairs[:, 1]) for i in range(p.layers)], dtype=float)
    bounds = [(0, size) for size in p.edge_bytes]
    kept = linprog(-np.ones(len(pairs)), A_ub=alive, b_ub=np.full(p.layers, p.buffer_bytes), bounds=bounds)
    assert spilled_bytes(p) == pytest.approx(p.edge_bytes.sum() + kept.fun, abs=1e-7)


@settings(max_examples=150)
@given(st.integers(0, 2**32 - 1), st.integers(1, 30), st.integers(1, 4))
def test_undominated_points(seed, count, size):
    points = np.random.default_rng(seed).integers(0, 5, (count, size)).astype(float)
    expected = {tuple(p) for p in points if not any((q <= p).all() and (q != p).any() for q in points)}
    kept = undominated(points)
    assert len(kept) == len(expected)
    assert {tuple(p) for p in points[kept]} == expected


@settings(max_examples=150)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.booleans())
def test_least_product_of_points(seed, count, flat):
    rng = np.random.default_rng(seed)
    points = rng.integers(1, 9, (count, 2)).astype(float) if flat else rng.uniform(0.1, 5, (count, 2)) ** 3
    bounds = []

    def corner(_, weights):
        values = points @ weights.T
        bounds.extend(zip(weights, values.min(axis=0), strict=True))
        return points[values.argmin(axis=0)]

    least = points.prod(axis=1).min()
    assert least_product(corner, 1)[0].prod() == pytest.approx(least, rel=1e-12)
    assert product_bound(bounds) <= least * (1 + 1e-9)


def test_least_product_looks_where_little_is_to_be_gained():
    """(1.001, 9.91) betters (1, 10) by 0.8 %, and lies between two corners whose box promises 1 %."""
    points = np.array([[1.0, 10.0], [1.02, 9.9], [1.001, 9.91]])
    found = least_product(lambda _, weights: points[(points @ weights.T).argmin(axis=0)], 1)
    assert found[0].tolist() == [1.001, 9.91]


def test_product_bound_is_the_best_corner():
    """Latency + energy >= 10, latency >= 2, energy >= 1: the corner (9, 1)."""
    lines = [((1.0, 1.0), 10.0), ((1.0, 0.0), 2.0), ((0.0, 1.0), 1.0)]
    assert product_bound([(np.array(w), b) for w, b in lines]) == pytest.approx(9.0)


@pytest.mark.parametrize("seed", range(30))
def test_tree_bounds_graphs_and_equals_on_forests(random_problem, seed):
    p = random_problem(seed, 6, 3, chain=seed % 3 == 0)
    node, _, edge = sequential_terms(p).weighted(np.array([1.0, 0.5]))

    def cost(cores):
        joined = sum(edge[e, cores[a], cores[b]] for e, (a, b) in enumerate(p.pairs()))
        return node[np.arange(6), list(cores)].sum() + joined

    least = min(cost(cores) for cores in itertools.product(range(3), repeat=6))
    tree = solve_tree(p, node, edge)
    assert tree.value <= least * (1 + 1e-12)
    if p.is_forest:
        assert tree.value == pytest.approx(least, rel=1e-12)
        assert cost(tuple(tree.cores)) == pytest.approx(least, rel=1e-12)


@pytest.mark.parametrize("seed", range(40))
def test_greedy_residents_fit_and_lose_at_most_one_layer(random_problem, seed):
    p = random_problem(seed, 7, 2, limited=True, reloads=1.0, forbidden=0.0)
    rng = np.random.default_rng(seed)
    cores = rng.integers(0, 2, (5, 7))
    resident = choose_resident(p, cores, p.reload_latency_s)
    for row, stays in zip(cores, resident, strict=True):
        for core in range(2):
            mine = np.flatnonzero((row == core) & p.can_stay[:, core])
            need, saving = p.need[mine, core], p.reload_latency_s[mine, core]
            assert need[stays[mine]].sum() <= p.capacity[core]
            choices = [np.array(c, dtype=bool) for c in itertools.product([0, 1], repeat=len(mine))]
            best = max(saving[c].sum() for c in choices if need[c].sum() <= p.capacity[core])
            assert saving[stays[mine]].sum() >= best - saving.max(initial=0.0) - 1e-12


def test_contiguity():
    cores = np.array([[0, 0, 1, 1], [0, 1, 0, 1], [2, 2, 2, 2], [1, 2, 2, 1]])
    assert is_contiguous(cores, 3).tolist() == [True, False, True, False]


def test_a_bank_of_arrays_of_different_size_and_multiplier():
    """Four arrays, costs from the streaming model: the mapping beats every array alone, a pipeline beats the series."""
    shapes = ((3136, 147, 64), (784, 1152, 128), (784, 128, 512), (196, 2304, 256), (49, 4608, 512), (1, 512, 1000))
    network = Network(name="bank", layers=tuple(
        Layer(name=f"l{i}", kind="conv2d", m=m, k=k, n=n, input_words=m * k, output_words=m * n, in_shape=(1,),
              out_shape=(1,)) for i, (m, k, n) in enumerate(shapes)
    ))  # fmt: skip
    bank = [(16, "mul8s_1KV6"), (32, "mul8s_1KVP"), (64, "mul8s_1L2N"), (128, "mul8s_1KV6")]
    base = load_accelerator("tpu_v4")
    costs = []
    for side, multiplier in bank:
        table = cost_table(network, [load_multiplier(multiplier)], base.replace(pods=1, rows=side, columns=side))
        costs.append((table.latency_s[:, 0], np.ravel(table.dynamic_j)))
    latency, energy = (np.stack(parts, axis=1) for parts in zip(*costs, strict=True))
    edges, sizes = network_edges(network)
    p = Problem(
        latency_s=latency, energy_j=energy, edges=edges, edge_bytes=sizes, link_bandwidth_b_s=1e11,
        link_j_b=1e-12, static_w=[0.01, 0.04, 0.16, 0.64], layer_names=network.layer_names,
        core_names=[f"{side} x {side} {multiplier}" for side, multiplier in bank],
    )  # fmt: skip
    for objective in ("latency", "energy", "edp"):
        alone = [single_core(p, core, objective).value for core in range(4)]
        best = sequential(p, objective)
        assert best.exact
        assert best.value <= min(alone) * (1 + 1e-12)
    series, stream = sequential(p), pipelined(p)
    assert stream.exact
    assert stream.period_s < series.latency_s
    assert len(set(stream.cores)) > 1
