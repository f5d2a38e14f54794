"""Figures of a search as people read them: a label without its unit, a scale, which way is better."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from axdnn.records import SearchResult
from axdnn.report.tables import Cell, Column, Kind
from axdnn.report.units import MINUS, Quantity, Scale, percent, points, quantity, scale_for, significant

_UNITS = {"m2": "m²", "m^2": "m²", "byte": "B", "bytes": "B", "ratio": ""}
_SUFFIXES = {"_j": "J", "_s": "s", "_w": "W", "_m2": "m²", "_bytes": "B"}
_RAISED = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
_PREFIXED = ("J", "s", "W", "m²", "B")
_LOSSES, _SHARES = {"loss", "drop"}, {"accuracy", "share", "skipped", "robustness"}
_SPREAD = 2e-4  # of the largest: smaller ones would lose all digits beside it under one prefix


class Measure(NamedTuple):
    """A figure of candidates.

    Attributes:
        key: its name in the record.
        label: for people, without the unit.
        kind: `si`, `percent` and `points` (of fractions), or `number`.
        unit: of the record; shown with a prefix if the kind is `si`.
        direction: `minimize`, `maximize`, or empty if neither is known to be better.
    """

    key: str
    label: str
    kind: Kind
    unit: str = ""
    direction: str = ""

    @property
    def better(self) -> str:
        """Which way is better, in words; empty if that is not known."""
        return {"minimize": "lower is better", "maximize": "higher is better"}.get(self.direction, "")

    @property
    def sign(self) -> float:
        """Factor that makes a loss of a value: the smaller the better."""
        return -1.0 if self.direction == "maximize" else 1.0

    def scale(self, values: Iterable[float]) -> Scale:
        """Return the one scale in which all values are drawn."""
        if self.kind == "si":
            return scale_for(values, self.unit)
        return (
            Scale(0.01, "%" if self.kind == "percent" else "points") if self.kind != "number" else Scale(1.0, self.unit)
        )

    def text(self, value: float) -> str:
        """Return a value with its unit, to be read alone."""
        if self.kind == "si":
            return quantity(value, self.unit, 4)
        if self.kind == "percent":
            return percent(value)
        if self.kind == "points":
            return f"{points(value)}\u00a0points"
        return f"{significant(value, 4)}{' ' if self.unit else ''}{self.unit}".replace(" ", "\u00a0")

    def column(self) -> Column:
        """Return the column of a table that holds it."""
        return Column(self.key, self.label, self.kind, self.unit if self.kind in ("si", "number") else "", self._digits)

    @property
    def _digits(self) -> int:
        return 2 if self.kind in ("percent", "points") else 4

    def cells(self, values: Sequence[float | None]) -> list[Cell]:
        """Return the cells of its column; each with a prefix of its own where one for all would hide the small ones."""
        sizes = [abs(value) for value in values if value]
        if self.kind == "si" and sizes and min(sizes) < _SPREAD * max(sizes):
            return [None if value is None else Quantity(value, self.unit) for value in values]
        return list(values)


def measure(name: str, unit: str, direction: str, values: Iterable[float]) -> Measure:
    """Return how a figure is read.

    A name may end in its unit (`energy_j`). One without unit is read as percent if it is called an accuracy or a share,
    in points if it is called a loss, and only where every value could be a fraction.
    """
    unit = _UNITS.get(unit, unit)
    label = name
    suffix = next((end for end in _SUFFIXES if name.endswith(end) and name != end), "")
    if suffix and unit in ("", _SUFFIXES[suffix]):
        label, unit = name.removesuffix(suffix), _SUFFIXES[suffix]
    label = " ".join(label.replace("_", " ").split()) or name
    if unit in _PREFIXED:
        return Measure(name, label, "si", unit, direction)
    if not unit and all(abs(value) <= 1 for value in values):
        words = set(re.findall("[a-z]+", label.lower()))
        if words & _LOSSES:
            return Measure(name, label, "points", "", direction)
        if words & _SHARES:
            return Measure(name, label, "percent", "", direction)
    return Measure(name, label, "number", unit, direction)


def objective_measures(result: SearchResult) -> tuple[Measure, ...]:
    """Return the objectives, in their order."""
    seen = [
        *(member.objectives for member in result.front),
        *(point for rival in result.rivals for point in rival.points),
    ]
    return tuple(
        measure(o.name, o.unit, o.direction, [values[o.name] for values in seen if o.name in values])
        for o in result.objectives
    )


def figure_measures(result: SearchResult) -> tuple[Measure, ...]:
    """Return what else is known of members of the front, in the order in which it comes up."""
    objectives = {o.name for o in result.objectives}
    units = {c.name: c.unit for c in result.constraints}
    names = dict.fromkeys(name for member in result.front for name in member.figures if name not in objectives)
    found = (
        measure(name, units.get(name, ""), "", [m.figures[name] for m in result.front if name in m.figures])
        for name in names
    )
    return tuple(one._replace(direction=_usual(one)) for one in found)


def _usual(one: Measure) -> str:
    """Which way a figure is better that no one was asked for: costs and losses low, accuracies high."""
    if one.kind in ("si", "points"):
        return "minimize"
    return "maximize" if one.kind == "percent" and {"accuracy", "robustness"} & set(one.label.lower().split()) else ""


def values_text(measures: Sequence[Measure], values: dict[str, float]) -> str:
    """Return some figures in words: `loss 0.42 points, energy 812 nJ`."""
    return ", ".join(f"{m.label}\u00a0{m.text(values[m.key])}" for m in measures if m.key in values)


def readable(value: float, digits: int = 4) -> str:
    """Return a number of any size: `0.3728`, or `3.728 × 10⁻⁸` where `significant` has an exponent."""
    head, mark, exponent = significant(value, digits).partition("e")
    if not mark:
        return head
    return f"{head}\u00a0×\u00a010{str(int(exponent.replace(MINUS, '-'))).translate(_RAISED)}"


def large_count(count: int) -> str:
    """Return a count of any size: `531,441`, or `1.24 × 10³⁴`."""
    if count < 10**9:
        return f"{count:,}"
    exponent = math.floor(math.log10(count))
    digits = round(10 ** (math.log10(count) - exponent), 2)
    if digits >= 10:
        digits, exponent = 1.0, exponent + 1
    power = str(exponent).translate(_RAISED)
    return f"{digits:.2f}\u00a0×\u00a010{power}"
