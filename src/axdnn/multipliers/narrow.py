"""Exact multipliers of fewer bits inside a circuit: how many upper bits of its operands it multiplies exactly."""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt

from axdnn.records import Multiplier

LEAST_BITS = 2
_NARROWED = re.compile(r"(?P<circuit>.+)\.(?P<a_bits>[1-8])x(?P<w_bits>[1-8])")


def exact_widths(multiplier: Multiplier) -> tuple[tuple[int, int], ...]:
    """Return the largest pairs of operand widths at which a circuit multiplies exactly, 2 to 8 bits each.

    At widths (a, w) only the upper bits of either operand are used and the low ones are 0: the products of all such
    operand pairs are compared with the exact ones. Of `sign_magnitude` weights one bit is the sign and the others are
    the upper ones of the magnitude; of signed operands the sign counts as a bit. No pair contains another one.

    Args:
        multiplier: as it is wired.

    Example:
        >>> from axdnn.multipliers import load_multiplier
        >>> exact_widths(load_multiplier("mul8s_1L2L"))
        ((6, 6),)
    """
    wrong = multiplier.table != multiplier.exact_table
    found: list[tuple[int, int]] = []
    for a_bits in range(8, LEAST_BITS - 1, -1):
        columns = wrong[_low_bits_zero(multiplier.a_values, a_bits)].any(axis=0)
        for w_bits in range(8, LEAST_BITS - 1, -1):
            if not columns[_low_bits_zero(_w_codes(multiplier), w_bits)].any():
                if not found or w_bits > found[-1][1]:
                    found.append((a_bits, w_bits))
                break
    return tuple(found)


def narrowed_name(name: str) -> tuple[str, int, int] | None:
    """Return circuit and widths of a name like `mul8u_QKX.8x1`, None for any other name."""
    match = _NARROWED.fullmatch(name)
    return None if match is None else (match["circuit"], int(match["a_bits"]), int(match["w_bits"]))


def _low_bits_zero(codes: npt.NDArray[np.signedinteger], bits: int) -> npt.NDArray[np.bool_]:
    return np.asarray(codes & ((1 << (8 - bits)) - 1) == 0)


def _w_codes(multiplier: Multiplier) -> npt.NDArray[np.signedinteger]:
    """Codes whose low bits count: the stored magnitude of `sign_magnitude`, the number itself otherwise."""
    return multiplier.w_values // 2 if multiplier.coding == "sign_magnitude" else multiplier.w_values
