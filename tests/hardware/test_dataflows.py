"""Weight, output and input stationary arrays against a walk over tiles, against each other, and their laws."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from axdnn.hardware import cycles, load_accelerator, parse_accelerator
from axdnn.hardware.layer_arrays import layer_arrays
from axdnn.hardware.streaming import layer_terms
from axdnn.hardware.traffic import strip_rows, tiles_of
from axdnn.records import InvalidInputError

DATAFLOWS = ("ws", "os", "is")
SIZES = st.tuples(st.integers(1, 300), st.integers(1, 90), st.integers(1, 60), st.integers(1, 4))
"""m, k, n, groups."""


def walk(layer, chip):
    """Tiles, and words that the buffers deliver, tile by tile and strip by strip."""
    m, k, n, r, c = layer.m, layer.k, layer.n, chip.rows, chip.columns
    strip = int(strip_rows(chip))
    down, across, stream = {"ws": (k, n, m), "is": (k, m, n), "os": (m, n, k)}[chip.dataflow]
    tiles = inputs = weights = sums = 0
    for _ in range(layer.groups):
        for top in range(0, down, r):
            for left in range(0, across, c):
                height, width = min(r, down - top), min(c, across - left)
                tiles += 1
                if chip.dataflow == "os":
                    inputs, weights, sums = inputs + height * stream, weights + stream * width, sums + height * width
                    continue
                for start in range(0, stream, strip):
                    passing, kept = min(strip, stream - start) * height, height * width
                    sums += min(strip, stream - start) * width
                    inputs += passing if chip.dataflow == "ws" else kept
                    weights += kept if chip.dataflow == "ws" else passing
    return tiles, inputs, weights, sums


@settings(max_examples=60, deadline=None)
@given(SIZES, st.sampled_from(DATAFLOWS))
def test_tiles_and_words_against_a_walk(small_chip, gemm, network_of, sizes, dataflow):
    m, k, n, groups = sizes
    layer, chip = gemm("layer", m, k, n, groups), small_chip.replace(dataflow=dataflow)
    t = tiles_of(layer_arrays(network_of(layer)), chip)
    assert (t.tiles[0], t.buffer_inputs[0], t.buffer_weights[0], t.sums[0]) == walk(layer, chip)


@settings(max_examples=60, deadline=None)
@given(SIZES)
def test_input_stationary_is_weight_stationary_of_the_transposed_product(small_chip, gemm, network_of, sizes):
    m, k, n, groups = sizes
    chip = small_chip.replace(weight_buffer_bytes=3e4, activation_buffer_bytes=3e4, activations_stay_on_chip=0)
    kept = layer_terms(network_of(gemm("layer", m, k, n, groups)), chip.replace(dataflow="is"))
    other = layer_terms(network_of(gemm("layer", n, k, m, groups)), chip)
    assert (kept.timings.compute_cycles == other.timings.compute_cycles).all()
    assert kept.moved.buffer_inputs == other.moved.buffer_weights
    assert kept.moved.buffer_weights == other.moved.buffer_inputs
    assert kept.moved.sums_written == other.moved.sums_written
    assert kept.moved.dram_inputs + kept.moved.dram_weights == other.moved.dram_inputs + other.moved.dram_weights


@settings(max_examples=40, deadline=None)
@given(SIZES, st.sampled_from(DATAFLOWS), st.sampled_from(["scalesim3", "paper", "pipelined"]))
def test_one_pod_without_limits_takes_the_cycles_of_the_closed_form(
    small_chip, gemm, network_of, sizes, dataflow, timing
):
    m, k, n, _ = sizes
    chip = small_chip.replace(
        pods=1, dataflow=dataflow, timing=timing, accumulator_bytes=1e9, buffer_bandwidth_b_s=1e24,
        dram_bandwidth_b_s=1e24, dram_latency_s=0.0,
    )  # fmt: skip
    found = layer_terms(network_of(gemm("layer", m, k, n)), chip).timings
    assert found.cycles[0, 0] == cycles(m, k, n, 8, 8, dataflow, timing)
    assert found.compute_cycles[0, 0] == found.cycles[0, 0]


@settings(max_examples=60, deadline=None)
@given(SIZES, st.integers(1, 3000), st.sampled_from(DATAFLOWS), st.sampled_from(["pipelined", "scalesim3", "paper"]))
def test_a_chip_of_more_pods_is_never_slower(small_chip, gemm, network_of, sizes, k, dataflow, timing):
    m, _, n, groups = sizes
    network, before = network_of(gemm("layer", m, k, n, groups)), math.inf
    for pods in (1, 2, 3, 5, 8):
        chip = small_chip.replace(pods=pods, dataflow=dataflow, timing=timing)
        found = layer_terms(network, chip).timings
        assert (np.diff(found.cycles, axis=1) <= 0).all()
        assert found.cycles[0, -1] <= before
        before = found.cycles[0, -1]


@settings(max_examples=60, deadline=None)
@given(SIZES, st.sampled_from(DATAFLOWS), st.sampled_from(["activation_buffer_bytes", "weight_buffer_bytes"]),
       st.integers(1, 3000), st.lists(st.floats(1, 1e5), min_size=2, max_size=5))  # fmt: skip
def test_larger_buffers_never_read_more(small_chip, gemm, network_of, sizes, dataflow, field, inputs, rooms):
    m, k, n, groups = sizes
    network = network_of(gemm("layer", m, k, n, groups, inputs))
    least = groups * k * n + min(inputs, groups * m * k)
    before = math.inf
    for room in sorted(rooms):
        chip = small_chip.replace(**{field: room}, dataflow=dataflow, activations_stay_on_chip=0)
        moved = layer_terms(network, chip).moved
        assert moved.dram.sum() <= before
        before = moved.dram.sum()
        assert moved.dram_weights[0] + moved.dram_inputs[0] >= least
        assert moved.dram_inputs[0] <= max(moved.buffer_inputs[0], least)


def test_which_dataflow_is_fastest_depends_on_the_shape(gemm, network_of):
    """A size a little above the array's costs a whole fold unless it is the one that streams."""
    chip = load_accelerator("tpu_v4").replace(pods=1)
    shapes = {"ws": (129, 512, 512), "os": (512, 129, 512), "is": (512, 512, 129)}
    for best, (m, k, n) in shapes.items():
        network = network_of(gemm("x", m, k, n))
        took = {flow: layer_terms(network, chip.replace(dataflow=flow)).timings.cycles[0, 0] for flow in DATAFLOWS}
        assert 1.5 * took[best] < min(t for flow, t in took.items() if flow != best), took


