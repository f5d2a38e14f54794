"""Schema of in-memory chip files: keys, units and ranges, and how a file is read with all its faults at once."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from axdnn.hardware.parameters import UNITS, Parameter, shown_unit

CHIP_UNITS: dict[str, dict[str, float]] = {
    **UNITS,
    "bits": {"bit": 1.0},
    "voltage": {"V": 1.0, "mV": 1e-3},
    "length": {"nm": 1.0},
    "conductance": {"S": 1.0, "uS": 1e-6, "nS": 1e-9},
    "power": {"W": 1.0, "mW": 1e-3, "uW": 1e-6},
}
"""Dimension -> accepted unit -> factor to SI; nodes stay in nanometres."""
KINDS = ("resistive", "aimc", "dimc")
ADC_MODELS = ("sar_table", "survey", "per_bit")

COMMON = (
    Parameter("array.arrays", "arrays", "count", 1, 1e7, True),
    Parameter("array.rows", "rows", "count", 2, 8192, True),
    Parameter("array.columns", "columns", "count", 1, 8192, True),
    Parameter("array.activation_bits", "activation_bits", "bits", 1, 16, True),
    Parameter("array.weight_bits", "weight_bits", "bits", 1, 16, True),
    Parameter("array.output_bits", "output_bits", "bits", 1, 32, True),
    Parameter("array.input_bits", "input_bits", "bits", 1, 16, True),
    Parameter("array.reload", "reload", "count", 0, 1, True),
    Parameter("array.node", "node_nm", "length", 1, 250),
    Parameter("timing.write_row", "write_row_s", "time", 0, 1),
    Parameter("timing.parallel_writes", "parallel_writes", "count", 1, 1e7, True),
    Parameter("memory.buffer_bandwidth", "buffer_bandwidth_b_s", "bandwidth", 1, 1e18),
    Parameter("energy.write", "write_j", "energy", 0, 1e-6),
    Parameter("energy.accumulate", "accumulate_j", "energy", 0, 1e-6),
    Parameter("energy.buffer_read", "buffer_read_j_b", "energy per byte", 0, 1e-6),
    Parameter("energy.buffer_write", "buffer_write_j_b", "energy per byte", 0, 1e-6),
    Parameter("energy.interconnect", "interconnect_j_b", "energy per byte", 0, 1e-6),
    Parameter("energy.weight_fetch", "weight_fetch_j_b", "energy per byte", 0, 1e-6),
    Parameter("area.buffer", "buffer_m2", "area", 0, 1),
    Parameter("area.interconnect", "interconnect_m2", "area", 0, 1),
    Parameter("static.array_leakage", "array_leakage_w", "power", 0, 1e3),
    Parameter("static.shared_leakage", "shared_leakage_w", "power", 0, 1e3),
)
"""Keys of every file."""
ADC = (Parameter("adc.bits", "adc_bits", "bits", 1, 16, True),)
"""Keys of chips with converters."""
SUPPLY = (Parameter("array.supply", "vdd_v", "voltage", 0.4, 1.5),)
"""Keys of SRAM kinds, which take all else from the closed form."""
RESISTIVE = (
    Parameter("array.cell_bits", "cell_bits", "bits", 1, 8, True),
    Parameter("array.cells_per_slice", "cells_per_slice", "count", 1, 2, True),
    Parameter("cell.read_voltage", "read_v", "voltage", 0, 5),
    Parameter("cell.on_conductance", "on_s", "conductance", 0, 1),
    Parameter("cell.off_conductance", "off_s", "conductance", 0, 1),
    Parameter("adc.model", "adc_model", "count", 0, 0, choices=ADC_MODELS),
    Parameter("adc.columns", "columns_per_adc", "count", 1, 8192, True),
    Parameter("adc.slices_per_conversion", "slices_per_conversion", "count", 1, 16, True),
    Parameter("adc.flipped", "flipped", "count", 0, 1, True),
    Parameter("adc.bit_energy", "adc_bit_j", "energy", 0, 1e-6),
    Parameter("adc.area", "adc_m2", "area", 0, 1),
    Parameter("timing.read", "read_s", "time", 0, 1),
    Parameter("timing.integrate", "integrate_s", "time", 0, 1),
    Parameter("timing.convert_bit", "convert_bit_s", "time", 0, 1),
    Parameter("timing.pipelined", "pipelined", "count", 0, 1, True),
    Parameter("energy.drive", "drive_j", "energy", 0, 1e-6),
    Parameter("energy.sample", "sample_j", "energy", 0, 1e-6),
    Parameter("energy.integrate", "integrate_j", "energy", 0, 1e-6),
    Parameter("energy.shift_add", "shift_add_j", "energy", 0, 1e-6),
    Parameter("area.cell", "cell_m2", "area", 0, 1),
    Parameter("area.driver", "driver_m2", "area", 0, 1),
    Parameter("area.sample", "sample_m2", "area", 0, 1),
    Parameter("area.shift_add", "shift_add_m2", "area", 0, 1),
)
"""Further keys of resistive chips."""
SRAM_NODE_NM = 28
"""Node of the closed form of SRAM macros."""


def keys_of(kind: str) -> tuple[Parameter, ...]:
    """Keys of a file of this kind."""
    return COMMON + {"resistive": ADC + RESISTIVE, "aimc": ADC + SUPPLY, "dimc": SUPPLY}[kind]


def read_chip(data: Any) -> tuple[dict[str, Any], dict[str, str], list[str]]:
    """Read a parsed file.

    Returns:
        Fields in SI units, sources by key path, and every fault found, each naming its key.
    """
    if not isinstance(data, Mapping):
        return {}, {}, [f"the file must hold a mapping of sections, but got {type(data).__name__}"]
    fields: dict[str, Any] = {}
    sources: dict[str, str] = {}
    faults: list[str] = []
    for label in ("name", "description"):
        fields[label] = data.get(label)
        if not isinstance(fields[label], str) or not fields[label].strip():
            faults.append(f"`{label}` must be a text, but got {fields[label]!r}")
    fields["kind"] = data.get("kind")
    if fields["kind"] not in KINDS:
        said = (
            f"`kind` must be one of {', '.join(KINDS)} (in memory), bank or system, or left out of a systolic design, "
            f"but got {fields['kind']!r}"
        )
        return fields, sources, [*faults, said]
    keys = keys_of(fields["kind"])
    faults += _unknown(data, keys)
    for key in keys:
        section, name = key.path.split(".")
        entries = data.get(section)
        if not isinstance(entries, Mapping) or name not in entries:
            faults.append(f"`{key.path}` is missing")
            continue
        value, wrong = _entry(entries[name], key)
        faults += [f"`{key.path}{fault}" for fault in wrong]
        if not wrong:
            fields[key.field] = value
            sources[key.path] = _line(entries[name])
    return fields, sources, faults + _together(fields)


def _unknown(data: Mapping[str, Any], keys: tuple[Parameter, ...]) -> list[str]:
    """Faults of sections and keys that no file of the kind has."""
    wanted: dict[str, list[str]] = {}
    for key in keys:
        section, name = key.path.split(".")
        wanted.setdefault(section, []).append(name)
    faults = []
    for section, entries in data.items():
        if section in ("name", "description", "kind"):
            continue
        if section not in wanted:
            faults.append(f"unknown section `{section}`; allowed: {', '.join(wanted)}")
        elif isinstance(entries, Mapping):
            unknown = [name for name in entries if name not in wanted[section]]
            faults += [f"unknown key `{section}.{name}`; allowed: {', '.join(wanted[section])}" for name in unknown]
    return faults


def _entry(entry: Any, key: Parameter) -> tuple[Any, list[str]]:
    """SI value of one `{value, unit, source}` entry, and everything that is wrong with it."""
    if not isinstance(entry, Mapping) or set(entry) != {"value", "unit", "source"}:
        return None, [f"` must be {{value: number, unit: text, source: text}}, but got {entry!r}"]
    value, unit, source = entry["value"], str(entry["unit"]), entry["source"]
    units, faults = CHIP_UNITS[key.dimension], []
    if not isinstance(source, str) or not source.strip():
        faults.append(f".source` must say where the value comes from, but got {source!r}")
    if unit not in units:
        faults.append(f".unit` must be one of {', '.join(units)}, but got {unit!r}")
    if key.choices:
        if value not in key.choices:
            faults.append(f".value` must be one of {', '.join(key.choices)}, but got {value!r}")
        return value, faults
    factor = units.get(unit, math.nan)  # a range is said in the unit, so without one it is not
    number = not isinstance(value, bool) and isinstance(value, int | float) and math.isfinite(value)
    si = value * factor if number else math.nan
    if unit in units and (not key.low <= si <= key.high or (key.whole and si != int(si))):
        kind = "a whole number" if key.whole else "a finite number"
        low, high = (f"{bound / factor:g}" for bound in (key.low, key.high))
        faults.append(f".value` must be {kind} in {low}..{high}{shown_unit(unit)}, but got {value!r}")
    if faults:
        return None, faults
    return (int(si) if key.whole else float(si)), []


def _line(entry: Mapping[str, Any]) -> str:
    """`value unit; source` of an entry."""
    return f"{entry['value']}{shown_unit(str(entry['unit']))}; {' '.join(entry['source'].split())}"


def _together(fields: Mapping[str, Any]) -> list[str]:
    """Faults of values that are legal each but not together."""
    faults = []
    for low, high in (("input_bits", "activation_bits"), ("columns_per_adc", "columns"), ("off_s", "on_s")):
        if low in fields and high in fields and fields[low] > fields[high]:
            faults.append(f"`{low}` must be at most `{high}` = {fields[high]}, but got {fields[low]}")
    columns, bits = fields.get("columns", 0), fields.get("weight_bits", 1)
    if fields["kind"] != "resistive" and columns % bits:
        faults.append(f"`columns` must be a multiple of `weight_bits` = {bits} in an SRAM macro, but got {columns}")
    if fields["kind"] != "resistive" and fields.get("node_nm", SRAM_NODE_NM) != SRAM_NODE_NM:
        faults.append(f"`node_nm` must be {SRAM_NODE_NM} in an SRAM macro: its closed form knows no other node")
    return faults
