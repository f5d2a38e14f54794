"""Every row of every table: well formed, sourced, in the listing, and read by a public function that returns it."""

import math
from importlib import resources

import numpy as np
import pytest

from axdnn.hardware import technology as tech
from axdnn.hardware.technology.rows import UNITS, read_rows
from axdnn.records import InvalidInputError, UnknownNameError

HEADER = "set,name,value,unit,node_nm,voltage_v,source,trust"
KB = 1024


def nodes_row(row: tech.Row) -> float:
    node = row.node_nm
    if row.set == "mixed":
        return tech.ENERGY_BY_NODE_NM[node]
    if row.set == "area":
        return float(tech.node_area_factor(45, node))
    if row.name in ("low_v", "high_v"):
        return float(tech.voltage_range_v(node, row.set)[row.name == "high_v"])
    # A coefficient: the polynomial through the factors at four voltages, times the value at 0.8 V.
    quantity, power = row.name.split("_v")
    factor = tech.node_energy_factor if quantity == "energy" else tech.node_delay_factor
    degree = 2 if quantity == "energy" else 3
    volts = np.linspace(0.65, 0.8, degree + 1)
    found = np.polyfit(volts, factor(node, node, 0.8, volts, row.set), degree)
    coefficients = {
        r.name: r.value
        for r in tech.table("nodes")
        if (r.set, r.node_nm) == (row.set, node) and r.name.startswith(quantity)
    }
    at_reference = sum(value * 0.8 ** int(name[-1]) for name, value in coefficients.items())
    return float(found[degree - int(power)] * at_reference)


def voltage_row(row: tech.Row) -> float:
    if row.set == "leakage":
        return tech.leakage_per_volt()
    if row.set == "sram":
        return tech.sram_low_v()
    field = {"nominal": "nominal_v", "low": "low_v", "high": "high_v", "threshold": "threshold_v"}
    return getattr(tech.voltage_curve(row.set), field.get(row.name, row.name))


def sram_row(row: tech.Row) -> float:
    if row.set == "below_22":
        quantity = {"energy": "read_j_b", "area": "area_m2", "access": "access_s"}[row.name.split("_")[0]]
        at_11, at_22 = (getattr(tech.cacti_sram(32 * KB, n, extrapolate=True), quantity) for n in (11, 22))
        return float(np.log(at_11 / at_22) / np.log(0.5))
    if not row.set.startswith("cacti_"):
        if row.name == "area":
            return tech.sram_family(row.set).area_m2_b
        action, size = row.name.removesuffix("kB").split("_")
        per_byte = float(tech.sram_family_j_b(row.set, int(size) * KB, write=action == "write"))
        return per_byte if row.unit == "pJ/B" else per_byte / 8
    quantity, kind = row.name.split("_")
    port = int(row.set.removeprefix("cacti_").removesuffix("b"))
    if kind == "worst":
        return tech.sram_fit_deviation(quantity, int(row.node_nm), port)

    def at(size: int) -> float:
        if quantity == "leakage":
            return float(tech.lstp_leakage_w(size, row.node_nm, port))
        field = {"read": "read_j_b", "write": "write_j_b", "area": "area_m2", "access": "access_s"}[quantity]
        return float(getattr(tech.cacti_sram(size, row.node_nm, port), field))

    return at(32 * KB) if kind == "a" else math.log2(at(64 * KB) / at(32 * KB))


def dram_row(row: tech.Row) -> float:
    of = tech.dram_type(row.set)
    if row.name == "access":
        assert of.read_j_bit == of.write_j_bit
    return {
        "access": of.read_j_bit,
        "read": of.read_j_bit,
        "write": of.write_j_bit,
        "low": of.low_j_bit,
        "high": of.high_j_bit,
        "bandwidth": of.bandwidth_b_s,
    }[row.name]


def arithmetic_row(row: tech.Row) -> float:
    return tech.operation(row.set, row.name) * (8 if row.unit == "pJ/B" else 1)


