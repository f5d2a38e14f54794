"""What a choice must keep besides the accuracy budget: limits of the chip, and layers that share their multiplier."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from axdnn.hardware import Prices
from axdnn.records import InfeasibleError, InvalidInputError, require_finite, unknown_name

if TYPE_CHECKING:
    from axdnn.generation.problem import Ints


@dataclass(frozen=True, kw_only=True)
class Constraints:
    """Limits that hold for every strategy, priced by the `streaming` model, `buildable`, batch 1.

    A pod holds one kind of multiplier in any case. What pods are shared out for is energy, so latency and area are
    those of that allocation.

    Attributes:
        most_kinds: distinct multipliers of the network, the exact one included if a layer uses it.
        max_latency_s: of an inference.
        max_area_m2: of the chip.
        max_memory_bytes: weights, biases, activations and partial sums; no multiplier changes it, so it is checked
            before any work.
        tied: patterns of layer names (`stage1.*`); the layers of a pattern get one multiplier. A layer belongs to the
            first pattern that matches it.
    """

    most_kinds: int | None = None
    max_latency_s: float | None = None
    max_area_m2: float | None = None
    max_memory_bytes: float | None = None
    tied: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check every limit."""
        if self.most_kinds is not None:
            require_finite("most_kinds", self.most_kinds, 1)
        for name in ("max_latency_s", "max_area_m2", "max_memory_bytes"):
            value = getattr(self, name)
            if value is not None:
                require_finite(name, value, 0)

    def __bool__(self) -> bool:
        """Whether anything is limited or tied."""
        return self != Constraints()

    def groups(self, layers: Sequence[str]) -> tuple[tuple[str, ...], ...]:
        """Return the layers that share a multiplier, in the order of their first; most are alone.

        Raises:
            UnknownNameError: a pattern matches no layer.
        """
        found: dict[str, list[str]] = {}
        for name in layers:
            pattern = next((p for p in self.tied if fnmatch.fnmatchcase(name, p)), None)
            found.setdefault(f"tied {pattern}" if pattern else f"layer {name}", []).append(name)
        for pattern in self.tied:
            if f"tied {pattern}" not in found:
                raise unknown_name("layer or pattern to tie", pattern, layers)
        return tuple(tuple(members) for members in found.values())

    @property
    def limits_prices(self) -> bool:
        """Whether latency or area is limited, so that choices must be priced to be checked."""
        return self.max_latency_s is not None or self.max_area_m2 is not None

    def excess(self, choices: Ints, prices: Prices | None) -> npt.NDArray[np.float64]:
        """Return how far choices are beyond the limits, as shares of them added up: 0 where all are kept; `(C,)`.

        Args:
            choices: indices of multipliers, `(C, L)`.
            prices: of the whole chip, whatever the search minimises; None if neither latency nor area is limited.
        """
        beyond = np.zeros(len(choices))
        if self.most_kinds is not None:
            kinds = 1 + (np.diff(np.sort(choices, axis=1), axis=1) > 0).sum(axis=1)
            beyond += np.maximum(kinds / self.most_kinds - 1, 0)
        if prices is not None:
            for value, limit in ((prices.latency_s, self.max_latency_s), (prices.area_m2, self.max_area_m2)):
                over = np.zeros(len(choices)) if limit is None else value / limit - 1
                beyond += np.where(over > 1e-9, over, 0.0)
        return beyond

    def require_possible(self, latency_s: float, memory_bytes: float, skipped: str = "") -> None:
        """Refuse limits that no choice can keep.

        The exact network alone has all pods to itself, so none is faster; its memory is everybody's. Skipped neurons
        make a network faster, and smaller, which is not counted on.

        Args:
            latency_s: of the exact network, with as many neurons skipped as can be.
            memory_bytes: of the exact network.
            skipped: says so, for messages.

        Raises:
            InfeasibleError: names the limit, what the network needs, and what would make it fit.
        """
        if self.max_latency_s is not None and latency_s > self.max_latency_s * (1 + 1e-9):
            raise InfeasibleError(
                f"latency <= {self.max_latency_s:g} s cannot be kept: with all pods of one kind{skipped} the network "
                f"takes {latency_s:.4g} s, and multipliers do not make it faster; allow that, or take more or faster "
                "pods"
            )
        if self.max_memory_bytes is not None and memory_bytes > self.max_memory_bytes:
            raise InfeasibleError(
                f"memory <= {self.max_memory_bytes:g} bytes cannot be kept: the network needs {memory_bytes:g}, "
                "whatever its multipliers; allow that, or take a smaller network"
            )


KEYS = {"kinds": "most_kinds", "latency": "max_latency_s", "area": "max_area_m2", "memory": "max_memory_bytes"}
UNITS: dict[str, dict[str, float]] = {
    "kinds": {"": 1}, "latency": {"s": 1, "ms": 1e-3, "us": 1e-6}, "area": {"m2": 1, "cm2": 1e-4, "mm2": 1e-6},
    "memory": {"B": 1, "kB": 2**10, "MB": 2**20, "GB": 2**30},
}  # fmt: skip


def parse_constraints(texts: Sequence[str]) -> Constraints:
    """Read `kinds=3`, `latency=2ms`, `area=400mm2`, `memory=8MB` and `tie=stage1.*`, the last as often as you like.

    Raises:
        UnknownNameError: another key.
        InvalidInputError: no `=`, a key twice, no number, or a unit that the key does not take.
    """
    values: dict[str, float] = {}
    tied: list[str] = []
    for text in texts:
        key, equals, value = (part.strip() for part in text.partition("="))
        if key not in (*KEYS, "tie"):
            raise unknown_name("constraint", key, (*KEYS, "tie"))
        if not equals or not value:
            raise InvalidInputError(f"a constraint is KEY=VALUE, as in kinds=3 or latency=2ms; got {text!r}")
        if key == "tie":
            tied.append(value)
            continue
        if KEYS[key] in values:
            raise InvalidInputError(f"constraint {key!r} must be given once, but is given twice")
        values[KEYS[key]] = _number(key, value)
    kinds = values.pop("most_kinds", None)
    return Constraints(most_kinds=None if kinds is None else int(kinds), tied=tuple(tied), **values)


def _number(key: str, text: str) -> float:
    digits = text.rstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
    if text.endswith("m2"):
        digits = text.removesuffix("2").rstrip("cm")
    unit = text[len(digits) :].strip()
    try:
        number = float(digits)
    except ValueError:
        number = float("nan")
    if unit not in UNITS[key] or not number > 0 or (key == "kinds" and number != int(number)):
        allowed = ", ".join(u for u in UNITS[key] if u)
        kind = f"a number above 0 with a unit ({allowed})" if allowed else "a whole number, at least 1"
        raise InvalidInputError(f"constraint {key!r} must be {kind}, but got {text!r}")
    return number * UNITS[key][unit]
