"""`axdnn search xai-nas` as a user runs it, on LeNet-5 and real MNIST with few images."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from axdnn.records import SearchResult, from_json, load_record

Command = Callable[..., Any]
QUICK = ["search", "xai-nas", "--data", "mnist", "--multipliers", "mul8s_1L2N,mul8u_R36,mul8u_TD3", "--skip", "0.5"]
QUICK += ["--search-images", "50", "--test-images", "50"]


def test_a_search_prints_its_front_and_its_members_run(axdnn_data: Command, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = axdnn_data(*QUICK, "--trials", 8, "--out", out, "--quiet")
    assert done.code == 0, done.err
    assert "8 evaluations (budget)" in done.out
    assert f"report: {out / 'report.html'}" in done.out
    result = load_record(SearchResult, out / "result.json")
    plain = json.loads((out / "result.json").read_text())
    assert plain["method"] == "xai-nas"
    assert plain["space_size"] > 0
    assert plain["wall_s"] > 0
    assert plain["evaluations"] == 8
    assert set(plain["reference"]) == {"loss", "multiplier_energy_j"}
    assert all(set(m["objectives"]) == set(plain["reference"]) and m["candidate"] for m in plain["front"])
    again = axdnn_data(*QUICK, "--trials", 8, "--out", out, "--quiet", "--format", "json", "--resume")
    assert from_json(SearchResult, again.out) == result
    assert "finished already" in again.err
    member = result.front[-1]
    arguments = ("--model", "lenet5", "--data", "mnist", "--split", "search", "--images", 50, "--format", "json")
    shown = axdnn_data("simulate", "--assignment", out / member.file, *arguments, "--quiet")
    found = json.loads(shown.out)
    assert found["baseline_accuracy"] - found["accuracy"] == pytest.approx(member.objectives["loss"])
    listed = axdnn_data("studies", "list", "--storage", out / "study.journal", "--format", "json")
    assert json.loads(listed.out)[0]["name"] == "xai-nas"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--arm", "alwan"], "nearest: alwann"),
        (["--model", "lenet"], "nearest: lenet5"),
        (["--trials", "0"], "trials >= 1"),
        (["--objective", "power"], "unknown objective"),
        (["--skip", "half"], "--skip must be numbers"),
        (["--skip", "1.5"], "fractions"),
        (["--weight-codes", "none"], "weight_codes"),
        (["--accelerator", "tpu"], "tpu_v4"),
        (["--cores", "2"], "give --cluster"),
        (["--cluster", "there"], "a cluster must be ray, auto, local"),
    ],
)
def test_wrong_input_is_one_line_and_writes_nothing(
    axdnn: Command, arguments: list[str], told: str, tmp_path: Path
) -> None:
    done = axdnn(*QUICK, *arguments, "--out", tmp_path / "out", "--quiet")
    assert done.code == 2
    assert told in done.err
    assert len(done.err.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_other_settings_are_refused(axdnn_data: Command, tmp_path: Path) -> None:
    assert axdnn_data(*QUICK, "--trials", 1, "--out", tmp_path / "out", "--quiet").code == 0
    before = (tmp_path / "out" / "result.json").read_bytes()
    for change in (["--seed", "5"], ["--arm", "random"], ["--multipliers", "mul8u_R36"]):
        done = axdnn_data(*QUICK, "--trials", 1, "--out", tmp_path / "out", "--quiet", *change)
        assert done.code == 2
        assert "another run" in done.err
    assert (tmp_path / "out" / "result.json").read_bytes() == before


@pytest.mark.slow
def test_ctrl_c_keeps_what_was_evaluated(
    start: Callable[..., subprocess.Popen[str]], axdnn_data: Command, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    process = start(*QUICK, "--trials", 400, "--out", out)
    until = time.monotonic() + 300
    while not (out / "study.json").exists() and time.monotonic() < until:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "evaluations are kept; rerun the same command to go on" in err
    listed = json.loads(axdnn_data("studies", "list", "--storage", out / "study.journal", "--format", "json").out)
    kept = listed[0]["evaluations"]
    assert kept >= 1
    done = axdnn_data(*QUICK, "--trials", kept + 2, "--out", out, "--quiet", "--resume")
    assert done.code == 0, done.err
    assert load_record(SearchResult, out / "result.json").evaluations == kept + 2
