"""`ImcChip`: a chip of in-memory arrays as numbers in SI units, every one with its source."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import msgspec

from axdnn.hardware.design_files import is_path, read_text, read_yaml, shipped_names, shipped_text
from axdnn.hardware.imc.chip_keys import keys_of, read_chip
from axdnn.hardware.interface import one_or_all, pairs
from axdnn.records import Assignment, CostReport, InvalidInputError, Multiplier, Network, unknown_name


class ImcChip(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Equal arrays that keep weights, with drivers and converters, behind one buffer. Fields are in SI units, named.

    Attributes:
        name, description: label and one sentence.
        kind: `resistive` (crossbars), `aimc` or `dimc` (SRAM macros of the closed form, see `sram_macro`).
        arrays, rows, columns: `arrays` of `rows x columns` cells.
        activation_bits, weight_bits, output_bits: widths of what is computed; input_bits: bits a row gets in a step.
        reload: 1 = weights that do not fit are written in every inference, 0 = such a network is infeasible.
        node_nm: technology; scales the ADC models of resistive chips, 28 for SRAM kinds.
        vdd_v: supply of SRAM kinds; parts of resistive chips are given at their own.
        write_row_s, parallel_writes: time to write a row, and arrays that are written at once.
        write_j: energy to write a cell.
        accumulate_j: a 32-bit addition that joins sums of two row tiles.
        interconnect_j_b: per byte between buffer and array, or array and array.
        weight_fetch_j_b: per byte of weights that are reloaded.
        adc_bits: of the converters.
        cell_bits, cells_per_slice: bits of a cell; 2 = a positive and a negative cell each.
        read_v, on_s, off_s, read_s: voltage, conductances and time of one read pulse.
        adc_model: `sar_table`, `survey` (see `converters`), or `per_bit`: `adc_bit_j` a bit and `adc_m2`.
        columns_per_adc: columns that share a converter, one after the other.
        slices_per_conversion: activation slices that a column adds up in analogue before it converts.
        flipped: 1 = columns of large sums hold inverted weights, which saves an ADC bit.
        integrate_s, integrate_j: one integration; p slices of b bits take `(2^pb - 1) / (2^b - 1)` of them.
        convert_bit_s: time of a conversion / its bits.
        pipelined: 1 = columns are converted while the next step is read.
        drive_j, sample_j, shift_add_j: a driven row, a sampled column, the digital work behind one conversion.
        array_leakage_w, shared_leakage_w: of one array, and of all the rest.
        sources: key path -> `value unit; source`.
    """

    name: str
    description: str
    kind: str
    arrays: int
    rows: int
    columns: int
    activation_bits: int
    weight_bits: int
    output_bits: int
    input_bits: int
    reload: int
    node_nm: float
    write_row_s: float
    parallel_writes: int
    buffer_bandwidth_b_s: float
    write_j: float
    accumulate_j: float
    buffer_read_j_b: float
    buffer_write_j_b: float
    interconnect_j_b: float
    weight_fetch_j_b: float
    buffer_m2: float
    interconnect_m2: float
    array_leakage_w: float
    shared_leakage_w: float
    vdd_v: float = 0.9
    adc_bits: int = 1
    cell_bits: int = 1
    cells_per_slice: int = 1
    read_v: float = 0.0
    on_s: float = 0.0
    off_s: float = 0.0
    adc_model: str = ""
    columns_per_adc: int = 1
    slices_per_conversion: int = 1
    flipped: int = 0
    adc_bit_j: float = 0.0
    adc_m2: float = 0.0
    read_s: float = 0.0
    integrate_s: float = 0.0
    convert_bit_s: float = 0.0
    pipelined: int = 0
    drive_j: float = 0.0
    sample_j: float = 0.0
    integrate_j: float = 0.0
    shift_add_j: float = 0.0
    cell_m2: float = 0.0
    driver_m2: float = 0.0
    sample_m2: float = 0.0
    shift_add_m2: float = 0.0
    sources: dict[str, str] = {}

    def replace(self, **changes: Any) -> ImcChip:
        """Return a copy with some fields changed; their sources say so. Values are SI; ranges are not checked."""
        paths = {key.field: key.path for key in keys_of(self.kind)}
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
        """Price networks, see `Machine.cost`; `options` are those of `imc_report`.

        Cells multiply exactly but for their converters, so an assignment may name nothing but `exact`.

        Raises:
            InvalidInputError: an assignment with approximate multipliers.
        """
        from axdnn.hardware.imc.report import imc_report  # prices this class

        reports = []
        for network, assignment in pairs(networks, assignments):
            if other := sorted(set(assignment.kinds if assignment else ()) - {"exact"}):
                raise InvalidInputError(f"{self.name!r} computes in memory and holds no multipliers, but got {other}")
            reports.append(imc_report(network, self, **options))
        return one_or_all(networks, assignments, reports)


def list_imc_chips() -> list[str]:
    """Names of the in-memory chips that ship with axdnn, sorted."""
    return shipped_names("axdnn.hardware.imc")


def load_imc_chip(name_or_path: str | os.PathLike[str]) -> ImcChip:
    """Load a shipped chip by name, or a user's by the path of a YAML file.

    A string is a path if it ends in `.yaml` or `.yml` or holds a path separator.

    Raises:
        UnknownNameError: no chip of that name; the message lists the nearest.
        InvalidInputError: the file cannot be read or breaks the schema; names the file and every key at fault.
    """
    text = os.fspath(name_or_path)
    if is_path(name_or_path):
        return parse_imc_chip(read_text(text, "chip"), text)
    if text not in (known := list_imc_chips()):
        raise unknown_name("in-memory chip", text, known, "a path to a YAML file works too")
    return _shipped(text)


@cache
def _shipped(name: str) -> ImcChip:
    return parse_imc_chip(shipped_text("axdnn.hardware.imc", name), f"{name}.yaml")


def parse_imc_chip(text: str, where: str) -> ImcChip:
    """Read a chip from YAML text; `where` names the file in errors.

    Raises:
        InvalidInputError: not YAML, or missing, unknown or illegal entries, all of them named.
    """
    data, wrong = read_yaml(text, where)
    if data is None and wrong:
        raise InvalidInputError(wrong[0])
    fields, sources, faults = read_chip(data)
    if faults := wrong + faults:
        raise InvalidInputError(
            "\n".join([f"{where} has {len(faults)} fault(s):", *(f"  {fault}" for fault in faults)])
        )
    return msgspec.convert({**fields, "sources": sources}, ImcChip)


def imc_chip_faults(text: str, where: str) -> list[str]:
    """Return everything that is wrong with the YAML text of a chip, a sentence each; none if it is valid.

    Args:
        text: of the file.
        where: names the file in the sentences.
    """
    data, wrong = read_yaml(text, where)
    if data is None and wrong:
        return wrong
    return wrong + [f"{where}: {fault}" for fault in read_chip(data)[2]]
