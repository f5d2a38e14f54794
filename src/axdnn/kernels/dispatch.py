"""The public matrix product of codes."""

from __future__ import annotations

import math

import torch

from axdnn.kernels.bounds import plain_arithmetic
from axdnn.kernels.codes import accumulator_dtype, check_codes, table_index
from axdnn.kernels.factorised import matmul_factorised, torch_factors
from axdnn.kernels.int8 import int8_factors, matmul_int8
from axdnn.kernels.lookup import matmul_lookup
from axdnn.kernels.native_calls import matmul_native
from axdnn.kernels.plan import DIGITS, Path, explain
from axdnn.kernels.ready import matmul_ready
from axdnn.kernels.reference import matmul_reference
from axdnn.kernels.terms import check_terms, exact_of, split_weights, surplus_matmul, tables_of
from axdnn.multipliers import load_multiplier
from axdnn.records import InvalidInputError, Multiplier


def approx_matmul(
    x_codes: torch.Tensor,
    w_codes: torch.Tensor,
    multiplier: Multiplier | str,
    *,
    path: Path = "auto",
    terms: torch.Tensor | None = None,
) -> torch.Tensor:
    """Sum approximate products of codes: `out[..., m, n] = sum_k T[x[..., m, k], w[..., n, k]]`, exact integers.

    Args:
        x_codes: activation codes (operand a), `(..., m, k)`, int8 for signed multipliers, uint8 otherwise.
        w_codes: weight codes (operand b), `(..., n, k)`, int8 for signed and sign-magnitude multipliers, else uint8.
            Leading dimensions broadcast.
        multiplier: whose table is used, or its name.
        path: force a path; `auto` takes the fastest (see `explain`).
        terms: what each term multiplies with, uint8 `(k,)`: 0 the table, 1 the exact product, 2 it is left out; None
            for the table everywhere. Needs a single weight matrix.

    Returns:
        `(..., m, n)`, int32 where a bound proves that it fits, else int64.

    Raises:
        InvalidInputError: wrong dtype, wrong rank, or different k.
        UnknownNameError: no multiplier of that name.
    """
    if torch.compiler.is_compiling():
        from axdnn.kernels.traced import traced_matmul  # loads torch's compiler

        return traced_matmul(x_codes, w_codes, multiplier, path, terms)
    multiplier = load_multiplier(multiplier) if isinstance(multiplier, str) else multiplier
    check_codes(x_codes, multiplier.a_signed, "x_codes", multiplier)
    check_codes(w_codes, multiplier.w_signed, "w_codes", multiplier)
    if terms is None:
        ready = matmul_ready(multiplier, x_codes, w_codes, path)
        if ready is not None:
            return ready
    lead = product_shape(x_codes, w_codes)[:-2]
    x, w = x_codes, w_codes
    m, k, n = x.shape[-2], x.shape[-1], w.shape[-2]
    one = math.prod(w.shape[:-2]) == 1
    kinds = None if terms is None else check_terms(terms, k, device=x.device)
    if kinds is not None:
        if not one:
            raise InvalidInputError(f"`terms` needs one weight matrix, but `w_codes` has shape {tuple(w_codes.shape)}")
        x_flat, w_flat = x_codes.expand(*lead, m, k).reshape(-1, k), w_codes.reshape(n, k)
        return _with_terms(x_flat, w_flat, multiplier, kinds, path).reshape(*lead, m, n)
    if one:  # fold the leading dimensions into m
        flat = x.expand(*lead, m, k).reshape(1, math.prod(lead) * m, k)
        return _grouped(multiplier, flat, w.reshape(1, n, k), path).reshape(*lead, m, n)
    x3 = x.expand(*lead, m, k).reshape(math.prod(lead), m, k)
    w3 = w.expand(*lead, n, k).reshape(math.prod(lead), n, k)
    return _grouped(multiplier, x3, w3, path).reshape(*lead, m, n)