def test_designs_may_name_them(designs_text):
    text = designs_text("edge_16x16")
    parsed = parse_accelerator(with_key(text, "dataflow", "os"), "mine.yaml")
    assert (parsed.dataflow, parsed.timing) == ("os", "pipelined")
    assert parsed.sources["array.dataflow"].startswith("os; ")
    with pytest.raises(InvalidInputError, match=r"mine.yaml: `array.dataflow`.value must be one of ws, os, is"):
        parse_accelerator(with_key(text, "dataflow", "rs"), "mine.yaml")
    with pytest.raises(InvalidInputError, match=r"`array.exact_rows` needs `array.dataflow` ws or is"):
        parse_accelerator(with_key(with_key(text, "dataflow", "os"), "exact_rows", 4), "mine.yaml")


def with_key(text, key, value):
    return text.replace("array:\n", f"array:\n  {key}:\n    value: {value}\n    unit: '1'\n    source: a test\n", 1)


@pytest.fixture
def designs_text():
    from importlib import resources

    return lambda name: (resources.files("axdnn.hardware") / "designs" / f"{name}.yaml").read_text()


def test_registers_that_move(gemm, network_of):
    """Sums that stay let both operands move: 48 bits an element and cycle, against 40."""
    from axdnn.hardware.components import mac_rest_j
    from axdnn.multipliers import load_multiplier

    chip, exact = load_accelerator("tpu_v4"), load_multiplier("exact")
    more = mac_rest_j(exact, chip.replace(dataflow="os")) - mac_rest_j(exact, chip)
    assert more == pytest.approx(8 * chip.register_j_bit)
    terms = layer_terms(network_of(gemm("x", 100, 20, 17)), chip.replace(dataflow="os"))
    assert terms.weight_load_j[0] == pytest.approx(100 * 17 * 32 * 64 * chip.register_j_bit)
    assert np.isfinite(terms.sram_j).all()


