"""`paper_literal` against the equations read aloud, and the figures they give for the paper's networks."""

import itertools
import math

import numpy as np
import pytest

from axdnn.hardware import PaperConstants, estimate, load_accelerator, paper_energy_j, paper_literal, paper_table
from axdnn.hardware.paper_equations import paper_terms, pod_w
from axdnn.multipliers import load_multiplier
from axdnn.records import Assignment, CostReport, InvalidInputError, UnknownNameError, from_json, to_json

EXACT = "mul8s_1KV6"


def conv(gemm, name, size, c_in, c_out, kernel=3):
    return gemm(name, size * size, c_in * kernel * kernel, c_out, inputs=c_in * size * size)


def basic_resnet(gemm, network_of, blocks):
    """A CIFAR ResNet of basic blocks: 32 x 32 images, widths 64 to 512, projections where the shape changes."""
    layers, c_in, size = [conv(gemm, "conv1", 32, 3, 64)], 64, 32
    for stage, (count, c_out) in enumerate(zip(blocks, (64, 128, 256, 512), strict=True)):
        size = 32 >> stage
        for block in range(count):
            layers += [conv(gemm, f"{stage}.{block}.a", size, c_in, c_out)]
            layers += [conv(gemm, f"{stage}.{block}.b", size, c_out, c_out)]
            if c_in != c_out:
                layers += [conv(gemm, f"{stage}.{block}.s", size, c_in, c_out, 1)]
            c_in = c_out
    return network_of(*layers, gemm("fc", 1, 512, 10))


def resnet50(gemm, network_of):
    """ImageNet: bottlenecks, stride in the 3 x 3 convolution."""
    layers, c_in = [conv(gemm, "conv1", 112, 3, 64, 7)], 64
    for stage, (count, width) in enumerate(zip((3, 4, 6, 3), (64, 128, 256, 512), strict=True)):
        for block in range(count):
            size = 56 >> stage
            before = size * 2 if stage and block == 0 else size
            layers += [conv(gemm, f"{stage}.{block}.a", before, c_in, width, 1)]
            layers += [conv(gemm, f"{stage}.{block}.b", size, width, width)]
            layers += [conv(gemm, f"{stage}.{block}.c", size, width, 4 * width, 1)]
            if block == 0:
                layers += [conv(gemm, f"{stage}.{block}.s", size, c_in, 4 * width, 1)]
            c_in = 4 * width
    return network_of(*layers, gemm("fc", 1, 2048, 1000))


@pytest.fixture(scope="module")
def networks(gemm, network_of, lenet):
    return {
        "lenet5": lenet,
        "resnet18": basic_resnet(gemm, network_of, (2, 2, 2, 2)),
        "resnet34": basic_resnet(gemm, network_of, (3, 4, 6, 3)),
        "resnet50": resnet50(gemm, network_of),
    }


@pytest.mark.parametrize(
    ("name", "weights_m", "macs_m", "one_uj", "all_uj"),
    [
        ("lenet5", "0.06", 0.42, "0.21", "1.7"),
        ("resnet18", "11.2", 555, "2.3", "18.7"),
        # 4.345, which the table prints as 4.4 (by way of 4.35).
        ("resnet34", "21.3", 1159, "4.345", "34.8"),
        ("resnet50", "25.5", 4089, "5.1", "40.4"),
    ],
)
def test_worked_table(networks, multipliers, uniform, name, weights_m, macs_m, one_uj, all_uj):
    """T = 1.5 ns, 0.425 mW, cycles rounded up, eq. 2's second term; the memory term is apart and small."""
    network = networks[name]
    assert f"{network.weights / 1e6:.{len(weights_m.split('.')[1])}f}" == weights_m
    assert network.macs / 1e6 == pytest.approx(macs_m, rel=0.015)
    for charged, printed in (("one", one_uj), ("all", all_uj)):
        constants = PaperConstants(charged=charged)
        report = paper_literal(network, uniform(network, EXACT), constants, multipliers=multipliers)
        parts = report.energy_breakdown_j
        assert f"{parts['mac'] * 1e6:.{len(printed.split('.')[1])}f}" == printed
        assert parts["memory"] > 0
        assert round(parts["memory"] * 1e6, 2) <= 0.06
        assert report.energy_j == pytest.approx(sum(parts.values()), rel=1e-12)


