"""`axdnn studies` and `axdnn worker`, on a journal."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from axdnn.records import SearchHistory, load_record
from axdnn.search import Named, load_history, search
from axdnn.search.problems import stacks

Command = Callable[..., Any]
PROBLEM = stacks(2)


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A journal with one finished study and one that waits for workers."""
    place = tmp_path_factory.mktemp("studies") / "journal"
    evaluate = Named("axdnn.search.problems:evaluate_stacks")
    for name, time_s in (("done", None), ("waiting", 0.0)):
        search(PROBLEM.space, evaluate, PROBLEM.objectives, trials=25, storage=place, name=name, time_s=time_s)
    return place


def test_list_and_show(axdnn: Command, journal: Path) -> None:
    done = axdnn("studies", "list", "--storage", journal, "--format", "json")
    rows = {row["name"]: row for row in json.loads(done.out)}
    assert set(rows) == {"done", "waiting"}
    assert (rows["done"]["evaluations"], rows["done"]["budget"]) == (25, 25)
    assert rows["done"]["objectives"] == ["error", "energy"]
    shown = axdnn("studies", "show", "done", "--storage", journal)
    assert "25 of 25 evaluations, 0 failed" in shown.out
    assert "blocks=" in shown.out
    data = json.loads(axdnn("studies", "show", "done", "--storage", journal, "--format", "json").out)
    assert len(data["trials"]) == 25
    assert data["space_size"] == str(PROBLEM.space.size)


def test_export_holds_everything(axdnn: Command, journal: Path, tmp_path: Path) -> None:
    for suffix in ("json", "csv"):
        assert axdnn("studies", "export", "done", "--storage", journal, "--out", tmp_path / f"s.{suffix}").code == 0
    history = load_record(SearchHistory, tmp_path / "s.json")
    assert history == load_history(journal, "done")
    rows = list(csv.DictReader((tmp_path / "s.csv").read_text().splitlines()))
    assert [float(row["energy"]) for row in rows] == [trial.values["energy"] for trial in history.trials]
    assert rows[0]["blocks"] == str(history.trials[0].candidate["blocks"])


def test_report_is_one_page(axdnn: Command, journal: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    assert axdnn("studies", "report", "done", "--storage", journal, "--out", page).code == 0
    text = page.read_text()
    assert text.count("<svg") == 6  # three figures, wide and narrow
    assert all(word in text for word in ("Hypervolume over evaluations", "The front", "energy (J)", "25 of 25"))
    empty = axdnn("studies", "report", "waiting", "--storage", journal, "--out", tmp_path / "empty.html")
    assert empty.code == 0


def test_a_worker_joins_from_a_process_of_its_own(axdnn: Command, journal: Path) -> None:
    command = [sys.executable, "-m", "axdnn", "worker", "--storage", str(journal), "--study", "waiting"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("waiting: 25 of 25 evaluations")
    assert done.stdout.endswith("(budget)\n")
    joined, whole = load_history(journal, "waiting"), load_history(journal, "done")
    assert [t.candidate for t in joined.trials] == [t.candidate for t in whole.trials]


def test_delete_asks_and_errors_are_one_line(axdnn: Command, journal: Path, tmp_path: Path) -> None:
    storage = tmp_path / "journal"
    search(PROBLEM.space, PROBLEM.evaluate, PROBLEM.objectives, trials=2, storage=storage, name="old")
    assert axdnn("studies", "delete", "old", "--storage", storage, "--yes").out == "deleted old\n"
    assert json.loads(axdnn("studies", "list", "--storage", storage, "--format", "json").out) == []
    for arguments, message in (
        (("studies", "show", "old", "--storage", storage), "unknown study 'old'"),
        (("studies", "list", "--storage", tmp_path / "none"), "there is none"),
        (("studies", "export", "done", "--storage", journal, "--out", tmp_path / "s.txt"), ".json or .csv"),
        (("worker", "--storage", journal, "--study", "none"), "unknown study 'none'"),
        (("worker", "--storage", tmp_path / "none", "--study", "none"), "there is none"),
        (("worker", "--storage", "nothing://here", "--study", "none"), "kind of database"),
    ):
        done = axdnn(*arguments)
        assert done.code == 2
        assert message in done.err
        assert done.err.count("\n") == 1
