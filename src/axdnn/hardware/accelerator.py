"""`Accelerator`: a multi-pod systolic array as numbers in SI units, every one with its source."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import msgspec

from axdnn.hardware.design_files import is_path, read_text, read_yaml, shipped_names, shipped_text
from axdnn.hardware.interface import exact_assignment, one_or_all, pairs
from axdnn.hardware.parameters import (
    OPTIONAL,
    PARAMETERS,
    entry_faults,
    key_faults,
    read_entry,
    together_faults,
)
from axdnn.hardware.systolic import Dataflow, Timing
from axdnn.hardware.technology.topology import Topology
from axdnn.records import Assignment, CostReport, InvalidInputError, Multiplier, Network, unknown_name


class Accelerator(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A multi-pod systolic array. Fields are in SI units, named; see `designs/*.yaml`.

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
        exact_rows: rows of every pod, the first ones, that keep exact multipliers; 0 = none. Each pod still counts as
            one kind, that of its other rows, and a layer that must be wholly exact runs on pods whose kind is exact.
        fill: where a fold that does not fill the rows lies, `top` or `bottom`; see `exact_terms`.
        pods_together: neighbouring pods that always hold the same kind, so kinds get multiples of it. A chip of many
            pods needs it to be searched: at most 16 such groups are quick.
        dataflow: what stays in the pods: weights (`ws`), sums (`os`) or inputs (`is`).
        timing: how folds follow each other, see `operation_cycles`.
        interconnect: network between buffers and pods, see `interconnect_j_b`, `network_cycles` and `port_sharing`.
        pack_groups: 1 = small groups of a grouped layer share a tile, see `tiling`.
        weights_stay_on_chip: 1 = weights that fit stay from one inference to the next, see `resident_weights`.
        vector_*: the vector unit, lanes of the whole chip, operations a lane starts in a cycle, cycles that a
            transcendental occupies a lane, joules of one operation of that width; None = see `vector_unit`.
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
    exact_rows: int = 0
    fill: str = "top"
    pods_together: int = 1
    dataflow: Dataflow = "ws"
    timing: Timing = "pipelined"
    interconnect: Topology = "butterfly"
    weights_stay_on_chip: int = 0
    pack_groups: int = 0
    vector_lanes: int | None = None
    vector_operations: int | None = None
    vector_transcendental_cycles: int | None = None
    vector_8bit_j: float | None = None
    vector_16bit_j: float | None = None
    vector_32bit_j: float | None = None
    vector_transcendental_j: float | None = None
    sources: dict[str, str] = {}

    def replace(self, **changes: Any) -> Accelerator:
        """Return a copy with some fields changed; their sources say so. Values are SI; ranges are not checked."""
        paths = {p.field: p.path for p in (*PARAMETERS, *OPTIONAL)}
        changed = {paths[f]: f"{v!r} (SI); changed by the caller" for f, v in changes.items() if f in paths}
        return msgspec.structs.replace(self, **{"sources": {**self.sources, **changed}, **changes})

    def cost(
        self,
        networks: Network | Sequence[Network],
        assignments: Assignment | Sequence[Assignment] | None = None,
        *,
        multipliers: Mapping[str, Multiplier] | None = None,
        **options: Any,
    ) -> CostReport | tuple[CostReport, ...]:
        """Price networks under assignments, see `Machine.cost`; `options` are those of `estimate`."""
        from axdnn.hardware.estimate import estimate  # prices this class
        from axdnn.multipliers import load_multiplier

        known = dict(multipliers or {})
        reports = []
        for network, assignment in pairs(networks, assignments):
            chosen = assignment or exact_assignment(network)
            if "exact" in chosen.kinds and "exact" not in known:
                known["exact"] = load_multiplier("exact")
            reports.append(estimate(network, chosen, self, multipliers=known, **options))
        return one_or_all(networks, assignments, reports)


def list_accelerators() -> list[str]:
    """Names of the accelerators that ship with axdnn, sorted."""
    return shipped_names("axdnn.hardware")


def load_accelerator(name_or_path: str | os.PathLike[str]) -> Accelerator:
    """Load a shipped accelerator by name, or a user's by the path of a YAML file.

    A string is a path if it ends in `.yaml` or `.yml` or holds a path separator.

    Raises:
        UnknownNameError: no accelerator of that name; the message lists the nearest.
        InvalidInputError: the file cannot be read or breaks the schema; names file, key path and what is allowed.
    """
    text = os.fspath(name_or_path)
    if is_path(name_or_path):
        return parse_accelerator(read_text(text, "accelerator"), text)
    if text not in (known := list_accelerators()):
        raise unknown_name(
            "accelerator", text, known, "`axdnn accelerators list` prints all of them; a path to a YAML file works too"
        )
    return _shipped(text)


@cache
def _shipped(name: str) -> Accelerator:
    return parse_accelerator(shipped_text("axdnn.hardware", name), f"{name}.yaml")


def parse_accelerator(text: str, where: str) -> Accelerator:
    """Read an accelerator from YAML text; `where` names the file in errors.

    Raises:
        InvalidInputError: not YAML, or a missing, unknown or illegal entry; the message names all faults.
    """
    faults, found = _read(text, where)
    if faults:
        raise InvalidInputError("; ".join(faults))
    return msgspec.convert(found, Accelerator)


def accelerator_faults(text: str, where: str) -> list[str]:
    """Return everything that is wrong with the YAML text of an accelerator, a sentence each; none if it is valid.

    A section that is missing or no mapping is one fault, and what would stand in it is not looked at.

    Args:
        text: of the file.
        where: names the file in the sentences.
    """
    return _read(text, where)[0]


def _read(text: str, where: str) -> tuple[list[str], dict[str, Any]]:
    """Return all faults, and the fields of the accelerator as far as they are legal."""
    data, wrong = read_yaml(text, where)
    if data is None and wrong:
        return wrong, {}
    if not isinstance(data, Mapping):
        return [f"{where} must hold a mapping of sections, but got {type(data).__name__}"], {}
    faults = wrong + key_faults(data, where)
    labels = {key: data[key] for key in ("name", "description") if key in data}
    for key, value in labels.items():
        if not isinstance(value, str) or not value.strip():
            faults.append(f"{where}: `{key}` must be a text, but got {value!r}")
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for parameter in (*PARAMETERS, *OPTIONAL):
        section, key = parameter.path.split(".")
        entries = data.get(section)
        if not isinstance(entries, Mapping) or key not in entries:
            continue
        if wrong := entry_faults(entries[key], parameter, where):
            faults += wrong
        else:
            values[parameter.field], sources[parameter.path] = read_entry(entries[key], parameter)
    return faults + together_faults(values, where), {**labels, **values, "sources": sources}
