"""Fields of a search space whose values can be counted, as plain data: categorical and integer; conditions."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from axdnn.records import InvalidInputError, Record, Scalar, require_finite

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

SEPARATOR = "/"


class When(Record, frozen=True, kw_only=True):
    """A condition: the field it belongs to exists only while another field has one of some values.

    Attributes:
        field: name of a categorical or integer field that stands before; in a repeated block the block's own fields
            come first, then those around it. For a `Repeat` it is the number of its blocks.
        values: any of these.
    """

    field: str
    values: tuple[Scalar, ...]

    def __post_init__(self) -> None:
        """Refuse a condition that nothing fulfils."""
        if not self.values:
            raise InvalidInputError(f"the condition on {self.field} must name at least one value")


class Categorical(Record, frozen=True, kw_only=True):
    """One of several values without an order.

    Attributes:
        name: without `/`.
        values: at least one; text, numbers or booleans, no two of them equal.
        when: all must hold for the field to exist.
    """

    name: str
    values: tuple[Scalar, ...]
    when: tuple[When, ...] = ()

    def __post_init__(self) -> None:
        """Check name and values."""
        check_name(self.name)
        if not self.values:
            raise InvalidInputError(f"{self.name} must have at least one value")
        if len(set(self.values)) != len(self.values):  # True and 1 are equal: they would be one key of a dictionary
            raise InvalidInputError(f"values of {self.name} must differ, but got {list(self.values)}")
        for value in self.values:
            if isinstance(value, float):
                require_finite(f"value of {self.name}", value)

    @property
    def count(self) -> float:
        """Number of values."""
        return len(self.values)

    def each(self) -> Iterator[Scalar]:
        """Yield every value."""
        yield from self.values

    def why_not(self, value: Any) -> str:
        """Return why a value is none of this field, or nothing."""
        return "" if _among(value, self.values) else f"must be one of {_shown(self.values)}"

    def exact(self, value: Any) -> Scalar:
        """Return the listed value that equals a value of the field."""
        return self.values[self.values.index(value)]

    def draw(self, rng: np.random.Generator) -> Scalar:
        """Draw a value uniformly."""
        return self.values[int(rng.integers(len(self.values)))]

    def change(self, value: Any, rng: np.random.Generator) -> Scalar:
        """Draw another value uniformly; the same one where there is no other."""
        others = [v for v in self.values if v != value]
        return others[int(rng.integers(len(others)))] if others else value

    def mend(self, value: Any) -> Scalar | None:
        """Return the nearest value, or None: categories have no distance."""
        return self.exact(value) if _among(value, self.values) else None

    def to_unit(self, value: Any) -> float:
        """Map a value to the middle of its part of `[0, 1]`."""
        return (self.values.index(value) + 0.5) / len(self.values)

    def from_unit(self, unit: float) -> Scalar:
        """Map `[0, 1]` to a value."""
        return self.values[min(int(unit * len(self.values)), len(self.values) - 1)]

    def distribution(self) -> BaseDistribution:
        """Return the field as Optuna names it."""
        from optuna.distributions import CategoricalDistribution

        return CategoricalDistribution(self.values)


class Integer(Record, frozen=True, kw_only=True):
    """A whole number: `low`, `low + step`, ... up to `high`.

    Attributes:
        name: without `/`.
        low: smallest value.
        high: largest value, `low` or more, a whole number of steps away.
        step: at least 1; 1 if `log`.
        log: draw and change it on a logarithmic scale; `low` must be positive.
        when: all must hold for the field to exist.
    """

    name: str
    low: int
    high: int
    step: int = 1
    log: bool = False
    when: tuple[When, ...] = ()

    def __post_init__(self) -> None:
        """Check name and range."""
        check_name(self.name)
        if not self.low <= self.high:
            raise InvalidInputError(f"low <= high must hold for {self.name}, but got low={self.low}, high={self.high}")
        if self.step < 1 or (self.high - self.low) % self.step:
            raise InvalidInputError(
                f"high - low of {self.name} must be a multiple of step >= 1, but got low={self.low}, "
                f"high={self.high}, step={self.step}"
            )
        if self.log and (self.low < 1 or self.step != 1):
            raise InvalidInputError(f"a logarithmic {self.name} must have low >= 1 and step 1")

    @property
    def count(self) -> float:
        """Number of values."""
        return (self.high - self.low) // self.step + 1

    def each(self) -> Iterator[Scalar]:
        """Yield every value."""
        yield from range(self.low, self.high + 1, self.step)

    def why_not(self, value: Any) -> str:
        """Return why a value is none of this field, or nothing."""
        whole = isinstance(value, int) and not isinstance(value, bool)
        inside = whole and self.low <= value <= self.high and not (value - self.low) % self.step
        steps = f" in steps of {self.step}" if self.step > 1 else ""
        return "" if inside else f"must be a whole number from {self.low} to {self.high}{steps}"

    def exact(self, value: Any) -> Scalar:
        """Return a value of the field as a Python integer."""
        return int(value)

    def draw(self, rng: np.random.Generator) -> Scalar:
        """Draw a value, uniform on the field's scale."""
        return self.from_unit(float(rng.random()))

    def change(self, value: Any, rng: np.random.Generator) -> Scalar:
        """Draw another value: one step away as often as anywhere; the same one where there is no other."""
        if self.low == self.high:
            return int(value)
        near = [v for v in (value - self.step, value + self.step) if self.low <= v <= self.high]
        if rng.random() < 0.5:
            return int(near[int(rng.integers(len(near)))])
        drawn = self.draw(rng)
        return drawn if drawn != value else int(near[int(rng.integers(len(near)))])

    def mend(self, value: Any) -> Scalar | None:
        """Return the nearest value, or None if it is not a finite number."""
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            return None
        steps = round((min(max(value, self.low), self.high) - self.low) / self.step)
        return self.low + steps * self.step

    def to_unit(self, value: Any) -> float:
        """Map a value to the middle of its part of `[0, 1]`."""
        if self.log:
            low, high = math.log(self.low - 0.5), math.log(self.high + 0.5)
            return float((math.log(value) - low) / (high - low))
        return float(((value - self.low) // self.step + 0.5) / self.count)

    def from_unit(self, unit: float) -> Scalar:
        """Map `[0, 1]` to a value."""
        if self.log:
            low, high = math.log(self.low - 0.5), math.log(self.high + 0.5)
            return min(max(round(math.exp(low + unit * (high - low))), self.low), self.high)
        return self.low + self.step * min(int(unit * self.count), int(self.count) - 1)

    def distribution(self) -> BaseDistribution:
        """Return the field as Optuna names it."""
        from optuna.distributions import IntDistribution

        return IntDistribution(self.low, self.high, log=self.log, step=self.step)


def check_name(name: str) -> None:
    """Refuse a name that would be no part of a path."""
    if not name or SEPARATOR in name or name != name.strip():
        raise InvalidInputError(f"a field must have a name without {SEPARATOR!r} and blanks around, but got {name!r}")


def _among(value: Any, values: tuple[Scalar, ...]) -> bool:
    return any(v == value and isinstance(v, bool) == isinstance(value, bool) for v in values)


def _shown(values: tuple[Scalar, ...]) -> str:
    shown = ", ".join(map(repr, values[:8]))
    return f"{shown}, ..." if len(values) > 8 else shown
