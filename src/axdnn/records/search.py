"""`SearchHistory`: everything that a search over a space has seen, as plain data; objectives and constraints."""

from __future__ import annotations

from typing import Literal

from axdnn.records.codec import Record, require_finite
from axdnn.records.errors import InvalidInputError

Scalar = str | int | float | bool
Outcome = Literal["complete", "failed", "stopped", "recalled", "invalid", "lost", "running", "waiting"]
EVALUATED = ("complete", "failed", "stopped")


class Objective(Record, frozen=True, kw_only=True):
    """One figure that a search makes small or large.

    Attributes:
        name: key in what the evaluation returns.
        direction: `minimize` or `maximize`.
        unit: SI, as in the names of records; empty for a ratio.
        reference: value of the reference point of the hypervolume; None for the worst value seen, in which case
            hypervolumes of different studies cannot be compared.
    """

    name: str
    direction: Literal["minimize", "maximize"] = "minimize"
    unit: str = ""
    reference: float | None = None

    def __post_init__(self) -> None:
        """Check name, direction and reference."""
        if not self.name:
            raise InvalidInputError("an objective must have a name")
        if self.direction not in ("minimize", "maximize"):
            raise InvalidInputError(
                f"the direction of {self.name} must be minimize or maximize, got {self.direction!r}"
            )
        if self.reference is not None:
            require_finite(f"reference of {self.name}", self.reference)


class Constraint(Record, frozen=True, kw_only=True):
    """An inequality that a candidate must fulfil: `name <= bound` or `name >= bound`.

    Attributes:
        name: key in what the evaluation returns; may be an objective too.
        sense: `<=` or `>=`.
        bound: in `unit`.
        unit: SI; empty for a ratio.
    """

    name: str
    sense: Literal["<=", ">="]
    bound: float
    unit: str = ""

    def __post_init__(self) -> None:
        """Check sense and bound."""
        if self.sense not in ("<=", ">="):
            raise InvalidInputError(f"the sense of {self.name} must be <= or >=, but got {self.sense!r}")
        require_finite(f"bound of {self.name}", self.bound)


class SearchTrial(Record, frozen=True, kw_only=True):
    """One trial of a study.

    Attributes:
        number: in the study, from 0.
        index: place in the order of proposals; a repetition of a lost trial has the index of that; -1 if unknown.
        key: digest of the candidate; equal candidates have equal keys.
        outcome: `complete`, `failed` and `stopped` (early, by a ladder) are evaluations and count against the budget;
            `recalled` is a candidate met before, `invalid` one that the space refuses, `lost` one whose worker ended
            before it did (it is evaluated again); `running` and `waiting` are not finished.
        candidate: field -> value, active fields only.
        values: figure -> value, objectives and constraints, in their units.
        violations: constraint -> how far it is from fulfilled, in its unit; 0 or less is fulfilled.
        reason: why it is not complete.
        worker: who ran it.
        wall_s: seconds of the evaluation.
        recalled_from: number of the trial that evaluated an equal candidate.
        parents: keys of the candidates it was made from.
        notes: what the evaluation wrote down.
    """

    number: int
    index: int = -1
    key: str = ""
    outcome: Outcome
    candidate: dict[str, Scalar] = {}
    values: dict[str, float] = {}
    violations: dict[str, float] = {}
    reason: str = ""
    worker: str = ""
    wall_s: float | None = None
    recalled_from: int | None = None
    parents: tuple[str, ...] = ()
    notes: dict[str, Scalar] = {}

    @property
    def evaluated(self) -> bool:
        """Whether it counts against the budget."""
        return self.outcome in EVALUATED

    @property
    def feasible(self) -> bool:
        """Whether it is complete and fulfils every constraint."""
        return self.outcome == "complete" and all(v <= 0 for v in self.violations.values())


class SearchHistory(Record, frozen=True, kw_only=True):
    """A study of a search: what was asked, every trial, and the front.

    Attributes:
        name: of the study.
        settings: what was asked, as text: sampler, seed, evaluation, digest of the space.
        objectives: in the order of the study.
        constraints: inequalities; a candidate that breaks one is never on the front.
        budget: evaluations allowed.
        space_size: number of candidates of the space as text, exact; `inf` for a continuous one.
        evaluations: candidates evaluated: complete, failed and stopped early.
        failed: evaluations that failed.
        recalled: proposals met before, which cost nothing.
        lost: runs that ended with their worker.
        trials: all of them, by number.
        front: numbers of the trials on the front, best first in the first objective, equal values once.
        reference: objective -> reference point of the hypervolume.
        hypervolume: after each complete evaluation, in the order of `trials`, with that reference.
        wall_s: seconds between the first start and the last end.
        finished: whether the budget is used or the space is exhausted.
        reason: why the search ended.
    """

    name: str
    settings: dict[str, str] = {}
    objectives: tuple[Objective, ...]
    constraints: tuple[Constraint, ...] = ()
    budget: int = 0
    space_size: str = ""
    evaluations: int = 0
    failed: int = 0
    recalled: int = 0
    lost: int = 0
    trials: tuple[SearchTrial, ...] = ()
    front: tuple[int, ...] = ()
    reference: dict[str, float] = {}
    hypervolume: tuple[float, ...] = ()
    wall_s: float = 0.0
    finished: bool = False
    reason: str = ""

    @property
    def front_trials(self) -> tuple[SearchTrial, ...]:
        """Trials of the front, in its order."""
        return tuple(self.trials[number] for number in self.front)
