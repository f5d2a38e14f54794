"""Processes that lead a search, and how tests watch and kill them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from search_evaluations import notes

Begin = Callable[..., "subprocess.Popen[str]"]


def kill_all(leader: subprocess.Popen[str]) -> None:
    """Kill a leader and its workers: the group holds what this test started and nothing else."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(leader.pid, signal.SIGKILL)
    with contextlib.suppress(ValueError):  # it was talked to before
        leader.communicate()


def wait_for(leader: subprocess.Popen[str], log: Path, ends: int, kind: str = "end") -> None:
    deadline = time.monotonic() + 60
    while len(notes(str(log), kind)) < ends:
        assert leader.poll() is None, leader.communicate()
        assert time.monotonic() < deadline, f"{notes(str(log), kind)} after a minute"
        time.sleep(0.02)