def test_the_preset_is_the_papers_chip(networks, multipliers, uniform):
    for network in networks.values():
        given = paper_literal(network, uniform(network, EXACT), PaperConstants(), multipliers=multipliers)
        preset = paper_literal(network, uniform(network, EXACT), "xai_gen", multipliers=multipliers)
        assert preset.energy_j == pytest.approx(given.energy_j, rel=1e-6)
        assert preset.accelerator == "xai_gen"
    chip = load_accelerator("xai_gen")
    assert PaperConstants.of(chip).access_j == pytest.approx(chip.buffer_read_j_b)
    assert PaperConstants.of(chip).elements == 65536
    assert chip.exact_rows * 2 == chip.rows


HALF_ARRAY = {
    "1KV6": 1.000, "1KV8@v2022": 0.996, "1KV9": 0.982, "1KVA@v2022": 0.960, "1KVM": 0.934, "1KVP": 0.927, "1KVQ": 0.913,
    "1L2J": 0.854, "1KX5": 0.840, "1L2L": 0.735, "1KXF": 0.779, "1L2N": 0.648, "1L12": 0.561,
}  # fmt: skip


@pytest.mark.parametrize("name", HALF_ARRAY)
def test_half_array_power(name, exact_of):
    multiplier = load_multiplier(f"mul8s_{name}")
    ratio = pod_w(multiplier, PaperConstants(), exact_of) / pod_w(load_multiplier("exact"), PaperConstants(), exact_of)
    assert ratio == pytest.approx(HALF_ARRAY[name], abs=0.0006)


def test_most_that_approximation_saves(networks, multipliers, uniform):
    """The paper's best multiplier, M7 = mul8s_1L2N, everywhere: at most 1.54 times."""
    for network in networks.values():
        energy = [paper_literal(network, uniform(network, name), multipliers=multipliers).energy_j
                  for name in (EXACT, "mul8s_1L2N")]  # fmt: skip
        assert 1.48 < energy[0] / energy[1] <= 1.545


def accesses(m, f, tile):
    """Equation 1, word by word."""
    if tile < m / 2:
        return tile
    if m / 2 < tile < m:
        return (m / 2) * max(f - (tile / 2 - 1), 1)
    return m * max(f - (tile - 1), 1)


@pytest.mark.parametrize("tile", ["used", "array"])
def test_equations_read_aloud(gemm, network_of, multipliers, uniform, tile, exact_of):
    """All three branches and their borders, every option, on a small pod."""
    rows, columns = 6, 4
    seen = set()
    shapes = list(itertools.product((1, 5, 11, 12, 13, 30, 200), (1, 2, 3, 4, 5, 6, 7, 40), (1, 2, 3, 4, 9)))
    network = network_of(*(gemm(f"{m}.{k}.{n}", m, k, n) for m, k, n in shapes))
    for groups, whole, charged in itertools.product(("half", "whole"), (True, False), ("one", "all")):
        c = PaperConstants(pods=3, rows=rows, columns=columns, period_s=2e-9, bank_rows=5, access_j=3e-12, mac_w=1e-3,
                           tile=tile, groups=groups, whole_cycles=whole, charged=charged)  # fmt: skip
        energies = paper_energy_j(network, [multipliers[EXACT], multipliers["QKX_sm"]], c)
        power = multipliers["QKX_sm"].figures.power_w / exact_of["unsigned"].power_w
        for i, (m, k, n) in enumerate(shapes):
            elements = rows * columns
            size = min(k, rows) * min(n, columns) if tile == "used" else elements
            seen.add(1 if size < elements / 2 else 2 if elements / 2 < size < elements else 3)
            cycles = (2 if groups == "half" else 1) * k * n / (elements * 3)
            cycles = math.ceil(cycles) if whole else cycles
            memory = math.ceil(accesses(elements, m, size) / 5) * 3e-12
            for j, ratio in enumerate((1.0, power)):
                pod = elements / 2 * 1e-3 + elements / 2 * 1e-3 * ratio
                expected = memory + cycles * 2e-9 * pod * (3 if charged == "all" else 1)
                assert energies[i, j] == pytest.approx(expected, rel=1e-12)
    assert seen == ({1, 2, 3} if tile == "used" else {3})


