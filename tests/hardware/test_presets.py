"""The accelerators that ship: published peaks, and constants that follow from their sources."""

import pytest

from axdnn.hardware import estimate, list_accelerators, load_accelerator
from axdnn.hardware.components import ENERGY_BY_NODE_NM, node_factor, shared_area_m2


@pytest.mark.parametrize(("name", "tera_operations", "gb_s", "die_mm2"), [
    ("tpu_v3", 123.2, 900, 700), ("tpu_v4i", 138, 614, 400), ("tpu_v4", 275, 1200, 600),
])  # fmt: skip
def test_published_figures_of_tpus(name, tera_operations, gb_s, die_mm2):
    chip = load_accelerator(name)
    assert 2 * chip.pods * chip.rows * chip.columns * chip.clock_hz == pytest.approx(tera_operations * 1e12, rel=3e-3)
    assert chip.dram_bandwidth_b_s == gb_s * 1e9
    assert sum(shared_area_m2(chip, chip.pods).values()) < die_mm2 * 1e-6


def test_tpu_v3_is_v4_at_16_nm():
    v3, v4 = load_accelerator("tpu_v3"), load_accelerator("tpu_v4")
    energy, area = node_factor(ENERGY_BY_NODE_NM, 7, 16), 0.19 / 0.059
    for field in ("multiply_j", "add_j", "sign_magnitude_j", "buffer_read_j_b", "buffer_write_j_b",
                  "accumulator_read_j_b", "accumulator_write_j_b", "interconnect_j_b"):  # fmt: skip
        assert getattr(v3, field) == pytest.approx(energy * getattr(v4, field), rel=2e-3), field
    for field in ("pe_rest_m2", "sign_magnitude_m2", "buffer_m2_b", "interconnect_m2_bit", "multiplier_area_scale"):
        assert getattr(v3, field) == pytest.approx(area * getattr(v4, field), rel=2e-3), field


def test_tpu_v4i_is_half_a_v4(gemm, network_of, multipliers, uniform):
    v4i, v4 = load_accelerator("tpu_v4i"), load_accelerator("tpu_v4")
    differ = {f for f in v4.__struct_fields__ if getattr(v4, f) != getattr(v4i, f)}
    assert differ == {"name", "description", "pods", "activation_buffer_bytes", "weight_buffer_bytes",
                      "accumulator_bytes", "dram_bandwidth_b_s", "vector_lanes", "sources"}  # fmt: skip
    network = network_of(gemm("x", 4096, 4096, 4096))
    took = [estimate(network, uniform(network, "mul8s_1KV6"), c, multipliers=multipliers).latency_s for c in (v4i, v4)]
    assert 1.9 < took[0] / took[1] < 2.1


def test_memories_of_the_eyeriss_like_array_are_cacti_at_65_nm(reference):
    chip, edge = load_accelerator("eyeriss_like"), load_accelerator("edge_16x16")
    rows = {int(r["size_kB"]): r for r in reference("cacti_sram.csv")
            if (r["tech_nm"], r["block_bits"], r["banks"]) == ("65", "64", "1")}  # fmt: skip
    for size, read, write in ((64, chip.buffer_read_j_b, chip.buffer_write_j_b),
                              (16, chip.accumulator_read_j_b, chip.accumulator_write_j_b)):  # fmt: skip
        assert read == pytest.approx(float(rows[size]["read_pJ_per_byte"]) * 1e-12, rel=1e-3)
        assert write == pytest.approx(float(rows[size]["write_pJ_per_byte"]) * 1e-12, rel=1e-3)
    for field in ("multiply_j", "add_j", "register_j_bit", "sign_magnitude_j"):
        assert getattr(chip, field) == pytest.approx(1.24 * getattr(edge, field), rel=3e-3), field
    for field in ("pe_rest_m2", "sign_magnitude_m2", "interconnect_m2_bit", "multiplier_area_scale"):
        assert getattr(chip, field) == pytest.approx((65 / 45) ** 2 * getattr(edge, field), rel=2e-3), field
    assert (chip.dataflow, chip.pods, chip.rows, chip.columns) == ("os", 1, 12, 14)


@pytest.mark.parametrize("name", list_accelerators())
def test_every_number_names_a_source_and_the_chip_prices_a_network(name, mobile, multipliers, uniform):
    chip = load_accelerator(name)
    assert all(len(text.split("; ", 1)[1]) > 3 for text in chip.sources.values())
    report = estimate(mobile, uniform(mobile, "mul8s_1KV6"), chip, multipliers=multipliers)
    assert sum(report.energy_breakdown_j.values()) == pytest.approx(report.energy_j)
    assert report.latency_s > mobile.macs / (chip.pods * chip.rows * chip.columns * chip.clock_hz)
