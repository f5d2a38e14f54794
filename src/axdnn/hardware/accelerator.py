"""`Accelerator`: a multi-pod systolic array as numbers in SI units, every one with its source."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import yaml

from axdnn.records.errors import InvalidInputError, unknown_name

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
    "power density": {"W/m2": 1.0, "mW/mm2": 1e3},
}
"""Dimension -> accepted unit -> factor to SI."""


class Parameter(NamedTuple):
    """One required key of an accelerator file: where it stands, its field, its dimension and its range in SI."""

    path: str
    field: str
    dimension: str
    low: float
    high: float
    whole: bool = False


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


class Accelerator(msgspec.Struct, frozen=True, kw_only=True):
    """A multi-pod, weight-stationary systolic array. Fields are in SI units, named; see `designs/*.yaml`.

    Attributes:
        name, description: label and one sentence.
        pods, rows, columns: `pods` arrays of `rows x columns` processing elements.
        activation_buffer_bytes, weight_buffer_bytes: buffers of the whole chip; half is usable for a stream.
        accumulator_bytes: 32-bit accumulators of one pod.
        backing_bytes: a larger on-chip memory behind the buffers (TPU: CMEM); 0 = none.
        activations_stay_on_chip: 1 = activations between layers go off the chip only if they do not fit.
        buffer_bandwidth_b_s: of one pod's port to the buffers.
        register_j_bit: one write and one read of a pipeline register bit.
        interconnect_j_b: per byte and stage; `interconnect_expansion` is SOSA's butterfly expansion k.
        multiplier_area_scale: area at this node / area in the multiplier library (45 nm).
        clock_fraction: part of the register energy a processing element draws every cycle, busy or not.
        sources: key path -> `value unit; source`.
    """

    name: str
    description: str
    pods: int
    rows: int
    columns: int
    clock_hz: float
    activation_buffer_bytes: float
    weight_buffer_bytes: float
    accumulator_bytes: float
    backing_bytes: float
    activations_stay_on_chip: int
    buffer_bandwidth_b_s: float
    backing_bandwidth_b_s: float
    dram_bandwidth_b_s: float
    dram_latency_s: float
    multiply_j: float
    add_j: float
    register_j_bit: float
    sign_magnitude_j: float
    buffer_read_j_b: float
    buffer_write_j_b: float
    accumulator_read_j_b: float
    accumulator_write_j_b: float
    backing_read_j_b: float
    backing_write_j_b: float
    dram_j_bit: float
    interconnect_j_b: float
    interconnect_expansion: float
    multiplier_area_scale: float
    pe_rest_m2: float
    sign_magnitude_m2: float
    buffer_m2_b: float
    backing_m2_b: float
    interconnect_m2_bit: float
    logic_leakage_w_m2: float
    memory_leakage_w_m2: float
    clock_fraction: float
    sources: dict[str, str] = {}

    def replace(self, **changes: Any) -> Accelerator:
        """Return a copy with some fields changed; their sources say so. Values are SI; ranges are not checked."""
        paths = {p.field: p.path for p in PARAMETERS}
        changed = {paths[f]: f"{v!r} (SI); changed by the caller" for f, v in changes.items() if f in paths}
        return msgspec.structs.replace(self, **{"sources": {**self.sources, **changed}, **changes})


def list_accelerators() -> list[str]:
    """Names of the accelerators that ship with axdnn, sorted."""
    return sorted(p.name.removesuffix(".yaml") for p in _designs().iterdir() if p.name.endswith(".yaml"))


def load_accelerator(name_or_path: str | os.PathLike[str]) -> Accelerator:
    """Load a shipped accelerator by name, or a user's by the path of a YAML file.

    A string is a path if it ends in `.yaml` or `.yml` or holds a path separator.

    Raises:
        UnknownNameError: no accelerator of that name; the message lists the nearest.
        InvalidInputError: the file cannot be read or breaks the schema; names file, key path and what is allowed.
    """
    text = os.fspath(name_or_path)
    if isinstance(name_or_path, os.PathLike) or text.endswith((".yaml", ".yml")) or os.sep in text:
        try:
            return parse_accelerator(Path(text).read_text(encoding="utf-8"), text)
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidInputError(f"cannot read the accelerator file {text}: {error}") from error
    if text not in (known := list_accelerators()):
        raise unknown_name(
            "accelerator", text, known, "`axdnn accelerators list` prints all of them; a path to a YAML file works too"
        )
    return _shipped(text)


@cache
def _shipped(name: str) -> Accelerator:
    return parse_accelerator((_designs() / f"{name}.yaml").read_text(encoding="utf-8"), f"{name}.yaml")


def parse_accelerator(text: str, where: str) -> Accelerator:
    """Read an accelerator from YAML text; `where` names the file in errors.

    Raises:
        InvalidInputError: not YAML, or a missing, unknown or illegal entry.
    """
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InvalidInputError(f"{where} must be YAML, but: {error}") from error
    if not isinstance(data, Mapping):
        raise InvalidInputError(f"{where} must hold a mapping of sections, but got {type(data).__name__}")
    _check_keys(data, where)
    labels = {key: data.get(key) for key in ("name", "description")}
    for key, value in labels.items():
        if not isinstance(value, str) or not value.strip():
            raise InvalidInputError(f"{where}: `{key}` must be a text, but got {value!r}")
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for parameter in PARAMETERS:
        section, key = parameter.path.split(".")
        values[parameter.field], sources[parameter.path] = _read(data[section][key], parameter, where)
    return msgspec.convert({**labels, **values, "sources": sources}, Accelerator)


def _designs() -> Any:
    return resources.files("axdnn.hardware") / "designs"


def _check_keys(data: Mapping[str, Any], where: str) -> None:
    wanted: dict[str, list[str]] = {}
    for parameter in PARAMETERS:
        section, key = parameter.path.split(".")
        wanted.setdefault(section, []).append(key)
    _check_level(data, ["name", "description", *wanted], where, "")
    for section, keys in wanted.items():
        if not isinstance(data[section], Mapping):
            raise InvalidInputError(f"{where}: `{section}` must be a mapping with keys {', '.join(keys)}")
        _check_level(data[section], keys, where, f"{section}.")


def _check_level(data: Mapping[str, Any], keys: list[str], where: str, prefix: str) -> None:
    for key in keys:
        if key not in data:
            raise InvalidInputError(f"{where}: `{prefix}{key}` is missing; required here: {', '.join(keys)}")
    for key in data:
        if key not in keys:
            raise InvalidInputError(f"{where}: unknown key `{prefix}{key}`; allowed here: {', '.join(keys)}")


def _read(entry: Any, parameter: Parameter, where: str) -> tuple[float | int, str]:
    """Check one `{value, unit, source}` entry; return its SI value and its line for the sources."""
    at = f"{where}: `{parameter.path}`"
    if not isinstance(entry, Mapping) or set(entry) != {"value", "unit", "source"}:
        raise InvalidInputError(f"{at} must be {{value: number, unit: text, source: text}}, but got {entry!r}")
    value, unit, source = entry["value"], str(entry["unit"]), entry["source"]
    units = UNITS[parameter.dimension]
    if unit not in units:
        raise InvalidInputError(f"{at}.unit must be one of {', '.join(units)}, but got {unit!r}")
    if not isinstance(source, str) or not source.strip():
        raise InvalidInputError(f"{at}.source must say where the value comes from, but got {source!r}")
    number = not isinstance(value, bool) and isinstance(value, int | float) and math.isfinite(value)
    si = value * units[unit] if number else math.nan
    if not parameter.low <= si <= parameter.high or (parameter.whole and si != int(si)):
        kind = "a whole number" if parameter.whole else "a finite number"
        low, high = (f"{bound / units[unit]:g}" for bound in (parameter.low, parameter.high))
        raise InvalidInputError(f"{at}.value must be {kind} in {low}..{high} {unit}, but got {value!r}")
    shown = f"{value:g}" if unit == "1" else f"{value:g} {unit}"
    return (int(si) if parameter.whole else float(si)), f"{shown}; {' '.join(source.split())}"
