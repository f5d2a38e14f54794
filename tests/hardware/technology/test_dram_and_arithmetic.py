"""Main memories and arithmetic sets: printed numbers, width rules against the sets' own widths, disagreement."""

import math

import numpy as np
import pytest

from axdnn.hardware import technology as tech
from axdnn.records import InvalidInputError

PJ = 1e-12


def test_dram_by_hand():
    moved = tech.dram_traffic("zigzag", [8.0, 0.0], [0.0, 8.0], 1e9)
    assert moved.energy_j == pytest.approx([700 * PJ, 750 * PJ])
    assert moved.time_s == pytest.approx([8e-9, 8e-9])
    moved = tech.dram_traffic("hbm2_tpu_v4", 1.2e9)
    assert moved.time_s == pytest.approx(1e-3)
    assert moved.energy_j == pytest.approx(1.2e9 * 8 * 7.03 * PJ)


def test_a_range_is_taken_at_its_middle():
    of = tech.dram_type("hbm2_isca21")
    assert (of.low_j_bit, of.high_j_bit) == pytest.approx((3.90625 * PJ, 7.03125 * PJ))
    assert of.read_j_bit == of.write_j_bit == pytest.approx(math.sqrt(of.low_j_bit * of.high_j_bit))
    assert of.low_j_bit < tech.dram_type("hbm2").read_j_bit < of.high_j_bit


def test_generations_get_cheaper():
    energy = [tech.dram_type(name).read_j_bit for name in ("ddr3", "lpddr", "lpddr4", "hbm2", "hbm3", "hbm4")]
    assert energy == sorted(energy, reverse=True)
    for name in tech.list_dram_types():
        of = tech.dram_type(name)
        assert 0 < of.low_j_bit <= of.read_j_bit <= of.high_j_bit < 100 * PJ


def test_dram_refuses():
    with pytest.raises(InvalidInputError, match="'hbm3' states no bandwidth; give `bandwidth_b_s`"):
        tech.dram_traffic("hbm3", 1.0)
    with pytest.raises(InvalidInputError, match=r"`read_bytes` must be in 0\.\.inf"):
        tech.dram_traffic("hbm3", -1.0, bandwidth_b_s=1e9)
    with pytest.raises(InvalidInputError, match=r"`write_bytes` must be .* but got inf"):
        tech.dram_traffic("hbm3", 1.0, [1.0, math.inf], bandwidth_b_s=1e9)
    with pytest.raises(InvalidInputError, match="`bandwidth_b_s` must be above 0"):
        tech.dram_traffic("hbm3", 1.0, bandwidth_b_s=[1e9, 0.0])


def test_sets_by_hand():
    assert tech.multiplier("horowitz_45", 8, 8) == pytest.approx(0.2 * PJ)
    assert tech.multiplier("horowitz_45", 4, 8) == pytest.approx(0.1 * PJ)
    assert tech.mac("horowitz_45") == pytest.approx(0.3 * PJ)
    assert tech.mac("tpu_v4i_7") == pytest.approx(0.1 * PJ)
    assert tech.mac("aladdin_40", 8, 8, 16) == pytest.approx(0.90 * PJ, rel=0.005)  # as hwcomponents gives it
    assert tech.mac("sosa_28", 4, 4) == pytest.approx(0.1 * PJ)
    assert tech.mac("maestro", quantity="area") == pytest.approx(283e-12)
    assert tech.register("aladdin_40", [1, 40]) == pytest.approx([0.009 * PJ, 0.36 * PJ])
    assert tech.register("aladdin_40", 8, "area") == pytest.approx(8 * 5.98e-12)
    assert tech.register("esim_7", 1) == pytest.approx(math.sqrt(0.9 * 1.2) * 1e-15)
    assert tech.register("zigzag_rf_128b", 8) == pytest.approx(0.095 * PJ)
    # Widths 8 of 32: a sixteenth of the product, a quarter of the sum.
    area = tech.mac("aladdin_40", 8, 8, 8, "area")
    assert area == pytest.approx((6350 / 16 + 278 / 4) * 1e-12)


@pytest.mark.parametrize(
    ("name", "function", "widths", "own", "off"),
    [
        ("horowitz_45", tech.multiplier, (32, 32), "mul_int32", 0.03),
        ("horowitz_45", tech.multiplier, (32, 32, "area"), "mul_int32_area", 0.29),
        ("tpu_v4i_7", tech.multiplier, (32, 32), "mul_int32", -0.24),
        ("horowitz_45", tech.adder, (8,), "add_int8", -0.17),
        ("horowitz_45", tech.adder, (8, "area"), "add_int8_area", -0.05),
        ("tpu_v4i_7", tech.adder, (8,), "add_int8", 0.07),
    ],
)
def test_the_width_rules_against_the_sets_other_width(name, function, widths, own, off):
    assert float(function(name, *widths)) / tech.operation(name, own) - 1 == pytest.approx(off, abs=0.006)


@pytest.mark.parametrize("name", ["horowitz_45", "tpu_v4i_7", "aladdin_40", "sosa_28", "sze_40", "accelergy_45"])
def test_wider_operands_never_cost_less(name):
    bits = np.arange(1, 33)
    table = tech.mac(name, bits[:, None], bits, 32)
    assert table.shape == (32, 32)
    assert (np.diff(table, axis=0) > 0).all()
    assert (np.diff(table, axis=1) > 0).all()
    assert table == pytest.approx(table.T)


def test_what_a_set_lacks_is_said():
    for call, message in (
        (lambda: tech.multiplier("sosa_28", 8, 8), "'sosa_28' has no energy of an integer multiplier; it has mac_int8"),
        (lambda: tech.adder("sze_40", 8), "no energy of an integer adder"),
        (lambda: tech.register("horowitz_45", 8), "no energy of a register"),
        (lambda: tech.mac("tpu_v4i_7", quantity="area"), "no area of an integer multiplier"),
        (lambda: tech.mac("horowitz_45", 0), r"`activation_bits` must be in 1..4096 bits, but got 0"),
        (lambda: tech.arithmetic_disagreement(nearby_nm=1, node_nm=90), "no arithmetic set has a mac within 1 nm"),
    ):
        with pytest.raises(InvalidInputError, match=message):
            call()


def test_disagreement():
    near = tech.arithmetic_disagreement(nearby_nm=5)
    assert set(near.energy_j) == {"horowitz_45", "aladdin_40", "accelergy_45", "sze_40"}
    assert (near.least, near.most) == ("sze_40", "aladdin_40")
    assert near.factor == pytest.approx(4.5, abs=0.05)
    own = {"horowitz_45": 0.25, "accelergy_45": 0.315}
    for name, value in own.items():
        assert near.energy_j[name] == pytest.approx(value * PJ)
    everything = tech.arithmetic_disagreement()
    assert set(near.energy_j) < set(everything.energy_j)
    assert everything.factor >= near.factor
    bits = tech.arithmetic_disagreement("register", 28)
    assert (bits.least, bits.most) == ("esim_28", "eyeriss_65_weight")
    assert bits.factor == pytest.approx(13.7, abs=0.1)
