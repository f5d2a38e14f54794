"""Times that can be compared: jobs take turns, so that all of them see the same machine.

Give jobs of one kind beside each other: after a tenth of a second without vector instructions a processor takes up to
a millisecond to come back to speed (seen: a layer of 0.3 ms took 1.1 ms), which layers of a network do not wait for.

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


def in_turns(jobs: Mapping[Key, Callable[[], object]], rounds: int) -> dict[Key, Timing]:
    """Time each job once a round, after one run that does not count; each round begins with an untimed first job.

    Args:
        jobs: what to run.
        rounds: 2 or more; jobs that take longer than `SLOW_S` get at most `SLOW_ROUNDS`.
    """
    slow = {key for key, job in jobs.items() if seconds_of(job) > SLOW_S}
    seen: dict[Key, list[float]] = {key: [] for key in jobs}
    for number in range(rounds):
        next(iter(jobs.values()))()
        for key, job in jobs.items():
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
