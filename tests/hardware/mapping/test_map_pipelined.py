"""Overlapping inferences: equal to brute force over every mapping, and laws."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from axdnn.hardware.mapping import Problem, pipelined, sequential, spilled_bytes
from axdnn.records import InvalidInputError, UnknownNameError

ENDS = ("both", "producer", "consumer")


def drawn(random_problem, seed):
    rng = np.random.default_rng([seed, 2])
    cores = int(rng.integers(1, 4))
    layers = int(rng.integers(1, 6 if cores == 3 else 7))
    return random_problem(
        seed, layers, cores, chain=seed % 2 == 0, limited=seed % 3 != 0, buffer=seed % 5 < 3,
        reloads=float(rng.choice([0.5, 0.95])), forbidden=0.1,
    )  # fmt: skip


def unbroken(cores):
    return len([core for core, _ in itertools.groupby(cores)]) == len(set(cores))


@pytest.mark.parametrize("contiguous", [False, True])
@pytest.mark.parametrize("block", [0, *(pytest.param(b, marks=pytest.mark.slow) for b in range(1, 5))])
def test_equals_brute_force(random_problem, all_mappings, as_pipeline, energy_at, block, contiguous):
    """100 networks, any stretch or one a core: least period, then least energy at it and at slower ones."""
    for seed in range(20 * block, 20 * block + 20):
        p, occupies = drawn(random_problem, seed), ENDS[seed % 3]
        options = {"contiguous": contiguous, "occupies": occupies}
        everything = [m for m in all_mappings(p, 0.0, occupies) if not contiguous or unbroken(m.cores)]
        answer = pipelined(p, **options)
        assert answer.exact
        assert answer.feasible == bool(everything)
        if not everything:
            assert answer.remedy
            continue
        least = min(as_pipeline(p, m) for m in everything)
        assert answer.period_s == answer.value == pytest.approx(least, rel=1e-8)
        frugal = min(energy_at(p, m, answer.period_s) for m in everything if as_pipeline(p, m) <= least * (1 + 1e-8))
        assert not answer.note
        assert answer.energy_j == pytest.approx(frugal, rel=1e-8)
        assert sum(answer.energy_parts_j.values()) == pytest.approx(answer.energy_j, rel=1e-12)
        same = [m for m in everything if (m.cores, m.resident) == (answer.cores, answer.resident)]
        assert answer.core_busy_s == pytest.approx(same[0].busy_s, rel=1e-9, abs=1e-12)
        quick = pipelined(p, method="bounded", **options)
        assert quick.bound <= least * (1 + 1e-9)
        assert not quick.feasible or quick.value >= least * (1 - 1e-9)
        for factor in (1.3, 2.5):
            slower = pipelined(p, period_s=least * factor, **options)
            keep = [m for m in everything if as_pipeline(p, m) <= least * factor * (1 + 1e-9)]
            frugal = min(energy_at(p, m, least * factor) for m in keep)
            assert slower.exact
            assert slower.value == pytest.approx(frugal, rel=1e-8)
            assert slower.energy_j == pytest.approx(frugal, rel=1e-8)
        assert not pipelined(p, period_s=least * 0.95, **options).feasible


@pytest.mark.parametrize("seed", range(6))
def test_ten_layers_equal_brute_force(random_problem, all_mappings, as_pipeline, seed):
    """All 1024 mappings of ten layers on two cores, in series and as a pipeline."""
    p = random_problem(seed, 10, 2, chain=seed % 2 == 0, forbidden=0.0, buffer=seed > 2)
    everything = all_mappings(p, spilled_bytes(p))
    assert sequential(p, "edp").value == pytest.approx(min(m.latency_s * m.energy_j for m in everything), rel=1e-9)
    assert pipelined(p).period_s == pytest.approx(min(as_pipeline(p, m) for m in everything), rel=1e-8)


def test_stretches_of_a_long_chain_are_exact(random_problem):
    """Dynamic programming over (stretch ends, cores used), written out here for loads without transfers."""
    p = random_problem(3, 40, 4, forbidden=0.0, link_latency_s=0.0, link_bandwidth_b_s=np.inf)
    sums = np.vstack([np.zeros(4), np.cumsum(p.latency_s, axis=0)])
    best = {(0, frozenset()): 0.0}
    for end in range(1, 41):
        for used in (frozenset(s) for n in range(1, 5) for s in itertools.combinations(range(4), n)):
            best[end, used] = min(
                max(best.get((begin, used - {core}), np.inf), sums[end, core] - sums[begin, core])
                for core in used for begin in range(end)
            )  # fmt: skip
    answer = pipelined(p, contiguous=True)
    assert answer.exact
    assert answer.period_s == pytest.approx(min(t for (end, _), t in best.items() if end == 40), rel=1e-8)


def test_latency_of_one_inference_is_that_in_series(random_problem, all_mappings):
    for seed in range(24):
        p = drawn(random_problem, seed)
        answer = pipelined(p)
        if answer.feasible:
            same = [m for m in all_mappings(p, spilled_bytes(p)) if m.cores == answer.cores]
            alone = next(m for m in same if m.resident == answer.resident)
            assert answer.latency_s == pytest.approx(alone.latency_s, rel=1e-9)
            assert answer.loaded_latency_s >= answer.period_s


def test_a_pipeline_is_never_slower_than_a_series(random_problem):
    """Without a limit on the buffer every core does at most what a series does in all."""
    for seed in range(40):
        p = random_problem(seed, 8, 3, chain=seed % 2 == 0, limited=seed % 3 == 0)
        series = sequential(p)
        if series.feasible:
            answer = pipelined(p)
            assert answer.period_s <= series.latency_s * (1 + 1e-9)
            assert answer.throughput_hz * answer.period_s == pytest.approx(1.0)
            assert answer.period_s >= p.latency_s.min(axis=1).sum() / p.cores * (1 - 1e-9)


def test_more_of_anything_is_never_worse(random_problem):
    better = 0
    for seed in range(24):
        p = drawn(random_problem, seed)
        before = pipelined(p)
        for richer in (
            replace(p, capacity=p.capacity * 1.5),
            replace(p, link_bandwidth_b_s=p.link_bandwidth_b_s * 3),
            replace(p, buffer_bytes=p.buffer_bytes * 2),
            replace(p, dram_bandwidth_b_s=p.dram_bandwidth_b_s * 2),
        ):
            after = pipelined(richer)
            assert not before.feasible or after.period_s <= before.period_s * (1 + 1e-8)
            better += before.feasible and after.period_s < before.period_s * (1 - 1e-6)
        one_stretch = pipelined(p, contiguous=True)
        assert not one_stretch.feasible or one_stretch.period_s >= before.period_s * (1 - 1e-9)
    assert better > 8


def test_equal_cores_share_equal_layers():
    """12 equal layers on 3 equal cores with free links: 4 each, by three stretches of 4."""
    p = Problem(latency_s=np.ones((12, 3)), energy_j=np.ones((12, 3)), static_w=0.5)
    answer = pipelined(p, contiguous=True)
    assert answer.period_s == pytest.approx(4.0)
    assert answer.core_busy_s == pytest.approx((4.0, 4.0, 4.0))
    assert answer.loaded_latency_s == pytest.approx(12.0)
    assert answer.energy_parts_j["static"] == pytest.approx(4.0 * 1.5)
    assert sum(a != b for a, b in itertools.pairwise(answer.cores)) == 2


def test_a_shorter_path_waits_in_the_buffer():
    """A skip over three cores holds a copy for each boundary: 10 x 4, and 2 copies of 3 outputs of 1 byte."""
    latency = np.full((4, 4), np.inf)
    latency[np.arange(4), np.arange(4)] = 1.0
    edges, sizes = [(0, 1), (1, 2), (2, 3), (0, 3)], [1.0, 1.0, 1.0, 10.0]
    p = Problem(latency_s=latency, energy_j=np.zeros((4, 4)), edges=edges, edge_bytes=sizes, buffer_bytes=6.0,
                dram_bandwidth_b_s=8.0, dram_j_b=0.5)  # fmt: skip
    answer = pipelined(p)
    assert answer.period_s == pytest.approx(2 * 40 / 8)
    assert answer.energy_parts_j["spill"] == pytest.approx(2 * 40 * 0.5)
    assert pipelined(replace(p, buffer_bytes=46.0)).period_s == pytest.approx(1.0)


def test_how_long_outputs_have_waited_is_not_forgotten(random_problem, all_mappings, as_pipeline):
    """A graph where two partial mappings differ only in the boundaries behind them, and the dearer one wins."""
    p = random_problem(416, 6, 3, chain=False, forbidden=0.1, buffer_bytes=10.0, dram_bandwidth_b_s=15.0, dram_j_b=0.05)
    least = min(as_pipeline(p, m) for m in all_mappings(p, 0.0))
    assert pipelined(p).period_s == pytest.approx(least, rel=1e-8)


def test_a_period_that_no_core_keeps_is_explained(random_problem):
    p = random_problem(3, 6, 2, forbidden=0.0)
    least = pipelined(p).period_s
    answer = pipelined(p, period_s=least / 2)
    assert not answer.feasible
    assert answer.exact
    assert "core" in answer.binding
    assert f"{least:.4g}"[:4] in answer.remedy
    with pytest.raises(InvalidInputError, match="period_s"):
        pipelined(p, period_s=0.0)
    with pytest.raises(UnknownNameError, match="occupies"):
        pipelined(p, occupies="nobody")
