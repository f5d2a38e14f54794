"""The SRAM macro against the tool whose form it is, and its laws; constants of the tables."""

import csv
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from axdnn.hardware.imc import alpha_power_delay, gates, sram_macro, voltage_fit, voltage_fits
from axdnn.hardware.imc.constants import TABLES, constants, values
from axdnn.hardware.imc.macro import AREA_PARTS, ENERGY_PARTS
from axdnn.records import InvalidInputError, UnknownNameError

with (Path(__file__).parents[2] / "reference" / "zigzag_imc.csv").open(newline="") as file:
    ROWS = list(csv.DictReader(file))
PARTS = {
    "E_dac_pJ": "dac", "E_adc_pJ": "adc", "E_mult_pJ": "multipliers", "E_analog_bl_pJ": "bit_lines",
    "E_adder_tree_pJ": "tree", "E_adder_pv_pJ": "place_value", "E_accum_pJ": "accumulators",
}  # fmt: skip


def column(name, rows):
    return np.array([float(row[name]) for row in rows])


def macro_of(kind, rows):
    return sram_macro(
        kind,
        column("rows_D2", rows),
        column("cols_D1", rows),
        banks=column("banks_D3", rows),
        activation_bits=column("act_bits", rows),
        weight_bits=column("weight_bits", rows),
        bits_per_cycle=column("bits_per_cycle", rows),
        adc_bits=column("adc_bits", rows),
    )


@pytest.mark.parametrize(("kind", "count"), [("aimc", 21), ("dimc", 15)])
def test_every_column_of_the_reference(kind, count):
    rows = [row for row in ROWS if row["kind"].lower() == kind]
    assert len(rows) == count
    macro = macro_of(kind, rows)
    got = {
        "tclk_ns": macro.clock_s * 1e9,
        "area_mm2_no_cells": macro.logic_m2 * 1e6,
        "E_cycle_pJ": macro.cycle_j * 1e12,
        "MAC_per_cycle": macro.macs_per_cycle,
        "fJ_per_MAC": macro.mac_j * 1e15,
        "TOPS": macro.ops_s / 1e12,
        "TOPS_per_W": macro.ops_j / 1e12,
        **{name: macro.energy_j[part] * 1e12 for name, part in PARTS.items()},
    }
    assert len(got) + 8 == len(ROWS[0])
    for name, value in got.items():
        np.testing.assert_allclose(value, column(name, rows), rtol=1e-4, atol=0, err_msg=name)


def test_vectorised_equals_scalar():
    rows = [row for row in ROWS if row["kind"] == "AIMC"]
    together = macro_of("aimc", rows)
    for i, row in enumerate(rows):
        alone = macro_of("aimc", [row])
        assert alone.cycle_j[0] == together.cycle_j[i]
        assert alone.clock_s[0] == together.clock_s[i]


def test_parts():
    macro = sram_macro("aimc", [64, 128], [[16], [32], [64]])
    assert tuple(macro.energy_j) == ENERGY_PARTS
    assert tuple(macro.area_m2) == AREA_PARTS
    assert macro.cycle_j.shape == (3, 2)
    assert macro.area_m2["cells"][0, 0] == pytest.approx(64 * 16 * 8 * 0.1506e-12)


bits = st.integers(1, 8)
powers = st.sampled_from([2, 4, 16, 64, 256])


