"""The products of codes as torch operators, so that compiled and exported programs can hold them.

`axdnn::approx_matmul` and `axdnn::approx_conv2d` take the table as an operand: an exported program is complete,
whatever becomes of the catalogue. (Compiled code, which lives in one process, names the multiplier instead.) Shapes
and types of their results follow from the arguments alone: the caller says `dtype` (`sums_dtype`), and int32 is
refused where the bound does not prove that the sums fit. They give what the functions of the same names give, and have
no derivatives (codes are integers).

A program that was saved needs `import axdnn.kernels` before it is loaded.
"""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence
from functools import lru_cache

import numpy as np
import torch
from torch.utils.weak import WeakIdKeyDictionary

from axdnn.kernels.conv import approx_conv2d, check_conv_shapes
from axdnn.kernels.dispatch import approx_matmul, product_shape
from axdnn.kernels.operands import known_multiplier, peak_term, sums_dtype
from axdnn.records import InvalidInputError, Multiplier
from axdnn.records.multiplier import Coding

_known: MutableMapping[torch.Tensor, tuple[int | None, Coding, Multiplier]] = (
    WeakIdKeyDictionary()
)  # table -> (version, coding, multiplier): hashing costs more


@torch.library.custom_op("axdnn::approx_matmul", mutates_args=())
def matmul_operator(
    x_codes: torch.Tensor,
    w_codes: torch.Tensor,
    table: torch.Tensor | None,
    dtype: torch.dtype,
    path: str = "auto",
    terms: torch.Tensor | None = None,
    multiplier: str = "",
) -> torch.Tensor:
    """Sum table entries: `out[..., m, n] = sum_k table[x[..., m, k], w[..., n, k]]`.

    Args:
        x_codes: `(..., m, k)`, int8 or uint8.
        w_codes: `(..., n, k)`, int8 or uint8. Both int8 is the signed coding, both uint8 the unsigned one, uint8 with
            int8 sign and magnitude.
        table: int32 `(256, 256)`, row = activation, column = weight, index = code + 128 where codes are int8.
        dtype: of the result, int32 or int64.
        path: kernel path.
        terms: as in `approx_matmul`.
        multiplier: without a table, the identity of a multiplier that a program compiled in this process uses.

    Returns:
        `(..., m, n)`, contiguous.

    Raises:
        InvalidInputError: wrong types or shapes, or int32 where the sums may not fit it.
    """
    circuit = known_multiplier(multiplier) if table is None else multiplier_of(table, x_codes, w_codes)
    _check_dtype(circuit, x_codes.shape[-1], dtype, exact_terms=terms is not None)
    sums = approx_matmul(x_codes, w_codes, circuit, path=path, terms=terms)  # type: ignore[arg-type]
    return _laid_out(sums.to(dtype), torch.contiguous_format)


@matmul_operator.register_fake
def _matmul_shape(
    x_codes: torch.Tensor, w_codes: torch.Tensor, table: torch.Tensor | None, dtype: torch.dtype, path: str = "auto",
    terms: torch.Tensor | None = None,
    multiplier: str = "",
) -> torch.Tensor:  # fmt: skip
    return x_codes.new_empty(product_shape(x_codes, w_codes), dtype=dtype)


@torch.library.custom_op("axdnn::approx_conv2d", mutates_args=())
def conv2d_operator(
    x_codes: torch.Tensor,
    w_codes: torch.Tensor,
    table: torch.Tensor | None,
    dtype: torch.dtype,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
    pad_code: int,
    path: str = "auto",
    terms: torch.Tensor | None = None,
    multiplier: str = "",
) -> torch.Tensor:
    """Convolve codes with table entries; arguments as of `approx_conv2d`, table and dtype as above.

    Returns:
        `(b, c_out, h_out, w_out)`, channels innermost in memory.

    Raises:
        InvalidInputError: wrong types, shapes or parameters, or int32 where the sums may not fit it.
    """
    circuit = known_multiplier(multiplier) if table is None else multiplier_of(table, x_codes, w_codes)
    _check_dtype(circuit, w_codes[0].numel() if len(w_codes) else 0, dtype, exact_terms=terms is not None)
    steps = (_two(stride), _two(padding), _two(dilation))
    sums = approx_conv2d(x_codes, w_codes, circuit, *steps, groups, pad_code, path=path, terms=terms)  # type: ignore[arg-type]
    return _laid_out(sums.to(dtype), torch.channels_last)


