"""Killed without notice at any moment, `generate` and `train` leave what a rerun goes on from, to the same end.

What a kill leaves is what is on the disk, so the moments that differ lie between operations that change files; see
`killed.py`, which kills a process right before one of them. Others are killed from outside at seeded random times.
"""

from __future__ import annotations

import functools
import json
import random
import signal
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from axdnn.data import get_dataset
from axdnn.evaluation.outcomes import read_checked, read_outcome

pytestmark = [pytest.mark.data, pytest.mark.xdist_group("kill")]

IMAGES = 100
PROBE = IMAGES // 10  # images on which single layers are measured, and choices probed
FEW = "mul8u_QKX,mul8s_1L2N,mul8s_1L12,mul8u_13QR"
SIZES = ("--search-images", IMAGES, "--accept-images", IMAGES, "--test-images", IMAGES, "--evaluations", 8)
TASK = ("generate", "--model", "lenet5", "--data", "mnist", "--multipliers", FEW, *SIZES, "--max-accuracy-loss", 3)
STRATEGIES = {"integer": ("--strategy", "integer"), "paper": ("--strategy", "paper", "--paper", "skip=0.5")}
TRAIN = ("train", "--model", "lenet5", "--data", "mnist", "--images", 640, "--epochs", 3)
STEPS = 15
KILLED = -signal.SIGKILL
Kill = tuple[str, str, int]
Server = Callable[..., tuple[int, dict[str, Any], str]]


def new_cache(data_cache: Path, folder: Path) -> Path:
    """A cache with data alone."""
    folder.mkdir()
    (folder / "data").symlink_to((data_cache / "data").absolute())
    return folder


def saved(folder: Path) -> dict[str, Any]:
    """The result, but for the time it took."""
    return {k: v for k, v in json.loads((folder / "result.json").read_text()).items() if k != "wall_s"}


