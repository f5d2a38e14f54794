"""Unit costs of one array of a chip, resistive or SRAM: energy of each kind of event, time of a round, areas."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from axdnn.hardware.imc import gates
from axdnn.hardware.imc.activity import Activity, analogue_share
from axdnn.hardware.imc.constants import values
from axdnn.hardware.imc.converters import Adc, sar_adc, survey_adc
from axdnn.hardware.imc.gates import Floats, floats
from axdnn.hardware.imc.macro import REFERENCE_V, MacroKind, adder_counts, clock_s
from axdnn.hardware.imc.voltage import alpha_power_delay
from axdnn.records import InvalidInputError

Parameters = Mapping[str, Floats]
"""Fields of a chip in SI units; arrays of shape `(candidates..., 1)`."""


class ArrayCosts(NamedTuple):
    """Energies at the given activity, `(candidates..., layers)` or less; a round ends with one conversion of a column.

    Attributes:
        word_line_j: a driven row, for each cell on it, used or not (SRAM).
        bit_line_j: a read column, for each cell on it, used or not (SRAM).
        cell_j: a cell under a driven row in a used column (resistive).
        drive_j: a driven row.
        convert_j: a converted column, sampling and integration included.
        shift_add_j: digital work behind one conversion.
        output_j: digital work behind one weight column (trees, place values, accumulator of SRAM macros).
        slices: activation slices of one round.
        round_s: time of a round.
        area_m2: part -> area of one array.
    """

    word_line_j: Floats
    bit_line_j: Floats
    cell_j: Floats
    drive_j: Floats
    convert_j: Floats
    shift_add_j: Floats
    output_j: Floats
    slices: Floats
    round_s: Floats
    area_m2: dict[str, Floats]


def array_costs(kind: str, p: Parameters, activity: Activity) -> ArrayCosts:
    """Unit costs of an array; see `ImcChip` for the parameters."""
    if kind == "resistive":
        return _resistive(p, activity)
    return _sram("aimc" if kind == "aimc" else "dimc", p, activity)


def adc_of(p: Parameters, model: str) -> Adc:
    """The converter of a resistive chip.

    Raises:
        InvalidInputError: bits that the model does not know, or a survey's converter that takes no time.
    """
    bits = p["adc_bits"]
    if model == "sar_table":
        return sar_adc(bits, p["node_nm"])
    if model == "survey":
        if not bool(np.all(p["convert_bit_s"] > 0)):
            raise InvalidInputError("`convert_bit_s` > 0 must hold for the ADC model `survey`, which prices speed")
        return survey_adc(bits, p["node_nm"], 1 / (p["convert_bit_s"] * bits))
    return Adc(floats(bits * p["adc_bit_j"]), floats(p["adc_m2"]))


def _resistive(p: Parameters, activity: Activity) -> ArrayCosts:
    """A crossbar: `V^2 G t` a cell, p slices a conversion, columns that share converters one after the other."""
    zero = np.zeros_like(p["rows"])
    slices, width = p["slices_per_conversion"], p["input_bits"]
    integrations = (2.0 ** (slices * width) - 1) / (2.0**width - 1)
    off = p["off_s"] / np.where(p["on_s"] > 0, p["on_s"], 1.0)
    full_cell = p["read_v"] ** 2 * p["on_s"] * p["read_s"]
    read = slices * p["read_s"] + integrations * p["integrate_s"]
    convert = p["columns_per_adc"] * p["adc_bits"] * p["convert_bit_s"]
    adcs = np.ceil(p["columns"] / p["columns_per_adc"])
    return ArrayCosts(
        word_line_j=zero,
        bit_line_j=zero,
        cell_j=full_cell * analogue_share(activity, width, off),
        drive_j=p["drive_j"],
        convert_j=p["adc_j"] + slices * p["sample_j"] + integrations * p["integrate_j"],
        shift_add_j=p["shift_add_j"],
        output_j=zero,
        slices=slices,
        round_s=np.where(p["pipelined"] > 0, np.maximum(read, convert), read + convert),
        area_m2={
            "cells": p["rows"] * p["columns"] * p["cell_m2"],
            "adc": adcs * p["adc_area_m2"] + p["columns"] * p["sample_m2"],
            "dac": p["rows"] * p["driver_m2"],
            "adders": adcs * p["shift_add_m2"],
        },
    )


def _sram(kind: MacroKind, p: Parameters, activity: Activity) -> ArrayCosts:
    """An SRAM macro by the parts of `sram_macro`; a full layer costs what the macro does."""
    v, r, s, w = p["vdd_v"], p["rows"], p["input_bits"], p["weight_bits"]
    a, bits = p["activation_bits"], p["adc_bits"]
    share = floats(activity.activation_toggles) * floats(activity.weight_ones)
    counts = adder_counts(kind, r, a, w, s, bits)
    adder, register = gates.adder_j(v), gates.register_j(v)
    analogue = kind == "aimc"
    zero = np.zeros_like(r * v)
    columns, cells = p["columns"] / w, p["columns"] * r
    area_adders = gates.adder_m2() * (counts.tree + counts.place_value)
    return ArrayCosts(
        word_line_j=gates.multiplier_j(v) * (1.0 if analogue else s) * share,
        bit_line_j=gates.line_j(v) * share if analogue else zero,
        cell_j=zero,
        drive_j=gates.dac_j(s, v) if analogue else zero,
        convert_j=gates.adc_j(bits, v) if analogue else zero,
        shift_add_j=zero,
        output_j=adder * (counts.tree * share + counts.place_value) + (adder + register) * counts.accumulator_bits,
        slices=np.ones_like(r),
        round_s=clock_s(kind, r, a, w, s, bits) * alpha_power_delay(v, REFERENCE_V),
        area_m2={
            "cells": cells * (values("gates_28nm")["cell_area"] + gates.gate_m2() * (1.0 if analogue else s)),
            "adc": p["columns"] * gates.adc_m2(bits) if analogue else zero,
            "dac": zero,
            "adders": columns * (area_adders + (gates.adder_m2() + gates.register_m2()) * counts.accumulator_bits),
        },
    )
