"""What an analogue array computes: integer products through bit slices, row tiles, noise and an ADC. Slow and plain."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from axdnn.hardware.imc.converters import largest_sum
from axdnn.records import InvalidInputError

Codes = npt.NDArray[np.integer[Any]]


def analogue_sums(
    x_codes: Codes,
    w_codes: Codes,
    rows: int,
    adc_bits: int | None,
    bits_per_cycle: int = 1,
    *,
    cell_bits: int = 1,
    activation_bits: int = 8,
    weight_bits: int = 8,
    full_scale: float | None = None,
    noise: float = 0.0,
    seed: int = 0,
) -> npt.NDArray[np.float64]:
    """Matrix product as an analogue array gives it.

    Negative operands are moved up by half their range, so lines and cells hold numbers >= 0; what that adds is taken
    off digitally and exactly. Every sum of a row tile and a pair of slices gets noise, is clipped to
    `0..full_scale`, rounded to one of `2^adc_bits` levels, and shifted into place.

    Args:
        x_codes: activations `(m, k)`, unsigned or two's complement of `activation_bits`.
        w_codes: weights `(k, n)`, the same of `weight_bits`.
        rows: that one bit line adds.
        adc_bits: levels of the converter; None = sums are read exactly.
        bits_per_cycle: activation bits in one step.
        cell_bits: weight bits in one cell.
        activation_bits: width of activations.
        weight_bits: width of weights.
        full_scale: largest sum that the converter tells apart; default: the largest that `rows` can give. A level
            is never finer than one unit of a sum, so enough bits lose nothing. `2^adc_bits - 1` reads small sums
            exactly and clips large ones, which is often better where a bit is missing.
        noise: standard deviation of Gaussian noise on each sum, in units of a sum.
        seed: of the noise.

    Returns:
        `(m, n)`; equal to the integer product if `adc_bits` is None or at least `lossless_adc_bits` and there is no
        noise.

    Raises:
        InvalidInputError: shapes that do not join, codes outside their width, or a parameter out of range.
    """
    x, w = np.asarray(x_codes), np.asarray(w_codes)
    if x.ndim != 2 or w.ndim != 2 or x.shape[1] != w.shape[0]:
        raise InvalidInputError(f"`x_codes` (m, k) and `w_codes` (k, n) must join, but got {x.shape} and {w.shape}")
    sizes = {
        "rows": rows,
        "bits_per_cycle": bits_per_cycle,
        "cell_bits": cell_bits,
        "adc_bits": 1 if adc_bits is None else adc_bits,
    }
    for name, value in sizes.items():
        if value < 1:
            raise InvalidInputError(f"`{name}` >= 1 must hold, but got {value}")
    top = float(largest_sum(rows, bits_per_cycle, cell_bits)) if full_scale is None else full_scale
    if not top > 0 or not noise >= 0:
        raise InvalidInputError(f"`full_scale` > 0 and `noise` >= 0 must hold, but got {full_scale} and {noise}")
    random = np.random.default_rng(seed)
    lifted_x, offset_x = _lifted("x_codes", x, activation_bits)
    lifted_w, offset_w = _lifted("w_codes", w, weight_bits)
    total = np.zeros((x.shape[0], w.shape[1]))
    for first in range(0, x.shape[1], rows):
        tile = slice(first, first + rows)
        for i, x_slice in _slices(lifted_x[:, tile], activation_bits, bits_per_cycle):
            for j, w_slice in _slices(lifted_w[tile], weight_bits, cell_bits):
                sums = (x_slice @ w_slice).astype(np.float64)
                if noise:
                    sums += random.normal(0.0, noise, sums.shape)
                total += 2.0 ** (i + j) * _read(sums, adc_bits, top)
    added_x, added_w = lifted_x.sum(axis=1, keepdims=True), lifted_w.sum(axis=0, keepdims=True)
    return np.asarray(total - offset_w * added_x - offset_x * added_w + x.shape[1] * offset_x * offset_w)


def _lifted(name: str, codes: Codes, bits: int) -> tuple[npt.NDArray[np.int64], int]:
    """Codes moved to `0..2^bits - 1`, and by how much."""
    if codes.dtype.kind not in "iu":
        raise InvalidInputError(f"`{name}` must hold integers, but got {codes.dtype}")
    wide = codes.astype(np.int64)
    offset = 2 ** (bits - 1) if codes.size and wide.min() < 0 else 0
    if codes.size and (wide.min() < -offset or wide.max() > 2**bits - 1 - offset):
        raise InvalidInputError(f"`{name}` must fit {bits} bits, but got {wide.min()}..{wide.max()}")
    return wide + offset, offset


def _slices(codes: npt.NDArray[np.int64], bits: int, width: int) -> list[tuple[int, npt.NDArray[np.int64]]]:
    """(place, slice) of every `width` bits, lowest first."""
    return [(i, (codes >> i) & (2**width - 1)) for i in range(0, bits, width)]


def _read(sums: npt.NDArray[np.float64], adc_bits: int | None, top: float) -> npt.NDArray[np.float64]:
    """Sums as the converter gives them."""
    if adc_bits is None:
        return sums
    levels = 2**adc_bits - 1
    step = max(top / levels, 1.0)
    return np.asarray(np.clip(np.rint(sums / step), 0, min(levels, np.floor(top / step + 0.5))) * step)
