"""What more threads bring."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch

from axdnn.benchmark.products import Job, float_job, layer_jobs
from axdnn.benchmark.selection import Shape
from axdnn.benchmark.timing import in_turns
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

    def with_threads(job: Job, count: int) -> Job:
        def run() -> None:
            with threads(count):
                job()

        return run

    rows = []
    for label, shape in shapes.items():
        calls = {"float32": float_job(shape), **{n: layer_jobs(shape, c)["auto"] for n, c in tables.items()}}
        jobs = {(name, count): with_threads(job, count) for name, job in calls.items() for count in (1, number)}
        found = in_turns(jobs, rounds)
        for name in calls:
            one, several = found[name, 1].s, found[name, number].s
            rows.append({"shape": label, "table": name, "threads": number, "one_s": one, "several_s": several,
                         "speedup": one / several})  # fmt: skip
    return rows
