"""The public products while torch traces a program: calls of the operators, whose other arguments are constants.

Imported by what is being traced only: marking constants loads torch's compiler, which takes seconds.
"""

from __future__ import annotations

import torch

from axdnn.kernels.codes import code_dtype
from axdnn.kernels.operands import loaded, named, peak_term, sums_dtype, table_operand
from axdnn.records import InvalidInputError, Multiplier


def traced_matmul(
    x_codes: torch.Tensor, w_codes: torch.Tensor, multiplier: Multiplier | str, path: str, terms: torch.Tensor | None
) -> torch.Tensor:
    """Put `axdnn::approx_matmul` into the program; arguments as of `approx_matmul`."""
    _check_types(x_codes, w_codes, multiplier)
    dtype = sums_dtype(_peak(multiplier, terms is not None), w_codes.shape[-1])
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
    dtype = sums_dtype(_peak(multiplier, terms is not None), w_codes.shape[1:].numel())
    table, identity = _circuit(multiplier)
    sums: torch.Tensor = torch.ops.axdnn.approx_conv2d(
        x_codes, w_codes, table, dtype, *steps, groups, pad_code, path, terms, identity
    )
    return sums


def _check_types(x_codes: torch.Tensor, w_codes: torch.Tensor, multiplier: Multiplier | str) -> None:
    """Check the types of codes: the operators would take others for another coding."""
    wanted = _code_types(multiplier)
    if (x_codes.dtype, w_codes.dtype) != wanted:
        raise InvalidInputError(
            f"`x_codes` and `w_codes` must be {wanted[0]} and {wanted[1]} for this multiplier, but got "
            f"{x_codes.dtype} and {w_codes.dtype}; codes are values, cast them after rounding and clamping"
        )


def _circuit(multiplier: Multiplier | str) -> tuple[torch.Tensor | None, str]:
    """Return a table, or an identity where Dynamo traces: it takes one constant tensor from a function, not two."""
    if torch.compiler.is_dynamo_compiling():
        return None, _identity(multiplier)
    return table_operand(multiplier), ""


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def _identity(multiplier: Multiplier | str) -> str:
    return named(multiplier)


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def _peak(multiplier: Multiplier | str, exact_terms: bool) -> int:
    return peak_term(multiplier, exact_terms)


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def _code_types(multiplier: Multiplier | str) -> tuple[torch.dtype, torch.dtype]:
    multiplier = loaded(multiplier)
    return code_dtype(multiplier.a_signed), code_dtype(multiplier.w_signed)
