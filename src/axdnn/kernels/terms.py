"""Sums in which some terms multiply exactly and some are left out, on top of the plain products.

An array whose upper rows keep exact multipliers computes `sum_k P_k(x_k, w_k)` with `P_k` the approximate table, the
exact product, or nothing. Every path computes it from products it already has: with 0 the code of weight zero,

    sum over approximate k of T[x, w] = sum_k T[x, w'] - sum over the other k of T[x, 0],   w' = w there, 0 elsewhere,

and the last sum needs no weights: it is the same for every output. The exact terms are a product with the exact table
whose other weights are zero. The reference path takes the table of each term literally instead.
"""

from __future__ import annotations

from functools import lru_cache

import msgspec
import numpy as np
import torch
from torch.nn import functional

from axdnn.kernels.codes import table_index
from axdnn.records import InvalidInputError, Multiplier

APPROXIMATE, EXACT, ABSENT = 0, 1, 2


def check_terms(
    terms: torch.Tensor, k: int, groups: int = 1, device: torch.device | None = None
) -> torch.Tensor | None:
    """Return what each term is, uint8 `(groups, k)`, or None if all are approximate.

    Args:
        terms: uint8 `(k,)` or `(groups, k)` in the order of the flattened weight: 0 approximate, 1 exact, 2 left out.
        k: terms of a sum.
        groups: of the convolution.
        device: where the codes are; where `terms` is by default.

    Raises:
        InvalidInputError: another type, shape or value.
    """
    shapes = ((k,), (groups, k))
    if not isinstance(terms, torch.Tensor) or terms.dtype != torch.uint8 or tuple(terms.shape) not in shapes:
        got = f"{terms.dtype} {tuple(terms.shape)}" if isinstance(terms, torch.Tensor) else type(terms).__name__
        raise InvalidInputError(f"`terms` must be a uint8 tensor of shape ({k},) or ({groups}, {k}), but got {got}")
    if terms.numel() and int(terms.max()) > ABSENT:
        raise InvalidInputError(
            f"`terms` must hold 0 (approximate), 1 (exact) or 2 (left out), but got {int(terms.max())}"
        )
    return terms.to(device or terms.device).expand(groups, k) if bool(terms.any()) else None


@lru_cache(maxsize=128)
def exact_of(multiplier: Multiplier) -> Multiplier:
    """Return the exact circuit with the operand coding of `multiplier`."""
    name = f"exact beside {multiplier.name}"
    return msgspec.structs.replace(multiplier, name=name, table=multiplier.exact_table, figures=None, aliases=())


def tables_of(multiplier: Multiplier) -> np.ndarray:
    """Return the table of each kind of term, int32 `(3, 256, 256)`."""
    return np.stack([multiplier.table, multiplier.exact_table, np.zeros_like(multiplier.table)])


def split_weights(w_codes: torch.Tensor, terms: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return weights with code 0 at all but the approximate terms, the same for the exact ones, and a mask.

    Args:
        w_codes: `(c_out, ...)`, flattening to `(groups, n, k)`.
        terms: uint8 `(groups, k)`.

    Returns:
        approximate and exact weights, both shaped as `w_codes`, and which terms are not approximate, `(groups, k)`.
    """
    groups, k = terms.shape
    flat = w_codes.reshape(groups, -1, k)
    kinds = terms.unsqueeze(1)
    nothing = torch.zeros((), dtype=w_codes.dtype, device=w_codes.device)
    approximate = torch.where(kinds == APPROXIMATE, flat, nothing).reshape(w_codes.shape)
    exact = torch.where(kinds == EXACT, flat, nothing).reshape(w_codes.shape)
    return approximate, exact, terms != APPROXIMATE


def zero_weight_products(multiplier: Multiplier) -> torch.Tensor | None:
    """Return `T[x, code of zero]` for every row, float64 `(256,)`, or None if all are 0."""
    column = multiplier.table[:, 128 if multiplier.w_signed else 0]
    return torch.from_numpy(column.astype(np.float64)) if column.any() else None


def surplus_matmul(multiplier: Multiplier, x_codes: torch.Tensor, mask: torch.Tensor) -> torch.Tensor | int:
    """Return what the zero weights of `split_weights` add to each sum, int64 `(m, 1)`: exact in float64.

    Args:
        multiplier: of the approximate terms.
        x_codes: `(m, k)`.
        mask: bool `(1, k)`.
    """
    column = zero_weight_products(multiplier)
    if column is None:
        return 0
    values = column.to(x_codes.device)[table_index(x_codes, multiplier.a_signed).long()]
    return (values * mask).sum(dim=-1, keepdim=True).to(torch.int64)


def surplus_conv2d(
    multiplier: Multiplier,
    rows: torch.Tensor,
    mask: torch.Tensor,
    weight_shape: torch.Size,
    stride: tuple[int, int],
    dilation: tuple[int, int],
) -> torch.Tensor | int:
    """Return the same for a convolution, int64 `(b, c_out, h_out, w_out)`.

    Args:
        multiplier: of the approximate terms.
        rows: padded row numbers of the table, uint8 `(b, c_in, h, w)`.
        mask: bool `(groups, k)`.
        weight_shape: `(c_out, c_in / groups, kh, kw)`.
        stride: step of the window.
        dilation: step inside the window.
    """
    column = zero_weight_products(multiplier)
    if column is None:
        return 0
    groups, c_out = len(mask), weight_shape[0]
    kernel = mask.to(rows.device, torch.float64).reshape(groups, *weight_shape[1:])
    values = column.to(rows.device)[rows.long()]
    sums = functional.conv2d(values, kernel, None, stride, 0, dilation, groups).to(torch.int64)
    return sums.repeat_interleave(c_out // groups, dim=1)
