"""Schema of accelerator files: the keys, their units and ranges, and how an entry is read."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple, get_args

from axdnn.hardware.systolic import CHIP_TIMINGS, Dataflow
from axdnn.hardware.technology.topology import Topology

MIB = 1024**2
UNITS: dict[str, dict[str, float]] = {
    "count": {"1": 1.0},
    "fraction": {"1": 1.0},
    "frequency": {"Hz": 1.0, "MHz": 1e6, "GHz": 1e9},
    "time": {"s": 1.0, "us": 1e-6, "ns": 1e-9},
    "bytes": {"B": 1.0, "KiB": 1024.0, "MiB": MIB},
    "bandwidth": {"B/s": 1.0, "GB/s": 1e9},
    "energy": {"J": 1.0, "pJ": 1e-12, "fJ": 1e-15},
    "energy per bit": {"J/bit": 1.0, "pJ/bit": 1e-12, "fJ/bit": 1e-15},
    "energy per byte": {"J/B": 1.0, "pJ/B": 1e-12},
    "area": {"m2": 1.0, "mm2": 1e-6, "um2": 1e-12},
    "area per byte": {"m2/B": 1.0, "mm2/MiB": 1e-6 / MIB, "mm2/MB": 1e-12},
    "power": {"W": 1.0, "mW": 1e-3},
    "power density": {"W/m2": 1.0, "mW/mm2": 1e3},
}
"""Dimension -> accepted unit -> factor to SI."""
FILLS = ("top", "bottom")
"""Where a fold that does not fill the rows of a pod may lie; see `row_mapping`."""

BACKING = ("backing_bytes", "backing_bandwidth_b_s", "dram_bandwidth_b_s")
"""Fields that `backing_faults` compares."""


class Parameter(NamedTuple):
    """One key of an accelerator file: where it stands, its field, its dimension and its range in SI.

    With `choices` the value is one of these texts, and dimension and range do not matter.
    """

    path: str
    field: str
    dimension: str
    low: float
    high: float
    whole: bool = False
    choices: tuple[str, ...] = ()


PARAMETERS = (
    Parameter("array.pods", "pods", "count", 1, 512, True),
    Parameter("array.rows", "rows", "count", 1, 4096, True),
    Parameter("array.columns", "columns", "count", 1, 4096, True),
    Parameter("array.clock", "clock_hz", "frequency", 1e3, 1e11),
    Parameter("memory.activation_buffer", "activation_buffer_bytes", "bytes", 1, 1e15),
    Parameter("memory.weight_buffer", "weight_buffer_bytes", "bytes", 1, 1e15),
    Parameter("memory.accumulator", "accumulator_bytes", "bytes", 1, 1e15),
    Parameter("memory.backing", "backing_bytes", "bytes", 0, 1e15),
    Parameter("memory.activations_stay_on_chip", "activations_stay_on_chip", "count", 0, 1, True),
    Parameter("memory.buffer_bandwidth", "buffer_bandwidth_b_s", "bandwidth", 1, 1e18),
    Parameter("memory.backing_bandwidth", "backing_bandwidth_b_s", "bandwidth", 1, 1e18),
    Parameter("memory.dram_bandwidth", "dram_bandwidth_b_s", "bandwidth", 1, 1e18),
    Parameter("memory.dram_latency", "dram_latency_s", "time", 0, 1),
    Parameter("energy.multiply", "multiply_j", "energy", 0, 1e-6),
    Parameter("energy.add", "add_j", "energy", 0, 1e-6),
    Parameter("energy.register", "register_j_bit", "energy per bit", 0, 1e-6),
    Parameter("energy.sign_magnitude", "sign_magnitude_j", "energy", 0, 1e-6),
    Parameter("energy.buffer_read", "buffer_read_j_b", "energy per byte", 0, 1e-6),
    Parameter("energy.buffer_write", "buffer_write_j_b", "energy per byte", 0, 1e-6),
    Parameter("energy.accumulator_read", "accumulator_read_j_b", "energy per byte", 0, 1e-6),
    Parameter("energy.accumulator_write", "accumulator_write_j_b", "energy per byte", 0, 1e-6),
    Parameter("energy.backing_read", "backing_read_j_b", "energy per byte", 0, 1e-6),
    Parameter("energy.backing_write", "backing_write_j_b", "energy per byte", 0, 1e-6),
    Parameter("energy.dram", "dram_j_bit", "energy per bit", 0, 1e-6),
    Parameter("energy.interconnect", "interconnect_j_b", "energy per byte", 0, 1e-6),
    Parameter("energy.interconnect_expansion", "interconnect_expansion", "count", 1, 64),
    Parameter("area.multiplier_scale", "multiplier_area_scale", "fraction", 0, 100),
    Parameter("area.pe_rest", "pe_rest_m2", "area", 0, 1),
    Parameter("area.sign_magnitude", "sign_magnitude_m2", "area", 0, 1),
    Parameter("area.buffer", "buffer_m2_b", "area per byte", 0, 1),
    Parameter("area.backing", "backing_m2_b", "area per byte", 0, 1),
    Parameter("area.interconnect_bit", "interconnect_m2_bit", "area", 0, 1),
    Parameter("static.logic_leakage", "logic_leakage_w_m2", "power density", 0, 1e9),
    Parameter("static.memory_leakage", "memory_leakage_w_m2", "power density", 0, 1e9),
    Parameter("static.clock_fraction", "clock_fraction", "fraction", 0, 1),
)
"""Required keys."""
OPTIONAL = (
    Parameter("array.exact_rows", "exact_rows", "count", 0, 4096, True),
    Parameter("array.fill", "fill", "count", 0, 0, choices=FILLS),
    Parameter("memory.weights_stay_on_chip", "weights_stay_on_chip", "count", 0, 1, True),
    Parameter("array.dataflow", "dataflow", "count", 0, 0, choices=get_args(Dataflow)),
    Parameter("array.timing", "timing", "count", 0, 0, choices=CHIP_TIMINGS),
    Parameter("array.interconnect", "interconnect", "count", 0, 0, choices=get_args(Topology)),
    Parameter("array.pack_groups", "pack_groups", "count", 0, 1, True),
    Parameter("array.pods_together", "pods_together", "count", 1, 512, True),
    Parameter("array.vector_lanes", "vector_lanes", "count", 1, 1e6, True),
    Parameter("array.vector_operations", "vector_operations", "count", 1, 64, True),
    Parameter("array.vector_transcendental_cycles", "vector_transcendental_cycles", "count", 1, 1000, True),
    Parameter("energy.vector_8bit", "vector_8bit_j", "energy", 0, 1e-6),
    Parameter("energy.vector_16bit", "vector_16bit_j", "energy", 0, 1e-6),
    Parameter("energy.vector_32bit", "vector_32bit_j", "energy", 0, 1e-6),
    Parameter("energy.vector_transcendental", "vector_transcendental_j", "energy", 0, 1e-6),
)
"""Keys that may be left out; the fields have defaults then and no source."""


def key_faults(data: Mapping[str, Any], where: str) -> list[str]:
    """Say which sections and keys are missing, unknown or no mappings."""
    wanted, optional = _by_section(PARAMETERS), _by_section(OPTIONAL)
    faults = level_faults(data, ["name", "description", *wanted], [], where, "")
    for section, keys in wanted.items():
        if isinstance(data.get(section), Mapping):
            faults += level_faults(data[section], keys, optional.get(section, []), where, f"{section}.")
        elif section in data:
            faults.append(f"{where}: `{section}` must be a mapping with keys {', '.join(keys)}")
    return faults


def _by_section(parameters: tuple[Parameter, ...]) -> dict[str, list[str]]:
    sections: dict[str, list[str]] = {}
    for parameter in parameters:
        section, key = parameter.path.split(".")
        sections.setdefault(section, []).append(key)
    return sections


def level_faults(data: Mapping[str, Any], keys: list[str], optional: list[str], where: str, prefix: str) -> list[str]:
    """Say which keys of a mapping are missing or unknown; `prefix` is the path to it."""
    allowed = [*keys, *optional]
    missing = [
        f"{where}: `{prefix}{key}` is missing; required here: {', '.join(keys)}" for key in keys if key not in data
    ]
    unknown = [
        f"{where}: unknown key `{prefix}{key}`; allowed here: {', '.join(allowed)}"
        for key in data
        if key not in allowed
    ]
    return missing + unknown


def together_faults(values: Mapping[str, Any], where: str) -> list[str]:
    """Say which values are legal each but not together; values that are not there are passed over."""
    faults = []
    rows, exact_rows = values.get("rows"), values.get("exact_rows", 0)
    if rows is not None and exact_rows > rows:
        faults.append(f"{where}: `array.exact_rows` must be at most `array.rows` = {rows}, but got {exact_rows}")
    if exact_rows and values.get("dataflow", "ws") == "os":
        faults.append(
            f"{where}: `array.exact_rows` needs `array.dataflow` ws or is, whose rows are terms of the sums, but got os"
        )
    if exact_rows and values.get("pack_groups", 0):
        faults.append(
            f"{where}: `array.pack_groups` must be 0 beside `array.exact_rows`, for it moves terms to other rows"
        )
    pods, together = values.get("pods"), values.get("pods_together", 1)
    if pods is not None and pods % together:
        faults.append(f"{where}: `array.pods_together` must divide `array.pods` = {pods}, but got {together}")
    return faults + backing_faults(values, where)


def backing_faults(values: Mapping[str, Any], where: str) -> list[str]:
    """Say if the memory behind the buffers is slower than DRAM; values that are not there are passed over.

    Activations that fit it live there instead of in DRAM, so a larger one would make such a chip slower.
    """
    size, own, dram = (values.get(field) for field in BACKING)
    if not size or own is None or dram is None or own >= dram:
        return []
    return [
        f"{where}: `memory.backing_bandwidth` must be at least `memory.dram_bandwidth` = {dram / 1e9:g} GB/s where "
        f"`memory.backing` is not 0, for activations live there instead of in DRAM, but got {own / 1e9:g} GB/s; "
        "set `memory.backing` to 0 if it is not used"
    ]


def entry_faults(entry: Any, parameter: Parameter, where: str) -> list[str]:
    """Say what is wrong with one `{value, unit, source}` entry."""
    at = f"{where}: `{parameter.path}`"
    if not isinstance(entry, Mapping) or set(entry) != {"value", "unit", "source"}:
        return [f"{at} must be {{value: number, unit: text, source: text}}, but got {entry!r}"]
    value, unit, source = entry["value"], str(entry["unit"]), entry["source"]
    units, faults = UNITS[parameter.dimension], []
    if parameter.choices and value not in parameter.choices:
        faults.append(f"{at}.value must be one of {', '.join(parameter.choices)}, but got {value!r}")
    if unit not in units:
        faults.append(f"{at}.unit must be one of {', '.join(units)}, but got {unit!r}")
    if not isinstance(source, str) or not source.strip():
        faults.append(f"{at}.source must say where the value comes from, but got {source!r}")
    if parameter.choices or unit not in units:
        return faults
    number = not isinstance(value, bool) and isinstance(value, int | float) and math.isfinite(value)
    si = value * units[unit] if number else math.nan
    if not parameter.low <= si <= parameter.high or (parameter.whole and si != int(si)):
        kind = "a whole number" if parameter.whole else "a finite number"
        low, high = (f"{bound / units[unit]:g}" for bound in (parameter.low, parameter.high))
        faults.append(f"{at}.value must be {kind} in {low}..{high}{shown_unit(unit)}, but got {value!r}")
    return faults


def shown_unit(unit: str) -> str:
    """A unit behind its number; nothing for the unit 1."""
    return "" if unit == "1" else f" {unit}"


def read_entry(entry: Mapping[str, Any], parameter: Parameter) -> tuple[float | int | str, str]:
    """Return the SI value of an entry without faults, and its line for the sources."""
    value, unit, source = entry["value"], str(entry["unit"]), " ".join(entry["source"].split())
    if parameter.choices:
        return str(value), f"{value}; {source}"
    si = value * UNITS[parameter.dimension][unit]
    return (int(si) if parameter.whole else float(si)), f"{value:g}{shown_unit(unit)}; {source}"
