"""The demo as a process: what it does when it cannot go on, and when it is interrupted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from axdnn.data import get_dataset

DEMO = Path(__file__).resolve().parents[2] / "examples" / "demo.py"


def start(out: Path, cache: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(DEMO), "--out", str(out)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "AXDNN_CACHE": str(cache)},
    )


def children_of(process: int) -> list[int]:
    listed = Path(f"/proc/{process}/task/{process}/children")
    return [int(child) for child in listed.read_text().split()] if listed.exists() else []


def test_a_failing_step_fails_the_demo_with_its_message(tmp_path: Path) -> None:
    (tmp_path / "cache" / "data").mkdir(parents=True)
    (tmp_path / "cache" / "data" / "mnist.npz").write_bytes(b"damaged")
    process = start(tmp_path / "out", tmp_path / "cache")
    _, err = process.communicate(timeout=120)
    assert process.returncode == 2
    assert "mnist.npz" in err
    assert "Traceback" not in err


@pytest.mark.data
def test_a_failing_strategy_fails_the_demo_with_its_message(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "out" / "integer").mkdir(parents=True)
    (tmp_path / "out" / "integer" / "thesis.tex").write_text("")
    process = start(tmp_path / "out", cache)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 2
    assert "strategy integer failed" in err
    assert "files that are not of a run" in err
    assert "Traceback" not in err


@pytest.mark.data
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_the_children_and_says_how_to_resume(
    number: signal.Signals, tmp_path: Path, cache: Path
) -> None:
    process = start(tmp_path / "out", cache)
    assert process.stdout is not None
    while "greedy   started" not in process.stdout.readline():
        assert process.poll() is None
    children = children_of(process.pid)
    assert len(children) == 2 or not Path("/proc/self/task").exists()
    process.send_signal(number)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "Run the same command again to resume" in err
    assert "Traceback" not in err
    for child in children:
        with pytest.raises(ProcessLookupError):
            os.kill(child, 0)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that shares MNIST and nothing else."""
    given, own = os.environ.get("AXDNN_CACHE"), tmp_path_factory.mktemp("own")
    file = get_dataset("mnist", cache=given or tmp_path_factory.mktemp("cache"))
    (own / "data").symlink_to(file.parent.absolute())
    return own