@pytest.mark.parametrize("dataflow", DATAFLOWS)
def test_small_groups_share_a_tile_where_that_is_asked_for(small_chip, gemm, network_of, dataflow):
    """8 x 8 elements: blocks of the size that lies on the array, as many as fit along the diagonal."""
    sizes = {"ws": (50, 3, 2), "is": (2, 3, 50), "os": (3, 50, 2)}[dataflow]  # 3 high, 2 wide
    layer, alone = gemm("layer", *sizes, groups=7), small_chip.replace(dataflow=dataflow)
    packed = alone.replace(pack_groups=1)
    apart, together = (tiles_of(layer_arrays(network_of(layer)), chip) for chip in (alone, packed))
    assert (apart.tiles[0], together.tiles[0]) == (7, 4)  # two a tile, for 3 + 3 rows fit 8
    assert together._replace(tiles=apart.tiles) == apart
    fast, slow = (layer_terms(network_of(layer), chip).timings.cycles[0] for chip in (packed, alone))
    assert (fast <= slow).all()
    assert fast[0] < slow[0]


@settings(max_examples=40, deadline=None)
@given(SIZES, st.sampled_from(DATAFLOWS))
def test_packing_never_needs_more_tiles_and_leaves_large_groups_alone(small_chip, gemm, network_of, sizes, dataflow):
    m, k, n, groups = sizes
    chip = small_chip.replace(dataflow=dataflow)
    arrays = layer_arrays(network_of(gemm("layer", m, k, n, groups)))
    apart, together = (tiles_of(arrays, c).tiles[0] for c in (chip, chip.replace(pack_groups=1)))
    high, wide = {"ws": (k, n), "is": (k, m), "os": (m, n)}[dataflow]
    blocks = max(1, min(8 // high, 8 // wide))
    assert together == math.ceil(groups / blocks) * math.ceil(high / 8) * math.ceil(wide / 8) <= apart


@settings(max_examples=80, deadline=None)
@given(SIZES, st.sampled_from(DATAFLOWS), st.integers(1, 3000),
       st.sampled_from(["activation_buffer_bytes", "weight_buffer_bytes", "backing_bytes"]), st.booleans(),
       st.lists(st.floats(1, 1e6), min_size=2, max_size=5))  # fmt: skip
def test_larger_memories_are_never_slower(small_chip, gemm, network_of, sizes, dataflow, inputs, field, keeps, rooms):
    """As long as what lies behind the buffers is at least as fast as DRAM."""
    m, k, n, groups = sizes
    layer = gemm("layer", m, k, n, groups, inputs)
    network = network_of(layer, gemm("middle", m, k, 3, inputs=inputs), layer)
    base = small_chip.replace(
        dataflow=dataflow, weights_stay_on_chip=int(keeps), activations_stay_on_chip=1,
        backing_bandwidth_b_s=small_chip.dram_bandwidth_b_s,
    )  # fmt: skip
    before = math.inf
    for room in sorted(rooms):
        took = layer_terms(network, base.replace(**{field: room})).timings.cycles[:, -1].sum()
        assert took <= before
        before = took
