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
    "float32": {"call": 1e-4, "group": 3e-7, "inputs": 2.6e-9, "products": 2e-11, "layout": 2.3e-10, "packed": 3.5e-9,
                "sums": 1e-9},
    "float64": {"call": 1e-4, "group": 2.7e-6, "inputs": 1e-9, "products": 3.9e-11, "layout": 2.4e-9,
                "packed": 3.5e-9, "sums": 1e-9},
    "int8": {"call": 5e-5, "group": 5.7e-5, "inputs": 1.2e-9, "layout": 1.7e-10, "products": 1.9e-12,
             "packed": 3.8e-9, "sums": 3e-9},
    "lookup": {"call": 2.8e-4, "products": 1.6e-10, "layout": 1e-10, "rows": 9.3e-9, "table": 3.7e-9},
}  # fmt: skip
_DIGITS: Mapping[str, Costs] = {
    name: {
        "digits": {"call": 5e-5, "group": 3e-7, "inputs": inputs, "products": products, "layout": 1.4e-11,
                   "pieces": 1.7e-9, "packed": 5e-10, "sums": 8e-10},
        "digits_depthwise": {"call": 2e-5, "group": 2.2e-6, "inputs": inputs, "products": depthwise,
                             "sums": 4 * depthwise},
    }
    for name, inputs, products, depthwise in (
        ("amx", 1.1e-11, 1.5e-12, 7e-10), ("vnni", 1.1e-11, 4e-12, 7e-10), ("avx2", 1.5e-10, 2e-11, 1.4e-9),
        ("portable", 1.5e-10, 1.6e-10, 4.8e-9),
    )
}  # fmt: skip
_PLANES: Mapping[bool, Costs] = {
    permutes: {
        f"planes{count}{tail}": {"call": 3.5e-5, "inputs": 4e-10, "looked_up": seconds, "layout": 4e-11, "sums": 1e-10,
                                 "blocks": 2e-7, "packed": 8e-10}
        for count, seconds in ((1, one), (2, two)) for tail in ("", "_depthwise")
    }
    for permutes, one, two in ((True, 2.5e-11, 4.6e-11), (False, 3.8e-10, 5.3e-10))
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
