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
# Depthwise costs, also of windows of 3 x 3, are those of a Zen 5 core, times 1.6, as float32 takes longer on that Xeon.
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
        "digits": {"call": 9e-5, "group": 8e-6, "inputs": inputs, "products": products, "layout": 4e-11,
                   "pieces": 8e-10, "packed": 2.7e-10, "sums": sums},
        **{
            kind: {"call": 4e-5, "group": 8e-8, "inputs": inputs / 2, "products": cost, "sums": sums}
            for kind, cost in (("digits_depthwise", depthwise), ("digits_3x3", window))
        },
    }
    for name, inputs, products, sums, depthwise, window in (
        ("amx", 2e-10, 1.1e-12, 3e-10, 2.4e-11, 1.4e-11), ("vnni", 3e-10, 3.6e-12, 4e-10, 2.4e-11, 1.4e-11),
        ("avxvnni", 6e-10, 6e-12, 4e-10, 5.9e-11, 2.7e-11), ("avx2", 6e-10, 2e-11, 7e-10, 5.9e-11, 2.7e-11),
        ("portable", 5e-10, 1.6e-10, 7e-10, 2.5e-10, 2.5e-10),
    )
}  # fmt: skip
_PLANES: Mapping[bool, Costs] = {
    permutes: {
        f"planes{count}{tail}": {"call": 6e-5, "inputs": 7e-10, "looked_up": seconds, "layout": 3e-11, "sums": 6e-11,
                                 "packed": 1e-9, **({} if tail == "_outputs" else {"blocks": 2e-7})}
        for count, seconds in ((1, one), (2, two)) for tail in ("", "_depthwise", "_outputs")
    }
    for permutes, one, two in ((True, 2.2e-11, 3.5e-11), (False, 2e-10, 2.5e-10))
}  # fmt: skip
_ROWS: Mapping[bool, Costs] = {
    vectors: {"rows": {"call": 1.1e-4, "inputs": 1e-10, "laid_out": 4.1e-8, "products": added}}
    for vectors, added in ((True, 2.6e-11), (False, 8.4e-11))
}


def shipped_rates(variants: tuple[str, ...], permutes: bool) -> Rates:
    """Return costs of a core like those the kernels were tuned on.

    Args:
        variants: of the native kernels, slowest first; empty without them.
        permutes: whether look-ups use byte permutes.
    """
    if not variants:
        return Rates(_TORCH, "shipped")
    known = next((name for name in reversed(variants) if name in _DIGITS), "portable")
    own = {**_DIGITS[known], **_PLANES[permutes], **_ROWS["vnni" in variants]}
    return Rates({**_TORCH, **own}, "shipped")
