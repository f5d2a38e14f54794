"""A space laid out flat: every field that can ever exist, with what must hold for it; exact counting; enumeration."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from axdnn.records import InvalidInputError, Scalar
from axdnn.search.fields import SEPARATOR, Domain, Field, Integer, Real, Repeat

Candidate = Mapping[str, Scalar]


class Slot(NamedTuple):
    """A place of the flat layout.

    `path` names it; `needs` are (path of another slot, values one of which it must have); `group` is the innermost
    block it lies in, or its own path.
    """

    path: str
    domain: Domain
    needs: tuple[tuple[str, frozenset[Scalar]], ...]
    group: str

    def exists(self, candidate: Candidate) -> bool:
        """Whether the slot exists, given the slots before it."""
        return all(path in candidate and candidate[path] in values for path, values in self.needs)


def lay_out(fields: Sequence[Field]) -> tuple[Slot, ...]:
    """Return all slots, each after those it depends on.

    Raises:
        InvalidInputError: a name occurs twice, a condition names an unknown or later field, or values that it has not.
    """
    slots: dict[str, Slot] = {}
    _lay(fields, "", (), {}, slots)
    if not slots:
        raise InvalidInputError("a space must have at least one field")
    return tuple(slots.values())


Needs = tuple[tuple[str, frozenset[Scalar]], ...]


def _lay(fields: Sequence[Field], prefix: str, needs: Needs, outer: dict[str, str], slots: dict[str, Slot]) -> None:
    """Add the slots of some fields; `outer` maps the names that conditions may use to paths."""
    names = [field.name for field in fields]
    twice = sorted(name for name, times in Counter(names).items() if times > 1)
    if twice:
        raise InvalidInputError(f"names of fields must differ within a block, but got {', '.join(twice)} twice")
    seen = dict(outer)
    for field in fields:
        path = prefix + field.name
        own = (*needs, *(_need(path, when.field, when.values, seen, slots) for when in field.when))
        group = prefix.rstrip(SEPARATOR) or path
        if isinstance(field, Repeat):
            slots[path] = Slot(path, Integer(name=field.name, low=field.least, high=field.most), own, group)
            for i in range(field.most):
                deeper = (*own, (path, frozenset(range(max(i + 1, field.least), field.most + 1))))
                _lay(field.fields, f"{path}{SEPARATOR}{i}{SEPARATOR}", deeper, {**seen, field.name: path}, slots)
        else:
            slots[path] = Slot(path, field, own, group)
        seen[field.name] = path


def _need(
    path: str, name: str, values: tuple[Scalar, ...], seen: Mapping[str, str], slots: Mapping[str, Slot]
) -> tuple[str, frozenset[Scalar]]:
    if name not in seen:
        raise InvalidInputError(f"{path} depends on {name!r}, which must be a field before it; fields: {sorted(seen)}")
    other = slots[seen[name]].domain
    if isinstance(other, Real):
        raise InvalidInputError(f"{path} depends on {name!r}, which must be categorical or an integer")
    for value in values:
        reason = other.why_not(value)
        if reason:
            raise InvalidInputError(f"{path} depends on {name}={value!r}, but {name} {reason}")
    return seen[name], frozenset(values)


Kind = frozenset[int] | None  # which of the tests on a slot its value meets; None while the slot does not exist
State = tuple[tuple[str, Kind], ...]


def count(slots: Sequence[Slot]) -> int | float:
    """Return the exact number of candidates, infinite if a continuous field can exist.

    Slot by slot, the number of ways to come to each state is kept; a state is what later conditions can still tell
    apart of the slots so far, so it stays small where blocks are many.
    """
    last = {path: place for place, slot in enumerate(slots) for path, _ in slot.needs}
    tests: dict[str, list[frozenset[Scalar]]] = {}
    for slot in slots:
        for path, values in slot.needs:
            if values not in tests.setdefault(path, []):
                tests[path].append(values)
    ways: dict[State, int] = {(): 1}
    for place, slot in enumerate(slots):
        needs = [(path, tests[path].index(values)) for path, values in slot.needs]
        kinds = _kinds(slot.domain, tests.get(slot.path, []))
        after: Counter[State] = Counter()
        for state, number in ways.items():
            known = dict(state)
            exists = all(test in (known[path] or ()) for path, test in needs)
            if exists and slot.domain.count == math.inf:
                return math.inf
            choices: list[tuple[Kind, int]] = list(kinds.items()) if exists else [(None, 1)]
            for kind, times in choices:
                keep = {**known, slot.path: kind}
                after[tuple(item for item in keep.items() if last.get(item[0], -1) > place)] += number * times
        ways = dict(after)
    return sum(ways.values())


def _kinds(domain: Domain, tests: Sequence[frozenset[Scalar]]) -> dict[frozenset[int], int]:
    """Number of values of each kind."""
    if not tests:
        return {frozenset(): 0 if domain.count == math.inf else int(domain.count)}
    return dict(Counter(frozenset(i for i, test in enumerate(tests) if value in test) for value in domain.each()))


def enumerate_all(slots: Sequence[Slot]) -> Iterator[dict[str, Scalar]]:
    """Yield every candidate.

    Raises:
        InvalidInputError: a field is continuous.
    """

    def extend(place: int, candidate: dict[str, Scalar]) -> Iterator[dict[str, Scalar]]:
        if place == len(slots):
            yield dict(candidate)
            return
        slot = slots[place]
        if not slot.exists(candidate):
            yield from extend(place + 1, candidate)
            return
        for value in slot.domain.each():
            candidate[slot.path] = value
            yield from extend(place + 1, candidate)
        del candidate[slot.path]

    yield from extend(0, {})
