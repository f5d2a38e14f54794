"""What more threads bring."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch

from axdnn.benchmark.products import float_job, layer_jobs
from axdnn.benchmark.selection import Shape
from axdnn.benchmark.timing import seconds_of
from axdnn.records import Multiplier


@contextmanager
def threads(number: int) -> Iterator[None]:
    """Let torch, and with it the kernels, use so many threads within the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def measure_speedup(
    shapes: Mapping[str, Shape], tables: Mapping[str, Multiplier], number: int, rounds: int
) -> list[dict[str, Any]]:
    """Time layers with one thread and with several, in turns.

    Args:
        shapes: label -> layer.
        tables: name -> circuit; torch's float32 layer is added.
        number: of threads, 2 or more.
        rounds: times each job is run.
    """
    rows = []
    for label, shape in shapes.items():
        jobs = {"float32": float_job(shape), **{n: layer_jobs(shape, c)["auto"] for n, c in tables.items()}}
        seen: dict[tuple[str, int], list[float]] = {(name, count): [] for name in jobs for count in (1, number)}
        for _ in range(rounds):
            for count in (1, number):
                with threads(count):
                    jobs["float32"]()  # wakes the threads
                    for name, job in jobs.items():
                        seen[name, count].append(seconds_of(job, time.perf_counter))
        for name in jobs:
            one, several = (statistics.median(seen[name, count]) for count in (1, number))
            rows.append({"shape": label, "table": name, "threads": number, "one_s": one, "several_s": several,
                         "speedup": one / several})  # fmt: skip
    return rows