@conv2d_operator.register_fake
def _conv2d_shape(
    x_codes: torch.Tensor,
    w_codes: torch.Tensor,
    table: torch.Tensor | None,
    dtype: torch.dtype,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
    pad_code: int,
    path: str = "auto",
    terms: torch.Tensor | None = None,
    multiplier: str = "",
) -> torch.Tensor:
    check_conv_shapes(x_codes, w_codes, groups, _two(padding), _two(dilation))
    size = [
        (x_codes.shape[2 + i] + 2 * padding[i] - dilation[i] * (w_codes.shape[2 + i] - 1) - 1) // stride[i] + 1
        for i in range(2)
    ]
    shape = (x_codes.shape[0], w_codes.shape[0], *size)
    return torch.empty(shape, dtype=dtype, device=x_codes.device, memory_format=torch.channels_last)


def multiplier_of(table: torch.Tensor, x_codes: torch.Tensor, w_codes: torch.Tensor) -> Multiplier:
    """Return the multiplier with this table and the coding that the types of the codes say.

    Raises:
        InvalidInputError: another type or shape of the table, or codes that are not bytes.
    """
    if table.dtype != torch.int32 or tuple(table.shape) != (256, 256):
        raise InvalidInputError(f"`table` must be int32 (256, 256), but got {table.dtype} {tuple(table.shape)}")
    codings: dict[tuple[torch.dtype, torch.dtype], Coding] = {
        (torch.int8, torch.int8): "signed", (torch.uint8, torch.uint8): "unsigned",
        (torch.uint8, torch.int8): "sign_magnitude",
    }  # fmt: skip
    coding = codings.get((x_codes.dtype, w_codes.dtype))
    if coding is None:
        raise InvalidInputError(
            "`x_codes` and `w_codes` must be int8 and int8 (signed), uint8 and uint8 (unsigned) or uint8 and int8 "
            f"(sign and magnitude), but got {x_codes.dtype} and {w_codes.dtype}"
        )
    version = None if table.is_inference() else table._version
    known = _known.get(table)
    if known is not None and version is not None and known[:2] == (version, coding):
        return known[2]
    multiplier = _multiplier(coding, table.cpu().numpy().tobytes())
    _known[table] = (version, coding, multiplier)
    return multiplier


@lru_cache(maxsize=128)
def _multiplier(coding: Coding, entries: bytes) -> Multiplier:
    """Return the multiplier again for a copy of its table: programs make copies at each call."""
    return Multiplier(name="table operand", coding=coding, table=np.frombuffer(entries, np.int32).reshape(256, 256))


def _check_dtype(multiplier: Multiplier, k: int, dtype: torch.dtype, exact_terms: bool) -> None:
    proven = sums_dtype(peak_term(multiplier, exact_terms), k)
    if dtype not in (torch.int32, torch.int64) or (dtype == torch.int32 and proven != torch.int32):
        raise InvalidInputError(
            f"`dtype` must be int64{' or int32' if proven == torch.int32 else ''} for sums of {k} products of this "
            f"table, but got {dtype}"
        )


def _two(value: Sequence[int]) -> tuple[int, int]:
    if len(value) != 2:
        raise InvalidInputError(f"stride, padding and dilation must be two integers each, but got {list(value)}")
    return value[0], value[1]


def _laid_out(sums: torch.Tensor, layout: torch.memory_format) -> torch.Tensor:
    """Return sums with the strides that the shape functions promise, also on axes of length 1."""
    if sums.stride() == torch.empty(sums.shape, device="meta", memory_format=layout).stride():
        return sums
    return torch.empty(sums.shape, dtype=sums.dtype, device=sums.device, memory_format=layout).copy_(sums)