@given(powers, bits, bits, st.integers(1, 14), st.floats(0.5, 1.2))
def test_laws_of_analogue_macros(rows, a, w, adc, vdd):
    s = max(a // 2, 1)
    args = {"activation_bits": a, "weight_bits": w, "bits_per_cycle": s}
    coarse = sram_macro("aimc", rows, 8, adc_bits=adc, vdd_v=vdd, **args)
    fine = sram_macro("aimc", rows, 8, adc_bits=adc + 1, vdd_v=vdd, **args)
    assert fine.cycle_j > coarse.cycle_j
    assert fine.clock_s > coarse.clock_s
    assert fine.logic_m2 >= coarse.logic_m2
    higher = sram_macro("aimc", rows, 8, adc_bits=adc, vdd_v=1.1 * vdd, **args)
    assert higher.cycle_j == pytest.approx(1.21 * coarse.cycle_j)
    assert higher.clock_s < coarse.clock_s


@given(powers, bits, bits)
def test_laws_of_digital_macros(rows, a, w):
    macro = sram_macro("dimc", rows, 8, activation_bits=a, weight_bits=w, bits_per_cycle=1)
    twice = sram_macro("dimc", 2 * rows, 8, activation_bits=a, weight_bits=w, bits_per_cycle=1)
    assert twice.clock_s > macro.clock_s
    assert twice.cycle_j > macro.cycle_j
    assert macro.energy_j["adc"] == macro.energy_j["dac"] == macro.energy_j["bit_lines"] == 0
    banks = sram_macro("dimc", rows, 8, banks=3, activation_bits=a, weight_bits=w, bits_per_cycle=1)
    assert banks.cycle_j == pytest.approx(3 * macro.cycle_j)
    assert banks.mac_j == pytest.approx(macro.mac_j)


@pytest.mark.parametrize("n", [2, 4, 8, 32])
@pytest.mark.parametrize("width", [1, 5, 8])
def test_adders_of_a_tree_are_those_of_its_levels(n, width):
    counted = sum((width + level) * n // 2 ** (level + 1) for level in range(int(math.log2(n))))
    assert gates.tree_adders(n, width) == counted


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rows", 1),
        ("columns", 0),
        ("banks", 0),
        ("bits_per_cycle", 9),
        ("adc_bits", 0),
        ("vdd_v", 0.3),
        ("rows", math.nan),
    ],
)
def test_bad_parameters_are_refused(name, value):
    args = {"rows": 64, "columns": 8, "bits_per_cycle": 1, name: value}
    with pytest.raises(InvalidInputError, match=f"`{name}`"):
        sram_macro("aimc", **args)


def test_unknown_names_are_refused():
    with pytest.raises(InvalidInputError, match="`kind`"):
        sram_macro("rram", 8, 8)
    with pytest.raises(UnknownNameError, match="wang_c2c"):
        voltage_fit("wang")
    with pytest.raises(UnknownNameError, match="gates_28nm"):
        constants("gates")


def test_voltage_fits_hold_where_they_were_measured():
    for name in voltage_fits():
        fit = voltage_fit(name)
        v = np.linspace(fit.low_v, fit.high_v, 9)
        assert np.all(np.diff(fit.energy(v)) > 0)
        assert np.all(np.diff(fit.delay(v)) < 0)
        assert fit.energy(fit.reference_v) == 1
        assert fit.delay(fit.reference_v) == 1
        for outside in (fit.low_v - 0.01, fit.high_v + 0.01):
            with pytest.raises(InvalidInputError, match="vdd_v"):
                fit.energy(outside)
    assert voltage_fit("sinangil_sram").delay(1.0) == pytest.approx(0.6 + 0.4 * 0.8**2.75)
    assert alpha_power_delay(0.9, 0.9) == 1


def test_every_constant_has_a_source_and_matters(monkeypatch):
    """Each number, doubled, changes some result; so none is there for show."""
    for table in TABLES:
        for row in constants(table).values():
            assert row.source
            assert row.unit
            assert row.node_nm
            changed = {**values(table), row.name: 2 * row.value + 1e-3 * (row.value == 0)}
            before = probe()
            with monkeypatch.context() as patch:
                for module in ("gates", "macro", "voltage", "converters", "array_costs"):
                    patch_values(patch, module, table, changed)
                assert probe() != before, f"{table}: {row.name} is not used"


def patch_values(patch, module, table, changed):
    import importlib

    target = importlib.import_module(f"axdnn.hardware.imc.{module}")
    patch.setattr(target, "values", lambda name: changed if name == table else values(name), raising=False)
    if hasattr(target, "constants"):
        rows = {name: row._replace(value=changed[name]) for name, row in constants(table).items()}
        patch.setattr(target, "constants", lambda name: rows if name == table else constants(name))


def probe():
    """A few results that, together, use every constant."""
    from axdnn.hardware.imc import sar_adc, survey_adc

    macros = [sram_macro("aimc", 64, 8, bits_per_cycle=2, adc_bits=6, vdd_v=0.8), sram_macro("dimc", 64, 8)]
    numbers = [
        x for m in macros for x in (float(m.clock_s), *map(float, m.energy_j.values()), *map(float, m.area_m2.values()))
    ]
    for name in voltage_fits():
        fit = voltage_fit(name)
        numbers += [*fit]
    for adc in (*(sar_adc(b, 45) for b in range(4, 11)), survey_adc(6, 45, 1e6), survey_adc(10, 45, 1e10)):
        numbers += [float(adc.energy_j), float(adc.area_m2)]
    return numbers
