"""Prices of operators: by hand, against a scalar walk, parameters against their sources, laws."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from axdnn.hardware import list_accelerators, load_accelerator, operator_costs, vector_sources, vector_unit
from axdnn.hardware.vector_unit import BITS, COMPARED, FUSED, HOMES
from axdnn.records import ExactOperator, InvalidInputError

TABLES = {  # pJ: int8 addition, fp16 and fp32 addition and product, factor to the node
    "edge_16x16": (0.03, (0.4, 1.1), (0.9, 3.7), 1.0),
    "sosa_32x32": (0.03, (0.4, 1.1), (0.9, 3.7), 0.483),
    "eyeriss_like": (0.03, (0.4, 1.1), (0.9, 3.7), 1.24),
    "tpu_v3": (0.007, (0.16, 0.34), (0.38, 1.31), 0.17 / 0.094),
    "tpu_v4": (0.007, (0.16, 0.34), (0.38, 1.31), 1.0),
    "tpu_v4i": (0.007, (0.16, 0.34), (0.38, 1.31), 1.0),
    "xai_gen": (0.03, (0.4, 1.1), (0.9, 3.7), 0.483),
}
VECTOR = [f"vector_{key}" for key in ("lanes", "operations", "transcendental_cycles", "8bit_j", "16bit_j", "32bit_j",
                                      "transcendental_j")]  # fmt: skip


@pytest.mark.parametrize("name", TABLES)
def test_energies_follow_from_their_sources(name):
    chip, (int8, half, single, scale) = load_accelerator(name), TABLES[name]
    unit, bit = vector_unit(chip), 1.5 * chip.register_j_bit
    for bits, operation in ((8, int8), (16, sum(half) / 2), (32, sum(single) / 2)):
        assert unit.operation_j[bits] == pytest.approx(operation * scale * 1e-12 + bits * bit, rel=1e-4)
    assert unit.transcendental_j == pytest.approx(2 * sum(single) * scale * 1e-12 + 4 * 32 * bit, rel=1e-4)
    assert vector_sources(chip) == {}
    assert sum(path.split(".")[1].startswith("vector_") for path in chip.sources) == len(VECTOR)


def test_widths_of_the_shipped_units():
    assert sorted(TABLES) == list_accelerators()
    tpu = vector_unit(load_accelerator("tpu_v4"))
    assert (tpu.lanes, tpu.operations, tpu.transcendental_cycles) == (2 * 8 * 128, 2, 2)
    assert vector_unit(load_accelerator("tpu_v4i")).lanes == 8 * 128
    assert vector_unit(load_accelerator("tpu_v3")).lanes == 2 * 8 * 128
    for name in ("edge_16x16", "eyeriss_like", "sosa_32x32", "xai_gen"):
        chip = load_accelerator(name)
        unit = vector_unit(chip)
        assert (unit.lanes, unit.operations, unit.transcendental_cycles) == (chip.pods * chip.columns, 1, 4)
        assert unit.words_cycle == pytest.approx(2 * unit.lanes, rel=1e-3)  # a word in and one out of each lane


def test_a_file_without_the_keys_gets_assumptions_that_say_so():
    edge = load_accelerator("edge_16x16")
    bare = edge.replace(**dict.fromkeys(VECTOR))
    given_unit, assumed = vector_unit(edge), vector_unit(bare)
    assert assumed.operation_j == pytest.approx(given_unit.operation_j, rel=1e-6)  # both at 45 nm
    assert assumed.transcendental_j == pytest.approx(given_unit.transcendental_j, rel=1e-6)
    assert assumed[:3] == given_unit[:3]
    said = vector_sources(bare)
    assert len(said) == len(VECTOR)
    assert all("assumption" in text for text in said.values())
    assert set(vector_sources(edge.replace(vector_lanes=None))) == {"array.vector_lanes"}
    assert vector_unit(edge.replace(vector_16bit_j=0.0)).operation_j[16] == 0.0


def test_passes_by_hand(chip, operator):
    pool = operator("pooling", "max_pool2d", operations=300, read=400, written=100)
    average = operator("pooling", "avg_pool2d", operations=500, read=400, written=100)
    soft = operator("softmax", "softmax", operations=390, transcendental=110, read=100, written=100)
    costs = operator_costs([pool, average, soft], chip)
    assert costs.fused.tolist() == [False] * 3
    assert costs.cycles.tolist() == [50, 50, 40]  # 500 words / 10; softmax (390 / 2 + 110 x 4) / 16 = 39.7
    assert costs.latency_s == pytest.approx([50e-9, 50e-9, 40e-9])
    assert costs.vector_j == pytest.approx([300e-12, 1000e-12, (390 * 4 + 110 * 50) * 1e-12])
    assert costs.sram_j == pytest.approx([(400 * 3 + 100 * 5) * 1e-12] * 2 + [800e-12])
    assert costs.dram_j.tolist() == [0, 0, 0]


def test_fused_operators_add_no_time_and_only_read_a_second_operand(chip, operator):
    relu = operator("activation", "clamp", operations=100, read=100, written=100)
    add = operator("elementwise", "add", operations=100, read=200, written=100)
    costs = operator_costs([relu, add], chip)
    assert costs.fused.all()
    assert costs.cycles.tolist() == [4, 4]  # 32 columns
    assert costs.latency_s.tolist() == [0, 0]
    assert costs.vector_j == pytest.approx([100e-12, 400e-12])
    assert costs.sram_j == pytest.approx([0, 300e-12])


def test_where_activations_live_is_charged(chip, operator):
    norm = operator("normalisation", "layer_norm", operations=700, transcendental=10, read=100, written=100)
    inside, backing, outside = (operator_costs([norm], chip, home) for home in HOMES)
    assert inside.cycles.tolist() == [25]  # (700 / 2 + 40) / 16
    assert backing.cycles.tolist() == [40]  # 200 words at 5 a cycle
    assert outside.cycles.tolist() == [100]  # at 2 a cycle
    once, through = 100 * (3 + 5) * 1e-12, 100 * (5 + 3) * 1e-12
    assert inside.sram_j == pytest.approx([once])
    assert backing.sram_j == pytest.approx([once + through + 100 * (7 + 11) * 1e-12])
    assert outside.sram_j == pytest.approx([once + through])
    assert outside.dram_j == pytest.approx([200 * 8e-12])
    assert inside.dram_j.tolist() == backing.dram_j.tolist() == [0]


COUNT = st.integers(0, 10**9)
OPERATORS = st.builds(
    lambda kind, operator, a, b, c, d: ExactOperator(
        name="x", operator=operator, reason="x", kind=kind, operations=a, transcendental=b, input_words=c,
        output_words=d,
    ), st.sampled_from(list(BITS)), st.sampled_from([*COMPARED, "add", "softmax"]), COUNT, COUNT, COUNT, COUNT,
)  # fmt: skip


def walked(one, chip, home):
    """One operator at a time, in plain Python: (cycles, latency, joules)."""
    unit, fused = vector_unit(chip), one.kind in FUSED
    width = 8 if one.operator in COMPARED else BITS[one.kind]
    joules = one.operations * unit.operation_j[width] + one.transcendental * unit.transcendental_j
    loaded, stored = (max(one.input_words - one.output_words, 0), 0) if fused else (one.input_words, one.output_words)
    joules += loaded * chip.buffer_read_j_b + stored * chip.buffer_write_j_b
    if home != "buffer":
        joules += loaded * chip.buffer_write_j_b + stored * chip.buffer_read_j_b
    if home == "backing":
        joules += loaded * chip.backing_read_j_b + stored * chip.backing_write_j_b
    if home == "dram":
        joules += 8 * (loaded + stored) * chip.dram_j_bit
    if fused:
        return math.ceil(one.output_words / (chip.pods * chip.columns)), 0.0, joules
    busy = [
        (one.operations / unit.operations + one.transcendental * unit.transcendental_cycles) / unit.lanes,
        (loaded + stored) * chip.clock_hz / (chip.pods * chip.buffer_bandwidth_b_s),
    ]
    if home != "buffer":
        rate = chip.dram_bandwidth_b_s if home == "dram" else chip.backing_bandwidth_b_s
        busy.append((loaded + stored) * chip.clock_hz / rate)
    cycles = math.ceil(max(busy) - 1e-6)
    return cycles, cycles / chip.clock_hz, joules


@given(st.lists(OPERATORS, max_size=8), st.sampled_from(HOMES), st.sampled_from(sorted(TABLES)))
def test_arrays_agree_with_a_walk(operators, home, name):
    chip = load_accelerator(name)
    costs = operator_costs(operators, chip, home)
    assert all(array.shape == (len(operators),) for array in costs)
    for i, one in enumerate(operators):
        cycles, latency, joules = walked(one, chip, home)
        assert abs(int(costs.cycles[i]) - cycles) <= 1  # the last bit of a quotient
        assert costs.latency_s[i] == pytest.approx(latency, rel=1e-9, abs=1.1 / chip.clock_hz)
        assert costs.vector_j[i] + costs.sram_j[i] + costs.dram_j[i] == pytest.approx(joules, rel=1e-12)


@given(st.lists(OPERATORS, min_size=1, max_size=6), st.sampled_from(HOMES))
def test_more_of_anything_is_never_slower_and_work_never_free(operators, home):
    chip = load_accelerator("edge_16x16").replace(backing_bytes=1e6, backing_read_j_b=1e-12, backing_write_j_b=1e-12)
    base = operator_costs(operators, chip, home)
    for changes in (
        {"vector_lanes": 128}, {"vector_operations": 2}, {"buffer_bandwidth_b_s": 32e9},
        {"dram_bandwidth_b_s": 25.6e9, "backing_bandwidth_b_s": 2e9},
    ):  # fmt: skip
        assert np.all(operator_costs(operators, chip.replace(**changes), home).cycles <= base.cycles)
    inside = operator_costs(operators, chip)
    assert np.all(inside.cycles <= base.cycles)
    assert np.all(inside.sram_j <= base.sram_j)
    work = [bool(o.output_words if o.kind in FUSED else o.operations or o.input_words) for o in operators]
    assert np.all(base.cycles[work] >= 1)


def test_nothing_costs_nothing(chip, operator):
    assert operator_costs([], chip).cycles.shape == (0,)
    costs = operator_costs([operator("movement", "reshape"), operator("other")], chip)
    assert not any(array.any() for array in costs)


def test_errors_are_plain(chip, operator):
    with pytest.raises(InvalidInputError, match=r"must be >= 0, but got .*name='bad'"):
        operator_costs([operator("pooling"), operator("pooling", read=-1, name="bad")], chip)
    with pytest.raises(InvalidInputError, match="`home` must be one of buffer, backing, dram, but got 'cache'"):
        operator_costs([], chip, "cache")
