"""The committed measurements are whole, and what they say of themselves follows from their rows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from axdnn.benchmark import NETWORK_TABLES, SHAPES, circuits, summary, targets

FILES = sorted((Path(__file__).resolve().parents[2] / "benchmarks" / "results").rglob("simulation*.json"))


def test_there_is_a_measurement_of_one_thread():
    assert "simulation.json" in [file.name for file in FILES]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_layer_and_table_was_timed_on_every_path(file):
    report = json.loads(file.read_text())
    rows = report["rows"]
    assert {row["shape"] for row in rows} == set(SHAPES)
    assert {row["table"] for row in rows} == {"float32", *circuits()}
    keys = [(row["shape"], row["table"], row["path"]) for row in rows]
    assert len(set(keys)) == len(keys)
    taken = [(row["shape"], row["table"]) for row in rows if row["chosen"]]
    assert len(set(taken)) == len(taken) == len(SHAPES) * len(circuits())
    assert [row["table"] for row in report["networks"]] == ["float32", *NETWORK_TABLES]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_summary_and_targets_follow_from_the_rows(file):
    report = json.loads(file.read_text())
    assert json.loads(json.dumps(summary(report["rows"]))) == report["summary"]
    assert targets(report) == report["targets"]
