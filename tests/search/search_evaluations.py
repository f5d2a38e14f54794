"""Evaluations that leave a trace on the disk, for tests with several processes; imported by name in each of them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from axdnn.search import Run, leases, problems


def traced(log: str, seconds: float = 0.0, deadly: int | None = None) -> Callable[..., Mapping[str, float]]:
    """Return the evaluation of a small grid that notes process, start and end of each call in a file.

    `deadly`: the candidate with this x ends the process that evaluates it, as a lack of memory would. A process with
    AXDNN_TEST_MACHINE takes itself to be on another machine: nobody can see that it has ended, only leases tell.
    """
    if elsewhere := os.environ.get("AXDNN_TEST_MACHINE"):
        leases._machine = lambda: elsewhere  # type: ignore[assignment]

    def evaluate(candidate: Mapping[str, int], run: Run) -> Mapping[str, float]:
        note(log, f"begin {os.getpid()} {run.key}")
        if candidate["x"] == deadly:
            os.kill(os.getpid(), 9)
        time.sleep(seconds)
        note(log, f"end {os.getpid()} {run.key}")
        return {
            "a": (candidate["x"] - 3) ** 2 + candidate["y"],
            "b": (candidate["x"] + 2 * candidate["y"] - 20) ** 2 / 10,
        }

    return evaluate


def note(log: str, line: str) -> None:
    with Path(log).open("a") as file:  # one write of a short line is whole
        file.write(line + "\n")


def notes(log: str, kind: str) -> list[tuple[int, str]]:
    lines = Path(log).read_text().splitlines() if Path(log).exists() else []
    return [(int(parts[1]), parts[2]) for parts in map(str.split, lines) if parts[0] == kind]


def plain(candidate: Mapping[str, int], run: Run) -> Mapping[str, float]:
    return problems.evaluate_stack(candidate, run)
