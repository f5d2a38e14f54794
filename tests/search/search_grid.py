"""A search of a small grid with traced evaluations, the same in every process that runs it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from search_evaluations import notes

from axdnn.records import Objective, SearchHistory
from axdnn.search import Integer, Named, Space, search

SIDE = 8
SPACE = Space((Integer(name="x", low=0, high=SIDE - 1), Integer(name="y", low=0, high=SIDE - 1)))
OBJECTIVES = (Objective(name="a", reference=100.0), Objective(name="b", reference=100.0))


def grid_search(
    storage: object, workers: int | None, trials: int, log: str, seconds: float = 0.0, sampler: str = "random",
    cluster: object = None, **more: object,
) -> SearchHistory:  # fmt: skip
    evaluate = Named("search_evaluations:traced", {"log": log, "seconds": seconds, **more})
    return search(
        SPACE, evaluate, OBJECTIVES, trials=trials, sampler=sampler, storage=storage, name="grid", workers=workers,
        cluster=cluster, lease_s=5.0,
    )  # fmt: skip


def values(found: SearchHistory) -> list[tuple[float, ...]]:
    return [tuple(trial.values.values()) for trial in found.front_trials]


def check(found: SearchHistory, trials: int, log: Path, most_begun: int | None = None) -> None:
    """The budget is met, no candidate has two results, and every result was evaluated."""
    evaluated = [trial for trial in found.trials if trial.evaluated]
    assert found.evaluations == len(evaluated) == trials
    assert max(Counter(trial.key for trial in evaluated).values()) == 1
    ended = Counter(key for _, key in notes(str(log), "end"))
    assert {trial.key for trial in evaluated} <= set(ended)
    assert not [trial for trial in found.trials if trial.outcome == "running"]
    assert most_begun is None or len(notes(str(log), "begin")) <= most_begun
