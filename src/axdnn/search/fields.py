"""Fields of a search space as plain data: real ones, repeated blocks, and all kinds together."""

from __future__ import annotations

import math
from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np

from axdnn.records import InvalidInputError, Record, Scalar, require_finite
from axdnn.search.discrete import SEPARATOR, Categorical, Integer, When, check_name

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

__all__ = ["SEPARATOR", "Categorical", "Domain", "Field", "Integer", "Real", "Repeat", "When"]


class Real(Record, frozen=True, kw_only=True):
    """A real number from `low` to `high`, continuous or in steps.

    Attributes:
        name: without `/`.
        low: smallest value.
        high: largest value, above `low` by a whole number of steps, if there are any.
        step: distance of two values; None for a continuous field.
        log: draw and change it on a logarithmic scale; `low` must be positive and there are no steps.
        when: all must hold for the field to exist.
    """

    name: str
    low: float
    high: float
    step: float | None = None
    log: bool = False
    when: tuple[When, ...] = ()

    def __post_init__(self) -> None:
        """Check name and range."""
        check_name(self.name)
        require_finite(f"low of {self.name}", self.low)
        require_finite(f"high of {self.name}", self.high)
        if not self.low <= self.high:
            raise InvalidInputError(f"low <= high must hold for {self.name}, but got low={self.low}, high={self.high}")
        if self.log and (self.low <= 0 or self.step is not None):
            raise InvalidInputError(f"a logarithmic {self.name} must have low > 0 and no step")
        if self.step is not None:
            require_finite(f"step of {self.name}", self.step, 0.0)
            if self.step == 0 or (_decimal(self.high) - _decimal(self.low)) % _decimal(self.step):
                raise InvalidInputError(f"high - low of {self.name} must be a multiple of step={self.step} > 0")

    @property
    def count(self) -> float:
        """Number of values; infinite without steps."""
        if self.low == self.high:
            return 1
        if self.step is None:
            return math.inf
        return int((_decimal(self.high) - _decimal(self.low)) / _decimal(self.step)) + 1

    def each(self) -> Iterator[Scalar]:
        """Yield every value of a field with steps."""
        if self.count == math.inf:
            raise InvalidInputError(f"{self.name} is continuous, so its values cannot be listed; give it a step")
        yield from (self._at(k) for k in range(int(self.count)))

    def _at(self, place: int) -> float:
        return float(_decimal(self.low) + place * _decimal(self.step or 0.0))

    def why_not(self, value: Any) -> str:
        """Return why a value is none of this field, or nothing."""
        number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        steps = f" in steps of {self.step:g}" if self.step is not None else ""
        inside = number and self.low <= value <= self.high
        if inside and self.step is not None:
            places = (value - self.low) / self.step
            inside = abs(places - round(places)) < 1e-6
        return "" if inside else f"must be a number from {self.low:g} to {self.high:g}{steps}"

    def exact(self, value: Any) -> Scalar:
        """Return a value of the field as a float, on the grid."""
        return float(value) if self.step is None else self._at(round((value - self.low) / self.step))

    def draw(self, rng: np.random.Generator) -> Scalar:
        """Draw a value, uniform on the field's scale."""
        return self.from_unit(float(rng.random()))

    def change(self, value: Any, rng: np.random.Generator) -> Scalar:
        """Draw another value: as often near (a tenth of the scale) as anywhere."""
        if self.low == self.high:
            return float(value)
        for _ in range(20):  # on a grid a small move may end where it began
            near = min(max(self.to_unit(value) + 0.1 * float(rng.normal()), 0.0), 1.0)
            drawn = self.from_unit(near) if rng.random() < 0.5 else self.draw(rng)
            if drawn != value:
                return drawn
        return self.high if value == self.low else self.low

    def mend(self, value: Any) -> Scalar | None:
        """Return the nearest value, or None if it is not a finite number."""
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            return None
        return self.exact(min(max(value, self.low), self.high))

    def to_unit(self, value: Any) -> float:
        """Map a value to its place in `[0, 1]`, on a grid to the middle of its part."""
        if self.low == self.high:
            return 0.5
        if self.log:
            return float(math.log(value / self.low) / math.log(self.high / self.low))
        if self.step is not None:
            return float((round((value - self.low) / self.step) + 0.5) / self.count)
        return float((value - self.low) / (self.high - self.low))

    def from_unit(self, unit: float) -> Scalar:
        """Map `[0, 1]` to a value."""
        if self.step is not None:
            return self._at(min(int(unit * self.count), int(self.count) - 1))
        if self.log:
            return float(min(max(self.low * (self.high / self.low) ** unit, self.low), self.high))
        return min(max(self.low + unit * (self.high - self.low), self.low), self.high)

    def distribution(self) -> BaseDistribution:
        """Return the field as Optuna names it."""
        from optuna.distributions import FloatDistribution

        return FloatDistribution(self.low, self.high, log=self.log, step=self.step)


class Repeat(Record, frozen=True, kw_only=True):
    """A block of fields that occurs a variable number of times, `least` to `most`.

    The number is a field of its own, called as the block; the fields of block i are `NAME/i/FIELD`.

    Attributes:
        name: without `/`.
        least: smallest number of blocks, 0 or more.
        most: largest number of blocks, at least 1.
        fields: of one block; blocks may hold blocks.
        when: all must hold for the blocks to exist.
    """

    name: str
    least: int
    most: int
    fields: tuple[Categorical | Integer | Real | Repeat, ...]
    when: tuple[When, ...] = ()

    def __post_init__(self) -> None:
        """Check name, numbers and fields."""
        check_name(self.name)
        if not 0 <= self.least <= self.most or self.most < 1:
            raise InvalidInputError(
                f"0 <= least <= most and most >= 1 must hold for {self.name}, but got {self.least}, {self.most}"
            )
        if not self.fields:
            raise InvalidInputError(f"the block {self.name} must have fields")


Domain = Categorical | Integer | Real
Field = Categorical | Integer | Real | Repeat


def _decimal(value: float) -> Decimal:
    return Decimal(repr(float(value)))  # as written: 0.1 is a tenth
