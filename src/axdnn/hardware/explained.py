"""A figure with formula, inputs and sources: what explanations of all machines consist of."""

from __future__ import annotations

from typing import NamedTuple


class Input(NamedTuple):
    """A number that enters a formula, and where it is from."""

    value: float
    source: str


class Explained(NamedTuple):
    """A figure of a layer.

    Attributes:
        name: component of the energy, or `cycles`.
        value: in `unit`.
        unit: joules or cycles.
        formula: expression over `inputs`; `ceil`, `log2`, `max` are the usual functions.
        inputs: name -> value and source.
    """

    name: str
    value: float
    unit: str
    formula: str
    inputs: dict[str, Input]
