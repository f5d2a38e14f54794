"""`axdnn attack`: the commands of the page, resuming, what is refused, and the error for a masked gradient."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from axdnn.records import RobustnessReport, load_record

Command = Callable[..., Any]
PAGE = Path(__file__).resolve().parents[2] / "docs" / "robustness.md"
FAST = ("--attacks", "fgsm,pgd:steps=4:restarts=1,transfer:steps=4", "--images", "25", "--quiet")
NAMED = ("--model", "lenet5", "--data", "mnist", "--multiplier", "mul8u_R36")


def commands() -> list[list[str]]:
    lines = re.findall(r"^    (axdnn attack .*)$", PAGE.read_text(), flags=re.MULTILINE)
    return [shlex.split(line)[1:] for line in lines]


@pytest.mark.data
def test_the_commands_of_the_page(small: Any, axdnn_data: Command) -> None:
    first, second = commands()
    done = axdnn_data(*first)
    assert done.code == 0, done.err
    for text in ("exact int8 (%)", "approximate (%)", "worst case of all", "95 % interval", "laws checked, all hold"):
        assert text in done.out
    folder = Path("runs/attacked")
    report = load_record(RobustnessReport, folder / "robustness.json")
    assert report.epsilons == (0.1, 0.2), "the default of the data set"
    assert set(report.assignment.values()) == {"mul8u_R36"}
    assert (folder / "robustness.png").read_bytes()[:4] == b"\x89PNG"
    axdnn_data(*small.arguments, "--out", "runs/lenet5")
    done = axdnn_data(*second, "--format", "json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert found["level"] == "inner"
    assert found["model"] == "lenet5"
    assert found["epsilons"] == [0.05, 0.1]


@pytest.mark.data
def test_a_rerun_repeats_nothing_and_more_can_be_asked(axdnn_data: Command) -> None:
    assert axdnn_data("attack", *NAMED, *FAST, "--out", "out").code == 0
    before = {file: file.stat().st_mtime_ns for file in Path("out/attacks").iterdir()}
    first = load_record(RobustnessReport, "out/robustness.json")
    assert axdnn_data("attack", *NAMED, *FAST, "--out", "out", "--eps", "0.1,0.2").code == 0
    assert load_record(RobustnessReport, "out/robustness.json") == first
    assert {file: file.stat().st_mtime_ns for file in Path("out/attacks").iterdir()} == before
    assert axdnn_data("attack", *NAMED, *FAST, "--out", "out", "--eps", "51/255,0.3").code == 0
    more = load_record(RobustnessReport, "out/robustness.json")
    assert more.epsilons == (0.2, 0.3)
    assert more.at("exact", 0.2).robust_accuracy >= first.at("exact", 0.2).robust_accuracy
    assert {file: file.stat().st_mtime_ns for file in before} == before


@pytest.mark.data
def test_an_interrupted_attack_goes_on(axdnn_data: Command, start: Command, tmp_path: Path) -> None:
    endless = ("--attacks", "fgsm,pgd:steps=4:restarts=1,transfer:steps=4,square:queries=50000")
    process = start("attack", *NAMED, *endless, "--images", "25", "--quiet", "--eps", "0.1", "--out", "out")
    while process.poll() is None and len(list(Path("out/attacks").glob("*.json"))) < 2:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGINT)
    err = process.communicate(timeout=60)[1]
    assert process.returncode == 130, err
    assert "finished attacks are kept in out, rerun to resume" in err
    kept = {file: file.read_bytes() for file in Path("out/attacks").glob("*.json")}
    assert kept
    assert axdnn_data("attack", *NAMED, *FAST, "--eps", "0.1", "--out", "out").code == 0
    assert axdnn_data("attack", *NAMED, *FAST, "--eps", "0.1", "--out", "whole").code == 0
    assert {file: file.read_bytes() for file in kept} == kept
    one, other = (load_record(RobustnessReport, f"{name}/robustness.json") for name in ("out", "whole"))
    assert one.worst == other.worst
    assert one.laws == other.laws


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--attacks", "pdg"), "unknown attack 'pdg'; nearest: pgd"),
        (("--attacks", "pgd:steps=x"), "steps must be a whole number"),
        (("--eps", "-0.1"), "above 0"), (("--eps", "0"), "above 0"), (("--eps", "a/b"), "numbers or fractions"),
        (("--norm", "l7"), "unknown norm 'l7'"), (("--gradient", "none"), "unknown gradient"),
        (("--seed", "-1"), "seed"), (("--out", "used"), "holds other files"), (("--out", "file"), "is a file"),
        (("--model", "unfinished"), "is not finished"), (("--model", "empty"), "there must be a finished run"),
        (("--model", "lenet6"), "lenet5"),
        (("--data", "mnits"), "unknown data set 'mnits'; nearest: mnist"),
        (("--data", "fashion-mnist"), "eps must be given for 'fashion-mnist'"),
    ],
)  # fmt: skip
def test_bad_input(axdnn: Command, tmp_path: Path, arguments: tuple[str, str], says: str) -> None:
    for name in ("used", "unfinished", "empty"):
        Path(name).mkdir()
    Path("used/notes.txt").write_text("mine")
    Path("unfinished/run.json").write_text("{}")
    Path("file").write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    model = () if arguments[0] == "--model" else ("--model", "lenet5")
    done = axdnn("attack", *model, *arguments, "--quiet")
    assert done.code == 2, done
    assert says in done.err
    assert done.err.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.data
def test_what_does_not_fit_the_data(axdnn_data: Command) -> None:
    for arguments, says in (
        (("--norm", "l2"), "eps must be given for 'mnist' and l2"),
        (("--images", "20000"), "limit"),
        (("--split", "nowhere"), "unknown split"),
    ):
        done = axdnn_data("attack", "--model", "lenet5", *FAST[:2], *arguments, "--quiet")
        assert done.code == 2
        assert says in done.err
