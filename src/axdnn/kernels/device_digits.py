"""Products of matrices of 8-bit digits on a GPU: int8 tensor cores, or half precision where a bound makes it exact.

int8: `torch._int_mm` sums in int32; cuBLAS wants more than 16 rows, and inner and outer sizes that are multiples of 8,
so zeros are added, which change no sum.

float16: digits lie in -128..127, so they and their products (at most 2^14) are exact. Sums are kept in float32 on the
way and in the result (`out_dtype`; a half result would lose integers above 2^11) and cut after 1,024 terms, so that
every partial sum is an integer of at most 2^24. Accumulation in half precision, which a process may allow, is switched
off meanwhile.

What a device really does is tried once, with the largest operands of both signs and with random ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Literal

import torch
from torch.nn import functional

from axdnn.kernels.bounds import FLOAT32_EXACT

HALF_TERMS = FLOAT32_EXACT // 2**14  # 1,024
FEWEST_ROWS, MULTIPLE = 17, 8
Product = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def padded_int_mm(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Multiply int8 `(m, k)` by int8 `(k, n)` in int32, at most 131,071 terms a sum."""
    (m, k), n = left.shape, right.shape[1]
    more_k, more_n = -k % MULTIPLE, -n % MULTIPLE
    left = functional.pad(left, (0, more_k, 0, max(0, FEWEST_ROWS - m)))
    right = functional.pad(right, (0, more_n, 0, more_k))
    return torch._int_mm(left.contiguous(), right.contiguous())[:m, :n]


def half_mm(left: torch.Tensor, right: torch.Tensor, product: Product | None = None) -> torch.Tensor:
    """Multiply int8 `(m, k)` by int8 `(k, n)` in int32, by float16 products summed in float32.

    Args:
        left: digits.
        right: digits.
        product: of float16 matrices into a float32 one; the device's by default.
    """
    product = product or _half_product
    total = torch.zeros(left.shape[0], right.shape[1], dtype=torch.int32, device=left.device)
    with _full_accumulation():
        for begin in range(0, left.shape[1], HALF_TERMS):
            end = begin + HALF_TERMS
            total += product(left[:, begin:end].half(), right[begin:end].half()).to(torch.int32)
    return total


def _half_product(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    return torch.mm(left, right, out_dtype=torch.float32)


@contextmanager
def _full_accumulation() -> Iterator[None]:
    """Forbid sums in half precision for a while."""
    matmul = torch.backends.cuda.matmul
    names = ("allow_fp16_accumulation", "allow_fp16_reduced_precision_reduction")
    before = {name: getattr(matmul, name) for name in names if hasattr(matmul, name)}
    try:
        for name in before:
            setattr(matmul, name, False)
        yield
    finally:
        for name, value in before.items():
            setattr(matmul, name, value)


@cache
def digit_type(device: torch.device) -> Literal["int8", "float16"] | None:
    """Return how a GPU multiplies digits exactly: int8 if it can, else float16 if it can, else None."""
    if _is_exact(padded_int_mm, device):
        return "int8"
    return "float16" if _is_exact(half_mm, device) else None


def digit_product(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Multiply int8 `(m, k)` by int8 `(k, n)` on their GPU in int32, at most 131,071 terms a sum."""
    return padded_int_mm(left, right) if digit_type(left.device) == "int8" else half_mm(left, right)


def _is_exact(product: Product, device: torch.device) -> bool:
    """Whether a product is exact on a device; False also where it cannot be computed there."""
    generator = torch.Generator().manual_seed(0)
    shapes = ((33, 4605), (4605, 41))
    left, right = (torch.randint(-128, 128, shape, generator=generator).to(torch.int8) for shape in shapes)
    ends = (-128, 127)
    pairs = [(left, right), *((torch.full_like(left, a), torch.full_like(right, b)) for a in ends for b in ends)]
    try:
        return all(
            torch.equal(product(a.to(device), b.to(device)).cpu().double(), a.double() @ b.double()) for a, b in pairs
        )
    except (RuntimeError, AssertionError, TypeError):  # no such device or operator, an older torch
        return False
