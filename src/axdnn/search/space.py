"""`Space`: what can be searched. Plain data with a digest, and two hooks: one that judges and one that mends."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from axdnn.records import InfeasibleError, InvalidInputError, Record, Scalar, from_json, to_json
from axdnn.search.fields import SEPARATOR, Categorical, Field, Integer, Real, Repeat
from axdnn.search.slots import Candidate, Slot, count, enumerate_all, lay_out

Check = Callable[[Candidate], str | None]
Repair = Callable[[Candidate], Candidate]
TRIES = 1000  # draws after which a space counts as one without valid candidates


class SpaceFields(Record, frozen=True, kw_only=True):
    """The fields of a space, as they are saved."""

    fields: tuple[Categorical | Integer | Real | Repeat, ...]


@dataclass(frozen=True)
class Space:
    """A search space: candidates are flat mappings from the paths of the fields that exist to their values.

    Attributes:
        fields: in order; conditions look back.
        check: says why a candidate that fits the fields is not valid, or None; quick and without state.
        repair: returns a candidate near the given one that is more likely valid; it may leave out fields, which are
            drawn again.

    Raises:
        InvalidInputError: a rule of the fields is broken.
    """

    fields: tuple[Field, ...]
    check: Check | None = field(default=None, compare=False)
    repair: Repair | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        """Lay the fields out once, so that faults show at once."""
        object.__setattr__(self, "fields", tuple(self.fields))
        _ = self.slots

    @cached_property
    def slots(self) -> tuple[Slot, ...]:
        """Every field that can exist, flat, each after those it depends on."""
        return lay_out(self.fields)

    @cached_property
    def by_path(self) -> Mapping[str, Slot]:
        """Slots by path."""
        return {slot.path: slot for slot in self.slots}

    @cached_property
    def size(self) -> int | float:
        """Exact number of candidates that fit the fields, before `check`; infinite for a continuous space."""
        return count(self.slots)

    def to_json(self) -> str:
        """Return the fields as JSON text; hooks are code and stay out."""
        return to_json(SpaceFields(fields=self.fields))

    @classmethod
    def from_json(cls, text: str | bytes, check: Check | None = None, repair: Repair | None = None) -> Space:
        """Read the fields from JSON text.

        Raises:
            RecordError: it is no space.
        """
        return cls(from_json(SpaceFields, text, "the space").fields, check, repair)

    @cached_property
    def digest(self) -> str:
        """Hexadecimal digest of the fields, 16 digits: equal for equal spaces, in any process."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:16]

    def all(self) -> Iterator[dict[str, Scalar]]:
        """Yield every valid candidate, each once.

        Raises:
            InvalidInputError: a field is continuous.
        """
        for candidate in enumerate_all(self.slots):
            if self.check is None or not self.check(candidate):
                yield candidate

    def why_invalid(self, candidate: Candidate) -> str:
        """Return why a candidate is not valid, naming the field, or nothing."""
        exists = set()
        for slot in self.slots:
            if slot.exists(candidate):
                exists.add(slot.path)
                if slot.path not in candidate:
                    return f"{slot.path} is missing"
                reason = slot.domain.why_not(candidate[slot.path])
                if reason:
                    return f"{slot.path} {reason}, but got {candidate[slot.path]!r}"
            elif slot.path in candidate:
                needs = " and ".join(f"{path} in {sorted(map(str, values))}" for path, values in slot.needs)
                return f"{slot.path} exists only with {needs}"
        unknown = sorted(set(candidate) - exists)
        if unknown:
            return f"{unknown[0]} is no field of the space"
        return (self.check(candidate) or "") if self.check else ""

    def exact(self, candidate: Candidate) -> dict[str, Scalar]:
        """Return a candidate that fits the fields in their order, each value in its exact form."""
        return {s.path: s.domain.exact(candidate[s.path]) for s in self.slots if s.path in candidate}

    def key(self, candidate: Candidate) -> str:
        """Hexadecimal digest of a candidate, 16 digits: equal for equal candidates, in any process."""
        text = json.dumps(self.exact(candidate), separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def complete(self, candidate: Candidate, rng: np.random.Generator) -> dict[str, Scalar]:
        """Mend what the fields can mend: drop what does not exist, take the nearest number, draw what is missing."""
        whole: dict[str, Scalar] = {}
        for slot in self.slots:
            if slot.exists(whole):
                value = slot.domain.mend(candidate[slot.path]) if slot.path in candidate else None
                whole[slot.path] = slot.domain.draw(rng) if value is None else value
        return whole

    def mend(self, candidate: Candidate, rng: np.random.Generator) -> dict[str, Scalar]:
        """Mend by the fields, then by the user's hook, then by the fields again; the result may still be invalid."""
        whole = self.complete(candidate, rng)
        return whole if self.repair is None or not self.why_invalid(whole) else self.complete(self.repair(whole), rng)

    def sample(self, rng: np.random.Generator) -> dict[str, Scalar]:
        """Draw a valid candidate: each field that exists uniformly, mended, drawn again while invalid.

        Raises:
            InfeasibleError: no draw was valid.
        """
        reason = ""
        for _ in range(TRIES):
            candidate = self.mend({}, rng)
            reason = self.why_invalid(candidate)
            if not reason:
                return candidate
        raise InfeasibleError(f"a space must have valid candidates, but {TRIES} draws were refused; the last: {reason}")

    def nested(self, candidate: Candidate) -> dict[str, Any]:
        """Return a candidate with its blocks as lists of mappings, in the place of their number."""
        return _nest(self.fields, "", candidate)

    def flat(self, nested: Mapping[str, Any]) -> dict[str, Scalar]:
        """Return a candidate from its nested form.

        Raises:
            InvalidInputError: it is not valid.
        """
        candidate: dict[str, Scalar] = {}
        _flatten(self.fields, "", nested, candidate)
        return self.require(candidate)

    def require(self, candidate: Candidate) -> dict[str, Scalar]:
        """Return a candidate in its exact form.

        Raises:
            InvalidInputError: it is not valid; says why.
        """
        reason = self.why_invalid(candidate)
        if reason:
            raise InvalidInputError(f"a candidate must fit the space, but {reason}")
        return self.exact(candidate)

    @property
    def size_text(self) -> str:
        """The size as text: exact digits, or `inf`."""
        return "inf" if self.size == math.inf else str(self.size)


def _nest(fields: Sequence[Field], prefix: str, candidate: Candidate) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for part in fields:
        path = prefix + part.name
        if path not in candidate:
            continue
        if isinstance(part, Repeat):
            blocks = range(int(candidate[path]))
            nested[part.name] = [_nest(part.fields, f"{path}{SEPARATOR}{i}{SEPARATOR}", candidate) for i in blocks]
        else:
            nested[part.name] = candidate[path]
    return nested


def _flatten(fields: Sequence[Field], prefix: str, nested: Mapping[str, Any], candidate: dict[str, Scalar]) -> None:
    unknown = sorted(set(nested) - {part.name for part in fields})
    if unknown:
        raise InvalidInputError(f"{prefix}{unknown[0]} is no field of the space")
    for part in fields:
        if part.name not in nested:
            continue
        path, value = prefix + part.name, nested[part.name]
        if isinstance(part, Repeat):
            candidate[path] = len(value)
            for i, block in enumerate(value):
                _flatten(part.fields, f"{path}{SEPARATOR}{i}{SEPARATOR}", block, candidate)
        else:
            candidate[path] = value
