"""Which circuits a search chooses from: a ladder from the exact one to coarse ones, cheaper at every rung."""

from __future__ import annotations

from axdnn.layers import Recipe, coded
from axdnn.multipliers import error_metrics, load_multiplier, load_set
from axdnn.records import InvalidInputError, Multiplier, require_finite

SAVING = 0.2  # of power, at least, from rung to rung
MOST_ERROR = 0.05  # mean absolute error as a share of the largest product
LARGEST = {"signed": 128 * 128, "unsigned": 255 * 255}


def ladder_of(spec: str, saving: float = SAVING, most_error: float = MOST_ERROR) -> tuple[Multiplier, ...]:
    """Return the exact circuit and those of a set that are worth choosing from, from the mildest to the coarsest.

    A circuit stays if none that errs as little takes less power, if it takes less than the rung before it by a share,
    and if its error is not hopeless. Circuits that are named one by one all stay.

    Args:
        spec: a set, or names with commas, see `axdnn.multipliers.load_set`.
        saving: share of power that each rung saves, 0..1.
        most_error: largest mean absolute error, as a share of the largest product.

    Raises:
        UnknownNameError: no such multiplier.
        InvalidInputError: a multiplier without figures, or a share out of range.
    """
    require_finite("saving", saving, 0.0, 1.0)
    exact = load_multiplier("exact")
    offered = [m for m in load_set(spec) if m.id != exact.id]
    for m in offered:
        if m.figures is None:
            raise InvalidInputError(f"multiplier {m.name!r} must have figures (power, area) to be chosen by cost")
    rated = sorted(((error_of(m), _power_w(m), m.name, m) for m in offered), key=lambda r: r[:3])
    named = len(spec.split(",")) > 1 or len(offered) <= 1
    if named:
        return (exact, *(m for *_, m in rated))
    rungs, last = [exact], _power_w(exact)
    for error, power, _, m in rated:
        cheaper = any(e <= error and p < power for e, p, *_ in rated)
        if error <= most_error and not cheaper and power <= (1.0 - saving) * last:
            rungs.append(m)
            last = power
    return tuple(rungs)


def error_of(multiplier: Multiplier) -> float:
    """Return the mean absolute error over all operands as a share of the largest product."""
    return float(error_metrics(multiplier).mae) / LARGEST["signed" if multiplier.coding == "signed" else "unsigned"]


def _power_w(multiplier: Multiplier) -> float:
    wired = coded(multiplier, Recipe())
    assert wired.figures is not None
    return wired.figures.power_w
