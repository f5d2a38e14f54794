"""Networks: SOSA's printed powers, brute force over small networks, and laws."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from axdnn.hardware import technology as tech
from axdnn.hardware.sosa import INTERCONNECT_J_B
from axdnn.records import InvalidInputError

KINDS = ("bus", "mesh", "butterfly", "benes", "crossbar")
PATTERNS = ("uniform", "permutation")
PODS = st.integers(1, 5000)


def test_sosa_powers_to_the_printed_digits(reference):
    rows = reference("sosa_analytic.csv")
    assert len(rows) == 14
    assert tech.sosa_stage_j_b() == pytest.approx(INTERCONNECT_J_B)
    pods, r, c, watts = (np.array([float(x[k]) for x in rows]) for k in ("pods", "rows", "cols", "power_ict_W"))
    found = tech.sosa_energy_j_b("butterfly", pods) * pods * (r + 5 * c) * 1e9
    assert abs(found - watts).max() < 0.00501


def test_sosa_other_kinds_by_hand():
    i0 = 28.75e-15
    assert tech.sosa_energy_j_b("crossbar", [16, 256]) == pytest.approx([16 * i0, 256 * i0])
    assert tech.sosa_energy_j_b("benes", 256) == pytest.approx(4 * 8 * i0)
    assert tech.sosa_energy_j_b("butterfly", 256, 3) == pytest.approx(8 * 8 * i0)
    assert tech.sosa_energy_j_b("bus", 256) == pytest.approx(i0)
    with pytest.raises(InvalidInputError, match="SOSA prices no mesh; use `router_wire_energy_j_b`"):
        tech.sosa_energy_j_b("mesh", 4)


def butterfly_links(source: int, target: int, stages: int) -> list[tuple[int, int]]:
    """Links of the one path: after stage i the top i bits are the target's, the others still the source's."""
    path = []
    for stage in range(1, stages):
        kept = (1 << (stages - stage)) - 1
        path.append((stage, (target & ~kept) | (source & kept)))
    return path


def most_shared(permutation: tuple[int, ...], stages: int) -> int:
    load: dict[tuple[int, int], int] = {}
    for source, target in enumerate(permutation):
        for link in butterfly_links(source, target, stages):
            load[link] = load.get(link, 0) + 1
    return max(load.values(), default=1)


@pytest.mark.parametrize("stages", [1, 2, 3])
def test_butterfly_sharing_over_all_permutations(stages):
    worst = max(most_shared(p, stages) for p in itertools.permutations(range(2**stages)))
    assert tech.path_sharing("butterfly", 2**stages) == worst


@pytest.mark.parametrize("stages", [4, 5, 6, 8])
def test_butterfly_sharing_of_larger_networks(stages):
    """The bound is met by swapping the halves of the address, and never passed by chance."""
    half = stages // 2
    low = (1 << half) - 1
    middle = (1 << stages) - 1 - low - (low << (stages - half))
    swapped = tuple(((s & low) << (stages - half)) | (s & middle) | (s >> (stages - half)) for s in range(2**stages))
    assert sorted(swapped) == list(range(2**stages))
    bound = float(tech.path_sharing("butterfly", 2**stages))
    assert most_shared(swapped, stages) == bound
    rng = np.random.default_rng(0)
    assert max(most_shared(tuple(rng.permutation(2**stages)), stages) for _ in range(50)) <= bound


@pytest.mark.parametrize("side", [1, 2, 3, 4, 6])
def test_mesh_against_every_pair(side):
    """Mean distance, and the busiest link under dimension order, of all pairs of a mesh."""
    nodes = list(itertools.product(range(side), repeat=2))
    load = np.zeros((side, max(side - 1, 1), 2))
    distance = 0
    for (a, b), (c, d) in itertools.product(nodes, repeat=2):
        distance += abs(a - c) + abs(b - d)
        for step in range(min(b, d), max(b, d)):  # along the row of the source first
            load[a, step, int(d > b)] += 1
    pods, pairs = side**2, side**4
    assert tech.hops("mesh", pods) == pytest.approx(distance / pairs, abs=1e-12)
    data = 1e6
    busiest = max(load.max() / pairs * data, data / pods)
    found = float(tech.transfer_cycles("mesh", pods, data, 1))
    if side % 2 == 0 or side == 1:
        assert found == np.ceil(round(busiest, 9))
    else:  # an odd mesh has no middle: its busiest link carries less than the bound
        assert busiest <= found <= busiest * pods / (pods - 1) + 1


def test_hops_by_hand():
    assert tech.hops("butterfly", [1, 2, 256]) == pytest.approx([0, 1, 8])
    assert tech.hops("benes", [1, 2, 256]) == pytest.approx([0, 1, 15])
    assert tech.hops("mesh", 256) == pytest.approx(2 / 3 * 16, rel=0.005)
    assert tech.hops("mesh", 256, near_memory=True) == 8
    with pytest.raises(InvalidInputError, match="`near_memory` is of the mesh only"):
        tech.hops("bus", 4, near_memory=True)


def test_round_latency_by_hand():
    """SOSA: 2 log2(P) cycles a round, hidden if the round is longer."""
    found = tech.round_latency("butterfly", [256, 256, 2, 1], [32, 16, 3, 1])
    assert found.read_cycles.tolist() == [16, 16, 2, 0]
    assert found.write_cycles.tolist() == [8, 8, 1, 0]
    assert found.hidden.tolist() == [True, False, True, True]
    assert found.exposed_cycles.tolist() == [0, 16, 0, 0]
    assert tech.round_latency("butterfly", 8, 10).read_cycles == 6  # log2(8) is whole
    assert tech.round_latency("butterfly", 9, 10).read_cycles == 8
    assert tech.round_latency("mesh", 4, 10, cycles_per_hop=3).read_cycles == 6


@given(st.sampled_from(KINDS), PODS, PODS, st.integers(0, 200), st.integers(0, 200))
def test_laws_of_hops_and_latency(kind, a, b, c, d):
    (few, many), (short, long) = sorted((a, b)), sorted((c, d))
    assert tech.hops(kind, few) <= tech.hops(kind, many)
    fewer, more = (tech.round_latency(kind, pods, long) for pods in (few, many))
    assert fewer.read_cycles <= more.read_cycles
    assert fewer.exposed_cycles <= more.exposed_cycles
    assert more.exposed_cycles <= tech.round_latency(kind, many, short).exposed_cycles


DATA = st.floats(0, 1e9)
WIDTH = st.floats(0.5, 1e3)


@given(st.sampled_from(KINDS), st.sampled_from(PATTERNS), PODS, DATA, DATA, WIDTH, WIDTH, st.integers(1, 8))
def test_laws_of_transfers(kind, pattern, pods, a, b, v, w, planes):
    (little, much), (narrow, wide) = sorted((a, b)), sorted((v, w))
    found = tech.transfer_cycles(kind, pods, much, narrow, pattern, planes)
    assert found >= np.floor(much / (pods * narrow))
    assert tech.transfer_cycles(kind, pods, much, wide, pattern, planes) <= found
    assert tech.transfer_cycles(kind, pods, little, narrow, pattern, planes) <= found
    assert tech.transfer_cycles("crossbar", pods, much, narrow, pattern) <= found
    assert tech.transfer_cycles("benes", pods, much, narrow, pattern) <= found
    assert tech.transfer_cycles("bus", pods, much, narrow, pattern) >= found
    assert tech.transfer_cycles(kind, pods, much, narrow, "uniform", planes) <= found or pattern == "uniform"
    assert tech.transfer_cycles(kind, pods, much, narrow, pattern, planes + 1) <= found


def test_transfers_by_hand():
    found = {k: [int(tech.transfer_cycles(k, 256, 1 << 20, 16, p)) for p in PATTERNS] for k in KINDS}
    assert found["crossbar"] == found["benes"] == [256, 256]
    assert found["butterfly"] == [256, 16 * 256]
    assert found["mesh"] == [(1 << 18) // 256, (1 << 19) // 256]
    assert found["bus"] == [65536, 65536]
    assert tech.transfer_cycles("butterfly", 256, 1 << 20, 16, "permutation", [1, 2, 16, 32]).tolist() == [
        4096, 2048, 256, 256,
    ]  # fmt: skip
    assert tech.transfer_cycles("mesh", [[4], [16]], [100.0, 0.0, 1.0], 1).tolist() == [[25, 0, 1], [7, 0, 1]]


def test_router_and_wire_by_hand():
    router, wire = tech.router_j_bit(), tech.wire_j_bit_m("dally_14")
    found = tech.router_wire_energy_j_b("mesh", 256, 0.7e-3, router, wire)
    hops = 2 / 3 * (16 - 1 / 16)
    assert found == pytest.approx(8 * hops * (20.74e-12 / 256 + 0.7 * 100e-15))
    assert tech.router_wire_energy_j_b("bus", 64, 1e-3, 0, wire) == pytest.approx(8 * 64 * 100e-15)
    assert tech.wire_length_m("crossbar", 64, 1e-3) == pytest.approx(16e-3)
    mean = 2 / 3 * (8 - 1 / 8) * 1e-3
    assert [tech.wire_length_m(k, 64, 1e-3) / mean for k in ("butterfly", "benes")] == pytest.approx([1, 2])
    # ISAAC's 32 nm hop against SOSA's 28 nm stage: 22 x apart, so never in one sum.
    assert 8 * router / tech.sosa_stage_j_b() == pytest.approx(22.5, abs=0.1)


@given(st.sampled_from(KINDS), PODS, PODS, st.floats(0, 2e-3))
def test_more_pods_never_cost_less(kind, a, b, pitch):
    few, many = sorted((a, b))
    energy = [tech.router_wire_energy_j_b(kind, pods, pitch, 1e-13, 1e-10) for pods in (few, many)]
    area = [tech.network_area_m2(kind, pods, 64, 28) for pods in (few, many)]
    assert energy[0] <= energy[1]
    assert area[0] <= area[1]
    # The least distance bounds what any kind drives.
    assert tech.wire_length_m(kind, many, pitch) >= tech.wire_length_m("mesh", many, pitch) * (1 - 1e-12)


def test_area_by_hand():
    bit = 8e-12 * float(tech.node_area_factor(40, 7))
    assert tech.network_area_m2("crossbar", 16, 10, 7) == pytest.approx(256 * 10 * bit)
    assert tech.network_area_m2("butterfly", 256, 8, 7) == pytest.approx(2 * 256 * 8 * 8 * bit)
    assert tech.network_area_m2("benes", 256, 8, 7) == pytest.approx(4 * 256 * 8 * 8 * bit)


def test_bad_pods_are_refused():
    for pods, message in (([4, 0], "`pods` must be in 1.."), (2.5, "`pods` must be whole numbers, but got 2.5")):
        for call in (
            lambda n: tech.hops("mesh", n),
            lambda n: tech.transfer_cycles("bus", n, 1.0, 1.0),
            lambda n: tech.sosa_energy_j_b("crossbar", n),
            lambda n: tech.network_area_m2("bus", n, 8, 28),
        ):
            with pytest.raises(InvalidInputError, match=message):
                call(pods)
    with pytest.raises(InvalidInputError, match="`path_sharing` is of butterfly"):
        tech.path_sharing("mesh", 4)
    with pytest.raises(InvalidInputError, match="`port_bytes` must be in"):
        tech.transfer_cycles("bus", 4, 1.0, 0.0)
