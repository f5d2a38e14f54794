"""Parts of 28 nm SRAM macros: adders, registers, multipliers, converters. All functions broadcast over NumPy arrays.

Source of forms and numbers: ZigZag's SRAM in-memory model (`imc_array.py`, `imc_unit.py`, MIT), see
`data/gates_28nm.csv`. A switched capacitance C costs `C * V^2`. Counts hold for powers of two; between them the
logarithm is not rounded, so a search sees no jumps.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from axdnn.hardware.imc.constants import values
from axdnn.records import InvalidInputError

Floats = npt.NDArray[np.float64]
Number = npt.ArrayLike


def floats(value: Number) -> Floats:
    """The value as an array of doubles."""
    return np.asarray(value, dtype=np.float64)


def at_least(name: str, value: Number, low: float) -> Floats:
    """The value as doubles, refused where it is below `low` or not a number."""
    array = floats(value)
    if not bool(np.all(array >= low)):
        raise InvalidInputError(f"`{name}` >= {low:g} must hold, but got {np.min(array):g}")
    return array


def adder_j(vdd_v: Number) -> Floats:
    """Energy of a full adder (3 NAND2 and 2 XOR2) that switches."""
    g = values("gates_28nm")
    return floats(g["nand2_capacitance"] * (3 + 2 * g["xor2_capacitance_ratio"]) * floats(vdd_v) ** 2)


def adder_m2() -> float:
    """Area of a full adder."""
    g = values("gates_28nm")
    return g["nand2_area"] * (3 + 2 * g["xor2_area_ratio"])


def register_j(vdd_v: Number) -> Floats:
    """Energy of one flip-flop."""
    g = values("gates_28nm")
    return floats(g["nand2_capacitance"] * g["register_capacitance_ratio"] * floats(vdd_v) ** 2)


def register_m2() -> float:
    """Area of one flip-flop."""
    g = values("gates_28nm")
    return g["nand2_area"] * g["register_area_ratio"]


def multiplier_j(vdd_v: Number) -> Floats:
    """Energy of a one-bit product whose weight stays: half a gate."""
    return floats(0.5 * values("gates_28nm")["nand2_capacitance"] * floats(vdd_v) ** 2)


def line_j(vdd_v: Number) -> Floats:
    """Energy of the bit line of one cell."""
    g = values("gates_28nm")
    return floats(g["nand2_capacitance"] * g["cell_line_ratio"] * floats(vdd_v) ** 2)


def gate_m2() -> float:
    """Area of a NAND2, also that of a one-bit multiplier."""
    return values("gates_28nm")["nand2_area"]


def gate_s() -> float:
    """Delay of a NAND2, also that of a one-bit multiplier."""
    return values("gates_28nm")["nand2_delay"]


def sum_s() -> float:
    """Delay of a full adder from input to sum: two XOR2."""
    return 2 * gate_s() * values("gates_28nm")["xor2_delay_ratio"]


def carry_out_s() -> float:
    """Delay of a full adder from input to carry: an XOR2 and two NAND2."""
    return gate_s() * (values("gates_28nm")["xor2_delay_ratio"] + 2)


def carry_s() -> float:
    """Delay of a full adder from carry to carry: two NAND2."""
    return 2 * gate_s()


def tree_adders(inputs: Number, bits: Number) -> Floats:
    """Full adders of a ripple-carry tree that sums `inputs` numbers of `bits` bits."""
    n, b = floats(inputs), floats(bits)
    return floats(n * (b + 1) - (b + np.log2(n) + 1))


def place_value_adders(inputs: Number, bits: Number) -> Floats:
    """Full adders of a tree that sums `inputs` numbers of `bits` bits, each shifted one bit further; 0 for one."""
    n, b = floats(inputs), floats(bits)
    return floats(np.where(n > 1, b * (n - 1) + n * (np.log2(n) - 0.5), 0.0))


def tree_s(inputs: Number, ripple_bits: Number) -> Floats:
    """Delay of a tree: sums down to the last adder, whose carry ripples through `ripple_bits` bits; 0 for one input."""
    n = floats(inputs)
    path = (np.log2(n) - 1) * sum_s() + carry_out_s() + (floats(ripple_bits) - 1) * carry_s()
    return floats(np.where(n > 1, path, 0.0))


def adc_j(bits: Number, vdd_v: Number) -> Floats:
    """Energy of one conversion."""
    g, b = values("gates_28nm"), floats(bits)
    charge = g["adc_capacitance_per_bit"] * b + g["adc_capacitance_per_level2"] * 4.0**b
    return floats(charge * floats(vdd_v) ** 2)


def adc_m2(bits: Number) -> Floats:
    """Area of one converter; a comparator of one bit counts as nothing, as in the source."""
    g, b = values("gates_28nm"), floats(bits)
    area = 10.0 ** (g["adc_area_log10_slope"] * b + g["adc_area_log10_intercept"]) * 2.0**b * 1e-12
    return floats(np.where(b > 1, area, 0.0))


def adc_s(bits: Number, rows: Number) -> Floats:
    """Time of one conversion, the settling of a bit line of `rows` cells included."""
    g = values("gates_28nm")
    return floats(floats(bits) * (g["adc_delay_per_row"] * floats(rows) + g["adc_delay_per_bit"]))


def dac_j(bits: Number, vdd_v: Number) -> Floats:
    """Energy of driving one row with `bits` bits; 0 for one bit, which the word line carries."""
    b = floats(bits)
    drive = values("gates_28nm")["dac_capacitance_per_bit"] * b * floats(vdd_v) ** 2
    return floats(np.where(b > 1, drive, 0.0))
