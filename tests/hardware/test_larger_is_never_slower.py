"""Larger memories, higher bandwidths and more pods never make a network slower, over designs of every kind.

The laws hold for a backing memory at least as fast as DRAM, which files must have, and within two limits of the model.
The loop order is the one that needs least of DRAM, so activations that live in the backing memory and do not fit the
buffer may be read from it again and again. Weights that stay lose their place to activations that move in beside them.
"""

import math

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from axdnn.hardware import accelerator_faults, list_accelerators, load_accelerator, parse_accelerator, sweep
from axdnn.hardware.design_files import shipped_text
from axdnn.hardware.streaming import layer_terms
from axdnn.hardware.traffic import activation_home
from axdnn.records import InvalidInputError

SHAPES = st.tuples(st.integers(1, 200), st.integers(1, 80), st.integers(1, 60), st.sampled_from([1, 1, 1, 2, 5]),
                   st.integers(1, 4000), st.booleans())  # fmt: skip
"""m, k, n, groups, input words, whether it is a product of two activations."""
DESIGNS = st.fixed_dictionaries({
    "rows": st.sampled_from([4, 8, 16]), "columns": st.sampled_from([4, 8, 16]),
    "pods": st.sampled_from([1, 2, 3, 4, 8]),
    "weight_buffer_bytes": st.floats(10, 1e5), "accumulator_bytes": st.floats(100, 1e5),
    "buffer_bandwidth_b_s": st.floats(3e8, 1e11), "dram_bandwidth_b_s": st.floats(3e8, 1e11),
    "dataflow": st.sampled_from(["ws", "os", "is"]),
    "timing": st.sampled_from(["pipelined", "sosa", "paper", "scalesim3"]),
    "interconnect": st.sampled_from(["bus", "mesh", "butterfly", "benes", "crossbar"]),
    "pack_groups": st.integers(0, 1), "activations_stay_on_chip": st.integers(0, 1),
})  # fmt: skip
GROWN = ("activation_buffer_bytes", "weight_buffer_bytes", "buffer_bandwidth_b_s", "backing_bandwidth_b_s",
         "dram_bandwidth_b_s")  # fmt: skip
FACTORS = st.floats(1, 100)


@pytest.fixture(scope="module")
def case(gemm, network_of):
    """A network and a chip whose activation buffer holds any layer's inputs twice if there is a backing memory."""

    def made(shapes, design, *, room=1.0, peak=1.0, behind=0.0, faster=1.0):
        layers = []
        for i, (m, k, n, groups, words, product) in enumerate(shapes):
            layer = gemm(f"layer {i}", m, k, n, groups, None if product else min(words, groups * m * k))
            layers.append(msgspec.structs.replace(layer, kind="matmul" if product else "conv2d"))
        inputs = 2 * max(x.m * x.k for x in layers)
        chip = load_accelerator("tpu_v4").replace(
            **design, activation_buffer_bytes=room * inputs, backing_bytes=behind * inputs,
            backing_bandwidth_b_s=faster * design["dram_bandwidth_b_s"],
        )  # fmt: skip
        return network_of(*layers, peak=math.ceil(peak * inputs)), chip

    return made


def took(network, chip):
    return int(layer_terms(network, chip).timings.cycles[:, -1].sum())


@settings(max_examples=150, deadline=None)
@given(st.lists(SHAPES, min_size=1, max_size=3), DESIGNS, st.floats(0.01, 3), st.floats(0.1, 30), st.integers(0, 1),
       st.sampled_from(GROWN), FACTORS)  # fmt: skip
def test_without_a_backing_memory(case, shapes, design, room, peak, keeps, field, factor):
    network, chip = case(shapes, design | {"weights_stay_on_chip": keeps}, room=room, peak=peak)
    assert took(network, chip.replace(**{field: factor * getattr(chip, field)})) <= took(network, chip)


@settings(max_examples=150, deadline=None)
@given(st.lists(SHAPES, min_size=1, max_size=3), DESIGNS, st.floats(1, 3), st.floats(1, 10), st.floats(1, 30),
       st.integers(0, 1), st.floats(1, 10), st.sampled_from(GROWN), FACTORS)  # fmt: skip
def test_with_one(case, shapes, design, room, peak, behind, keeps, faster, field, factor):
    design |= {"weights_stay_on_chip": keeps}
    network, chip = case(shapes, design, room=room, peak=peak, behind=behind, faster=faster)
    grown = chip.replace(**{field: factor * getattr(chip, field)})
    grown = grown.replace(dram_bandwidth_b_s=min(grown.dram_bandwidth_b_s, grown.backing_bandwidth_b_s))
    assert took(network, grown) <= took(network, chip)


