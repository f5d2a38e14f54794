"""When is a sum of floats exact? While every partial sum, in any order, is an integer the mantissa can hold.

With |term_k| <= b_k, every partial sum is at most `sum_k b_k`. Below 2^24 every integer is a float32 and below 2^53 a
float64, so additions and fused multiply-adds in any order return the exact integer. If every term is a multiple of
2^e, the limit grows by that factor.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import torch

FLOAT32_EXACT = 2**24
FLOAT64_EXACT = 2**53


def chunk_ends(bounds: Sequence[int], limit: int, widest: int | None = None) -> Iterator[int]:
    """Cut a sum into chunks whose bound stays at or below `limit`; yield the end of each chunk.

    Args:
        bounds: `b_k`, the largest magnitude of term k, each at most `limit`.
        limit: 2^24 for float32, 2^53 for float64, times the common power of two of the terms.
        widest: most terms of a chunk, or None.
    """
    total, size = 0, 0
    for k, bound in enumerate(bounds):
        if size and (total + bound > limit or (widest is not None and size >= widest)):
            yield k
            total, size = 0, 0
        total += bound
        size += 1
    if bounds:
        yield len(bounds)


@contextmanager
def plain_arithmetic(device: torch.device) -> Iterator[None]:
    """Leave autograd, autocast and NNPACK aside: NNPACK convolves by Winograd transforms, whose terms are fractions."""
    with ExitStack() as stack:
        stack.enter_context(torch.no_grad())
        stack.enter_context(torch.autocast(device.type, enabled=False))
        if device.type == "cpu":
            stack.enter_context(torch.backends.nnpack.flags(enabled=False))
        yield


def float32_is_ieee(device: torch.device) -> bool:
    """Whether float32 products on `device` are computed in float32, with autocast left aside.

    `torch.set_float32_matmul_precision("medium")` and its relatives let a backend drop mantissa bits (TF32, bfloat16).
    Then the factorised path uses float64. On a GPU only matrix products are asked for: convolutions, whose default
    there is TF32, are unfolded.
    """
    backends = torch.backends
    cpu = device.type == "cpu"
    products = (backends.mkldnn.matmul, backends.mkldnn.conv) if cpu else (backends.cuda.matmul,)
    found = [getattr(product, "fp32_precision", None) for product in products]
    if None in found:  # torch before 2.9
        return torch.get_float32_matmul_precision() == "highest"
    return all(precision in ("none", "ieee") for precision in found)
