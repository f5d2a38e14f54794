"""Tables as the Triton kernel looks them up: narrow entries, and what is added to them.

`T[x, w] = base[w] + u[x] * v[w] + entry[w, x]`: `u` and `v` are the operands' values (the exact product, one
multiplication a term, hidden behind the look-up) where that makes the entries narrower, else 0. Narrow entries are the
point: 64 KiB (a byte an entry) stay in the L1 cache of every GPU, 128 KiB in that of most; the int32 table has 256.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch

from axdnn.records import Multiplier

ENTRY_TYPES = (np.int8, np.int16, np.int32, np.int64)


class LookUpTable(NamedTuple):
    """A table on a device.

    Attributes:
        entries: int8, int16 or int32 `(256 w, 256 x)`, the narrowest type that holds them.
        base: int64 `(256 w,)`.
        values: what is multiplied exactly, int32 `(2, 256)`, `u` by activation and `v` by weight; None for nothing.
        term_bound: no entry, and no product of values with its entry, is larger.
        base_bound: no base is larger.
    """

    entries: torch.Tensor
    base: torch.Tensor
    values: torch.Tensor | None
    term_bound: int
    base_bound: int


@lru_cache(maxsize=128)
def look_up_table(multiplier: Multiplier, device: torch.device) -> LookUpTable:
    """Return the table of a multiplier, whole entries or errors against the exact product, whichever is narrower."""
    whole = _centred(multiplier.table.astype(np.int64))
    error = _centred(multiplier.table.astype(np.int64) - multiplier.exact_table)
    exact = error[0].itemsize < whole[0].itemsize
    entries, base = error if exact else whole
    values = np.stack([multiplier.a_values, multiplier.w_values]) if exact else None
    bound = int(np.abs(entries.astype(np.int64)).max())
    if values is not None:
        bound += int(np.abs(values[0]).max()) * int(np.abs(values[1]).max())
    return LookUpTable(
        torch.from_numpy(np.ascontiguousarray(entries.T)).to(device),
        torch.from_numpy(base).to(device),
        None if values is None else torch.from_numpy(values).to(device),
        bound,
        int(np.abs(base).max()),
    )


def _centred(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a table without the middle of each column's range, in the narrowest type, and those middles.

    Entries of a table then fit int32; errors may need int64, and are not taken.
    """
    base = (table.min(axis=0) + table.max(axis=0) + 1) // 2
    rest = table - base
    low, high = rest.min(), rest.max()
    for kind in ENTRY_TYPES:
        if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max:
            break
    return rest.astype(kind), base
