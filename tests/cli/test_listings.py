"""Help, version and the commands that list what there is."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import axdnn as package
from axdnn.cli import console
from axdnn.cli.main import _show_warning
from axdnn.models.loading import PACKAGE_WEIGHTS
from axdnn.records import UnknownNameError

COMMANDS = (
    "generate",
    "explain",
    "estimate",
    "report",
    "train",
    "bench",
    "multipliers",
    "accelerators",
    "models",
    "data",
    "studies",
    "worker",
)
Command = Callable[..., Any]


def test_help_names_every_command(axdnn: Command) -> None:
    for arguments in ([], ["--help"]):
        done = axdnn(*arguments)
        assert (done.code, done.err) == (0, "")
        assert all(command in done.out for command in COMMANDS)
        assert "Exit codes" in done.out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, axdnn: Command) -> None:
    done = axdnn(command, "--help")
    assert (done.code, done.err) == (0, "")
    assert f"Usage: axdnn {command}" in done.out


@pytest.mark.parametrize("group", ["multipliers", "accelerators", "models", "data"])
def test_a_bare_group_is_a_question(group: str, axdnn: Command) -> None:
    done = axdnn(group)
    assert done.code == 0
    assert "list" in done.out


def test_version(axdnn: Command) -> None:
    assert axdnn("--version").out == f"axdnn {package.__version__}\n"


def test_multipliers_as_a_table(axdnn: Command) -> None:
    done = axdnn("multipliers", "list", "--set", "mul8u_QKX, exact,mul8s_1L2N")
    assert done.code == 0
    assert "3 entries" in done.out
    names = [line.split()[0] for line in done.out.splitlines()[4:-1]]
    assert names == ["mul8u_QKX", "mul8s_1KV6", "mul8s_1L2N"]


def test_multipliers_as_json(axdnn: Command) -> None:
    rows = json.loads(axdnn("multipliers", "list", "--format", "json").out)
    assert len(rows) == len({row["name"] for row in rows}) == 116
    keys = {"name", "aliases", "id", "coding", "class", "rank", "symmetric", "mae", "mae_pct", "wce", "wce_pct",
            "wcre_pct", "ep_pct", "mre_pct", "mse", "mean_error", "power_w", "area_m2", "delay_s", "power_ratio",
            "area_ratio"}  # fmt: skip
    assert all(set(row) == keys for row in rows)
    (exact,) = (row for row in rows if row["name"] == "mul8s_1KV6")
    assert (exact["power_ratio"], exact["mae"], exact["class"], exact["rank"]) == (1.0, 0.0, "exact", 1)
    assert exact["power_w"] == pytest.approx(0.425e-3)


def test_one_multiplier(axdnn: Command, tmp_path: Path) -> None:
    done = axdnn("multipliers", "show", "mul8u_QKX.T")
    assert done.code == 0
    assert "mul8u_QKX.T" in done.out
    assert (tmp_path / "mul8u_QKX.T.png").read_bytes().startswith(b"\x89PNG")
    done = axdnn("multipliers", "show", "exact", "--format", "json", "--figure", tmp_path / "new" / "map.png")
    facts = json.loads(done.out)
    assert (facts["name"], facts["f_0_0"], facts["mae"]) == ("mul8s_1KV6", 0, 0.0)
    assert (tmp_path / "new" / "map.png").exists()
    assert "map.png" in done.err


def test_accelerators(axdnn: Command) -> None:
    assert "tpu_v4" in axdnn("accelerators", "list").out
    rows = json.loads(axdnn("accelerators", "list", "--format", "json").out)
    (tpu,) = (row for row in rows if row["name"] == "tpu_v4")
    assert tpu["peak_mac_s"] == tpu["pods"] * tpu["rows"] * tpu["columns"] * tpu["clock_hz"]


def test_one_accelerator_with_a_source_for_every_number(axdnn: Command) -> None:
    facts = json.loads(axdnn("accelerators", "show", "tpu_v4", "--format", "json").out)
    assert facts["clock_hz"] == 1.05e9
    numbers = [key for key, value in facts.items() if isinstance(value, int | float)]
    assert len(facts["sources"]) == len(numbers)
    table = axdnn("accelerators", "show", "tpu_v4").out
    for path, text in facts["sources"].items():
        assert path in table
        assert text.split("; ", 1)[1].split()[0] in table


def test_models(axdnn: Command) -> None:
    assert "resnet20" in axdnn("models", "list").out
    rows = json.loads(axdnn("models", "list", "--format", "json").out)
    assert {row["name"]: row["parameters"] for row in rows}["lenet5"] == 61_706
    assert rows[0]["input_shape"] == [1, 28, 28]


def test_models_tell_what_ships(axdnn: Command) -> None:
    """One row for each weights file, with the figures of the recipe beside it; the rest have none."""
    done = axdnn("models", "list", "--format", "json")
    rows = {(row["name"], row["data"]): row for row in json.loads(done.out)}
    texts = [path.read_text() for path in PACKAGE_WEIGHTS.glob("*.json")]
    recipes = {(recipe["model"], recipe["data"]): recipe for recipe in map(json.loads, texts)}
    assert {key for key, row in rows.items() if row["weights"] == "shipped"} == set(recipes)
    assert {("lenet5", "mnist"), ("lenet5", "fashion-mnist"), ("cnn_small", "fashion-mnist")} <= set(recipes)
    for key, row in rows.items():
        told = tuple(row[name] for name in ("test_accuracy", "test_images"))
        assert told == tuple(recipes.get(key, {}).get(name) for name in ("test_accuracy", "test_images"))
    assert f"{100 * recipes['lenet5', 'fashion-mnist']['test_accuracy']:.2f}" in axdnn("models", "list").out


def test_data_sets(axdnn: Command) -> None:
    assert "fashion-mnist" in axdnn("data", "list").out
    rows = json.loads(axdnn("data", "list", "--format", "json").out)
    assert {row["name"]: (row["train_images"], row["test_images"]) for row in rows}["mnist"] == (60_000, 10_000)
    assert all(len(row["sha256"]) == 64 for row in rows)


@pytest.mark.data
def test_data_get(axdnn_data: Command) -> None:
    done = axdnn_data("data", "get", "mnist", "--format", "json", "--quiet")
    assert done.err == ""
    assert Path(json.loads(done.out)["path"]).name == "mnist.npz"
    assert axdnn_data("data", "get", "mnist").out.startswith("mnist: ")


def test_a_reader_that_leaves_is_no_error() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "axdnn.cli.main", "multipliers", "list"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    err = process.stderr.read()
    process.stderr.close()
    process.wait()
    assert err == b""


def test_progress_is_a_line_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    with console.progress() as show:
        for i in range(200):
            show("working", i, 200)
    assert capsys.readouterr().err.count("\n") == 1
    with console.progress(quiet=True) as show:
        show("working", 1, 2)
    assert capsys.readouterr().err == ""


def test_progress_on_a_terminal_is_a_bar(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with console.progress() as show:
        show("fit multipliers", 3, 4)
        show("nothing to count", 0, 0)
    assert "0/1" in capsys.readouterr().err


def test_warnings_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    _show_warning("only\nthe small set", UserWarning, "file.py", 3)
    assert capsys.readouterr().err == "warning: only the small set\n"


def test_errors_that_are_ours_to_mend_are_not_hidden(monkeypatch: pytest.MonkeyPatch, axdnn: Command) -> None:
    def broken() -> None:
        raise KeyError("a defect")

    monkeypatch.setattr("axdnn.hardware.list_machines", broken)
    with pytest.raises(KeyError, match="a defect"):
        axdnn("accelerators", "list")


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (OSError(28, "No space left on device", "out.json"), 1, "error: out.json: No space left on device\n"),
        (UnknownNameError("two\nlines"), 2, "error: two lines\n"),
        (KeyboardInterrupt(), 130, "interrupted\n"),
    ],
)
def test_exit_codes(
    error: BaseException, code: int, said: str, monkeypatch: pytest.MonkeyPatch, axdnn: Command
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr("axdnn.hardware.list_machines", fail)
    assert axdnn("accelerators", "list") == (code, "", said)
