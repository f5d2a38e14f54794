"""Families that find the leading one of each operand: DRUM, Mitchell's logarithmic multiplier, RoBA."""

from __future__ import annotations

import numpy as np

from axdnn.multipliers.families.base import BITS, Family, IntArray, Parameter

# Position of the leading one of 0..255, and -1 for 0.
_LEADING = np.array([value.bit_length() - 1 for value in range(2**BITS)], dtype=np.int64)


def _window(x: IntArray, k: int) -> IntArray:
    """Operand as DRUM sees it: k bits from the leading one on, the last of them 1, zeros below."""
    drop = np.maximum(_LEADING[x] - k + 1, 0)
    return np.where(drop > 0, (x >> drop | 1) << drop, x)


def _drum(a: IntArray, b: IntArray, *, k: int) -> IntArray:
    return _window(a, k) * _window(b, k)


def _mitchell(a: IntArray, b: IntArray) -> IntArray:
    """Antilogarithm of the sum of Mitchell's logarithms, on integers.

    With N = 2^k + r the product of the first branch is 2^(k1+k2) + r1 2^k2 + r2 2^k1, of the second twice the last two
    terms: both are whole numbers, so that the final shift of a circuit with 7 fraction bits drops only zeros.
    """
    k1, k2 = np.maximum(_LEADING[a], 0), np.maximum(_LEADING[b], 0)
    one = np.left_shift(1, k1 + k2)
    fractions = ((a - (1 << k1)) << k2) + ((b - (1 << k2)) << k1)
    return np.asarray(np.where((a == 0) | (b == 0), 0, np.where(fractions < one, one + fractions, 2 * fractions)))


def _nearest_power(x: IntArray) -> IntArray:
    """Nearest power of two; halfway cases go up, but 3 to 2; 0 stays 0."""
    low = 1 << np.maximum(_LEADING[x], 0)
    up = (2 * x >= 3 * low) & (x != 3)
    return np.asarray(np.where(x == 0, 0, np.where(up, 2 * low, low)))


def _roba(a: IntArray, b: IntArray) -> IntArray:
    ar, br = _nearest_power(a), _nearest_power(b)
    return np.asarray(ar * b + br * a - ar * br)


DRUM = Family(
    name="drum",
    title="DRUM",
    definition="Each operand is cut to the k bits from its leading one on and the last of them is set to 1, which "
    "removes the bias of cutting; operands that fit k bits pass unchanged; the windows are multiplied exactly.",
    source="S. Hashemi, R. I. Bahar, S. Reda, DRUM: a dynamic range unbiased multiplier for approximate applications, "
    "ICCAD 2015",
    parameters=(Parameter("k", 2, 8, "bits of the window; 8 is exact"),),
    product=_drum,
    signed="sign-magnitude",
)

MITCHELL = Family(
    name="mitchell",
    title="Mitchell's logarithmic multiplier",
    definition="log2(2^k (1 + x)) is taken as k + x, the logarithms are added, and the antilogarithm is taken by the "
    "same rule; the fraction keeps all 7 bits, and the final shift, which rounds down, drops only zeros; 0 gives 0.",
    source="J. N. Mitchell, Computer multiplication and division using binary logarithms, IRE Trans. Electronic "
    "Computers EC-11(4), 1962",
    parameters=(),
    product=_mitchell,
)

ROBA = Family(
    name="roba",
    title="RoBA",
    definition="With A' and B' the powers of two nearest to the operands (halfway goes up, but 3 goes to 2), the "
    "product is A' B + B' A - A' B'.",
    source="R. Zendegani, M. Kamal, M. Bahadori, A. Afzali-Kusha, M. Pedram, RoBA multiplier: a rounding-based "
    "approximate multiplier for high-speed yet energy-efficient digital signal processing, IEEE TVLSI 25(2), 2017 "
    "(unsigned U-RoBA, signed S-RoBA)",
    parameters=(),
    product=_roba,
    signed="sign-magnitude",
)
