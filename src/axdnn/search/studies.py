"""Studies of a storage: listing, reading, joining, deleting."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from axdnn.records import SearchHistory, StorageError, unknown_name
from axdnn.search.loop import Show, work
from axdnn.search.storage import Opened, open_storage, quiet
from axdnn.search.task import BUDGET, Task, stored

if TYPE_CHECKING:
    from optuna import Study


class Listed(NamedTuple):
    """A study in a listing; counts are of trials, times are local."""

    name: str
    objectives: tuple[str, ...]
    evaluations: int
    budget: int
    running: int
    lost: int
    began: str
    ours: bool


def list_studies(storage: str | os.PathLike[str]) -> list[Listed]:
    """Return every study of a storage, those of plain Optuna too.

    Raises:
        StorageError: the storage cannot be used.
    """
    opened = open_storage(storage, create=False)
    return [_listed(opened, found) for found in opened.storage.get_all_studies()]


def _listed(opened: Opened, found: Any) -> Listed:
    from optuna.trial import TrialState

    from axdnn.search.ledger import OUTCOME

    trials = opened.storage.get_all_trials(found._study_id, deepcopy=False)
    kinds = [trial.user_attrs.get(OUTCOME, {}).get("kind", "") for trial in trials]
    complete = sum(t.state == TrialState.COMPLETE and k != "recalled" for t, k in zip(trials, kinds, strict=True))
    names = found.system_attrs.get("study:metric_names") or [d.name.lower() for d in found.directions]
    starts = [trial.datetime_start for trial in trials if trial.datetime_start]
    return Listed(
        name=found.study_name,
        objectives=tuple(names),
        evaluations=complete + sum(
            t.state == TrialState.FAIL and k in ("failed", "stopped") for t, k in zip(trials, kinds, strict=True)
        ),
        budget=int(found.user_attrs.get(BUDGET, 0)),
        running=sum(trial.state == TrialState.RUNNING for trial in trials),
        lost=sum(t.state == TrialState.FAIL and k == "lost" for t, k in zip(trials, kinds, strict=True)),
        began=min(starts).isoformat(sep=" ", timespec="seconds") if starts else "",
        ours=stored(found.user_attrs, found.study_name) is not None,
    )  # fmt: skip


def find(opened: Opened, name: str) -> Study:
    """Return a study by name.

    Raises:
        UnknownNameError: there is none of that name.
    """
    import optuna

    names = [found.study_name for found in opened.storage.get_all_studies()]
    if name not in names:
        raise unknown_name("study", name, names, "`axdnn studies list --storage ...` prints all of them")
    with quiet():
        return optuna.load_study(study_name=name, storage=opened.storage)


def load_history(storage: str | os.PathLike[str], name: str) -> SearchHistory:
    """Return everything a study has seen.

    Raises:
        StorageError: the storage cannot be used, or the study is not one that axdnn made.
        UnknownNameError: there is none of that name.
    """
    from axdnn.search.history import history

    return history(find(open_storage(storage, create=False), name))


def delete_study(storage: str | os.PathLike[str], name: str) -> None:
    """Delete a study and its trials.

    Raises:
        StorageError: the storage cannot be used, or workers are running trials of the study.
        UnknownNameError: there is none of that name.
    """
    import optuna

    from axdnn.search.history import task_of
    from axdnn.search.leases import expired
    from axdnn.search.ledger import Ledger

    opened = open_storage(storage, create=False)
    study = find(opened, name)
    if stored(study.user_attrs, name) is not None:
        ledger = Ledger(study, task_of(study.user_attrs, name))
        ledger.refresh()
        busy = sum(not expired(held.worker, held.expires) for held in ledger.running if held.worker)
        if busy:
            raise StorageError(f"study {name!r} must be at rest to be deleted, but {busy} of its trials are running")
    with quiet():
        optuna.delete_study(study_name=name, storage=opened.storage)


def join(
    storage: str | os.PathLike[str], name: str, time_s: float | None = None, progress: Show | None = None
) -> SearchHistory:
    """Work on a study that another process began, until its budget is used.

    Args:
        storage: path or URL that this machine reaches.
        name: of the study.
        time_s: no candidate is begun after so many seconds.
        progress: called after evaluations.

    Raises:
        StorageError: the storage cannot be used, or the study names no evaluation that can be imported.
        UnknownNameError: there is no study of that name.
        InvalidInputError: its evaluation cannot be imported here.
    """
    from axdnn.search.history import task_of

    opened = open_storage(storage, create=False)
    task: Task = task_of(find(opened, name).user_attrs, name, hooks=True)
    until = None if time_s is None else time.monotonic() + time_s
    return work(opened, name, task, until, progress)
