"""Times that can be compared: jobs take turns, so that all of them see the same machine.

Jobs of one kind should stand beside each other: after a tenth of a second without vector or matrix instructions a
processor takes up to a millisecond to come back to speed (seen: a layer of 0.3 ms took 1.1 ms), which the layers of a
network do not wait for. So the first job of each kind is run once more, untimed, before it is timed.

One thread is timed by its processor time, which is the clock's on an idle machine and which other programs disturb
little; several threads are timed by the clock.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Hashable, Mapping
from typing import NamedTuple, TypeVar

import torch

Key = TypeVar("Key", bound=Hashable)
SLOW_S, SLOW_ROUNDS = 0.2, 3


class Timing(NamedTuple):
    """Seconds of a job.

    Attributes:
        s: median.
        quarters: lower and upper quarter point.
    """

    s: float
    quarters: tuple[float, float]


def in_turns(
    jobs: Mapping[Key, Callable[[], object]], rounds: int, kind: Callable[[Key], object] | None = None
) -> dict[Key, Timing]:
    """Time each job once a round, after one run that does not count.

    Args:
        jobs: what to run.
        rounds: 2 or more; jobs that take longer than `SLOW_S` get at most `SLOW_ROUNDS`.
        kind: of a job, by its key; the first of a kind is run untimed before. Default: none is.
    """
    slow = {key for key, job in jobs.items() if seconds_of(job) > SLOW_S}
    seen: dict[Key, list[float]] = {key: [] for key in jobs}
    for number in range(rounds):
        before: object = None
        for key, job in jobs.items():
            now = kind(key) if kind else None
            if now != before and key not in slow:
                job()
            before = now
            if key not in slow or number < SLOW_ROUNDS:
                seen[key].append(seconds_of(job))
    return {key: Timing(statistics.median(times), _quarters(times)) for key, times in seen.items()}


def seconds_of(job: Callable[[], object], clock: Callable[[], float] | None = None) -> float:
    """Run a job and return how long it took.

    Args:
        job: what to run.
        clock: seconds; default: processor time of this thread where torch uses one, else the clock.
    """
    clock = clock or (time.thread_time if torch.get_num_threads() == 1 else time.perf_counter)
    began = clock()
    job()
    return clock() - began


def _quarters(times: list[float]) -> tuple[float, float]:
    low, _, high = statistics.quantiles(times, n=4, method="inclusive")
    return low, high
