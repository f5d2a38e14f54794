"""`search`: find the best candidates of a space within a number of evaluations, alone or with other workers."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from axdnn.records import (
    Constraint,
    InvalidInputError,
    Objective,
    SearchHistory,
    SearchTrial,
    StorageError,
    require_finite,
)
from axdnn.search.ladder import Ladder
from axdnn.search.named import Named
from axdnn.search.slots import Candidate
from axdnn.search.space import Space
from axdnn.search.storage import Opened, open_storage, quiet
from axdnn.search.task import BUDGET, Evaluate, Task, require_same, store, stored

if TYPE_CHECKING:
    from axdnn.search.cluster import Cluster
    from axdnn.search.ledger import Ledger

WAIT_S, MOST_WAIT_S = 0.02, 1.0  # between two looks at what other workers do, longer and longer


@dataclass(frozen=True)
class Progress:
    """How far a search is: evaluations of the budget, what failed and was recalled, the front."""

    evaluations: int
    budget: int
    failed: int
    recalled: int
    front: tuple[SearchTrial, ...]


Show = Callable[[Progress], None]


def search(
    space: Space,
    evaluate: Evaluate | Named,
    objectives: Sequence[Objective],
    *,
    trials: int,
    time_s: float | None = None,
    constraints: Sequence[Constraint] = (),
    sampler: str | Named = "guided",
    storage: str | os.PathLike[str] | None = None,
    name: str = "search",
    seed: int = 0,
    workers: int | None = None,
    cluster: str | Cluster | None = None,
    seeds: Sequence[Candidate] = (),
    guidance: Callable[..., object] | Named | None = None,
    ladder: Ladder | None = None,
    timeout_s: float | None = None,
    lease_s: float = 60.0,
    retries: int = 2,
    progress: Show | None = None,
) -> SearchHistory:
    """Search a space.

    A candidate that raises, returns no finite number or takes too long is recorded with the reason. A candidate that
    comes up again is recalled and costs nothing. A study that was interrupted, in whatever way, goes on when it is
    called again; with one worker it ends as an uninterrupted one would.

    Args:
        space: what is searched.
        evaluate: called with a candidate (path -> value) and a `Run`, returns figures by name. With several workers it
            is a function of a module, or `Named`, for each process imports it.
        objectives: at least one.
        trials: evaluations of the study, at least 1, those of earlier calls included; failed ones count.
        time_s: no candidate is begun after so many seconds of this call.
        constraints: inequalities on figures.
        sampler: `guided`, `random`, `tpe`, `gp`, `nsga2`, `nsga3`, `package.module:factory`, or one of these as `Named`
            with options.
        storage: a path for a journal file, or the URL of a database; None keeps the study in memory.
        name: of the study in the storage.
        seed: of all chance.
        workers: 1, the default, evaluates here; more are processes of their own, with one thread each. On a cluster
            the default is what its nodes have room for.
        cluster: run the workers on a Ray cluster: `ray` (the one that this machine knows, else one started here for
            this search), `auto`, `local`, `HOST:PORT` or `ray://HOST:PORT`, or a `Cluster` that says what each worker
            gets. The storage must be one that every node reaches, and all functions have a name there.
        seeds: candidates evaluated first.
        guidance: maps a candidate to `Guidance`, for the sampler `guided`.
        ladder: fidelities and early stopping.
        timeout_s: most seconds of one evaluation.
        lease_s: seconds without a sign of life after which a worker counts as gone.
        retries: how often a candidate whose worker ended is tried again.
        progress: called after evaluations.

    Returns:
        The history with the front.

    Raises:
        InvalidInputError: an option is out of range.
        UnknownNameError: there is no such sampler.
        InfeasibleError: the space has no valid candidate.
        StorageError: the storage cannot be used, or its study of that name is another one.
        ClusterError: the cluster cannot be reached, or no node of it has room for a worker.
        MissingPackageError: Ray, or the driver of the database, is not installed.
        KeyboardInterrupt: Ctrl-C; what was evaluated is kept, what was running is evaluated on resuming.
    """
    require_finite("trials", trials, 1)
    if workers is not None:
        require_finite("workers", workers, 1)
    if time_s is not None:
        require_finite("time_s", time_s, 0.0)
    if storage is None and (cluster is not None or (workers or 1) > 1):
        raise InvalidInputError("several workers need a storage that they share: give storage=, a path will do")
    task = Task(
        space=space, evaluate=evaluate, objectives=tuple(objectives), constraints=tuple(constraints), sampler=sampler,
        seed=seed, seeds=tuple(seeds), guidance=guidance, ladder=ladder, timeout_s=timeout_s, lease_s=lease_s,
        retries=retries,
    )  # fmt: skip
    task.check()
    until = None if time_s is None else time.monotonic() + time_s
    if cluster is not None:
        from axdnn.search.ray_workers import lead_on_ray

        return lead_on_ray(cluster, os.fspath(storage or ""), name, task, trials, workers, until, progress)
    opened = open_storage(storage)
    begin(opened, name, task, trials)
    if workers in (None, 1):
        return work(opened, name, task, until, progress)
    from axdnn.search.crew import lead
    from axdnn.search.processes import ProcessCrew

    return lead(opened, name, task, ProcessCrew(os.fspath(storage or ""), name, task, until), workers or 1, progress)


def begin(opened: Opened, name: str, task: Task, trials: int) -> None:
    """Make a study or check that the one of that name is of the same search; set its budget.

    Raises:
        StorageError: it is another search's.
    """
    import optuna

    if not name or len(name) > 200:
        raise InvalidInputError(f"a study must have a name of 1 to 200 characters, but got {name!r}")
    with opened.gate(name), quiet():
        known = {found.study_name: found for found in opened.storage.get_all_studies()}
        if name not in known:
            study = optuna.create_study(
                storage=opened.storage, study_name=name, directions=[o.direction for o in task.objectives]
            )
            study.set_metric_names([o.name for o in task.objectives])
        else:
            study = optuna.load_study(storage=opened.storage, study_name=name)
            old = stored(known[name].user_attrs, name)
            if old is not None:
                require_same(name, old, task.plain())
            elif study.get_trials(deepcopy=False):
                raise StorageError(f"study {name!r} in {opened.place} was not made by axdnn; choose another name")
        if stored(study.user_attrs, name) is None:
            store(study, task)
        if study.user_attrs.get(BUDGET) != trials:
            study.set_user_attr(BUDGET, int(trials))


def work(
    opened: Opened,
    name: str,
    task: Task,
    until: float | None = None,
    progress: Show | None = None,
    alive: Callable[[], bool] = lambda: True,
) -> SearchHistory:
    """Evaluate candidates of a study in this process until its budget is used.

    Args:
        opened: the storage.
        name: of the study.
        task: of the study.
        until: `time.monotonic()` after which no candidate is begun; None for no limit.
        progress: called after evaluations.
        alive: no candidate is begun once it says no.
    """
    from axdnn.search.history import history
    from axdnn.search.worker import Worker

    worker = Worker(opened, name, task)
    reason, shown, pause = "", -1, WAIT_S
    try:
        while not reason:
            if until is not None and time.monotonic() >= until:
                reason = "time"
            elif not alive():
                reason = "the process that began it ended"
            else:
                done = worker.step()
                reason = done if done in ("budget", "exhausted") else ""
                pause = min(2 * pause, MOST_WAIT_S) if done == "wait" else WAIT_S
                if done == "wait":
                    time.sleep(pause)
            if progress is not None:
                worker.ledger.refresh()
                if worker.ledger.evaluations != shown:
                    shown = worker.ledger.evaluations
                    progress(seen(worker.ledger, worker.budget()))
        return history(worker.study, task, reason)
    finally:
        worker.close()


def seen(ledger: Ledger, budget: int) -> Progress:
    """Return how far a study is, from its ledger."""
    return Progress(ledger.evaluations, budget, ledger.failed, ledger.recalled, tuple(ledger.front_trials()))
