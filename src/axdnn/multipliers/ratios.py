"""Exact circuits, and figures of a multiplier relative to the exact circuit of the same signedness."""

from __future__ import annotations

from functools import cache

from axdnn.multipliers.catalogue import EXACT, load_multiplier
from axdnn.records import CODINGS, Coding, Figures, InvalidInputError, Multiplier


@cache
def exact_multiplier(coding: Coding) -> Multiplier:
    """Return the exact circuit of a coding; for `sign_magnitude` the wrapped unsigned one.

    Raises:
        InvalidInputError: no such coding.
    """
    if coding not in CODINGS:
        raise InvalidInputError(f"`coding` must be one of {', '.join(CODINGS)}, but got {coding!r}")
    exact = load_multiplier(EXACT["signed" if coding == "signed" else "unsigned"])
    return exact.sign_magnitude() if coding == "sign_magnitude" else exact


def power_ratio(multiplier: Multiplier) -> float:
    """Power of a multiplier relative to the exact circuit of the same signedness (`sign_magnitude` is unsigned).

    Raises:
        InvalidInputError: the multiplier has no figures.
    """
    return _figures(multiplier).power_w / _figures(exact_multiplier(multiplier.coding)).power_w


def area_ratio(multiplier: Multiplier) -> float:
    """Area of a multiplier relative to the exact circuit of the same signedness (`sign_magnitude` is unsigned).

    Raises:
        InvalidInputError: the multiplier has no figures.
    """
    return _figures(multiplier).area_m2 / _figures(exact_multiplier(multiplier.coding)).area_m2


def _figures(multiplier: Multiplier) -> Figures:
    if multiplier.figures is None:
        raise InvalidInputError(
            f"{multiplier.name!r} has no figures (power, area, delay), so it can be simulated but not priced;"
            " give `figures=` when you build it"
        )
    return multiplier.figures
