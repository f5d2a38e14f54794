"""Several processes import evaluations by name: this folder is on their path."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = str(Path(__file__).parent)
if HERE not in sys.path:
    sys.path.insert(0, HERE)


@pytest.fixture
def environment() -> dict[str, str]:
    """The environment of a process that imports what lies here."""
    path = os.pathsep.join([HERE, *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}


@pytest.fixture
def begin(environment: dict[str, str]) -> Iterator[object]:
    """Starts processes that lead a search; what is left of them in the end is killed."""
    leaders: list[subprocess.Popen[str]] = []

    def start(*arguments: object) -> subprocess.Popen[str]:
        command = [sys.executable, str(Path(HERE) / "leading.py"), *map(str, arguments)]
        leader = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        leaders.append(leader)
        return leader

    from search_leaders import kill_all

    yield start
    for leader in leaders:
        kill_all(leader)


@pytest.fixture(scope="module")
def server() -> Iterator[object]:
    """A running PostgreSQL; without it on the machine this is a failure, for `.ci/run` installs it."""
    from search_postgresql import FOLDERS, Server

    assert shutil.which("initdb", path=os.pathsep.join(FOLDERS)), "install PostgreSQL: apt-get install postgresql"
    pytest.importorskip("psycopg2")
    with tempfile.TemporaryDirectory(prefix="axdnn-pg-") as folder:  # a short path: names of sockets are
        started = Server(Path(folder))
        started.start()
        try:
            yield started
        finally:
            started.stop()