def product_shape(x_codes: torch.Tensor, w_codes: torch.Tensor) -> tuple[int, ...]:
    """Return `(..., m, n)` of the product of codes `(..., m, k)` and `(..., n, k)`.

    Raises:
        InvalidInputError: too few dimensions, different k, or leading dimensions that do not broadcast.
    """
    if x_codes.dim() < 2 or w_codes.dim() < 2 or x_codes.shape[-1] != w_codes.shape[-1]:
        raise InvalidInputError(
            "`x_codes` (..., m, k) and `w_codes` (..., n, k) must have the same k, "
            f"but got {tuple(x_codes.shape)} and {tuple(w_codes.shape)}"
        )
    try:
        lead = torch.broadcast_shapes(x_codes.shape[:-2], w_codes.shape[:-2])
    except RuntimeError as error:
        raise InvalidInputError(
            f"leading dimensions must broadcast, but got {tuple(x_codes.shape)} and {tuple(w_codes.shape)}"
        ) from error
    return (*lead, x_codes.shape[-2], w_codes.shape[-2])


def _with_terms(
    x_codes: torch.Tensor, w_codes: torch.Tensor, multiplier: Multiplier, terms: torch.Tensor, path: Path
) -> torch.Tensor:
    """Products for codes `(m, k)` and `(n, k)` whose terms `(1, k)` are of several kinds."""
    dtype = terms_dtype(multiplier, x_codes.shape[-1])
    if path == "reference":
        x, w = table_index(x_codes, multiplier.a_signed), table_index(w_codes, multiplier.w_signed)
        tables, kinds = tables_of(multiplier), terms.cpu().numpy()
        sums = matmul_reference(tables, x[None].cpu().numpy(), w[None].cpu().numpy(), kinds)[0]
        return torch.from_numpy(sums).to(x_codes.device, dtype)
    approximate, exact, others = split_weights(w_codes, terms)
    total = approx_matmul(x_codes, approximate, multiplier, path=path).to(torch.int64)
    total += approx_matmul(x_codes, exact, exact_of(multiplier))
    return (total - surplus_matmul(multiplier, x_codes, others)).to(dtype)


def terms_dtype(multiplier: Multiplier, k: int) -> torch.dtype:
    """Return the result type of `k` products, approximate or exact."""
    kinds = (accumulator_dtype(multiplier, k), accumulator_dtype(exact_of(multiplier), k))
    return torch.int64 if torch.int64 in kinds else torch.int32


def _grouped(multiplier: Multiplier, x: torch.Tensor, w: torch.Tensor, path: Path) -> torch.Tensor:
    """Products for codes `(g, m, k)` and `(g, n, k)`."""
    groups, m, k = x.shape
    n = w.shape[1]
    dtype = accumulator_dtype(multiplier, k)
    plan = explain(multiplier, groups * m, k, n, path, str(x.device), groups=groups)
    if 0 in (groups, m, k, n):
        return torch.zeros(groups, m, n, dtype=dtype, device=x.device)
    if plan.path.startswith("native"):
        return matmul_native(multiplier, x, w, plan.path)
    x, w = table_index(x, multiplier.a_signed), table_index(w, multiplier.w_signed)
    if plan.path == "reference":
        sums = matmul_reference(multiplier.table, x.cpu().numpy(), w.cpu().numpy())
        return torch.from_numpy(sums).to(x.device, dtype)
    with plain_arithmetic(x.device):
        if plan.path == "triton":
            from axdnn.kernels.triton_lookup import matmul_triton  # Triton is loaded where it is used

            return matmul_triton(multiplier, x, w, dtype)
        if plan.path == "lookup":
            return matmul_lookup(multiplier, x, w, dtype)
        factors, digits = torch_factors(multiplier), int8_factors(multiplier)
        assert factors is not None
        if plan.floats in DIGITS and digits is not None:
            return matmul_int8(digits, x, w, dtype)
        return matmul_factorised(factors, x, w, getattr(torch, plan.floats), dtype)
