"""The public matrix product of codes, and which path computes it."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import torch

from axdnn.kernels.bounds import float32_is_ieee, plain_arithmetic
from axdnn.kernels.codes import accumulator_dtype, check_codes, table_index
from axdnn.kernels.factorised import chunks_needed, matmul_factorised, one_chunk, torch_factors
from axdnn.kernels.int8 import int8_factors, int8_is_exact, matmul_int8, predicted_s
from axdnn.kernels.lookup import matmul_lookup
from axdnn.kernels.reference import matmul_reference
from axdnn.kernels.terms import check_terms, exact_of, split_weights, surplus_matmul, tables_of
from axdnn.multipliers import load_multiplier
from axdnn.records import InvalidInputError, Multiplier

Path = Literal["auto", "reference", "factorised", "lookup"]
PATHS: tuple[Path, ...] = ("auto", "reference", "factorised", "lookup")
# Rates of one core in products per second, for choosing only: measured orders of magnitude, not promises.
RATES = {"float32": 4e10, "float64": 1.5e10, "lookup": 2.5e9, "reference": 1e8}
LOOKUP_ROW_RATE = 1e9


class Plan(NamedTuple):
    """Which path computes a product, and why.

    Attributes:
        path: `factorised`, `lookup` or `reference`.
        floats: type of the products: `float32`, `float64`, `int8` (digits of factors, summed in int32), or `int64` for
            the reference.
        rank: terms per product in the factorised path, else None.
        result: `int32` if proven to fit, else `int64`.
        reason: a sentence.
        predicted_s: path -> predicted seconds of one core, for ordering only.
    """

    path: str
    floats: str
    rank: int | None
    result: str
    reason: str
    predicted_s: dict[str, float]


def explain(
    multiplier: Multiplier | str, m: int, k: int, n: int, path: Path = "auto", device: str = "cpu", *, window: int = 1
) -> Plan:
    """Say which path computes an `(m x k) . (k x n)` product of codes, and why.

    Args:
        multiplier: whose products are summed, or its name.
        m: rows of the activations (a convolution has batch * output pixels).
        k: terms of a sum.
        n: rows of the weights (output channels).
        path: a forced path, or `auto`.
        device: torch device.
        window: terms that stay in one chunk if possible (a convolution is cut over input channels only).

    Raises:
        InvalidInputError: unknown path, or a forced path that cannot be exact.
    """
    if path not in PATHS:
        raise InvalidInputError(f"`path` must be one of {', '.join(PATHS)}, but got {path!r}")
    multiplier = load_multiplier(multiplier) if isinstance(multiplier, str) else multiplier
    factors = torch_factors(multiplier)
    ieee = float32_is_ieee(torch.device(device))
    result = str(accumulator_dtype(multiplier, k)).removeprefix("torch.")
    products = float(m) * k * n
    times = {"lookup": products / RATES["lookup"] + 256.0 * k * min(m, n) / LOOKUP_ROW_RATE}
    floats, rank = "float32", None
    if factors is not None:
        rank = factors.f.shape[1]
        options = {}
        for name in ("float32", "float64"):
            chunks = chunks_needed(factors, getattr(torch, name), k)
            whole = name == "float64" or one_chunk(factors, torch.float32, window)
            if chunks and whole and (ieee or name == "float64"):
                options[name] = products * max(rank, 1) / RATES[name] + chunks * m * n / 1e9
        digits = int8_factors(multiplier) if device == "cpu" and int8_is_exact() else None
        if digits is not None and rank:
            options["int8"] = predicted_s(digits, m, k, n)
        if options:
            floats = min(options, key=options.__getitem__)
            times["factorised"] = options[floats]
    if path == "factorised" and "factorised" not in times:
        raise InvalidInputError(
            f"path 'factorised' needs exact integer factors of rank <= 32, but the table of {multiplier.name!r} has "
            "none; use 'lookup' or 'auto'"
        )
    chosen = path if path != "auto" else min(times, key=times.__getitem__)  # never the reference
    times["reference"] = products / RATES["reference"]
    reason = _reason(chosen, path, rank, floats, ieee, times)
    shown = {"factorised": floats, "lookup": "float32 or float64 by bound", "reference": "int64"}[chosen]
    return Plan(chosen, shown, rank if chosen == "factorised" else None, result, reason, times)


def _reason(chosen: str, asked: str, rank: int | None, floats: str, ieee: bool, times: dict[str, float]) -> str:
    if asked != "auto":
        return f"path {asked!r} was asked for"
    tail = "" if ieee else "; float32 products are set to reduced precision in this process, so float64 is used"
    if chosen == "factorised":
        how = "products of 8-bit digits" if floats == "int8" else f"sums in {floats}"
        return f"the table has exact integer factors of rank {rank}; {how}, cut by the proven bound{tail}"
    if rank is not None and "factorised" not in times:
        return f"the integer factors (rank {rank}) are too large for exact float sums, so every product is looked up"
    if rank is None:
        return "the table has no exact integer factors of rank <= 32, so every product is looked up"
    return f"rank {rank} makes the factorised path slower than looking up{tail}"


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
    multiplier = load_multiplier(multiplier) if isinstance(multiplier, str) else multiplier
    check_codes(x_codes, multiplier.a_signed, "x_codes", multiplier)
    check_codes(w_codes, multiplier.w_signed, "w_codes", multiplier)
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
    x, w = table_index(x_codes, multiplier.a_signed), table_index(w_codes, multiplier.w_signed)
    m, k, n = x.shape[-2], x.shape[-1], w.shape[-2]
    one = math.prod(w.shape[:-2]) == 1
    kinds = None if terms is None else check_terms(terms, k)
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
    """Products for row numbers `(g, m, k)` and column numbers `(g, n, k)`."""
    groups, m, k = x.shape
    n = w.shape[1]
    dtype = accumulator_dtype(multiplier, k)
    plan = explain(multiplier, groups * m, k, n, path, str(x.device))
    if 0 in (groups, m, k, n):
        return torch.zeros(groups, m, n, dtype=dtype, device=x.device)
    if plan.path == "reference":
        sums = matmul_reference(multiplier.table, x.cpu().numpy(), w.cpu().numpy())
        return torch.from_numpy(sums).to(x.device, dtype)
    with plain_arithmetic(x.device):
        if plan.path == "lookup":
            return matmul_lookup(multiplier, x, w, dtype)
        factors, digits = torch_factors(multiplier), int8_factors(multiplier)
        assert factors is not None
        if plan.floats == "int8" and digits is not None:
            return matmul_int8(digits, x, w, dtype)
        return matmul_factorised(factors, x, w, getattr(torch, plan.floats), dtype)
