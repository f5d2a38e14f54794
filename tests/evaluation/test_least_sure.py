"""The images the exact network is least sure of: of the smallest margins, kept, counted, outcomes as on the split."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from axdnn.evaluation import Evaluator, Split
from axdnn.records import Assignment, InvalidInputError

Make = Callable[..., Evaluator]


def outputs(evaluator: Evaluator, split: Split) -> torch.Tensor:
    return evaluator.model(evaluator.baseline)(split.images)


def test_they_have_the_smallest_margins_in_the_order_of_the_split(make_evaluator: Make) -> None:
    evaluator = make_evaluator()
    whole = evaluator.splits["search"]
    found = evaluator.least_sure("search", len(whole) // 4)
    best = outputs(evaluator, whole).topk(2, dim=1).values
    margin = best[:, 0] - best[:, 1]
    chosen = torch.tensor([any(torch.equal(image, other) for other in found.images) for image in whole.images])
    assert len(found) == len(whole) // 4 == int(chosen.sum())
    assert margin[chosen].max() <= margin[~chosen].min()
    assert torch.equal(found.images, whole.images[chosen])
    assert torch.equal(found.labels, whole.labels[chosen])


def test_margins_are_kept_and_count_alike(make_evaluator: Make, tmp_path: Path) -> None:
    first, second = make_evaluator(folder=tmp_path), make_evaluator(folder=tmp_path)
    found = first.least_sure("search", 8)
    file = next(tmp_path.glob("*.margins"))
    before = file.stat().st_mtime_ns
    again = second.least_sure("search", 8)
    assert torch.equal(found.images, again.images)
    assert first.network_images == second.network_images > len(first.splits["search"])
    assert file.stat().st_mtime_ns == before, "read, not measured again"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    assert torch.equal(make_evaluator(folder=tmp_path).least_sure("search", 8).images, found.images)


def test_outcomes_on_them_are_those_of_the_whole_split(make_evaluator: Make) -> None:
    evaluator = make_evaluator()
    whole = evaluator.splits["search"]
    few = evaluator.least_sure("search", len(whole) // 4)
    places = [next(i for i, image in enumerate(whole.images) if torch.equal(image, one)) for one in few.images]
    coarse = evaluator.uniform("mul8s_1L12")
    before = evaluator.run_images
    found = evaluator.correct_on([evaluator.baseline, coarse], few)
    assert evaluator.run_images >= before + 2 * len(few)
    for row, assignment in zip(found, (evaluator.baseline, coarse), strict=True):
        assert np.array_equal(row, evaluator.correct(assignment, whole)[places])
    assert evaluator.full_evaluations == 0
    with pytest.raises(InvalidInputError):
        evaluator.correct_on([Assignment(multipliers={})], few)
