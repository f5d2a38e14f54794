"""Predicted seconds on a GPU, for choosing a path only.

Orders of magnitude from data sheets and from what others report of their look-up kernels. None of them was measured
here: no GPU was at hand.
"""

from __future__ import annotations

import importlib.util
import os
from functools import cache

DEVICE_RATES = {"int8": 1e14, "float16": 5e13, "float32": 1e13, "float64": 5e11, "lookup": 1e11, "triton": 1e12}
"""Products in a second: tensor cores, plain cores, torch's `embedding_bag`, look-ups that hit L1."""
BYTE_RATE, CALL_S = 5e11, 2e-5
NARROWEST = 8  # outputs of a product on tensor cores


def device_digits_s(kind: str, m: int, k: int, n: int, pairs: int, scales: int) -> float:
    """Predicted seconds of digit products on a GPU.

    Args:
        kind: `int8` or `float16`.
        m: windows.
        k: terms of a window.
        n: outputs.
        pairs: digit pairs of the table.
        scales: different scales among them.
    """
    terms = float(m) * k * pairs
    return terms * max(n, NARROWEST) / DEVICE_RATES[kind] + (2 * terms + 8.0 * m * n * scales) / BYTE_RATE + CALL_S


def device_floats_s(floats: str, m: int, k: int, n: int, rank: int, chunks: int) -> float:
    """Predicted seconds of products of factors in floats: `float32` or `float64`, a sum cut into so many chunks."""
    return float(m) * k * n * rank / DEVICE_RATES[floats] + 8.0 * chunks * m * n / BYTE_RATE


def device_lookup_s(m: int, k: int, n: int) -> float:
    """Predicted seconds of torch's look-ups."""
    return float(m) * k * n / DEVICE_RATES["lookup"]


def triton_s(m: int, k: int, n: int) -> float:
    """Predicted seconds of the Triton look-up kernel."""
    return float(m) * k * n / DEVICE_RATES["triton"] + CALL_S


def triton_runs(device: str) -> bool:
    """Whether the Triton kernel runs on tensors of `device`: a GPU, or the CPU in Triton's interpreter."""
    return _has_triton() and (device.startswith("cuda") or os.environ.get("TRITON_INTERPRET") == "1")


@cache
def _has_triton() -> bool:
    return importlib.util.find_spec("triton") is not None
