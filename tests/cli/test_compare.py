"""`axdnn compare`: strategies and budgets side by side, nothing evaluated twice, nothing lost."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from axdnn.records import GenerationResult, load_record

pytestmark = pytest.mark.data

SMALL = (
    "compare", "--model", "lenet5", "--data", "mnist", "--multipliers", "mul8s_1L2N,mul8u_R36,mul8u_13QR", "--score",
    "none", "--evaluations", 6, "--search-images", 400, "--accept-images", 400, "--test-images", 400, "--quiet",
)  # fmt: skip


def test_strategies_and_budgets_side_by_side(tmp_path: Any, axdnn_data: Callable[..., Any]) -> None:
    asked = (*SMALL, "--out", tmp_path / "c", "--strategies", "integer,uniform", "--max-accuracy-loss", "2,8")
    done = axdnn_data(*asked, "--constraint", "kinds=2", "--format", "json")
    assert (done.code, done.err) == (0, "")
    assert len(json.loads(done.out)["rows"]) == 4
    results = {}
    for name in ("integer-2-0", "integer-8-0", "uniform-2-0", "uniform-8-0"):
        results[name] = load_record(GenerationResult, tmp_path / "c" / name / "result.json")
        assert len(set(results[name].assignment.values())) <= 2
    for strategy in ("integer", "uniform"):
        tight, loose = (results[f"{strategy}-{loss}-0"] for loss in (2, 8))
        assert (tight.strategy, tight.max_accuracy_loss, loose.max_accuracy_loss) == (strategy, 2, 8)
        assert loose.energy_j <= tight.energy_j  # a front: more loss never costs more here
    assert "<html" in (tmp_path / "c" / "comparison.html").read_text(encoding="utf-8")
    assert list((tmp_path / "c" / "figures").glob("*.png"))
    shared = {p.name for p in (tmp_path / "c" / "cache").iterdir()}
    assert shared
    assert not (tmp_path / "c" / "integer-2-0" / "cache").exists()
    # Without one run and the page, the rerun makes that run again from the cache alone, with the same result.
    lost = tmp_path / "c" / "uniform-8-0" / "result.json"
    before = load_record(GenerationResult, lost)
    lost.unlink()
    again = axdnn_data(*asked, "--constraint", "kinds=2", "--format", "json")
    assert again.code == 0
    after = load_record(GenerationResult, lost)
    assert (after.assignment, after.accuracy, after.evaluations) == (
        before.assignment, before.accuracy, before.evaluations)  # fmt: skip
    assert {p.name for p in (tmp_path / "c" / "cache").iterdir()} == shared


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--strategies", "integer,gready"), "greedy"),
        (("--strategies", "integer,integer"), "none twice"),
        (("--strategies", ""), "at least one"),
        (("--max-accuracy-loss", "1,much"), "numbers with commas"),
        (("--seeds", "1.5"), "whole numbers with commas"),
        (("--constraint", "latency=2"), "unit"),
    ],
)
def test_what_is_refused_before_any_work(
    tmp_path: Any, axdnn_data: Callable[..., Any], options: Any, said: str
) -> None:
    done = axdnn_data(*SMALL, "--out", tmp_path / "c", *options)
    assert done.code == 2
    assert said in done.err
    assert not (tmp_path / "c").exists()
