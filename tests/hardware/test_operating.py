"""Chips at other voltages: what scales, what does not, and the laws of voltage on whole networks."""

import pytest

from axdnn.hardware import at_node, at_voltage, estimate, list_accelerators, load_accelerator
from axdnn.hardware.operating import CLOCKED, LEAKING, LOGIC_J, SRAM_J
from axdnn.hardware.technology import operating_point, voltage_curve
from axdnn.records import InvalidInputError, UnknownNameError

NOMINAL = voltage_curve("alpha_power").nominal_v


def test_at_nominal_nothing_changes_but_the_sources():
    chip = load_accelerator("tpu_v4")
    same = at_voltage(chip, NOMINAL)
    for field in chip.__struct_fields__:
        if field != "sources":
            assert getattr(same, field) == pytest.approx(getattr(chip, field)) or field in ("name", "description")
    assert f"x 1 from {NOMINAL:g} V" in same.sources["energy.multiply"]


def test_what_scales_and_what_does_not():
    chip, low = load_accelerator("edge_16x16"), 0.75 * NOMINAL
    scaled, point = at_voltage(chip, low), operating_point(low)
    for fields, factor in ((LOGIC_J + SRAM_J, point.energy_factor), (CLOCKED, point.frequency_factor),
                           (LEAKING, point.leakage_factor)):  # fmt: skip
        for field in fields:
            assert getattr(scaled, field) == pytest.approx(float(factor) * getattr(chip, field)), field
    assert float(point.energy_factor) == pytest.approx(0.75**2)
    rest = set(chip.__struct_fields__) - {*LOGIC_J, *SRAM_J, *CLOCKED, *LEAKING, "sources"}
    assert all(getattr(scaled, field) == getattr(chip, field) for field in rest)
    assert {"dram_j_bit", "dram_bandwidth_b_s", "dram_latency_s"} <= rest


@pytest.mark.parametrize("name", list_accelerators())
def test_lower_voltage_is_slower_and_dynamic_energy_falls(name, mobile, multipliers, uniform):
    chip, curve = load_accelerator(name), voltage_curve("alpha_power")
    volts = [max(curve.low_v, 0.66), NOMINAL, curve.high_v]
    reports = [
        estimate(mobile, uniform(mobile, "mul8s_1KV6"), at_voltage(chip, v), multipliers=multipliers) for v in volts
    ]
    times = [r.latency_s for r in reports]
    assert times == sorted(times, reverse=True)
    for part in ("multiplier", "mac_rest", "sram"):
        energies = [r.energy_breakdown_j[part] for r in reports]
        assert energies == sorted(energies)
    assert len({r.energy_breakdown_j["dram"] for r in reports}) == 1


def test_another_nominal_voltage_and_curve():
    chip = load_accelerator("tpu_v4")
    down = at_voltage(chip, 0.7, nominal_v=0.8)
    assert down.multiply_j == pytest.approx((0.7 / 0.8) ** 2 * chip.multiply_j)
    assert at_voltage(chip, 0.9, "charge_65", nominal_v=1.0).clock_hz < chip.clock_hz


def test_voltages_out_of_range():
    chip = load_accelerator("tpu_v4")
    with pytest.raises(InvalidInputError, match="voltage_v"):
        at_voltage(chip, 0.3)
    with pytest.raises(UnknownNameError, match="alpha_power"):
        at_voltage(chip, 0.8, "alpha_powr")


def test_another_node():
    chip = load_accelerator("tpu_v4")
    same, old = at_node(chip, 7, 7), at_node(chip, 7, 16)
    assert same.multiply_j == pytest.approx(chip.multiply_j)
    v3 = load_accelerator("tpu_v3")  # scaled by hand from the same numbers
    for field in ("multiply_j", "add_j", "buffer_read_j_b", "pe_rest_m2", "buffer_m2_b", "multiplier_area_scale"):
        assert getattr(old, field) == pytest.approx(getattr(v3, field), rel=2e-3), field
    assert (old.clock_hz, old.dram_j_bit, old.pods) == (chip.clock_hz, chip.dram_j_bit, chip.pods)
    assert "from 7 to 16 nm" in old.sources["energy.multiply"]
    with pytest.raises(InvalidInputError, match="7 <= node"):
        at_node(chip, 7, 3)
