"""Closing trials that nobody runs any more: told if their figures are there, else lost, to be evaluated again."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import TrialState

from axdnn.search.ledger import CLAIM, OUTCOME, Held
from axdnn.search.task import Task

if TYPE_CHECKING:
    from optuna.storages import BaseStorage


def close(storage: BaseStorage, task: Task, held: Held, interrupted: str = "") -> None:
    """Finish a running trial whose worker has ended, or gives it back.

    A trial can be finished once: if its worker was alive after all, the first one wins and the other is refused.

    Args:
        storage: of the study.
        task: of the study.
        held: the trial.
        interrupted: why its worker gave it back; empty if it ended. A candidate is not blamed for interruptions.
    """
    trial = storage.get_trial(held.trial_id)
    told = trial.user_attrs.get(OUTCOME, {})
    with contextlib.suppress(UpdateFinishedTrialError):
        if told.get("kind") == "complete":  # it ended between writing the figures and telling them
            values = [told["values"][objective.name] for objective in task.objectives]
            storage.set_trial_state_values(held.trial_id, TrialState.COMPLETE, values)
            return
        if told.get("kind") not in ("failed", "stopped"):
            storage.set_trial_user_attr(held.trial_id, OUTCOME, _loss(task, trial.user_attrs, interrupted))
        storage.set_trial_state_values(held.trial_id, TrialState.FAIL)


def _loss(task: Task, attributes: Mapping[str, Any], interrupted: str) -> dict[str, object]:
    losses = int(attributes.get(CLAIM, {}).get("losses", 0)) + (not interrupted)
    if losses > task.retries:
        return {"kind": "failed", "reason": f"its worker ended {losses} times while it ran", "losses": losses}
    return {"kind": "lost", "reason": interrupted or "lease expired", "losses": losses}
