"""The public products while torch traces a program: calls of the operators, whose other arguments are constants."""

from __future__ import annotations

from functools import lru_cache

import torch

from axdnn.kernels.codes import code_dtype, peak_product
from axdnn.kernels.terms import exact_of
from axdnn.multipliers import load_multiplier
from axdnn.records import InvalidInputError, Multiplier

_named: dict[str, Multiplier] = {}  # by identity: what the compiled programs of this process multiply with


def traced_matmul(
    x_codes: torch.Tensor, w_codes: torch.Tensor, multiplier: Multiplier | str, path: str, terms: torch.Tensor | None
) -> torch.Tensor:
    """Put `axdnn::approx_matmul` into the program; arguments as of `approx_matmul`."""
    _check_types(x_codes, w_codes, multiplier)
    dtype = sums_dtype(peak_term(multiplier, terms is not None), w_codes.shape[-1])
    table, identity = _circuit(multiplier)
    sums: torch.Tensor = torch.ops.axdnn.approx_matmul(x_codes, w_codes, table, dtype, path, terms, identity)
    return sums


def traced_conv2d(
    x_codes: torch.Tensor,
    w_codes: torch.Tensor,
    multiplier: Multiplier | str,
    steps: tuple[tuple[int, int], tuple[int, int], tuple[int, int]],
    groups: int,
    pad_code: int,
    path: str,
    terms: torch.Tensor | None,
) -> torch.Tensor:
    """Put `axdnn::approx_conv2d` into the program; `steps` are stride, padding and dilation."""
    _check_types(x_codes, w_codes, multiplier)
    dtype = sums_dtype(peak_term(multiplier, terms is not None), w_codes.shape[1:].numel())
    table, identity = _circuit(multiplier)
    sums: torch.Tensor = torch.ops.axdnn.approx_conv2d(
        x_codes, w_codes, table, dtype, *steps, groups, pad_code, path, terms, identity
    )
    return sums


def sums_dtype(peak: int, k: int) -> torch.dtype:
    """Return int32 if `k` terms of magnitude at most `peak` provably fit it, else int64."""
    return torch.int32 if peak * max(k, 1) < 2**31 else torch.int64


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def peak_term(multiplier: Multiplier | str, exact_terms: bool) -> int:
    """Return the largest magnitude of a term, exact products counted where a sum may hold them (`terms=`)."""
    multiplier = _loaded(multiplier)
    peaks = [peak_product(multiplier), *([peak_product(exact_of(multiplier))] if exact_terms else [])]
    return max(peaks)


def table_operand(multiplier: Multiplier | str) -> torch.Tensor:
    """Return the table of a multiplier as the operators take it, int32 `(256, 256)`; not to be written to."""
    return _table(_loaded(multiplier))


def known_multiplier(identity: str) -> Multiplier:
    """Return the multiplier that a program compiled in this process calls by its identity.

    Raises:
        InvalidInputError: none was compiled here.
    """
    if identity not in _named:
        raise InvalidInputError(
            f"a program calls the multiplier {identity!r} by its identity, which only the process that compiled it "
            "knows; give the operator a table"
        )
    return _named[identity]


def _circuit(multiplier: Multiplier | str) -> tuple[torch.Tensor | None, str]:
    """Return a table, or an identity where Dynamo traces: it takes one constant tensor from a function, not two."""
    if torch.compiler.is_dynamo_compiling():
        return None, _identity(multiplier)
    return table_operand(multiplier), ""


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def _identity(multiplier: Multiplier | str) -> str:
    multiplier = _loaded(multiplier)
    _named[multiplier.id] = multiplier
    return multiplier.id


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def _code_types(multiplier: Multiplier | str) -> tuple[torch.dtype, torch.dtype]:
    multiplier = _loaded(multiplier)
    return code_dtype(multiplier.a_signed), code_dtype(multiplier.w_signed)


def _check_types(x_codes: torch.Tensor, w_codes: torch.Tensor, multiplier: Multiplier | str) -> None:
    """Check the types of codes: the operators would take others for another coding."""
    wanted = _code_types(multiplier)
    if (x_codes.dtype, w_codes.dtype) != wanted:
        raise InvalidInputError(
            f"`x_codes` and `w_codes` must be {wanted[0]} and {wanted[1]} for this multiplier, but got "
            f"{x_codes.dtype} and {w_codes.dtype}; codes are values, cast them after rounding and clamping"
        )


def _loaded(multiplier: Multiplier | str) -> Multiplier:
    return load_multiplier(multiplier) if isinstance(multiplier, str) else multiplier


@lru_cache(maxsize=512)
def _table(multiplier: Multiplier) -> torch.Tensor:
    return torch.from_numpy(multiplier.table.copy())
