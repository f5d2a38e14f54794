"""SRAM macros that compute in memory, analogue (`aimc`) and digital (`dimc`): a closed form, vectorised.

Source: ZigZag's model of SRAM macros at 28 nm and 0.9 V (MIT). Cells, logic and converters of one macro; input and
output registers, weight writes and control are not in it.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

import numpy as np

from axdnn.hardware.imc import gates
from axdnn.hardware.imc.constants import values
from axdnn.hardware.imc.gates import Floats, Number, at_least, floats
from axdnn.hardware.imc.voltage import alpha_power_delay
from axdnn.records import InvalidInputError

MacroKind = Literal["aimc", "dimc"]
ENERGY_PARTS = ("dac", "adc", "multipliers", "bit_lines", "tree", "place_value", "accumulators")
AREA_PARTS = ("cells", "adc", "multipliers", "tree", "place_value", "accumulators")
REFERENCE_V = 0.9
"""Supply at which the delays were fitted."""


class SramMacro(NamedTuple):
    """Cost of a macro; everything broadcasts over the parameters.

    Attributes:
        clock_s: period of one step (`bits_per_cycle` bits of every activation).
        energy_j: part -> energy of one step of the full macro at full activity.
        area_m2: part -> area.
        macs_per_cycle: full products a step, `columns * rows * banks * bits_per_cycle / activation_bits`.
    """

    clock_s: Floats
    energy_j: dict[str, Floats]
    area_m2: dict[str, Floats]
    macs_per_cycle: Floats

    @property
    def cycle_j(self) -> Floats:
        """Energy of one step."""
        return floats(sum(self.energy_j.values()))

    @property
    def logic_m2(self) -> Floats:
        """Area without the memory cells."""
        return floats(sum(area for part, area in self.area_m2.items() if part != "cells"))

    @property
    def mac_j(self) -> Floats:
        """Energy of one product of full width."""
        return floats(self.cycle_j / self.macs_per_cycle)

    @property
    def ops_s(self) -> Floats:
        """Operations a second, two a product."""
        return floats(2 * self.macs_per_cycle / self.clock_s)

    @property
    def ops_j(self) -> Floats:
        """Operations a joule: 1e12 is one TOPS/W."""
        return floats(2 / self.mac_j)


def sram_macro(
    kind: MacroKind,
    rows: Number,
    columns: Number,
    *,
    banks: Number = 1,
    activation_bits: Number = 8,
    weight_bits: Number = 8,
    bits_per_cycle: Number = 1,
    adc_bits: Number = 8,
    vdd_v: Number = REFERENCE_V,
) -> SramMacro:
    """Price an SRAM macro at full use and full activity.

    Args:
        kind: `aimc`: bit lines add, converters read them; `dimc`: adder trees.
        rows: numbers that one column sums, at least 2; powers of two are what the model was made for.
        columns: weights in a row, so `columns * weight_bits` cells.
        banks: copies that work in parallel.
        activation_bits: width of activations.
        weight_bits: width of weights, one bit a cell.
        bits_per_cycle: bits of every activation that enter in a step, at most `activation_bits`.
        adc_bits: of the converters, one a cell column; not used by `dimc`.
        vdd_v: supply. Energy goes with its square. The source knows delays at 0.9 V only; at other supplies they
            are scaled by the alpha-power law, which is an assumption.

    Raises:
        InvalidInputError: unknown kind, or a parameter out of range.
    """
    if kind not in get_args(MacroKind):
        raise InvalidInputError(f"`kind` must be one of {', '.join(get_args(MacroKind))}, but got {kind!r}")
    r, c, d = at_least("rows", rows, 2), at_least("columns", columns, 1), at_least("banks", banks, 1)
    a, w = at_least("activation_bits", activation_bits, 1), at_least("weight_bits", weight_bits, 1)
    s, q = at_least("bits_per_cycle", bits_per_cycle, 1), at_least("adc_bits", adc_bits, 1 if kind == "aimc" else 0)
    if not bool(np.all(s <= a)):
        raise InvalidInputError(
            f"`bits_per_cycle` must be at most `activation_bits`, but got {np.max(s):g} and {np.min(a):g}"
        )
    outputs, cells = c * d, c * r * d * w
    counts = adder_counts(kind, r, a, w, s, q)
    v = floats(vdd_v)
    return SramMacro(
        clock_s=clock_s(kind, r, a, w, s, q) * alpha_power_delay(v, REFERENCE_V),
        energy_j=_energy(kind, r * d, outputs, cells, w, s, q, v, counts),
        area_m2=_area(kind, outputs, cells, w, s, q, counts),
        macs_per_cycle=floats(c * r * d * s / a),
    )


class AdderCounts(NamedTuple):
    """Full adders behind one column of weights; `accumulator_bits` have an adder and a register each."""

    tree: Floats
    place_value: Floats
    accumulator_bits: Floats


def adder_counts(kind: MacroKind, rows: Floats, a: Floats, w: Floats, s: Floats, adc_bits: Floats) -> AdderCounts:
    """Adders of one column of weights: `s` trees of `rows` inputs (digital), place values, accumulator if `s < a`."""
    if kind == "aimc":
        tree, place_value = floats(0.0), gates.place_value_adders(w, adc_bits)
        width = a + adc_bits + w
    else:
        tree = s * gates.tree_adders(rows, w)
        place_value = gates.place_value_adders(s, w + np.log2(rows))
        width = a + np.log2(rows) + w
    return AdderCounts(tree, place_value, floats(np.where(s < a, width, 0.0)))


def _energy(
    kind: MacroKind,
    all_rows: Floats,
    outputs: Floats,
    cells: Floats,
    w: Floats,
    s: Floats,
    adc_bits: Floats,
    vdd_v: Floats,
    counts: AdderCounts,
) -> dict[str, Floats]:
    """Energy of a step by part."""
    zero = np.zeros_like(outputs * vdd_v)
    analogue = kind == "aimc"
    adder = gates.adder_j(vdd_v)
    return {
        "dac": gates.dac_j(s, vdd_v) * all_rows if analogue else zero,
        "adc": gates.adc_j(adc_bits, vdd_v) * w * outputs if analogue else zero,
        "multipliers": gates.multiplier_j(vdd_v) * cells * (1 if analogue else s),
        "bit_lines": gates.line_j(vdd_v) * cells if analogue else zero,
        "tree": adder * counts.tree * outputs,
        "place_value": adder * counts.place_value * outputs,
        "accumulators": (adder + gates.register_j(vdd_v)) * counts.accumulator_bits * outputs,
    }


def _area(
    kind: MacroKind, outputs: Floats, cells: Floats, w: Floats, s: Floats, adc_bits: Floats, counts: AdderCounts
) -> dict[str, Floats]:
    """Area by part."""
    analogue = kind == "aimc"
    return {
        "cells": values("gates_28nm")["cell_area"] * cells,
        "adc": gates.adc_m2(adc_bits) * w * outputs if analogue else np.zeros_like(outputs),
        "multipliers": gates.gate_m2() * cells * (1 if analogue else s),
        "tree": gates.adder_m2() * counts.tree * outputs,
        "place_value": gates.adder_m2() * counts.place_value * outputs,
        "accumulators": (gates.adder_m2() + gates.register_m2()) * counts.accumulator_bits * outputs,
    }


def clock_s(kind: MacroKind, rows: Floats, a: Floats, w: Floats, s: Floats, adc_bits: Floats) -> Floats:
    """Period at 0.9 V: multiplier, converter or tree, place values, and the carries that the accumulator adds."""
    if kind == "aimc":
        first, sum_bits = gates.adc_s(adc_bits, rows), adc_bits
        added, width = w, a + adc_bits + w
    else:
        sum_bits = w + np.log2(rows)
        first = gates.tree_s(rows, sum_bits - 1)
        added, width = s, a + sum_bits
    placed_bits = np.where(added > 1, added + sum_bits, sum_bits)
    accumulate = gates.carry_out_s() + (width - placed_bits - 1) * gates.carry_s()
    return floats(gates.gate_s() + first + gates.tree_s(added, added) + np.where(s < a, accumulate, 0.0))
