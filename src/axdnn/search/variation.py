"""How new candidates come from known ones: mutation that can be biased field by field, and crossover by blocks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from axdnn.records import InfeasibleError, InvalidInputError, Scalar
from axdnn.search.slots import Candidate, Slot
from axdnn.search.space import Space

TRIES = 200


@dataclass(frozen=True)
class Guidance:
    """A bias of mutation for one candidate.

    Attributes:
        weights: path -> how likely the field is changed, relative to the others, 0 or more; 1 where it is not named.
        preferences: path -> value -> how likely a changed field takes it, relative to its other values, 0 or more;
            values not named have 0. A field that is not named draws freely.
    """

    weights: Mapping[str, float] = field(default_factory=dict)
    preferences: Mapping[str, Mapping[Scalar, float]] = field(default_factory=dict)


def mutate(
    space: Space, candidate: Candidate, rng: np.random.Generator, fields: int = 1, guidance: Guidance | None = None
) -> dict[str, Scalar]:
    """Return a valid candidate that differs from a valid one in about `fields` fields.

    Fields that come to exist are drawn; what becomes invalid is mended.

    Args:
        space: of the candidate.
        candidate: valid.
        rng: all chance comes from here.
        fields: how many fields are changed, 1 or more; at most those that exist.
        guidance: which fields and values are more likely.

    Raises:
        InfeasibleError: every try was invalid or the same candidate.
    """
    if fields < 1:
        raise InvalidInputError(f"fields >= 1 must hold, but got {fields}")
    guidance = guidance or Guidance()
    slots = [slot for slot in space.slots if slot.path in candidate and slot.domain.count > 1]
    weights = np.array([max(float(guidance.weights.get(slot.path, 1.0)), 0.0) for slot in slots])
    if not slots:
        raise InfeasibleError("no field of the candidate has a second value")
    if not weights.sum() > 0:  # guidance that forbids every field says nothing
        weights = np.ones(len(slots))
    for _ in range(TRIES):
        child = dict(candidate)
        most = min(fields, int(np.count_nonzero(weights)))
        for place in rng.choice(len(slots), size=most, replace=False, p=weights / weights.sum()):
            slot = slots[int(place)]
            child[slot.path] = _changed(slot, child[slot.path], guidance.preferences.get(slot.path), rng)
        child = space.mend(child, rng)
        if child != candidate and not space.why_invalid(child):
            return child
    raise InfeasibleError(f"{TRIES} mutations gave no new valid candidate")


def _changed(slot: Slot, value: Scalar, preferences: Mapping[Scalar, float] | None, rng: np.random.Generator) -> Scalar:
    """Return another value, by preference where there is one."""
    liked = [(v, w) for v, w in (preferences or {}).items() if w > 0 and v != value and not slot.domain.why_not(v)]
    if not liked:
        return slot.domain.change(value, rng)
    chances = np.array([w for _, w in liked], dtype=np.float64)
    return slot.domain.exact(liked[int(rng.choice(len(liked), p=chances / chances.sum()))][0])


def crossover(space: Space, first: Candidate, second: Candidate, rng: np.random.Generator) -> dict[str, Scalar]:
    """Return a valid child of two valid candidates; a copy of `first` if no try is valid.

    Fields come from either parent with equal chance, all fields of one block from the same one; a field that this
    parent lacks comes from the other one, and is drawn if both lack it.

    Args:
        space: of the candidates.
        first: valid.
        second: valid.
        rng: all chance comes from here.
    """
    for _ in range(TRIES):
        child = space.mend(_mixed(space.slots, first, second, rng), rng)
        if not space.why_invalid(child):
            return child
    return dict(first)


def _mixed(slots: Sequence[Slot], first: Candidate, second: Candidate, rng: np.random.Generator) -> dict[str, Scalar]:
    sides: dict[str, bool] = {}
    child: dict[str, Scalar] = {}
    for slot in slots:
        side = sides.setdefault(slot.group, bool(rng.random() < 0.5))
        one, other = (first, second) if side else (second, first)
        if slot.path in one:
            child[slot.path] = one[slot.path]
        elif slot.path in other:
            child[slot.path] = other[slot.path]
    return child