def interconnect_row(row: tech.Row) -> float:
    if row.name.startswith("butterfly_"):
        return float(tech.sosa_energy_j_b("butterfly", 2, int(row.name[-1])) / tech.sosa_stage_j_b())
    if row.name == "benes":
        return float(tech.sosa_energy_j_b("benes", 2) / tech.sosa_stage_j_b())
    if row.name == "port_bit":
        return float(tech.network_area_m2("bus", 1, 1, row.node_nm))
    if row.name == "ports":
        return float(tech.network_area_m2("mesh", 7, 3, 28) / tech.network_area_m2("bus", 7, 3, 28))
    functions = {
        "stage": lambda name: float(tech.sosa_energy_j_b("bus", 3)),
        "hop": tech.router_j_bit,
        "bus": tech.shared_bus_j_bit,
        "chip_link": tech.chip_link_j_bit,
        "wire": tech.wire_j_bit_m,
    }
    return functions[row.name](row.set)


EXERCISE = {
    "nodes": nodes_row,
    "voltage": voltage_row,
    "sram": sram_row,
    "dram": dram_row,
    "arithmetic": arithmetic_row,
    "interconnect": interconnect_row,
}


@pytest.mark.parametrize("name", tech.TABLES)
def test_every_row_is_what_a_function_returns(name):
    for row in tech.table(name):
        tolerance = 1e-6 if row.name.startswith(("energy_v", "delay_v")) else 1e-9
        assert EXERCISE[name](row) == pytest.approx(row.si, rel=tolerance, abs=1e-8 if tolerance == 1e-6 else 0), row


def test_the_listing_is_the_files():
    lines = []
    folder = resources.files("axdnn.hardware.technology") / "data"
    for name in sorted(path.name for path in folder.iterdir()):
        text = (folder / name).read_text(encoding="utf-8").splitlines()
        assert text[0] == HEADER
        lines += text[1:]
    rows = tech.parameters()
    assert len(rows) == len(lines) > 400
    for row in rows:
        assert len(row.source) > 5
        assert row.source.startswith("assumption: ") == (row.trust == "assumption"), row
    assert {row.trust for row in rows} == {"run", "source", "memory", "assumption"}


def test_units_by_hand():
    assert tech.sram_family_j_b("tpu_v4i_7", 8 * KB) == pytest.approx(7.5e-12 / 8)
    assert tech.wire_j_bit_m("keckler_40") * 1e-3 == pytest.approx(240e-15)
    assert 256 * tech.router_j_bit() == pytest.approx(20.74e-12)
    assert 128 * tech.chip_link_j_bit("isaac_65") == pytest.approx(26e-12)
    assert tech.sosa_stage_j_b() == pytest.approx(28.75e-15)
    assert tech.operation("sosa_28", "pe_int8_area") == pytest.approx(477e-12)
    assert tech.operation("aladdin_40", "mul_int32_leakage") == pytest.approx(80e-6)
    assert tech.sram_family("cmem_7").area_m2_b * 128 * 2**20 == pytest.approx(112e-6)
    assert {row.unit for row in tech.parameters()} <= set(UNITS)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a,b,x,pJ,45,,us,run", "must be numbers"),
        ("a,b,nan,pJ,45,,us,run", "must be a finite number"),
        ("a,b,1,kJ,45,,us,run", "`unit` must be one of"),
        ("a,b,1,pJ,45,,us,guess", "`trust` must be one of"),
        ("a,b,1,pJ,45,, ,run", "`source` must say"),
        ("a,b,1,pJ,45,,us,run\na,b,2,pJ,45,,us,run", "line 3.*twice"),
    ],
)
def test_bad_rows_are_refused(line, message):
    with pytest.raises(InvalidInputError, match=message):
        read_rows([HEADER, *line.split("\n")], "mine.csv")


@pytest.mark.parametrize(
    "call",
    [
        lambda: tech.table("wires"),
        lambda: tech.voltage_curve("alpha"),
        lambda: tech.sram_family("sosa"),
        lambda: tech.dram_type("ddr"),
        lambda: tech.operation("horowitz", "add_int8"),
        lambda: tech.operation("horowitz_45", "add_int7"),
        lambda: tech.wire_j_bit_m("isaac_32"),
        lambda: tech.hops("ring", 4),
        lambda: tech.voltage_range_v(7, "ulp"),
    ],
)
def test_unknown_names_are_refused_with_the_nearest(call):
    with pytest.raises(UnknownNameError, match=r"nearest|known"):
        call()
