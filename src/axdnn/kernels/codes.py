"""Operand codes: which tensors are legal, and where they point in the table."""

from __future__ import annotations

from functools import lru_cache

import torch

from axdnn.records import InvalidInputError, Multiplier


def code_dtype(signed: bool) -> torch.dtype:
    """Return the tensor type of an operand's codes: int8 for two's complement, uint8 otherwise."""
    return torch.int8 if signed else torch.uint8


def check_codes(codes: torch.Tensor, signed: bool, name: str, multiplier: Multiplier) -> None:
    """Check that `codes` has the type that the multiplier's operand needs.

    Raises:
        InvalidInputError: not a tensor, or another dtype.
    """
    wanted = code_dtype(signed)
    if not isinstance(codes, torch.Tensor) or codes.dtype != wanted:
        got = codes.dtype if isinstance(codes, torch.Tensor) else type(codes).__name__
        raise InvalidInputError(
            f"`{name}` must be a {wanted} tensor for the {multiplier.coding} multiplier {multiplier.name!r}, "
            f"but got {got}; codes are values, cast them after rounding and clamping"
        )


def table_index(codes: torch.Tensor, signed: bool) -> torch.Tensor:
    """Return codes as row or column numbers 0..255, uint8."""
    return (codes.view(torch.uint8) ^ 0x80) if signed else codes


def check_pad_code(pad_code: int, signed: bool) -> int:
    """Return `pad_code` if it is a legal activation code.

    Raises:
        InvalidInputError: outside the range of the operand.
    """
    low, high = (-128, 127) if signed else (0, 255)
    if not isinstance(pad_code, int) or isinstance(pad_code, bool) or not low <= pad_code <= high:
        raise InvalidInputError(f"{low} <= pad_code <= {high} must hold (an integer), but got pad_code={pad_code!r}")
    return pad_code


def accumulator_dtype(multiplier: Multiplier, k: int) -> torch.dtype:
    """Return int32 if `k` products of any operands provably fit it, else int64."""
    return torch.int32 if peak_product(multiplier) * max(k, 1) < 2**31 else torch.int64


@lru_cache(maxsize=512)
def peak_product(multiplier: Multiplier) -> int:
    """Return the largest magnitude in the table."""
    table = multiplier.table
    return max(abs(int(table.min())), abs(int(table.max())))