def stamps(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    """Finished evaluations: file -> inode, time of change, contents."""
    files = list((folder / "cache").glob("*.bits"))
    return {f.name: (f.stat().st_ino, f.stat().st_mtime_ns, f.read_bytes()) for f in files}


def cost(folder: Path) -> int:
    """Images that the finished evaluations in a folder took, and that a rerun must not run again."""
    files = list((folder / "cache").glob("*.bits"))
    outcomes = [read_outcome(file, IMAGES) or read_outcome(file, PROBE) for file in files]
    assert None not in outcomes, "an evaluation is whole or not there"
    evaluated = sum(len(o.correct) + o.calibration_images for o in outcomes if o is not None)
    sure = [struct.unpack("<4sII", read_checked(file)[:12]) for file in (folder / "cache").glob("*.margins")]
    margins = sum(images + calibrated for _, images, calibrated in sure)
    return evaluated + margins + sum(PROBE + calibrated for calibrated in single_layers(folder))


def single_layers(folder: Path) -> list[int]:
    """Images that calibrated each network of which one layer alone was measured."""
    bodies = [read_checked(file) for file in (folder / "cache").glob("*.nats")]
    assert None not in bodies, "a measurement is whole or not there"
    return [struct.unpack("<4sdI", body)[2] for body in bodies if body is not None]


def leftovers(*folders: Path) -> list[Path]:
    return [file for folder in folders for file in folder.rglob("*.part")]


class Whole:
    """A run of one strategy that nothing interrupts, in folders of its own."""

    def __init__(self, server: Server, cache: Path, home: Path, strategy: str) -> None:
        self.server, self.arguments = server, (*TASK, *STRATEGIES[strategy])
        self.cache, self.folder = cache, home / "run"
        began = time.monotonic()
        status, facts, log = self.run(self.folder, self.cache)
        self.seconds = time.monotonic() - began
        assert status == 0, log
        self.images, self.operations, self.result = facts["images"], facts["operations"], saved(self.folder)
        # Twice single layers are measured, each time beside the exact network, which runs again if any is left.
        self.beside = 2 * (PROBE + max(single_layers(self.folder))) if single_layers(self.folder) else 0
        assert self.images >= cost(self.folder) + self.beside > 0

    def run(self, folder: Path, cache: Path, **how: Any) -> tuple[int, dict[str, Any], str]:
        """Run the same command into another folder."""
        return self.server(*self.arguments, "--out", folder, cache=cache, watched=(folder, cache / "codings"), **how)

    def chain(self, folder: Path, cache: Path, kills: list[dict[str, Any]], must_die: bool = True) -> None:
        """Kill a run again and again, then let it finish; nothing finished is repeated and the end is the same."""
        for how in kills:
            before, spent = stamps(folder), cost(folder)
            status, facts, log = self.run(folder, cache, **how)
            assert status == KILLED or not must_die, (how, status, log)
            assert facts.get("images", 0) <= self.images - spent, how
            if how.get("kill") == BEFORE_RESULT:
                assert self.images - spent - self.beside <= facts["images"]
            now = stamps(folder)
            assert {name: now[name] for name in before} == before, how
            assert len(leftovers(folder)) <= 1, "a rerun removes what a killed one left"
        done, before = (folder / "result.json").exists(), stamps(folder)
        spent = cost(folder)
        status, facts, log = self.run(folder, cache)
        assert status == 0, log
        left = 0 if done else self.images - spent
        assert left - self.beside <= facts["images"] <= left
        assert {name: stamps(folder)[name] for name in before} == before
        assert saved(folder) == self.result
        assert leftovers(folder) == []
        assert sorted(p.relative_to(folder) for p in folder.rglob("*")) == sorted(
            p.relative_to(self.folder) for p in self.folder.rglob("*")
        )


BEFORE_RESULT: Kill = ("rename", r"^run/result\.json", 1)
CHAINS: dict[str, list[Kill]] = {
    "integer": [
        ("open", r"^run/\.lock", 1), ("rename", r"^run/run\.json", 1), ("chmod", r"^codings/", 9),
        ("open", r"^run/cache/.*nats", 2), ("open", r"^run/cache/.*margins", 1), ("open", r"^run/cache/.*bits", 4),
        ("rename", r"^run/study\.json", 4),
        BEFORE_RESULT,
        ("rename", r"^run/figures/", 2),
    ],
    "paper": [
        ("rename", r"^run/cache/", 1), ("chmod", r"^run/study\.json|^run/\.study", 2), ("rename", r"^run/cache/", 4),
        ("open", r"^run/\.result\.json", 1), ("rename", r"^run/report\.html", 1),
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def wholes(server: Server, data_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Whole]:
    """The uninterrupted run of a strategy."""
    cache = new_cache(data_cache, tmp_path_factory.mktemp("whole") / "cache")
    return functools.cache(lambda s: Whole(server, cache, tmp_path_factory.mktemp(s), s))


@pytest.mark.parametrize("strategy", ["integer", pytest.param("paper", marks=pytest.mark.slow)])
def test_generate_killed_between_any_two_changes(
    strategy: str, wholes: Callable[[str], Whole], data_cache: Path, tmp_path: Path
) -> None:
    whole = wholes(strategy)
    cache = new_cache(data_cache, tmp_path / "cache") if strategy == "integer" else whole.cache
    whole.chain(tmp_path / "run", cache, [{"kill": kill} for kill in CHAINS[strategy]])


def test_generate_killed_at_random_times(wholes: Callable[[str], Whole], tmp_path: Path) -> None:
    whole, draw = wholes("integer"), random.Random(1)
    times = [{"after_s": draw.uniform(0.0, whole.seconds)} for _ in range(2)]
    whole.chain(tmp_path / "run", whole.cache, times, must_die=False)


@pytest.mark.slow
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_generate_killed_before_every_few_changes(
    strategy: str, wholes: Callable[[str], Whole], data_cache: Path, tmp_path: Path
) -> None:
    """Each time from nothing; a stride of 7 meets all four steps of writing a file, in all kinds of files."""
    whole = wholes(strategy)
    for number in range(1, len(whole.operations) + 1, 7):
        home = tmp_path / str(number)
        home.mkdir()
        cache = new_cache(data_cache, home / "cache")
        whole.chain(home / "run", cache, [{"kill": ("any", "", number)}])


@pytest.mark.slow
@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("seed", range(3))
def test_generate_killed_at_many_random_times(
    strategy: str, seed: int, wholes: Callable[[str], Whole], data_cache: Path, tmp_path: Path
) -> None:
    whole, draw = wholes(strategy), random.Random(seed)
    times = [{"after_s": draw.uniform(0.0, whole.seconds)} for _ in range(8)]
    whole.chain(tmp_path / "run", new_cache(data_cache, tmp_path / "cache"), times, must_die=False)


def weights(out: Path) -> tuple[bytes, bytes]:
    return out.read_bytes(), out.with_suffix(".json").read_bytes()


TRAIN_KILLS: list[tuple[Kill, int]] = [  # and the steps that are done when the same command is run again
    (("open", "checkpoints/lock", 1), 0), (("rename", "checkpoint.pt", 1), 0), (("chmod", "checkpoint.pt", 2), 5),
    (("rename", "checkpoint.pt", 2), 10), (("rename", r"mine\.json", 1), 15), (("rename", "mine.safetensors", 1), 15),
    (("remove", "checkpoint.pt", 1), 15),
]  # fmt: skip


def test_train_killed_between_any_two_changes(server: Server, data_cache: Path, tmp_path: Path) -> None:
    cache, home = new_cache(data_cache, tmp_path / "cache"), tmp_path / "killed"
    whole = tmp_path / "whole" / "mine.safetensors"
    status, facts, log = server(*TRAIN, "--out", whole, cache=cache)
    assert (status, facts["steps"]) == (0, STEPS), log
    assert sorted(p.name for p in whole.parent.iterdir()) == ["mine.json", "mine.safetensors"]
    out, done = home / "mine.safetensors", 0
    for kill, after in TRAIN_KILLS:
        status, facts, log = server(*TRAIN, "--out", out, cache=cache, watched=(home,), kill=kill)
        assert status == KILLED, (kill, log)
        begun = f": {STEPS} steps{f', {done} done before' if done else ''} {done}/{STEPS}"
        assert kill[1].endswith("lock") or begun in log
        assert facts["steps"] + done <= STEPS, "finished epochs are not trained again"
        assert len(leftovers(home)) <= 1
        done = after
    status, facts, log = server(*TRAIN, "--out", out, cache=cache)
    assert (status, facts["steps"]) == (0, 0), log
    assert "finished already" in log
    assert weights(out) == weights(whole)
    assert sorted(p.name for p in home.iterdir()) == ["mine.json", "mine.safetensors"]


def test_finished_training_is_neither_repeated_nor_replaced(server: Server, data_cache: Path, tmp_path: Path) -> None:
    cache, out = new_cache(data_cache, tmp_path / "cache"), tmp_path / "mine.safetensors"
    status, _, log = server(*TRAIN, "--out", out, cache=cache)
    assert status == 0, log
    first, accuracy = weights(out), log.splitlines()[-2]
    assert accuracy.startswith("test accuracy")
    status, facts, log = server(*TRAIN, "--out", out, cache=cache)
    assert (status, facts["steps"]) == (0, 0)
    assert accuracy in log
    assert "finished already" in log
    other = (*TRAIN[:-1], 2, "--out", out)
    status, facts, log = server(*other, cache=cache)
    assert (status, facts["steps"]) == (2, 0)
    assert "epochs 3 (now 2)" in log
    assert "--restart" in log
    assert weights(out) == first
    again, kill = (*other, "--restart"), ("rename", "checkpoint.pt", 2)
    status, facts, _ = server(*again, cache=cache, watched=(tmp_path,), kill=kill)
    assert (status, facts["steps"]) == (KILLED, 10)
    assert weights(out) == first, "replaced only when there is something to replace it with"
    status, facts, log = server(*other, cache=cache)
    assert (status, facts["steps"]) == (0, 5), log
    assert json.loads(out.with_suffix(".json").read_text())["settings"]["epochs"] == 2
    out.write_bytes(b"something else")
    status, facts, log = server(*other, cache=cache)
    assert (status, facts["steps"], out.read_bytes()) == (2, 0, b"something else")
    assert "--restart" in log


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "data", "images", "stride"), [("lenet5", "mnist", 640, 1), ("resnet8", "cifar10", 384, 3)]
)
def test_train_killed_before_every_change(
    model: str, data: str, images: int, stride: int, server: Server, data_cache: Path, tmp_path: Path
) -> None:
    """Also in bfloat16: the ResNet's recipe."""
    get_dataset(data, cache=data_cache)
    cache = new_cache(data_cache, tmp_path / "cache")
    task = ("train", "--model", model, "--data", data, "--images", images, "--epochs", 3, "--out")
    whole = tmp_path / "whole" / "mine.safetensors"
    status, facts, log = server(*task, whole, cache=cache, watched=(whole.parent,))
    assert status == 0, log
    total = facts["steps"]
    for number in range(1, len(facts["operations"]) + 1, stride):
        out = tmp_path / str(number) / "mine.safetensors"
        status, first, log = server(*task, out, cache=cache, watched=(out.parent,), kill=("any", "", number))
        assert status == KILLED, log
        status, second, log = server(*task, out, cache=cache)
        assert status == 0, log
        assert total <= first["steps"] + second["steps"] <= total + total // 3
        assert weights(out) == weights(whole)
        assert sorted(p.name for p in out.parent.iterdir()) == ["mine.json", "mine.safetensors"]


@pytest.mark.slow
def test_training_on_first_use_killed_goes_on(server: Server, data_cache: Path, tmp_path: Path) -> None:
    """`generate` on a pair without weights trains; the run folder is made after that, so its making is a good end."""
    recipe, run = {"epochs": 3, "images": 1280, "bf16": True}, tmp_path / "run"
    task = ("generate", "--model", "cnn_small", "--data", "mnist", "--multipliers", "mul8u_13QR", "--out", run)
    kills: list[Kill] = [("rename", r"checkpoint\.pt", 1), ("chmod", r"checkpoint\.pt", 2),
                         ("rename", r"models/.*\.safetensors", 1), ("rmdir", "training", 1)]  # fmt: skip
    end: Kill = ("mkdir", "^run", 1)
    found = []
    for name, moments in {"whole": [end], "killed": [*kills, end]}.items():
        cache, total = new_cache(data_cache, tmp_path / name), 0
        for kill in moments:
            status, facts, log = server(*task, cache=cache, watched=(cache / "models", run), kill=kill, recipe=recipe)
            assert status == KILLED, (kill, log)
            total += facts["steps"]
        assert total == 30 + (20 if name == "killed" else 0), "two epochs were run again: their checkpoints were cut"
        (file,) = (cache / "models").glob("*.safetensors")
        assert leftovers(cache) == []
        assert sorted(p.suffix for p in (cache / "models").iterdir()) == [".json", ".lock", ".safetensors"]
        found.append(weights(file))
    assert found[0] == found[1]
