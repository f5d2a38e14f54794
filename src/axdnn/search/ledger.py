"""`Ledger`: what a study has seen, read step by step from its storage and kept small."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from optuna.trial import TrialState

from axdnn.records import EVALUATED, Scalar, SearchTrial
from axdnn.search.encoding import from_params
from axdnn.search.fronts import Front, losses, violations
from axdnn.search.task import Task

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

CLAIM, LEASE, OUTCOME = "axdnn:claim", "axdnn:lease", "axdnn:outcome"


class Held(NamedTuple):
    """A running trial: its number, identity, candidate and lease; `key` is empty if no worker claimed it."""

    number: int
    trial_id: int
    key: str
    worker: str
    expires: float


class Ledger:
    """The state of a study that decides what comes next. `refresh` first.

    Attributes:
        evaluations: candidates that count against the budget.
        failed: of these, failed ones.
        recalled: proposals met before.
        lost: runs that ended with their worker.
        next_index: index of the next new proposal.
        by_key: candidate -> number of the trial that evaluated it.
        running: trials that run, or whose worker has ended.
        again: index -> number of a lost trial whose candidate waits to be evaluated again.
        idle: proposals in a row, up to the last one, that brought nothing new.
        front: numbers of the front.
    """

    def __init__(self, study: Study, task: Task) -> None:
        self.study, self.task = study, task
        self.evaluations = self.failed = self.recalled = self.lost = 0
        self.next_index = 0
        self.by_key: dict[str, int] = {}
        self.running: list[Held] = []
        self.again: dict[int, int] = {}
        self.front = Front(len(task.objectives))
        self._done: set[int] = set()
        self._all_done_below = 0
        self._fruitless: set[int] = set()
        self._last = -1
        self._settled: set[int] = set()  # indices that were evaluated after a loss

    def refresh(self) -> None:
        """Read what has changed."""
        trials = self.study.get_trials(deepcopy=False)
        self.running = []
        self._last = len(trials) - 1
        for trial in trials[self._all_done_below :]:
            if trial.number in self._done:
                continue
            claim = trial.user_attrs.get(CLAIM, {})
            self.next_index = max(self.next_index, claim.get("index", -1) + 1)
            if trial.state.is_finished():
                self._done.add(trial.number)
                self._finish(trial)
            elif trial.state == TrialState.RUNNING:
                expires = max(claim.get("expires", 0.0), trial.user_attrs.get(LEASE, 0.0))
                self.running.append(
                    Held(trial.number, trial._trial_id, claim.get("key", ""), claim.get("worker", ""), expires)
                )
        while self._all_done_below in self._done:
            self._done.discard(self._all_done_below)
            self._all_done_below += 1

    def _finish(self, trial: FrozenTrial) -> None:
        seen = describe(trial, self.task)
        self.recalled += seen.outcome == "recalled"
        if seen.outcome in ("recalled", "invalid"):
            self._fruitless.add(seen.number)
        if seen.outcome == "lost":
            self.lost += 1
            if seen.index >= 0 and seen.candidate and seen.index not in self._settled:
                self.again[seen.index] = seen.number
        elif seen.index >= 0:
            self._settled.add(seen.index)
            self.again.pop(seen.index, None)
        if seen.outcome in EVALUATED:
            self.evaluations += 1
            self.failed += seen.outcome == "failed"
            self.by_key.setdefault(seen.key, seen.number)
        if seen.feasible:
            self.front.add(seen.number, losses(self.task.objectives, seen.values))

    @property
    def waiting(self) -> list[int]:
        """Numbers of lost trials that no running trial repeats, in the order of their index."""
        taken = {held.key for held in self.running}
        lost = [self.again[index] for index in sorted(self.again)]
        return [n for n in lost if self.trial(n).user_attrs.get(CLAIM, {}).get("key") not in taken]

    @property
    def idle(self) -> int:
        """Proposals in a row that brought nothing new, up to the last one."""
        number = self._last
        while number in self._fruitless:
            number -= 1
        return self._last - number

    @property
    def known(self) -> set[str]:
        """Keys of candidates that are evaluated or running."""
        return {*self.by_key, *(held.key for held in self.running)}

    def trial(self, number: int) -> FrozenTrial:
        """Return a trial by its number."""
        return self.study.get_trials(deepcopy=False)[number]

    def front_trials(self) -> list[SearchTrial]:
        """Return the front, best first in the first objective."""
        trials = self.study.get_trials(deepcopy=False)
        members = sorted(zip(self.front.points.tolist(), self.front.members, strict=True))
        return [describe(trials[number], self.task) for _, number in members]


def describe(trial: FrozenTrial, task: Task) -> SearchTrial:
    """Return a trial of Optuna as plain data."""
    claim: Mapping[str, Any] = trial.user_attrs.get(CLAIM, {})
    outcome: Mapping[str, Any] = trial.user_attrs.get(OUTCOME, {})
    candidate: dict[str, Scalar] = claim.get("candidate") or from_params(task.space, trial.params)
    kind, reason = _kind(trial, outcome)
    values = dict(outcome.get("values", {}))
    if kind == "complete" and not values:  # told by plain Optuna
        values = {o.name: v for o, v in zip(task.objectives, trial.values or (), strict=True)}
    whole = kind == "complete" and all(c.name in values for c in task.constraints)
    return SearchTrial(
        number=trial.number,
        index=claim.get("index", -1),
        key=claim.get("key") or (task.space.key(candidate) if candidate else ""),
        outcome=kind,  # type: ignore[arg-type]
        candidate=candidate,
        values=values,
        violations=violations(task.constraints, values) if whole else {},
        reason=reason,
        worker=claim.get("worker", ""),
        wall_s=outcome.get("wall_s"),
        recalled_from=claim.get("recalled_from"),
        parents=tuple(claim.get("parents", ())),
        notes=outcome.get("notes", {}),
    )


def _kind(trial: FrozenTrial, outcome: Mapping[str, Any]) -> tuple[str, str]:
    """Return what became of a trial and why; the state in the storage has the last word."""
    said, reason = outcome.get("kind", ""), outcome.get("reason", "")
    if trial.state == TrialState.COMPLETE:
        return ("recalled" if said == "recalled" else "complete"), reason
    if trial.state == TrialState.RUNNING:
        return "running", ""
    if trial.state == TrialState.WAITING:
        return "waiting", ""
    if said in ("failed", "stopped", "recalled", "invalid", "lost"):
        return said, reason
    return "lost", reason or "its worker ended before it did"
