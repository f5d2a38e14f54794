"""10,000 trials: looking at a study and resuming it work, memory stays flat; optuna-dashboard opens a study."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from axdnn.report import render_search
from axdnn.search import Progress, list_studies, load_history, search
from axdnn.search.problems import stacks

T = TypeVar("T")
PROBLEM = stacks(4)


def memory_mib() -> float:
    """Resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def timed(what: str, action: Callable[[], T]) -> T:
    began = time.monotonic()
    done = action()
    print(f"{what}: {time.monotonic() - began:.2f} s")
    return done


@pytest.mark.slow
def test_ten_thousand_trials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Times are printed, not asserted: docs/search.md has them."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)  # the disk of the machine is not what is looked at
    place = tmp_path / "journal"
    memory: dict[int, float] = {}

    def look(seen: Progress) -> None:
        if seen.evaluations % 1000 == 0:
            memory[seen.evaluations] = memory_mib()

    found = timed("10,000 evaluations", lambda: search(
        PROBLEM.space, PROBLEM.evaluate, PROBLEM.objectives, trials=10_000, storage=place, progress=look
    ))  # fmt: skip
    assert found.evaluations == 10_000
    print(f"memory in MiB by evaluations: {memory}; journal: {place.stat().st_size} bytes")
    assert memory[10_000] - memory[5_000] < 100  # 20 KB a trial, Optuna's own copy included
    assert timed("list", lambda: list_studies(place))[0].evaluations == 10_000
    history = timed("history", lambda: load_history(place, "search"))
    assert history.trials == found.trials
    page = timed("page", lambda: render_search(history))
    assert len(page) < 5_000_000
    more = timed("resume with 10 more", lambda: search(
        PROBLEM.space, PROBLEM.evaluate, PROBLEM.objectives, trials=10_010, storage=place
    ))  # fmt: skip
    assert more.evaluations == 10_010
    assert more.hypervolume[-1] >= found.hypervolume[-1] > 0.999 * PROBLEM.best


def test_the_dashboard_of_optuna_opens_a_study(tmp_path: Path) -> None:
    pytest.importorskip("optuna_dashboard")
    place = tmp_path / "journal"
    found = search(PROBLEM.space, PROBLEM.evaluate, PROBLEM.objectives, trials=12, storage=place, name="stacks")
    with socket.socket() as free:
        free.bind(("", 0))
        port = free.getsockname()[1]
    code = "import sys; from optuna_dashboard._cli import main; sys.argv[0] = 'optuna-dashboard'; main()"
    host = ".".join(("127", "0", "0", "1"))
    with subprocess.Popen(
        [sys.executable, "-c", code, str(place), "--host", host, "--port", str(port)],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    ) as server:  # fmt: skip
        try:
            studies = ask(server, host, port, "/api/studies")["study_summaries"]
            assert [study["study_name"] for study in studies] == ["stacks"]
            detail = ask(server, host, port, f"/api/studies/{studies[0]['study_id']}?after=0")
            assert len(detail["trials"]) == len(found.trials)
            assert detail["trials"][0]["values"] == list(found.trials[0].values.values())
        finally:
            server.kill()


def ask(server: subprocess.Popen[str], host: str, port: int, path: str) -> dict[str, list[dict[str, object]]]:
    """Ask the dashboard, once it is up."""
    deadline = time.monotonic() + 60
    while True:
        connection = http.client.HTTPConnection(host, port, timeout=10)
        try:
            connection.request("GET", path)
            answer: dict[str, list[dict[str, object]]] = json.loads(connection.getresponse().read())
            return answer
        except ConnectionRefusedError:
            assert server.poll() is None, server.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.1)
        finally:
            connection.close()
