"""`Worker`: asks a study for candidates, evaluates them, tells what came of it. Any number of them share a study.

Asking happens behind the study's gate: leases that ran out are taken back, the budget is counted, one candidate is
chosen, and its trial is written whole with its lease. Telling needs no gate: a trial can be finished once, and the
storage refuses a second time.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import TrialState

from axdnn.records import Scalar, StorageError
from axdnn.search.closing import close
from axdnn.search.draft import DraftStorage
from axdnn.search.encoding import suggest
from axdnn.search.evaluating import Judged, Run, judge
from axdnn.search.fronts import violations
from axdnn.search.leases import Renewal, expired, new_worker, retire
from axdnn.search.ledger import CLAIM, LEASE, OUTCOME, Ledger, describe
from axdnn.search.named import made
from axdnn.search.samplers import derived_seed
from axdnn.search.slots import Candidate
from axdnn.search.storage import Opened, patiently, quiet
from axdnn.search.task import BUDGET, Task

IDLE = 30  # proposals in a row that bring nothing new, after which a candidate is drawn that is
DRAWS = 2000  # draws without a new candidate, after which a space counts as exhausted
Next = Literal["again", "wait", "budget", "exhausted"]


@dataclass
class Claim:
    """A trial that this worker holds."""

    trial: optuna.Trial
    trial_id: int
    candidate: dict[str, Scalar]
    run: Run


class Worker:
    """One worker of a study; `close` it in the end.

    Args:
        opened: the storage.
        name: of a study in it that holds `task`.
        task: what is searched.
    """

    def __init__(self, opened: Opened, name: str, task: Task) -> None:
        self.opened, self.name, self.task = opened, name, task
        self.storage = DraftStorage(opened.storage)
        self.gate = opened.gate(name)
        self.sampler = task.make_sampler()
        self.evaluate = made(task.evaluate)
        with quiet():
            self.study = optuna.load_study(study_name=name, storage=self.storage, sampler=self.sampler)
        self.ledger = Ledger(self.study, task)
        self.worker = new_worker()
        self._pruner = task.ladder.pruner() if task.ladder else None

    def close(self) -> None:
        """Say that this worker has ended."""
        retire(self.worker)
        self.storage.remove_session()

    def step(self) -> Next:
        """Claim a candidate and evaluate it.

        Returns:
            `again` if there may be more to do, `wait` if all that is left of the budget is running elsewhere, `budget`
            if it is used, `exhausted` if the space has no other candidates.
        """
        try:
            claim = patiently(self.claim, self.opened.place)
            if isinstance(claim, str):
                return claim
            self.carry_out(claim)
        except BaseException:
            self._give_back()
            raise
        return "again"

    def claim(self) -> Claim | Next:
        """Take the next candidate, behind the gate; a proposal that is not evaluated is noted, and asks `again`."""
        ledger = self.ledger
        with self.gate:
            budget = self.budget()
            ledger.refresh()
            for held in ledger.running:
                # A worker that asks runs nothing itself, whatever its lease says.
                if not held.worker or held.worker == self.worker or expired(held.worker, held.expires):
                    close(self.opened.storage, self.task, held)
            with self.storage.still(self.study._study_id):
                ledger.refresh()
                busy = len(ledger.running)
                if ledger.evaluations >= budget:
                    return "budget"
                if ledger.evaluations + busy >= budget:
                    return "wait"
                waiting = ledger.waiting
                if not waiting and len(ledger.known) >= self.task.space.size:
                    return "wait" if busy else "exhausted"
                return self._propose(waiting[0] if waiting else None)

    def budget(self) -> int:
        """Evaluations that the study allows now; a leader may raise it.

        Raises:
            StorageError: the study is gone.
        """
        try:
            return int(self.study.user_attrs[BUDGET])
        except KeyError as error:
            raise StorageError(f"study {self.name!r} must be in {self.opened.place}, but it was deleted") from error

    def _propose(self, lost: int | None) -> Claim | Next:
        """Ask for one candidate and write its trial; lost ones first, then what the sampler says."""
        ledger, space = self.ledger, self.task.space
        index, losses = ledger.next_index, 0
        forced: Candidate | None = None
        parents: tuple[str, ...] | None = None
        if lost is not None:
            before = ledger.trial(lost)
            seen = describe(before, self.task)
            index, forced, parents = seen.index, seen.candidate, seen.parents  # a repetition inherits as the first did
            losses = int(before.user_attrs.get(OUTCOME, {}).get("losses", 0))
        elif ledger.idle >= IDLE:
            forced = self._unseen(index)
            if forced is None:
                return "wait" if ledger.running else "exhausted"
        self.sampler.index, self.sampler.forced = index, forced
        trial = self.study.ask()
        rng = np.random.default_rng((self.task.seed, index, 2))
        asked = suggest(space, trial, self.task.flat)
        candidate = space.exact(asked if not space.why_invalid(asked) else space.mend(asked, rng))
        if parents is None:
            parents = self.sampler.parents
        claim = {
            "index": index, "key": space.key(candidate), "worker": self.worker,
            "expires": time.time() + self.task.lease_s, "parents": list(parents), "losses": losses,
        }  # fmt: skip
        if candidate != asked:
            claim["candidate"] = candidate
        return self._write(trial, candidate, claim, parents)

    def _write(
        self, trial: optuna.Trial, candidate: dict[str, Scalar], claim: dict[str, object], parents: tuple[str, ...]
    ) -> Claim | Next:
        """Write a proposal: as running if it is new and valid, else as finished."""
        key = str(claim["key"])
        reason = self.task.space.why_invalid(candidate)
        twin = self.ledger.by_key.get(key)
        pending = next((held.number for held in self.ledger.running if held.key == key), None)
        if reason or twin is not None or pending is not None:
            outcome: dict[str, object] = {"kind": "invalid", "reason": reason}
            state, values = TrialState.FAIL, None
            if not reason:
                outcome = {"kind": "recalled", "reason": f"as trial {twin if twin is not None else pending}"}
                claim["recalled_from"] = twin if twin is not None else pending
                known = self.ledger.trial(twin) if twin is not None else None
                if known is not None and known.state == TrialState.COMPLETE:
                    state, values = TrialState.COMPLETE, known.values
                    outcome["values"] = known.user_attrs.get(OUTCOME, {}).get("values", {})
            self.storage.commit(trial._trial_id, {CLAIM: claim, OUTCOME: outcome}, state, values)
            self.storage.forget(trial._trial_id)
            return "again"
        real = self.storage.commit(trial._trial_id, {CLAIM: claim})
        index = int(str(claim["index"]))
        run = Run(
            number=trial.number, key=key, seed=derived_seed(self.task.seed, index), parents=parents,
            fidelities=self.task.ladder.fidelities if self.task.ladder else (),
        )  # fmt: skip
        return Claim(trial, real, candidate, run)

    def _unseen(self, index: int) -> Candidate | None:
        """Draw a valid candidate that no trial has had, or None."""
        known = self.ledger.known
        rng = np.random.default_rng((self.task.seed, index, 1))
        for _ in range(DRAWS):
            candidate = self.task.space.sample(rng)
            if self.task.space.key(candidate) not in known:
                return candidate
        return None

    def _give_back(self) -> None:
        """Close what this worker holds, after Ctrl-C or a fault; its candidate is evaluated when the study goes on."""
        with contextlib.suppress(Exception):  # whoever asks next will do it
            self.ledger.refresh()
            for held in self.ledger.running:
                if held.worker == self.worker:
                    close(self.opened.storage, self.task, held, "interrupted")

    def carry_out(self, claim: Claim) -> None:
        """Evaluate a claimed candidate under its lease and tell what came of it."""
        limit = self.task.timeout_s + self.task.lease_s if self.task.timeout_s else None
        claim.run._report = self._reporter(claim)
        with Renewal(self._renewer(claim.trial_id), self.task.lease_s, limit):
            judged = judge(self.task, self.evaluate, claim.candidate, claim.run)
        patiently(lambda: self._tell(claim, judged), self.opened.place)

    def _renewer(self, trial_id: int) -> Callable[[float], None]:
        return lambda expires: self.opened.storage.set_trial_user_attr(trial_id, LEASE, expires)

    def _reporter(self, claim: Claim) -> Callable[[int, float], bool]:
        def report(fidelity: int, value: float) -> bool:
            self.opened.storage.set_trial_intermediate_value(claim.trial_id, fidelity, value)
            ladder, pruner = self.task.ladder, self._pruner
            return ladder is not None and pruner is not None and ladder.stops(self.study, claim.trial.number, pruner)

        return report

    def _tell(self, claim: Claim, judged: Judged) -> None:
        """Finish a trial, unless another worker has taken it back meanwhile."""
        outcome = {
            "kind": judged.kind, "reason": judged.reason, "values": dict(judged.values), "wall_s": judged.wall_s,
            "notes": claim.run.notes,
        }  # fmt: skip
        try:
            if judged.kind != "complete":
                self.opened.storage.set_trial_user_attr(claim.trial_id, OUTCOME, outcome)
                self.study.tell(claim.trial, state=TrialState.FAIL)
                return
            told = claim.trial.constraints  # by an earlier try, before the storage went silent
            for name, value in violations(self.task.constraints, judged.values).items():
                if name not in told:
                    claim.trial.set_constraint(name, value)
            self.opened.storage.set_trial_user_attr(claim.trial_id, OUTCOME, outcome)
            self.study.tell(claim.trial, [judged.values[o.name] for o in self.task.objectives])
        except (UpdateFinishedTrialError, ValueError):
            if not self.opened.storage.get_trial(claim.trial_id).state.is_finished():
                raise
        finally:
            self.storage.forget(claim.trial._trial_id)
