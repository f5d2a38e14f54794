"""Divergences from the exact network: by their definition, kept by content, counted whatever the folder holds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from axdnn.evaluation import Evaluator, Split
from axdnn.records import Assignment, InvalidInputError, UnknownNameError
from axdnn.testing import counted_images

Make = Callable[..., Evaluator]


def alone(evaluator: Evaluator, layer: str, name: str) -> Assignment:
    return Assignment(multipliers={**evaluator.baseline.multipliers, layer: name})


def pairs(evaluator: Evaluator) -> list[Assignment]:
    return [alone(evaluator, layer, name) for layer in ("fc3", "conv") for name in ("mul8s_1L12", "mul8u_QKX")]


@pytest.fixture
def few(splits: dict[str, Split]) -> Split:
    return Split("few", splits["search"].images[:40], splits["search"].labels[:40])


def test_they_are_the_divergence_of_the_outputs(make_evaluator: Make, few: Split) -> None:
    evaluator = make_evaluator()
    found = evaluator.divergences(pairs(evaluator), few)
    exact = torch.log_softmax(evaluator.model(evaluator.baseline)(few.images).double(), 1)
    for assignment, nats in zip(pairs(evaluator), found, strict=True):
        other = torch.log_softmax(evaluator.model(assignment)(few.images).double(), 1)
        by_hand = torch.nn.functional.kl_div(other, exact, reduction="batchmean", log_target=True)
        assert nats == pytest.approx(float(by_hand), rel=1e-9)
        assert nats > 0
    assert evaluator.divergences([evaluator.baseline], few) == [0.0]
    assert evaluator.full_evaluations == 0
    assert not evaluator.history


def test_what_is_kept_is_not_simulated_again_and_counts_alike(make_evaluator: Make, few: Split, tmp_path: Path) -> None:
    first, second, third = (make_evaluator(folder=tmp_path) for _ in range(3))
    found = first.divergences(pairs(first), few)
    with counted_images() as seen:
        again = second.divergences(pairs(second), few)
    assert (again, sum(seen)) == (found, 0)
    assert second.run_images == first.run_images > 5 * 40
    damaged = sorted(tmp_path.glob("*.nats"))[0]
    damaged.write_bytes(damaged.read_bytes()[:-1])
    assert third.divergences(pairs(third), few) == found, "a damaged file is measured again"
    other = Split("few", few.images.flip(0)[:39], few.labels.flip(0)[:39])
    assert third.divergences(pairs(third), other) != found, "files of other images are not read"


def test_images_are_those_that_went_through_networks(make_evaluator: Make, few: Split) -> None:
    evaluator: Any = make_evaluator()
    before = evaluator.network_images
    with counted_images() as seen:
        evaluator.divergences(pairs(evaluator), few)
    assert evaluator.network_images - before == sum(seen)


def test_what_is_no_assignment_of_the_network_is_refused(make_evaluator: Make, few: Split) -> None:
    evaluator = make_evaluator()
    with pytest.raises(UnknownNameError):
        evaluator.divergences([alone(evaluator, "conv", "mul8u_nothing")], few)
    with pytest.raises(InvalidInputError):
        evaluator.divergences([Assignment(multipliers={"conv": "mul8u_QKX"})], few)