def test_whole_tile_equal_to_half_a_pod_is_otherwise(gemm, network_of):
    """r c = m / 2 is in neither of the first two cases of the equation."""
    network = network_of(gemm("layer", 40, 3, 4))
    terms = paper_terms(network, PaperConstants(rows=6, columns=4))
    assert terms.accesses.tolist() == [24 * (40 - 11)]


def test_report_table_and_energies_agree(mobile, multipliers):
    names = list(multipliers)
    table = paper_table(mobile, [multipliers[name] for name in names])
    energies = paper_energy_j(mobile, [multipliers[name] for name in names])
    choice = np.random.default_rng(0).integers(0, len(names), (30, len(mobile.layers)))
    prices = table.energy(choice)
    for i, row in enumerate(choice):
        assignment = Assignment(multipliers={layer: names[j] for layer, j in zip(mobile.layer_names, row, strict=True)})
        report = paper_literal(mobile, assignment, multipliers=multipliers)
        assert report.energy_j == pytest.approx(energies[np.arange(len(row)), row].sum(), rel=1e-12)
        assert prices.energy_j[i] == pytest.approx(report.energy_j, rel=1e-12)
        assert prices.latency_s[i] == pytest.approx(report.latency_s, rel=1e-12)
        assert prices.multiplier_energy_j[i] == pytest.approx(report.multiplier_energy_j, rel=1e-12)
    assert table.model == report.model == "paper_literal"


def test_skipped_neurons_are_weights_less(gemm, network_of, multipliers, uniform):
    """Two thirds of the inputs and half of the outputs left out: a sixth of the cycles is left."""
    network = network_of(gemm("a", 1, 3072, 2048))
    plain = uniform(network, EXACT)
    skipped = Assignment(
        multipliers=plain.multipliers, skip={"a": tuple(range(1024))}, absent={"a": tuple(range(2048))}
    )
    before, after = (paper_literal(network, a, multipliers=multipliers) for a in (plain, skipped))
    assert (before.layers[0].cycles, after.layers[0].cycles) == (24, 4)


def test_the_report_says_what_it_is(lenet, multipliers, uniform):
    report = paper_literal(lenet, uniform(lenet, EXACT), PaperConstants(charged="one"), multipliers=multipliers)
    assert (report.model, report.reading, report.area_m2, report.memory_bytes) == ("paper_literal", "ideal", 0.0, 0)
    assert report.latency_s == pytest.approx(5 * 1.5e-9)
    text = " ".join(report.notes)
    assert "cannot be reproduced" in text
    assert "15, 45, 60, 70" in text
    assert report.sources["charged"].startswith("one")
    assert all(value.strip() for value in report.sources.values())
    assert from_json(CostReport, to_json(report)) == report
    streaming = estimate(lenet, uniform(lenet, EXACT), multipliers=multipliers)
    assert streaming.model != report.model
    assert set(streaming.energy_breakdown_j) != set(report.energy_breakdown_j)


@pytest.mark.parametrize(
    ("changes", "error", "match"),
    [
        ({"charged": "some"}, UnknownNameError, "charged"),
        ({"groups": "third"}, UnknownNameError, "groups"),
        ({"tile": "big"}, UnknownNameError, "tile"),
        ({"pods": 0}, InvalidInputError, "`pods` must be a whole number >= 1, but got 0"),
        ({"bank_rows": 1.5}, InvalidInputError, "`bank_rows`"),
        ({"period_s": float("nan")}, InvalidInputError, "`period_s` must be finite"),
        ({"mac_w": -1.0}, InvalidInputError, "`mac_w`"),
    ],
)
def test_bad_constants(lenet, multipliers, uniform, changes, error, match):
    with pytest.raises(error, match=match):
        paper_literal(lenet, uniform(lenet, EXACT), PaperConstants(**changes), multipliers=multipliers)


def test_bad_input(lenet, multipliers, uniform):
    with pytest.raises(UnknownNameError, match="accelerator"):
        paper_literal(lenet, uniform(lenet, EXACT), "xai", multipliers=multipliers)
    with pytest.raises(InvalidInputError, match="layer 'conv1' has none"):
        paper_literal(lenet, Assignment(multipliers={}), multipliers=multipliers)
    with pytest.raises(InvalidInputError, match="at least one multiplier"):
        paper_table(lenet, [])
