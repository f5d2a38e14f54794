"""`axdnn generate --front` (several budgets, a folder for each, nothing simulated twice) and `--recover`."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from axdnn.records import GenerationResult, load_record
from axdnn.testing import counted_images

pytestmark = pytest.mark.data

SMALL = (
    "generate", "--model", "lenet5", "--data", "mnist", "--multipliers", "mul8s_1L2N,mul8u_R36,mul8u_13QR", "--score",
    "none", "--evaluations", 6, "--search-images", 400, "--accept-images", 400, "--test-images", 400, "--quiet",
)  # fmt: skip


def test_budgets_share_their_evaluations_and_a_rerun_goes_on(tmp_path: Any, axdnn_data: Callable[..., Any]) -> None:
    out = tmp_path / "front"
    asked = (*SMALL, "--out", out, "--front", "8,2,4")
    done = axdnn_data(*asked, "--format", "json")
    assert (done.code, done.err) == (0, "")
    assert len(json.loads(done.out)["rows"]) == 3
    results = [load_record(GenerationResult, out / name / "result.json") for name in ("2", "4", "8")]
    assert [r.max_accuracy_loss for r in results] == [2, 4, 8]
    assert [r.energy_j for r in results] == sorted((r.energy_j for r in results), reverse=True)
    assert [r.evaluations for r in results] == sorted(r.evaluations for r in results)
    assert results[-1].evaluations <= 18
    for name in ("2", "4", "8"):
        assert "<html" in (out / name / "report.html").read_text(encoding="utf-8")
    assert "<html" in (out / "comparison.html").read_text(encoding="utf-8")
    again = axdnn_data(*asked)
    assert (again.code, again.out.count("integer")) == (0, 3)
    assert "was finished already" in again.err
    # Without the results of two budgets, the rerun makes them again from the cache, and a run is simulated like any.
    kept = {p.name for p in (out / "cache").iterdir()}
    for name in ("4", "8"):
        (out / name / "result.json").unlink()
    with counted_images() as seen:
        assert axdnn_data(*asked).code == 0
    assert {p.name for p in (out / "cache").iterdir()} == kept
    assert sum(images == 400 for images in seen) <= 3 * 3, "test images of three choices, and the float network"
    for before, name in zip(results, ("2", "4", "8"), strict=True):
        after = load_record(GenerationResult, out / name / "result.json")
        assert (after.assignment, after.accuracy, after.evaluations) == (
            before.assignment, before.accuracy, before.evaluations)  # fmt: skip
    simulated = axdnn_data("simulate", out / "4", "--split", "test", "--images", 400, "--format", "json")
    assert simulated.code == 0, simulated.err


def test_steps_of_recovery_decide_what_is_reached(tmp_path: Any, axdnn_data: Callable[..., Any]) -> None:
    """A circuit that loses points as it is, and none with everything done against its errors."""
    losses = {}
    for steps in ("none", "coding,ranges,mapping,bias,order"):
        asked = (*SMALL, "--out", tmp_path / steps, "--recover", steps, "--strategy", "uniform")
        assert axdnn_data(*asked, "--max-accuracy-loss", "3").code == 0
        result = load_record(GenerationResult, tmp_path / steps / "result.json")
        tried = {e.assignment.kinds[0]: 100 * e.accuracy["search"].loss for e in result.visited}
        losses[steps] = tried["mul8u_13QR"]
        assert axdnn_data("simulate", tmp_path / steps, "--split", "test", "--images", 100).code == 0
    assert losses["coding,ranges,mapping,bias,order"] < 1 < losses["none"] / 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--front", "1,much"), "numbers with commas"),
        (("--front", "1,1"), "differ"),
        (("--front", ""), "at least one"),
        (("--front", "1,200"), "max_accuracy_loss"),
        (("--front", "1,2", "--strategy", "paper"), "paper"),
        (("--recover", "coding,biass"), "bias"),
        (("--front", "1,2", "--recover", "coding,finetune"), "leave --front out"),
    ],
)
def test_what_is_refused_before_any_work(
    tmp_path: Any, axdnn: Callable[..., Any], options: tuple[str, ...], said: str
) -> None:
    done = axdnn(*SMALL, "--out", tmp_path / "front", *options)
    assert (done.code, done.out) == (2, "")
    assert said in done.err
    assert not (tmp_path / "front").exists()
