"""Output stationary pods share the terms of a sum where that is faster: brute force over the parts, and their cost."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from axdnn.hardware.streaming import layer_terms

SIZES = st.tuples(st.integers(1, 300), st.integers(1, 60), st.integers(1, 4))
"""m, n, groups."""


def summing_chip(small_chip, **changes):
    """Output stationary, 8 pods of 8 x 8, nothing but the pods takes time; accumulators of 50 rows a pod."""
    return small_chip.replace(
        dataflow="os", buffer_bandwidth_b_s=1e24, dram_bandwidth_b_s=1e24, dram_latency_s=0.0,
        backing_bandwidth_b_s=1e24, **changes,
    )  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(SIZES, st.integers(1, 900), st.integers(1, 8))
def test_output_stationary_tiles_and_parts_of_their_sums_are_dealt_out_to_pods(
    small_chip, gemm, network_of, sizes, k, rows_of_sums
):
    """Brute force over the parts of a sum; as many on few pods as on all, and each is written and read once."""
    m, n, groups = sizes
    chip = summing_chip(small_chip, accumulator_bytes=4 * 8 * rows_of_sums)
    tiles = groups * math.ceil(m / 8) * math.ceil(n / 8)

    def computing(wanted, pods):  # cycles, parts
        length = math.ceil(k / wanted)
        parts = math.ceil(k / length)
        return math.ceil(tiles * parts / pods) * max(length, 8), parts

    def fastest(wanted, most):  # cycles with those of the network of 0 to 3 stages, pods; of equals the most pods
        return min((computing(wanted, p)[0] + 3 * (p - 1).bit_length(), -p) for p in range(1, most + 1))

    tried = [c for c in range(1, 9) if c == 1 or (k // c >= 8 and rows_of_sums == 8)]
    wanted = min(tried, key=lambda c: fastest(c, 8)[0])
    terms = layer_terms(network_of(gemm("layer", m, k, n, groups)), chip)
    for pods in range(1, 9):
        cycles, used = fastest(wanted, pods)
        busy, parts = computing(wanted, -used)
        assert terms.timings.cycles[0, pods - 1] == cycles + 2 * 8 + 8 - 2
        assert terms.timings.pods_used[0, pods - 1] == min(-used, tiles * parts)
        assert busy <= computing(1, -used)[0] + 8 * math.ceil(tiles * parts / -used)
    assert terms.timings.term_parts[0] == parts
    assert terms.moved.sums_written[0] == terms.moved.sums_read[0] == 4 * parts * groups * m * n


def test_a_long_sum_runs_on_all_pods_and_pays_for_adding_up(small_chip, gemm, network_of):
    """One tile: 8 pods take an eighth of its terms each; 7 more sums of 64 outputs each go to the accumulators."""
    network = network_of(gemm("layer", 8, 8000, 8))
    whole = layer_terms(network, summing_chip(small_chip, accumulator_bytes=4 * 8 * 7))
    cut = layer_terms(network, summing_chip(small_chip, accumulator_bytes=4 * 8 * 8))
    fixed = 2 * 8 + 8 - 2 + 9
    assert whole.timings.cycles[0, 7] - fixed == 8000 - 9  # one pod, no network
    assert cut.timings.cycles[0, 7] - fixed == 1000
    chip, more = summing_chip(small_chip), 4 * 7 * 64
    added = more * (chip.accumulator_write_j_b + chip.accumulator_read_j_b)
    assert cut.sram_j[0] - whole.sram_j[0] == pytest.approx(added)
    crossed = 2 * more * chip.interconnect_j_b * chip.interconnect_expansion * 3  # log2(8) stages
    assert cut.interconnect_j[0] - whole.interconnect_j[0] == pytest.approx(crossed)
    shifted = 7 * 64 * 32 * 8 / 2 * chip.register_j_bit  # out of the array, through half its rows
    assert cut.weight_load_j[0] - whole.weight_load_j[0] == pytest.approx(shifted)