@settings(max_examples=150, deadline=None)
@given(st.lists(SHAPES, min_size=1, max_size=3), DESIGNS, st.floats(1, 3), st.floats(1, 10), st.floats(1, 10),
       st.lists(st.one_of(st.just(0.0), st.floats(0.1, 20)), min_size=2, max_size=5))  # fmt: skip
def test_larger_backing_memories(case, shapes, design, room, peak, faster, sizes):
    before = math.inf
    for behind in sorted(sizes):
        layers = [(*shape[:-1], False) for shape in shapes]
        network, chip = case(layers, design, room=room, peak=peak, behind=behind, faster=faster)
        cycles = took(network, chip)
        assert cycles <= before
        before = cycles


def test_the_condition_is_needed(case):
    """Behind DRAM in bandwidth, a memory that takes in the activations makes the network slower than a smaller one."""
    shapes = [(64, 32, 32, 1, 2048, False)] * 3
    design = {"dram_bandwidth_b_s": 1e9, "weight_buffer_bytes": 1e4, "rows": 8, "columns": 8, "pods": 1}
    cycles = {}
    for faster in (0.5, 1.0, 2.0):
        pairs = [case(shapes, design, peak=2, behind=behind, faster=faster) for behind in (1.0, 3.0)]
        assert [str(activation_home(layer_terms(*pair).layers, pair[1])) for pair in pairs] == ["dram", "backing"]
        cycles[faster] = [took(*pair) for pair in pairs]
    assert cycles[0.5][1] > cycles[0.5][0]
    assert cycles[1.0][1] <= cycles[1.0][0]
    assert cycles[2.0][1] < cycles[2.0][0]


@settings(max_examples=150, deadline=None)
@given(st.lists(SHAPES, min_size=1, max_size=3), DESIGNS, st.floats(0.01, 3), st.integers(1, 16))
def test_more_pods(case, shapes, design, room, more):
    """Of every network, though a larger one has more stages, and on a bus or mesh pods wait for each other."""
    network, chip = case(shapes, design, room=room)
    assert took(network, chip.replace(pods=chip.pods + more)) <= took(network, chip)


@pytest.mark.parametrize("name", list_accelerators())
def test_shipped_designs(name, lenet, mobile):
    """Up to twice the pods, one by one, and each memory and bandwidth doubled twice."""
    chip = load_accelerator(name)
    for network in (lenet, mobile):
        cycles = [took(network, chip.replace(pods=n)) for n in range(max(chip.pods // 2, 1), 2 * min(chip.pods, 8) + 1)]
        assert cycles == sorted(cycles, reverse=True)
        for field in (*GROWN, "backing_bytes"):
            times = [took(network, chip.replace(**{field: factor * getattr(chip, field)})) for factor in (1, 2, 4)]
            assert times == sorted(times, reverse=True), field


def test_files_and_sweeps_are_held_to_it(lenet, multipliers):
    for name in list_accelerators():
        chip = load_accelerator(name)
        assert not chip.backing_bytes or chip.backing_bandwidth_b_s >= chip.dram_bandwidth_b_s, name
    text = shipped_text("axdnn.hardware", "tpu_v4")
    slow = text.replace("  backing_bandwidth:\n    value: 1365", "  backing_bandwidth:\n    value: 1024")
    said = (
        r"mine.yaml: `memory.backing_bandwidth` must be at least `memory.dram_bandwidth` = 1200 GB/s .* got 1024 GB/s"
    )
    (fault,) = accelerator_faults(slow, "mine.yaml")
    with pytest.raises(InvalidInputError, match=said) as caught:
        parse_accelerator(slow, "mine.yaml")
    assert str(caught.value) == fault
    none = slow.replace("  backing:\n    value: 128", "  backing:\n    value: 0", 1)
    assert accelerator_faults(none, "mine.yaml") == []
    kind = multipliers["mul8s_1KV6"]
    for axes in ({"dram_bandwidth": [800, 1400]}, {"backing_bandwidth": ["900 GB/s"], "pods": [1]}):
        with pytest.raises(InvalidInputError, match=r"sweep: `memory.backing_bandwidth` must be at least"):
            sweep(lenet, kind, axes, "tpu_v4")
    with pytest.raises(InvalidInputError, match=r"= 12.8 GB/s .* but got 1 GB/s"):  # its bandwidth stood for nothing
        sweep(lenet, kind, {"memory.backing": [512]}, "edge_16x16")
    both = {"dram_bandwidth": [800, 1400], "backing_bandwidth": [1400, 2000], "voltage": [0.7, 0.9]}
    assert len(sweep(lenet, kind, both, "tpu_v4").points) == 8
    assert len(sweep(lenet, kind, {"dram_bandwidth": [800, 1400]}, "tpu_v3").points) == 2
