"""A study as a `SearchHistory`: plain data for reports and files."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from axdnn.records import SearchHistory, SearchTrial
from axdnn.search.fronts import Front, hypervolume, losses
from axdnn.search.ledger import describe
from axdnn.search.task import BUDGET, Task, shown_settings, stored, task_from

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial


def history(study: Study, task: Task | None = None, reason: str = "") -> SearchHistory:
    """Return everything a study has seen.

    Args:
        study: made by a search; one of plain Optuna has no space, and its parameters are not shown.
        task: of the study, if it is at hand.
        reason: why the search ended, if it did.

    Raises:
        StorageError: the study was written by a newer axdnn.
    """
    attributes = study.user_attrs
    task = task or task_of(attributes, study.study_name)
    frozen = study.get_trials(deepcopy=False)
    trials = tuple(describe(trial, task) for trial in frozen)
    budget = int(attributes.get(BUDGET, 0))
    evaluations = sum(trial.evaluated for trial in trials)
    reference = reference_point(task, trials)
    curve, front = _climb(task, trials, reference)
    signs = [1.0 if o.direction == "minimize" else -1.0 for o in task.objectives]
    return SearchHistory(
        name=study.study_name,
        settings=shown_settings(stored(attributes, study.study_name) or task.plain()),
        objectives=task.objectives,
        constraints=task.constraints,
        budget=budget,
        space_size=task.space.size_text,
        evaluations=evaluations,
        failed=sum(trial.outcome == "failed" for trial in trials),
        recalled=sum(trial.outcome == "recalled" for trial in trials),
        lost=sum(trial.outcome == "lost" for trial in trials),
        trials=trials,
        front=tuple(number for _, number in sorted(zip(front.points.tolist(), front.members, strict=True))),
        reference={o.name: s * r for o, s, r in zip(task.objectives, signs, reference, strict=True)},
        hypervolume=curve,
        wall_s=_wall_s(frozen),
        finished=budget > 0 and (evaluations >= budget or reason == "exhausted"),
        reason=reason or ("budget" if budget and evaluations >= budget else ""),
    )


def task_of(attributes: Mapping[str, Any], name: str, hooks: bool = False) -> Task:
    """Return the task of a study from its attributes.

    Raises:
        StorageError: it has none, or a newer one.
    """
    from axdnn.records import StorageError

    plain = stored(attributes, name)
    if plain is None:
        raise StorageError(f"study {name!r} must be one that axdnn made, but it holds no description of a search")
    return task_from(plain, hooks)


def reference_point(task: Task, trials: Sequence[SearchTrial]) -> list[float]:
    """Return the reference point of the hypervolume, small is good: as given, else a tenth beyond the worst seen."""
    points = np.array([losses(task.objectives, t.values) for t in trials if t.feasible])
    corner = []
    for i, objective in enumerate(task.objectives):
        sign = 1.0 if objective.direction == "minimize" else -1.0
        if objective.reference is not None:
            corner.append(sign * objective.reference)
        elif len(points):
            low, high = float(points[:, i].min()), float(points[:, i].max())
            corner.append(high + (0.1 * (high - low) or 1.0))
        else:
            corner.append(0.0)
    return corner


def _climb(task: Task, trials: Sequence[SearchTrial], reference: Sequence[float]) -> tuple[tuple[float, ...], Front]:
    """Return the hypervolume after each complete evaluation, and the front at the end."""
    front, volumes = Front(len(task.objectives)), list[float]()
    for trial in trials:
        if trial.outcome != "complete":
            continue
        taken = trial.feasible and front.add(trial.number, losses(task.objectives, trial.values))
        volumes.append(hypervolume(front.points, reference) if taken or not volumes else volumes[-1])
    return tuple(volumes), front


def _wall_s(trials: Sequence[FrozenTrial]) -> float:
    starts = [t.datetime_start for t in trials if t.datetime_start]
    ends = [t.datetime_complete for t in trials if t.datetime_complete]
    nothing = datetime.timedelta(0)
    return (max(ends) - min(starts) if starts and ends else nothing).total_seconds()
