"""Commands as a user runs them, in this process or in one of their own; runs on real data that several tests share."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from axdnn.cli.main import run
from axdnn.data import get_dataset
from axdnn.records import Assignment, CostReport, Evaluation, GenerationResult, Network

FEW = "mul8s_1L2N,mul8u_R36,mul8u_13QR"


class Done(NamedTuple):
    """A command that ended."""

    code: int
    out: str
    err: str


class Finished(NamedTuple):
    """A finished `axdnn generate`: its arguments, its folder, what it printed."""

    arguments: list[str]
    folder: Path
    done: Done


def call(*arguments: object) -> Done:
    """Run a command in this process."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = run([str(argument) for argument in arguments])
    return Done(code, out.getvalue(), err.getvalue())


@pytest.fixture(scope="session")
def data_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shared cache folder, with MNIST in it."""
    given = os.environ.get("AXDNN_CACHE")
    cache = Path(given) if given else tmp_path_factory.mktemp("cache")
    get_dataset("mnist", cache=cache)
    return cache


@pytest.fixture(scope="session")
def cache(data_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of this session that shares the data, so that nothing fitted earlier helps."""
    own = tmp_path_factory.mktemp("own")
    (own / "data").symlink_to((data_cache / "data").absolute())
    return own


@pytest.fixture(autouse=True)
def _no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests that ask for no data cannot touch a real cache, and write where nobody minds."""
    monkeypatch.setenv("AXDNN_CACHE", str(tmp_path / "no-cache"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def axdnn() -> Callable[..., Done]:
    """Run a command in this process."""
    return call


@pytest.fixture
def axdnn_data(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Done]:
    """Run a command in this process, with MNIST at hand."""
    monkeypatch.setenv("AXDNN_CACHE", str(cache))
    return call


@pytest.fixture
def start(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start a command in a process of its own, with MNIST at hand."""
    monkeypatch.setenv("AXDNN_CACHE", str(cache))
    started: list[subprocess.Popen[str]] = []

    def launch(*arguments: object) -> subprocess.Popen[str]:
        process = popen(*arguments)
        started.append(process)
        return process

    yield launch
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def popen(*arguments: object) -> subprocess.Popen[str]:
    """Start a command in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "axdnn.cli.main", *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(scope="session")
def finished(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """The one whole run: all of EvoApprox8b, default strategy, 1 point, in a process of its own."""
    folder = tmp_path_factory.mktemp("runs") / "deep" / "integer"
    arguments = ["generate", "--model", "lenet5", "--data", "mnist", "--out", str(folder)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AXDNN_CACHE", str(cache))
        process = popen(*arguments)
        out, err = process.communicate(timeout=600)
    return Finished(arguments, folder, Done(process.returncode, out, err))


@pytest.fixture(scope="session")
def small(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """A short run that nothing interrupts: three multipliers, eight evaluations."""
    folder = tmp_path_factory.mktemp("small") / "random"
    arguments = ["generate", "--model", "lenet5", "--data", "mnist", "--multipliers", FEW, "--strategy", "random"]
    arguments += ["--evaluations", "8", "--score", "none", "--seed", "3"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AXDNN_CACHE", str(cache))
        return Finished(arguments, folder, call(*arguments, "--out", folder))


class Server:
    """Runs commands in forked processes that can be killed; see `killed.py`."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("killed.py"))],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg"},
        )  # fmt: skip

    def __call__(
        self, *arguments: object, cache: Path, watched: tuple[Path, ...] = (), kill: tuple[str, str, int] | None = None,
        after_s: float | None = None, recipe: dict[str, Any] | None = None,
    ) -> tuple[int, dict[str, Any], str]:  # fmt: skip
        """Run a command; return its exit status, what it did, and its output."""
        log, facts = self.home / "log", self.home / "facts"
        log.unlink(missing_ok=True)
        facts.unlink(missing_ok=True)
        request = {
            "arguments": [str(a) for a in arguments], "cache": str(cache), "watched": [str(w) for w in watched],
            "kill": kill, "after_s": after_s, "log": str(log), "facts": str(facts), "recipe": recipe,
        }  # fmt: skip
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        status = int(self.process.stdout.readline())
        return status, json.loads(facts.read_text()) if facts.exists() else {}, log.read_text() if log.exists() else ""


@pytest.fixture(scope="module")
def server(data_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The server, with nothing read from anybody's cache but data."""
    server = Server(tmp_path_factory.mktemp("server"))
    yield server
    server.process.communicate()


def made_result(assignment: Assignment, priced: CostReport) -> GenerationResult:
    """A result of LeNet-5 that names this assignment; its figures are made up."""
    chosen = Evaluation(
        assignment=assignment, accuracy={}, energy_j=1.0, latency_s=1.0, memory_bytes=1, area_m2=1.0,
        multiplier_energy_j=1.0,
    )  # fmt: skip
    return GenerationResult(
        model="lenet5", data="mnist", accelerator="tpu_v4", multiplier_set="a test", strategy="random", seed=0,
        max_accuracy_loss=1.0, status="met", reason="a test", baseline_accuracy=1.0, accuracy=1.0, energy_j=1.0,
        baseline_energy_j=1.0, multiplier_energy_j=1.0, baseline_multiplier_energy_j=1.0, latency_s=1.0,
        baseline_latency_s=1.0, memory_bytes=1, baseline_memory_bytes=1, area_m2=1.0, baseline_area_m2=1.0,
        evaluations=3, network_images=1, wall_s=1.0,
        assignment=dict(assignment.multipliers), images={}, provenance={}, baseline_cost=priced,
        network=Network(name="lenet5", layers=()),
        cost=priced, ideal_cost=priced, ideal_baseline_cost=priced, chosen=chosen,
    )  # fmt: skip


@pytest.fixture(scope="session")
def result_of() -> Callable[[Assignment, CostReport], GenerationResult]:
    """A function that makes a result from an assignment and any cost report."""
    return made_result
