"""Tables as the native kernels take them, indexed by the bytes of codes: digit pairs of factors, or entries."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch

from axdnn.kernels.int8 import Int8Factors, int8_factors
from axdnn.kernels.native_products import NativeDigits, NativePlanes
from axdnn.kernels.terms import exact_of
from axdnn.records import Multiplier

WIDEST_BYTES = 2


class NativeTable(NamedTuple):
    """How a table is looked up.

    Attributes:
        planes: bytes of the entries, or of what an exact product leaves of them.
        exact: digits of the exact product, or None if the planes hold whole entries.
        entries: whole entries, int32 `(256 w, 256 x)`.
    """

    planes: NativePlanes
    exact: NativeDigits | None
    entries: torch.Tensor


@lru_cache(maxsize=512)
def native_digits(multiplier: Multiplier) -> NativeDigits | None:
    """Return the table as digit pairs, or None if it has no useful integer factors."""
    factors = int8_factors(multiplier)
    return None if factors is None or not factors.groups else _laid_out(factors, multiplier)


def _laid_out(factors: Int8Factors, multiplier: Multiplier) -> NativeDigits:
    sizes = torch.tensor([group.f.shape[1] for group in factors.groups])
    scales = _wrapped(torch.tensor([group.scale % 2**32 for group in factors.groups]))
    f, g = (torch.cat([group[side] for group in factors.groups], dim=1) for side in (1, 2))
    a, b = _by_byte(multiplier.a_signed), _by_byte(multiplier.w_signed)
    return NativeDigits(sizes, scales, f[a].T, g[b].T, _wrapped(factors.shift[b]))


def _by_byte(signed: bool) -> np.ndarray:
    """Return the index of the code that each byte stands for."""
    return np.arange(256) ^ (128 if signed else 0)


def _wrapped(values: torch.Tensor) -> torch.Tensor:
    """Return int64 values modulo 2^32 as int32."""
    return ((values + 2**31) % 2**32 - 2**31).to(torch.int32)


@lru_cache(maxsize=512)
def native_table(multiplier: Multiplier) -> NativeTable | None:
    """Return the table as bytes, or None if an entry needs more than two beyond the least of its column.

    Where the table stays close to the exact product, one byte holds the difference, which is cheaper to look up, and
    digits multiply exactly.
    """
    index = np.ix_(_by_byte(multiplier.a_signed), _by_byte(multiplier.w_signed))
    table = multiplier.table.astype(np.int64)[index]
    error = table - multiplier.exact_table[index]
    entries = torch.from_numpy(np.ascontiguousarray(table.T).astype(np.int32))
    if _bytes(table) == 1 or _bytes(error) > 1:
        return NativeTable(_planes(table), None, entries) if _bytes(table) <= WIDEST_BYTES else None
    return NativeTable(_planes(error), native_digits(exact_of(multiplier)), entries)


def _bytes(table: np.ndarray) -> int:
    """Bytes that the widest column needs."""
    return _in_bytes(int((table.max(axis=0) - table.min(axis=0)).max()))


def _in_bytes(span: int) -> int:
    return max(1, (span.bit_length() + 7) // 8)


def _planes(table: np.ndarray) -> NativePlanes:
    count = _bytes(table)
    base, folded = _bases(table, count)
    planes = np.stack([(table - base) >> (8 * p) & 255 for p in range(count)])  # (count, x, w)
    return NativePlanes(
        torch.from_numpy(np.ascontiguousarray(planes.transpose(2, 0, 1)).astype(np.uint8)),
        _wrapped(torch.from_numpy(base)),
        folded,
    )


def _bases(table: np.ndarray, count: int) -> tuple[np.ndarray, bool]:
    """Return what is taken off each column, and whether the table folds.

    The table of a circuit with a sign-magnitude weight is odd: -w finds the negative of what w finds (and -128, whose
    magnitude is 0, that of 0). With the bases of negative weights chosen so, their bytes are the complements of the
    others', and look-ups have half the columns to choose from.
    """
    positive = table[:, :128]
    if np.array_equal(table[:, 128:], -positive[:, -np.arange(128, 256) % 128]):
        alike = _in_bytes(int(positive.max()) - int(positive.min())) == count
        low = np.full(128, positive.min()) if alike else positive.min(axis=0)
        return np.concatenate([low, (-low - (256**count - 1))[-np.arange(128, 256) % 128]]), True
    # one base for all columns, where that takes no more bytes, is a constant of every sum
    alike = _in_bytes(int(table.max()) - int(table.min())) == count
    return np.full(256, table.min()) if alike else table.min(axis=0), False
