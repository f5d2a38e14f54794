"""Energy and area of arithmetic by named set, scaled with operand width, and how far the sets differ.

Width rule: a multiplier goes with the product of its operand widths, an adder with its width, a register with its bits.
Sets hold operations named `mul_int8`, `add_int32`, `mac_int8`, `register` and so on; areas end in `_area`.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from axdnn.hardware.technology.nodes import node_energy_factor
from axdnn.hardware.technology.rows import Floats, checked, pick, sets
from axdnn.records import InvalidInputError

Quantity = Literal["energy", "area"]
DEFAULT_NODE_NM = 45


def list_arithmetic_sets() -> list[str]:
    """Names of the sets, sorted."""
    return sorted(sets("arithmetic"))


def list_operations(set_name: str) -> list[str]:
    """What a set holds, sorted.

    Raises:
        UnknownNameError: no such set.
    """
    return sorted(sets("arithmetic")[pick("arithmetic set", set_name, list_arithmetic_sets())])


def operation(set_name: str, name: str) -> float:
    """One number of a set as it stands, in SI: joules, square metres (`..._area`) or watts (`..._leakage`).

    `register` and its area are for a bit.

    Raises:
        UnknownNameError: no such set or operation.
    """
    names = list_operations(set_name)
    row = sets("arithmetic")[set_name][pick(f"operation of {set_name!r}", name, names)]
    return row.si / 8 if row.unit == "pJ/B" else row.si


def _reference(set_name: str, kind: str, quantity: Quantity) -> tuple[float, int]:
    """The narrowest integer operation of a kind in a set, and its width in bits; NaN where the set has none."""
    tail = "_area" if quantity == "area" else ""
    for bits in (8, 32):
        if (name := f"{kind}_int{bits}{tail}") in list_operations(set_name):
            return operation(set_name, name), bits
    return math.nan, 8


def _missing(set_name: str, kind: str, quantity: str) -> InvalidInputError:
    return InvalidInputError(
        f"the arithmetic set {set_name!r} has no {quantity} of {kind}; it has {', '.join(list_operations(set_name))}"
    )


def _widths(**bits: npt.ArrayLike) -> list[Floats]:
    return [checked(label, values, 1, 4096, "bits") for label, values in bits.items()]


def multiplier(
    set_name: str, activation_bits: npt.ArrayLike, weight_bits: npt.ArrayLike, quantity: Quantity = "energy"
) -> Floats:
    """Exact integer multiplier, joules or square metres: the set's narrowest one, scaled with both widths.

    The rule misses the sets' own 32-bit multipliers by -24 % (7 nm) to +29 % (Horowitz's area).

    Raises:
        UnknownNameError: no such set.
        InvalidInputError: the set has no integer multiplier, or a width below 1.
    """
    a, w = _widths(activation_bits=activation_bits, weight_bits=weight_bits)
    value, bits = _reference(set_name, "mul", quantity)
    if math.isnan(value):
        raise _missing(set_name, "an integer multiplier", quantity)
    return np.asarray(value * a * w / bits**2)


def adder(set_name: str, bits: npt.ArrayLike, quantity: Quantity = "energy") -> Floats:
    """Integer adder, joules or square metres, linear in its width from the set's 32-bit one (else 8-bit).

    The rule misses the sets' own 8-bit adders by -17 % (Horowitz) to +7 % (7 nm).

    Raises:
        UnknownNameError: no such set.
        InvalidInputError: the set has no integer adder, or a width below 1.
    """
    (width,) = _widths(bits=bits)
    tail = "_area" if quantity == "area" else ""
    for reference in (32, 8):
        if (name := f"add_int{reference}{tail}") in list_operations(set_name):
            return np.asarray(operation(set_name, name) * width / reference)
    raise _missing(set_name, "an integer adder", quantity)


def register(set_name: str, bits: npt.ArrayLike, quantity: Quantity = "energy") -> Floats:
    """Registers of so many bits: energy of one access, or area; a source's range is taken at its geometric middle.

    Raises:
        UnknownNameError: no such set.
        InvalidInputError: the set has no register, or a width below 1.
    """
    (width,) = _widths(bits=bits)
    names = list_operations(set_name)
    name = "register_area" if quantity == "area" else "register"
    if name in names:
        return np.asarray(operation(set_name, name) * width)
    if quantity == "energy" and "register_low" in names:
        middle = math.sqrt(operation(set_name, "register_low") * operation(set_name, "register_high"))
        return np.asarray(middle * width)
    raise _missing(set_name, "a register", quantity)


def mac(
    set_name: str,
    activation_bits: npt.ArrayLike = 8,
    weight_bits: npt.ArrayLike = 8,
    accumulator_bits: npt.ArrayLike = 32,
    quantity: Quantity = "energy",
) -> Floats:
    """Multiply and add, joules or square metres, without registers.

    Sets with a multiplier and an adder give their sum. Sets that know only a whole 8-bit MAC give it scaled with both
    operand widths, whatever the accumulator.

    Raises:
        UnknownNameError: no such set.
        InvalidInputError: the set has neither, or a width below 1.
    """
    names, tail = list_operations(set_name), "_area" if quantity == "area" else ""
    if f"mac_int8{tail}" in names:
        a, w, _ = _widths(activation_bits=activation_bits, weight_bits=weight_bits, accumulator_bits=accumulator_bits)
        return np.asarray(operation(set_name, f"mac_int8{tail}") * a * w / 64)
    return np.asarray(
        multiplier(set_name, activation_bits, weight_bits, quantity) + adder(set_name, accumulator_bits, quantity)
    )


class Disagreement(NamedTuple):
    """How far sets differ on one operation: factor between most and least, and joules by set at one node."""

    factor: float
    energy_j: dict[str, float]

    @property
    def least(self) -> str:
        """Set with the least energy."""
        return min(self.energy_j, key=lambda name: self.energy_j[name])

    @property
    def most(self) -> str:
        """Set with the most energy."""
        return max(self.energy_j, key=lambda name: self.energy_j[name])


def arithmetic_disagreement(
    kind: Literal["mac", "register"] = "mac", node_nm: float = DEFAULT_NODE_NM, nearby_nm: float = math.inf
) -> Disagreement:
    """Compare every set on an 8-bit MAC with a 16-bit sum, or on a register bit, brought to one node.

    Sets that state no node cannot be scaled and are left out. Scaling is `node_energy_factor` at 0.8 V, so part of the
    factor is scaling; `nearby_nm` keeps to sets whose own node is that near.

    Raises:
        InvalidInputError: no set is left, or the node is outside 7..130 nm.
    """
    pick("comparison", kind, ("mac", "register"))
    found = {}
    for name in list_arithmetic_sets():
        node = next(iter(sets("arithmetic")[name].values())).node_nm
        if math.isnan(node) or abs(node - node_nm) > nearby_nm:
            continue
        try:
            value = mac(name, 8, 8, 16) if kind == "mac" else register(name, 1)
        except InvalidInputError:
            continue  # the set has no such operation
        found[name] = float(value * node_energy_factor(node, node_nm))
    if not found:
        raise InvalidInputError(f"no arithmetic set has a {kind} within {nearby_nm:g} nm of {node_nm:g} nm")
    return Disagreement(max(found.values()) / min(found.values()), found)
