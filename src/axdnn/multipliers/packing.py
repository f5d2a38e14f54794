"""The container of the packed tables: differences over the bits of both operands, modulo 2**16, then LZMA.

Circuits are built from partial products of bits, so replacing the upper half of every aligned group of 2**k codes by
its difference to the lower half, for every k and both operands, leaves mostly zeros. One raw LZMA stream a table; the
index says where each begins, so that one table can be read alone.
"""

from __future__ import annotations

import lzma
from typing import Any

import numpy as np
import numpy.typing as npt

_FILTERS: list[dict[str, Any]] = [
    {"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "dict_size": 1 << 18, "lc": 0, "lp": 1, "pb": 1}
]


def pack_error(error: npt.NDArray[np.int64], signed: bool) -> bytes:
    """Pack `table - exact product`, shape `(256, 256)`, entries known modulo 2**16."""
    codes = np.roll(error, 128, (0, 1)) if signed else error
    values = codes.astype(np.int64)
    for axis in (0, 1):
        values = _bit_differences(values, axis, -1)
    return lzma.compress((values & 0xFFFF).astype("<u2").tobytes(), lzma.FORMAT_RAW, filters=_FILTERS)


def unpack_error(data: bytes, signed: bool) -> npt.NDArray[np.int64]:
    """Inverse of `pack_error`; entries come back modulo 2**16, as `0..65535`."""
    raw = lzma.decompress(data, lzma.FORMAT_RAW, filters=_FILTERS)
    values = np.frombuffer(raw, dtype="<u2").astype(np.int64).reshape(256, 256)
    for axis in (1, 0):
        values = _bit_differences(values, axis, 1)
    values &= 0xFFFF
    return np.roll(values, 128, (0, 1)) if signed else values


def _bit_differences(values: npt.NDArray[np.int64], axis: int, sign: int) -> npt.NDArray[np.int64]:
    """Add (`sign` 1) or subtract (-1) the lower half of every aligned group to its upper half, for all group sizes."""
    moved = np.ascontiguousarray(np.moveaxis(values, axis, 0))
    for k in range(8):
        groups = moved.reshape(256 >> (k + 1), 2, 1 << k, 256)
        groups[:, 1] += sign * groups[:, 0]
    return np.moveaxis(moved, 0, axis)
