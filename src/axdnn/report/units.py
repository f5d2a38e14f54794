"""Numbers as people read them: SI quantities with a prefix, points, percent, durations."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

from axdnn.records import InvalidInputError

MINUS = "\u2212"
DASH = "\u2013"
TIMES = "\u00d7"

# unit -> (used from this magnitude on, SI value of one displayed unit, displayed unit), smallest first.
_PREFIXES = ((1e-15, "f"), (1e-12, "p"), (1e-9, "n"), (1e-6, "µ"), (1e-3, "m"), (1.0, ""))
_STEPS: dict[str, tuple[tuple[float, float, str], ...]] = {
    **{unit: tuple((size, size, prefix + unit) for size, prefix in _PREFIXES) for unit in "JsW"},
    "m²": ((1e-15, 1e-12, "µm²"), (1e-8, 1e-6, "mm²")),
    "B": ((1.0, 1.0, "B"), (1e3, 1e3, "kB"), (1e6, 1e6, "MB"), (1e9, 1e9, "GB")),
}  # fmt: skip


class Scale(NamedTuple):
    """How SI values are displayed: divide by `factor`, write `unit`."""

    factor: float
    unit: str


class Quantity(NamedTuple):
    """An SI value with its unit: `J`, `s`, `W`, `m²` or `B`."""

    value: float
    unit: str


def scale_for(values: Iterable[float | None], unit: str) -> Scale:
    """Return the one scale in which all `values` of an SI `unit` are displayed; the largest one decides.

    Raises:
        InvalidInputError: the unit is not `J`, `s`, `W`, `m²` or `B`.
    """
    if unit not in _STEPS:
        raise InvalidInputError(f"`unit` must be one of {', '.join(_STEPS)}, but got {unit!r}")
    steps = _STEPS[unit]
    largest = max((abs(v) for v in values if v is not None and math.isfinite(v)), default=0.0)
    if largest == 0.0:
        factor, label = steps[-1][1:] if unit != "B" else steps[0][1:]
        return Scale(factor, label)
    fitting = [step for step in steps if largest * (1 + 5e-4) >= step[0]]
    _, factor, label = fitting[-1] if fitting else steps[0]
    return Scale(factor, label)


def decimals_for(largest: float, significant: int = 4) -> int:
    """Return how many decimals give `largest` the wanted significant digits (at most six)."""
    if largest == 0.0 or not math.isfinite(largest):
        return 0
    return min(6, max(0, significant - 1 - math.floor(math.log10(abs(largest)))))


def signed(text: str) -> str:
    """Return a number's text with a typographic minus; `-0.00` loses its sign."""
    if text.startswith("-") and not any(c in "123456789" for c in text):
        text = text[1:]
    return text.replace("-", MINUS)


def fixed(value: float | None, decimals: int) -> str:
    """Return `value` with thousands separators and a fixed number of decimals; a dash for None."""
    if value is None or math.isnan(value):
        return DASH
    if math.isinf(value):
        return "∞" if value > 0 else f"{MINUS}∞"
    text = f"{value:,.{decimals}f}"
    if value != 0 and not any(c in "123456789" for c in text):
        return f"<{10.0**-decimals:.{decimals}f}" if value > 0 else f">{MINUS}{10.0**-decimals:.{decimals}f}"
    return signed(text)


def significant(value: float | None, digits: int = 3) -> str:
    """Return `value` with so many significant digits, without an exponent where it can be read."""
    if value is None or math.isnan(value):
        return DASH
    if value == 0 or math.isinf(value):
        return fixed(value, 0)
    rounded = float(f"{value:.{digits - 1}e}")
    if not 1e-4 <= abs(rounded) < 1e7:
        return signed(f"{value:.{digits - 1}e}")
    text = fixed(rounded, decimals_for(rounded, digits))
    return text.rstrip("0").rstrip(".") if "." in text and rounded == round(rounded) else text


def quantity(value: float | None, unit: str, digits: int = 3) -> str:
    """Return an SI value in engineering form, e.g. `812 nJ`."""
    if value is None:
        return DASH
    scale = scale_for([value], unit)
    if unit == "B" and scale.factor == 1.0:
        return f"{value:,.0f}\u00a0B"
    return f"{significant(value / scale.factor, digits)}\u00a0{scale.unit}"


def percent(fraction: float | None, decimals: int = 2) -> str:
    """Return a fraction as percent, e.g. `98.71 %`."""
    return DASH if fraction is None else f"{fixed(fraction * 100, decimals)}\u00a0%"


def points(fraction: float | None, decimals: int = 2) -> str:
    """Return a difference of two fractions in percentage points, e.g. `0.42`; never `<0.01`."""
    return DASH if fraction is None else signed(f"{fraction * 100:.{decimals}f}")


def budget_text(size: float) -> str:
    """Return an accuracy budget, given in percentage points, in words, e.g. `1 point`, `0.5 points`."""
    return f"{size:g}\u00a0point{'' if size == 1 else 's'}"


def ratio(value: float, baseline: float) -> float | None:
    """Return `value / baseline`, or None if the baseline is zero."""
    return value / baseline if baseline else None


def change(value: float, baseline: float) -> float | None:
    """Return the change from the baseline as a fraction of it; None from zero to something."""
    part = ratio(value, baseline)
    if part is None:
        return 0.0 if value == 0 else None
    return part - 1


def change_text(value: float, baseline: float) -> str:
    """Return the change from the baseline in percent, e.g. `−23.1 %`, `+1.0 %`, `±0 %`; a dash if undefined."""
    return change_percent(change(value, baseline))


def change_percent(fraction: float | None, decimals: int = 1) -> str:
    """Return a change in percent with its sign."""
    if fraction is None:
        return DASH
    text = f"{fraction * 100:+.{decimals}f}"
    if not any(c in "123456789" for c in text):
        return "±0\u00a0%"
    return f"{text.replace('-', MINUS)}\u00a0%"


def times_lower(value: float, baseline: float) -> str:
    """Return how many times `value` is below the baseline, e.g. `12.4×`; infinite when nothing is left."""
    if baseline == 0:
        return DASH
    return "∞" if value == 0 else f"{significant(baseline / value)}{TIMES}"


def duration(seconds: float) -> str:
    """Return a wall time, e.g. `412 ms`, `8.31 s`, `3 min 12 s`, `2 h 05 min`."""
    if seconds < 60:
        return quantity(seconds, "s") if seconds < 59.95 else "60\u00a0s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60}\u00a0min {whole % 60:02d}\u00a0s"
    return f"{whole // 3600}\u00a0h {whole % 3600 // 60:02d}\u00a0min"
