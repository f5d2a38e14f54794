"""ALWANN's weight mapping: each weight code is stored as the one whose products are closest over all activations.

V. Mrazek, Z. Vasicek, L. Sekanina, M. A. Hanif, M. Shafique, "ALWANN: Automatic layer-wise approximation of deep neural
network accelerators without retraining", ICCAD 2019 (arXiv 1907.07229), section on weight tuning; the rule for ties is
that of the authors' code (`ehw-fit/tf-approximate`). One map a circuit: neither the layer's activations nor its scales
matter, which is what the recipe's `optimal` codes add.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch

from axdnn.kernels.codes import table_index
from axdnn.records import Multiplier


def mapped(codes: torch.Tensor, multiplier: Multiplier, step_bits: int = 0) -> torch.Tensor:
    """Return the codes to store instead of weight codes, same shape and dtype.

    Args:
        codes: int8 or uint8, as the multiplier takes its weights.
        multiplier: as it is wired.
        step_bits: only codes that are multiples of `2**step_bits` may be stored.
    """
    columns = torch.tensor(alwann_map(multiplier, step_bits))[table_index(codes, multiplier.w_signed).long()]
    return (columns - (128 if multiplier.w_signed else 0)).to(codes.dtype)


@lru_cache(maxsize=256)
def alwann_map(multiplier: Multiplier, step_bits: int = 0) -> tuple[int, ...]:
    """Return, for each column of the table, the column w' that minimises `sum over a of |a w - table[a, w']|`.

    The sum is over all 256 activation codes, each counted once; w is the number that the column stands for. Of equal
    columns the column itself wins, then the first.

    Args:
        multiplier: as it is wired.
        step_bits: only columns whose code is a multiple of `2**step_bits` are taken.
    """
    table, exact = multiplier.table.astype(np.int64), multiplier.exact_table.astype(np.int64)
    legal = np.arange(0, 256, 1 << step_bits)
    offered = table[:, legal]
    found = []
    for column in range(256):
        error = np.abs(exact[:, [column]] - offered).sum(axis=0)
        own = legal == column
        found.append(column if error[own].size and error[own][0] == error.min() else int(legal[error.argmin()]))
    return tuple(found)
