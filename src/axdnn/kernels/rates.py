"""Predicted seconds of one core for each path, for choosing only: measured orders of magnitude, not promises."""

from __future__ import annotations

from axdnn.kernels.native import has_permutes, native_variants

# Products of one core in a second.
TORCH_RATES = {"float32": 4e10, "float64": 1.5e10, "lookup": 2.5e9, "reference": 1e8}
LOOKUP_ROW_RATE = 1e9
FEW_OUTPUTS = 32  # windows are laid out for at least so many
DIGIT_RATES = {"portable": 6e9, "avx2": 5e10, "avxvnni": 1.3e11, "vnni": 2.2e11, "amx": 8e11}
# Window bytes laid out, weight bytes packed, sums added, in a second.
LAYOUT_RATE, PACK_RATE, SUM_RATE = 3e10, 4e9, 3e9
# Look-ups by the number of bytes an entry has, with and without byte permutes.
LOOKUP_RATES = {True: {1: 2.8e10, 2: 1.7e10}, False: {1: 2.7e9, 2: 1.9e9}}
PANEL, TERMS_AT_ONCE = 16, 256
CALL_S = 2e-5


def torch_lookup_s(m: int, k: int, n: int) -> float:
    """Predicted seconds of the look-up path of torch."""
    return float(m) * k * max(n, FEW_OUTPUTS) / TORCH_RATES["lookup"] + 256.0 * k * min(m, n) / LOOKUP_ROW_RATE


def digits_s(m: int, k: int, n: int, pairs: int, scales: int) -> float:
    """Predicted seconds of native digit products.

    Args:
        m: windows.
        k: terms of a window.
        n: outputs; they come in panels.
        pairs: digit pairs of the table.
        scales: different scales among them.
    """
    panels = -(-n // PANEL) * PANEL
    terms = float(k) * pairs
    products = m * terms * panels / DIGIT_RATES[native_variants()[-1]]
    return products + m * terms / LAYOUT_RATE + n * terms / PACK_RATE + float(m) * n * scales / SUM_RATE + CALL_S


def planes_s(m: int, k: int, n: int, count: int, exact_pairs: int) -> float:
    """Predicted seconds of native look-ups.

    Args:
        m: windows.
        k: terms of a window.
        n: outputs.
        count: bytes of an entry.
        exact_pairs: digit pairs of the exact product where only a difference is looked up, else 0.
    """
    looked_up = float(m) * k * n / LOOKUP_RATES[has_permutes()][count]
    added = float(m) * n * -(-k // TERMS_AT_ONCE) / SUM_RATE
    return looked_up + added + CALL_S + (digits_s(m, k, n, exact_pairs, 1) if exact_pairs else 0.0)
