"""Laws of voltage and clock."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from axdnn.hardware import technology as tech
from axdnn.records import InvalidInputError

CURVES = tech.list_voltage_curves()
SHARE = st.floats(0.0, 0.9)


def test_the_curves():
    assert CURVES == ["alpha_power", "bit_serial_65", "c2c_22", "charge_65", "sram_cim_7"]


@pytest.mark.parametrize("name", CURVES)
def test_factors_are_one_at_nominal_and_monotone(name):
    curve = tech.voltage_curve(name)
    at = tech.operating_point(curve.nominal_v, name)
    assert [float(x) for x in at[1:]] == pytest.approx([1, 1, 1], rel=1e-12)
    point = tech.operating_point(np.linspace(curve.low_v, curve.high_v, 200), name)
    for factor in point[1:]:
        assert (np.diff(factor) > 0).all()


def test_the_alpha_power_law_by_hand():
    point = tech.operating_point(0.6)
    assert point.frequency_factor == pytest.approx((0.3**1.3 / 0.6) / (0.6**1.3 / 0.9))
    assert point.energy_factor == pytest.approx((0.6 / 0.9) ** 2)
    assert point.leakage_factor == pytest.approx(0.6 / 0.9 * np.exp(-0.3 * 2 / 0.9), rel=1e-6)
    assert tech.operating_point(0.6, leakage_per_v=0.0).leakage_factor == pytest.approx(2 / 3)


def test_leakage_has_the_slope_of_a_cube_at_nominal():
    up, down = (tech.operating_point(0.9 + d).leakage_factor for d in (1e-4, -1e-4))
    assert np.log(up / down) / np.log(0.9001 / 0.8999) == pytest.approx(3, rel=1e-5)


def test_what_does_not_hang_on_the_core_supply():
    volts = np.array([0.7, 0.9, 1.0])
    for part in ("dram", "phy"):
        assert (np.stack(tech.operating_point(volts, part=part)[1:]) == 1).all()
    noise, logic = (tech.operating_point(volts, part=part) for part in ("adc_noise", "logic"))
    assert (noise.energy_factor == 1).all()
    assert (noise.frequency_factor == logic.frequency_factor).all()
    assert (tech.operating_point(volts, part="sram").energy_factor == logic.energy_factor).all()


@pytest.mark.parametrize(
    ("volt", "curve", "part", "message"),
    [
        (0.45, "alpha_power", "logic", r"0.5..1.1 V on the curve 'alpha_power' for logic, but got 0.45"),
        (1.2, "alpha_power", "dram", r"0.5..1.1 V"),
        (0.6, "alpha_power", "sram", r"0.65..1.1 V .* for sram, but got 0.6; give the SRAM a rail of its own"),
        (0.5, "sram_cim_7", "logic", r"0.65..1 V"),
        (float("nan"), "alpha_power", "logic", "but got nan"),
    ],
)
def test_outside_the_range_is_refused(volt, curve, part, message):
    with pytest.raises(InvalidInputError, match=message):
        tech.operating_point([volt, 0.8], curve, part)


def test_energy_delay_has_an_optimum_where_theory_says():
    """V^2 times V / (V - Vt)^a is least at 3 Vt / (3 - a)."""
    curve = tech.voltage_curve()
    optimum = tech.optimal_voltage_v()
    assert optimum == pytest.approx(3 * 0.3 / (3 - 1.3), abs=1e-5)
    assert curve.low_v < optimum < curve.high_v
    other = curve._replace(threshold_v=0.35, alpha=1.2, low_v=0.4)
    assert tech.optimal_voltage_v(curve=other) == pytest.approx(3 * 0.35 / (3 - 1.2), abs=1e-5)
    # Delay weighs more: V^2 (V / (V - Vt)^a)^2 is least at 4 Vt / (4 - 2a).
    assert tech.optimal_voltage_v(delay_weight=2) == pytest.approx(4 * 0.3 / (4 - 2.6), abs=1e-5)


@given(SHARE, st.sampled_from(CURVES), st.sampled_from([0.0, 1.0, 2.0]))
def test_no_voltage_beats_the_optimum(share, name, weight):
    curve = tech.voltage_curve(name)
    volts = np.append(np.linspace(curve.low_v, curve.high_v, 777), tech.optimal_voltage_v(share, name, weight))
    point = tech.operating_point(volts, name)
    cost = tech.total_energy_factor(point, share) / point.frequency_factor**weight
    assert cost[-1] <= cost.min() * (1 + 1e-6)


def test_optimum_over_many_shares_and_at_the_limits():
    shares = np.array([[0.0, 0.1], [0.3, 0.5]])
    found = tech.optimal_voltage_v(shares)
    assert found.shape == (2, 2)
    assert (np.diff(found.ravel()) > 0).all()  # leakage asks for more speed
    assert found[1, 0] == pytest.approx(tech.optimal_voltage_v(0.3), abs=1e-9)
    assert tech.optimal_voltage_v(curve="charge_65") == pytest.approx(1.2)  # delay falls faster than energy rises
    assert tech.optimal_voltage_v(delay_weight=0) == pytest.approx(0.5)


def test_the_alpha_power_law_against_published_gate_delays():
    """High-performance gates of 14, 10 and 7 nm, 0.6 to 0.9 V: at most 15 % apart. Low-power gates are far slower."""
    law = float(tech.operating_point(0.9).frequency_factor / tech.operating_point(0.6).frequency_factor)
    for node in (14, 10, 7):
        assert law == pytest.approx(float(tech.node_delay_factor(node, node, 0.9, 0.6)), rel=0.15)
        energy = float(tech.node_energy_factor(node, node, 0.9, 0.6))
        assert tech.operating_point(0.6).energy_factor == pytest.approx(energy, rel=0.15)
    assert tech.node_delay_factor(45, 45, 0.9, 0.6, "lp") > 1.5 * law


RATIOS = st.floats(0.2, 3.0)


@given(RATIOS, RATIOS, st.floats(0, 1), st.floats(0, 1), st.floats(0.5, 1.1))
def test_laws_of_the_clock_limit(a, b, share, others, volt):
    fast, slow = sorted((a, b))
    limits = [tech.clock_limit_hz(ratio, 1e9, share, others, volt) for ratio in (fast, slow)]
    assert limits[0] >= limits[1]
    cautious = tech.clock_limit_hz(fast, 1e9, share, 1.0, volt)
    assert cautious <= limits[0]
    assert cautious <= 1e9 * tech.operating_point(volt).frequency_factor * (1 + 1e-12)


def test_clock_limit_by_hand():
    assert tech.clock_limit_hz(1.0, 1e9) == 1e9
    assert tech.clock_limit_hz(2.0, 1e9) == pytest.approx(0.5e9)
    assert tech.clock_limit_hz(2.0, 1e9, multiplier_share=0.5) == pytest.approx(1e9 / 1.5)
    assert tech.clock_limit_hz(0.5, 1e9) == 1e9
    assert tech.clock_limit_hz(0.5, 1e9, 0.6, 0.5) == pytest.approx(1e9 / 0.7)
    found = tech.clock_limit_hz([0.5, 2.0], 1e9, voltage_v=0.6)
    assert found == pytest.approx(tech.operating_point(0.6).frequency_factor * np.array([1e9, 0.5e9]))
    for bad in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(InvalidInputError, match="`delay_ratio` must be above 0"):
            tech.clock_limit_hz([1.0, bad], 1e9)
    with pytest.raises(InvalidInputError, match=r"`multiplier_share` must be in 0\.\.1"):
        tech.clock_limit_hz(1.0, 1e9, 1.5)
