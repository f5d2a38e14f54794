"""Seconds that each step of a path takes: shipped costs by processor features, or those measured on this machine.

Costs only choose between paths that give the same integers, so they decide how long a product takes and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from axdnn.kernels.work import Size, Work

Costs = Mapping[str, Mapping[str, float]]  # kind of work -> step -> seconds


@dataclass(frozen=True, eq=False)
class Rates:
    """Costs and where they are from; compared by identity.

    Attributes:
        costs: kind of work -> step -> seconds, of the threads that torch uses.
        source: `measured` or `shipped`.
    """

    costs: Costs
    source: str

    def seconds(self, parts: Iterable[Work]) -> float:
        """Predicted seconds of a path that consists of these parts."""
        total = 0.0
        for part in parts:
            costs = self.costs[part.kind]
            for step, count in part.counts.items():
                total += costs[step] * count
        return total


def reference_s(size: Size) -> float:
    """Predicted seconds of the literal path."""
    return 1e-4 + 1e-8 * size.m * size.k * size.n * size.groups


# What `microbenchmark` found on one core of a Xeon with AMX, rounded; for slower variants the same core without it.
_TORCH: Costs = {
    "float32": {"call": 3.2e-4, "group": 8e-7, "inputs": 2.5e-9, "products": 1.6e-11, "layout": 6e-10, "packed": 3.5e-9,
                "sums": 1e-9},
    "float64": {"call": 2.5e-4, "group": 2.5e-6, "inputs": 2.5e-9, "products": 3.2e-11, "layout": 4e-9,
                "packed": 4e-9, "sums": 1e-9},
    "int8": {"call": 2.5e-4, "group": 5.8e-5, "inputs": 1e-9, "layout": 3.5e-10, "products": 1.5e-12,
             "packed": 4e-9, "sums": 3e-9},
    "lookup": {"call": 5e-4, "products": 2e-10, "layout": 1e-10, "rows": 8e-9, "table": 4e-9},
}  # fmt: skip
_DIGITS: Mapping[str, Costs] = {
    name: {
        "digits": {"call": 1.1e-4, "group": group, "inputs": inputs, "products": products, "layout": 3.5e-11,
                   "pieces": 2.3e-9, "packed": 6e-10, "sums": 5e-10},
        "digits_depthwise": {"call": 1.2e-4, "group": 2.2e-6, "inputs": inputs, "products": 6e-10, "sums": sums},
    }
    for name, group, inputs, products, sums in (
        ("amx", 2.4e-6, 5e-11, 1.1e-12, 8e-9), ("vnni", 2.4e-6, 5e-11, 4.4e-12, 1.2e-8),
        ("avx2", 1.2e-6, 4e-10, 2.1e-11, 3e-8), ("portable", 4e-7, 2e-10, 1.8e-10, 1.3e-7),
    )
}  # fmt: skip
_PLANES: Mapping[bool, Costs] = {
    permutes: {
        f"planes{count}{tail}": {"call": 7e-5, "inputs": 1e-9, "looked_up": seconds, "layout": 6e-11, "sums": 1e-10,
                                 "blocks": 2.8e-7, "packed": 1.3e-9}
        for count, seconds in ((1, one), (2, two)) for tail in ("", "_depthwise")
    }
    for permutes, one, two in ((True, 2.1e-11, 4.7e-11), (False, 4.2e-10, 6e-10))
}  # fmt: skip

# Nobody measured these: orders of magnitude of a device with much arithmetic and slow gathers.
ELSEWHERE = Rates({
    "float32": {"call": 2e-5, "group": 1e-7, "inputs": 1e-11, "products": 2e-13, "layout": 1e-11, "packed": 1e-11,
                "sums": 1e-11},
    "float64": {"call": 2e-5, "group": 1e-7, "inputs": 2e-11, "products": 4e-12, "layout": 2e-11, "packed": 2e-11,
                "sums": 1e-11},
    "lookup": {"call": 2e-5, "products": 4e-12, "layout": 2e-11, "rows": 1e-10, "table": 1e-11},
}, "shipped")  # fmt: skip


def shipped_rates(variants: tuple[str, ...], permutes: bool) -> Rates:
    """Return costs of a core like those the kernels were tuned on.

    Args:
        variants: of the native kernels, slowest first; empty without them.
        permutes: whether look-ups use byte permutes.
    """
    if not variants:
        return Rates(_TORCH, "shipped")
    known = next((name for name in reversed(variants) if name in _DIGITS), "portable")
    return Rates({**_TORCH, **_DIGITS[known], **_PLANES[permutes]}, "shipped")
