"""`axdnn.generate`: the result object applies, reports and saves just what was judged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import axdnn
from axdnn.evaluation import Split, predictions
from axdnn.generation import Request
from axdnn.layers import Recipe
from axdnn.methods import Generated
from axdnn.records import GenerationResult, InvalidInputError, UnknownNameError, load_record

Small = tuple[nn.Module, torch.Tensor, dict[str, Split]]
CIRCUITS = "mul8s_1L2L,mul8u_QKX,mul8u_R36,mul8u_13QR,mul8u_17R6,mul8s_1L2N"


def request(**options: Any) -> Request:
    settings = {"multipliers": CIRCUITS, "evaluations": 8, "objective": "multiplier", "recipe": Recipe(fit_rows=64)}
    return Request(**{**settings, **options})


@pytest.fixture(scope="module")
def found(small: Small) -> Generated:
    model, calibration, splits = small
    pairs = {name: (split.images, split.labels) for name, split in splits.items()}
    return axdnn.generate(model, calibration, pairs, request(), budgets=(12.0, 4.0), name="small")


def test_apply_gives_the_network_that_was_judged(small: Small, found: Generated) -> None:
    test = small[2]["test"]
    for result in found.results:
        right = predictions(found.apply(result), test.images).eq(test.labels)
        assert float(right.double().mean()) == result.accuracy
    exact = found.apply(found.run.evaluator.baseline)
    assert float(predictions(exact, test.images).eq(test.labels).double().mean()) == found.result.baseline_accuracy
    assert found.result is found.results[-1]
    assert found.result.max_accuracy_loss == 12.0


def test_front_is_what_nothing_else_beats(small: Small, found: Generated) -> None:
    front, visited = found.front, found.result.visited
    search = small[2]["search"]
    assert 2 <= len(front) <= len(visited)
    rows = [(e.accuracy["search"].loss, e.multiplier_energy_j) for e in front]
    assert rows == sorted(rows)
    assert [cost for _, cost in rows] == sorted((cost for _, cost in rows), reverse=True)
    for e in visited:
        row = (e.accuracy["search"].loss, e.multiplier_energy_j)
        assert any(loss <= row[0] and cost <= row[1] for loss, cost in rows)
    right = predictions(found.apply(front[-1]), search.images).eq(search.labels)
    assert float(right.double().mean()) == front[-1].accuracy["search"].accuracy


def test_save_and_report(tmp_path: Path, small: Small, found: Generated) -> None:
    files = found.save(tmp_path / "saved", formats=("pt2", "npz"))
    assert all(file.is_file() for file in files)
    images = small[2]["test"].images[:16]
    for result in found.results:
        place = tmp_path / "saved" / f"{result.max_accuracy_loss:g}"
        assert load_record(GenerationResult, place / "result.json") == result
        assert "<html" in (place / "report.html").read_text()
        loaded = torch.export.load(place / "network.pt2").module()
        with torch.no_grad():
            assert torch.equal(loaded(images), found.apply(result)(images)), "it loads without axdnn, bit for bit"
    page = found.report(tmp_path / "page")
    assert page.name == "comparison.html"
    with pytest.raises(UnknownNameError, match="pt3"):
        found.save(tmp_path / "nothing", formats=("pt3",))
    assert not (tmp_path / "nothing").exists()


def test_one_budget(tmp_path: Path, small: Small) -> None:
    model, calibration, splits = small
    one = axdnn.generate(model, calibration, splits, request(max_accuracy_loss=6.0, strategy="uniform"))
    assert len(one.results) == 1
    assert one.report(tmp_path).name == "report.html"
    files = one.save(tmp_path, formats=())
    assert {file.name for file in files} >= {"result.json", "report.html"}
    assert not list(tmp_path.glob("network.*"))


def test_refusals(small: Small) -> None:
    model, calibration, splits = small
    with pytest.raises(InvalidInputError, match="'test' is missing"):
        axdnn.generate(model, calibration, {k: v for k, v in splits.items() if k != "test"})
    short = (splits["test"].images, splits["test"].labels[:3])
    with pytest.raises(InvalidInputError, match="as many labels"):
        axdnn.generate(model, calibration, {**splits, "test": short})
    with pytest.raises(InvalidInputError, match="budgets"):
        axdnn.generate(model, calibration, splits, request(), budgets=(1.0, 1.0))
