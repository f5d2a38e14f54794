"""Stopped at any moment, `axdnn generate` keeps what it has, and a rerun ends where an uninterrupted run ends."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from axdnn.records import RecordError, Study, load_record

pytestmark = pytest.mark.data

TOO_LONG_S = 240.0


def study_in(folder: Path) -> Study | None:
    try:
        return load_record(Study, folder / "study.json")
    except RecordError:
        return None


def wait_until(ready: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + TOO_LONG_S
    while not ready():
        assert process.poll() is None, f"ended too early: {process.communicate()}"
        assert time.monotonic() < deadline
        time.sleep(0.02)


def interrupt(process: subprocess.Popen[str]) -> str:
    """Press Ctrl-C and return what was said."""
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=TOO_LONG_S)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    last = err.splitlines()[-1]
    assert last.startswith("interrupted; ")
    assert "rerun" in last
    return last


def saved(folder: Path) -> dict[str, Any]:
    """The result, but for the time it took."""
    return {k: v for k, v in json.loads((folder / "result.json").read_text()).items() if k != "wall_s"}


def test_ctrl_c_keeps_the_best_and_a_rerun_ends_alike(
    small: Any, start: Callable[..., Any], axdnn_data: Callable[..., Any], tmp_path: Path
) -> None:
    assert small.done.code == 0, small.done.err
    out = tmp_path / "run"
    process = start(*small.arguments, "--out", out)

    def has_best() -> bool:
        study = study_in(out)
        return study is not None and study.best is not None

    wait_until(has_best, process)
    said = interrupt(process)
    assert str(out / "study.json") in said
    study = load_record(Study, out / "study.json")
    assert study.best is not None
    assert study.best.accepted
    assert not study.finished
    assert not (out / "result.json").exists()
    assert axdnn_data("report", out).code == 2

    done = axdnn_data(*small.arguments, "--out", out)
    assert done.code == 0, done.err
    assert saved(out) == saved(small.folder)
    wall_s = json.loads((out / "result.json").read_text())["wall_s"]
    assert wall_s >= study.wall_s > 0, "the time of all sessions"


def test_stopped_at_the_start_then_killed_a_rerun_ends_alike(
    small: Any, start: Callable[..., Any], axdnn_data: Callable[..., Any], tmp_path: Path
) -> None:
    assert small.done.code == 0, small.done.err
    out = tmp_path / "run"
    process = start(*small.arguments, "--out", out)
    wait_until((out / "run.json").exists, process)
    assert "again" in interrupt(process) or study_in(out) is not None

    process = start(*small.arguments, "--out", out)
    wait_until(lambda: (study := study_in(out)) is not None and study.full_evaluations >= 3, process)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    study = load_record(Study, out / "study.json")
    assert 3 <= study.full_evaluations < 8
    assert not (out / "result.json").exists()

    done = axdnn_data(*small.arguments, "--out", out)
    assert done.code == 0, done.err
    assert saved(out) == saved(small.folder)


def test_two_runs_do_not_share_a_folder(small: Any, start: Callable[..., Any], tmp_path: Path) -> None:
    from axdnn.methods import RunFolder

    settings = json.loads((small.folder / "run.json").read_text())
    with RunFolder(tmp_path / "run", settings):
        process = start(*small.arguments, "--out", tmp_path / "run")
        _, err = process.communicate(timeout=TOO_LONG_S)
    assert process.returncode == 2
    assert "another process" in err
