"""Candidates as vectors of the unit cube and as parameters of Optuna, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from axdnn.records import InvalidInputError, Scalar
from axdnn.search.slots import Candidate
from axdnn.search.space import Space

if TYPE_CHECKING:
    import optuna
    from optuna.distributions import BaseDistribution


def to_unit(space: Space, candidate: Candidate, absent: float = 0.5) -> np.ndarray:
    """Return a candidate as a vector, `(len(space.slots),)`, float64 in [0, 1], `absent` where there is no field."""
    units = (s.domain.to_unit(candidate[s.path]) if s.path in candidate else absent for s in space.slots)
    return np.fromiter(units, dtype=np.float64, count=len(space.slots))


def from_unit(space: Space, vector: Sequence[float] | np.ndarray) -> dict[str, Scalar]:
    """Return the candidate of a vector, `(len(space.slots),)` in [0, 1]; fields that do not exist are ignored.

    Raises:
        InvalidInputError: wrong length, or a number outside [0, 1].
    """
    if len(vector) != len(space.slots) or not all(0.0 <= v <= 1.0 for v in vector):
        raise InvalidInputError(f"a vector must have {len(space.slots)} numbers in [0, 1], but got {list(vector)}")
    candidate: dict[str, Scalar] = {}
    for slot, value in zip(space.slots, vector, strict=True):
        if slot.exists(candidate):
            candidate[slot.path] = slot.domain.from_unit(float(value))
    return candidate


def distributions(space: Space) -> dict[str, BaseDistribution]:
    """Return every slot as an Optuna distribution, path -> distribution, in order."""
    return {slot.path: slot.domain.distribution() for slot in space.slots}


def suggest(space: Space, trial: optuna.Trial, flat: bool = False) -> dict[str, Scalar]:
    """Ask an Optuna trial for a candidate, which fits the fields but may be refused by `check`.

    Args:
        space: whose fields become parameters, called by their paths.
        trial: running.
        flat: ask for every slot, also those that do not exist, for samplers that need one fixed set of parameters.
    """
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    params: dict[str, Any] = {}
    candidate: dict[str, Scalar] = {}
    for slot in space.slots:
        exists = slot.exists(candidate)
        if not (exists or flat):
            continue
        kind = slot.domain.distribution()
        if isinstance(kind, CategoricalDistribution):
            params[slot.path] = trial.suggest_categorical(slot.path, kind.choices)
        elif isinstance(kind, IntDistribution):
            params[slot.path] = trial.suggest_int(slot.path, kind.low, kind.high, step=kind.step, log=kind.log)
        elif isinstance(kind, FloatDistribution):
            params[slot.path] = trial.suggest_float(slot.path, kind.low, kind.high, step=kind.step, log=kind.log)
        if exists:
            candidate[slot.path] = slot.domain.exact(params[slot.path])
    return candidate


def from_params(space: Space, params: Mapping[str, Any]) -> dict[str, Scalar]:
    """Return the candidate of a finished trial's parameters, parameters of fields that do not exist left out."""
    candidate: dict[str, Scalar] = {}
    for slot in space.slots:
        if slot.path in params and slot.exists(candidate) and not slot.domain.why_not(params[slot.path]):
            candidate[slot.path] = slot.domain.exact(params[slot.path])
    return candidate
