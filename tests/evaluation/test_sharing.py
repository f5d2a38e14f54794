"""Sharing between assignments changes no result and no count, one by one or many at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from axdnn.evaluation import Evaluator, OutOfEvaluationsError
from axdnn.layers import Recipe
from axdnn.records import Assignment, InvalidInputError
from axdnn.testing import counted_images

Make = Callable[..., Evaluator]
NAMES = ("exact", "mul8s_1L12", "mul8u_QKX", "mul8u_13QR")
RECIPES = [Recipe(fit_rows=64), Recipe(fit_rows=64, in_order=False), Recipe(fit_rows=64, compensate=False)]


def choices(evaluator: Evaluator, count: int = 9) -> list[Assignment]:
    """Random neighbours of one another, some with neurons left out."""
    rng, layers = np.random.default_rng(3), evaluator.network.layer_names
    found = []
    names = list(rng.choice(NAMES, len(layers)))
    for i in range(count):
        names[rng.integers(len(layers))] = str(rng.choice(NAMES))
        skip = {"fc1": (0, 3)} if i % 3 == 1 else {}
        absent = {"fc2": (0, 3)} if i % 4 == 1 else {}
        found.append(Assignment(multipliers=dict(zip(layers, map(str, names), strict=True)), skip=skip, absent=absent))
    return found


def state(evaluator: Evaluator) -> tuple[Any, ...]:
    return evaluator.full_evaluations, evaluator.network_images, evaluator.history


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("shared_bytes", [1, 60_000, 1 << 30])
def test_results_and_counts_are_those_without_sharing(make_evaluator: Make, recipe: Recipe, shared_bytes: int) -> None:
    alone = make_evaluator(recipe=recipe, shared_bytes=0)
    shared = make_evaluator(recipe=recipe, shared_bytes=shared_bytes)
    together = make_evaluator(recipe=recipe, shared_bytes=shared_bytes)
    tried = choices(alone)
    for split in ("search", "accept"):
        expected = [alone.evaluate(a, split, 0.01, "greedy") for a in tried]
        assert [shared.evaluate(a, split, 0.01, "greedy") for a in tried] == expected
        assert together.evaluate_many(tried, split, 0.01, "greedy") == expected
        assert state(shared) == state(together) == state(alone)
    assert alone.full_evaluations == 2 * len(tried)
    assert alone.shared is None
    for evaluator in (shared, together):
        assert evaluator.shared is not None
        assert sum(evaluator.shared.recalled.values()) > 0 or shared_bytes == 1
        assert evaluator.shared.held_bytes <= shared_bytes
    assert len({e.accuracy["search"].accuracy for e in alone.history.values()}) > 2


def test_what_is_counted_is_every_image_of_every_candidate(make_evaluator: Make) -> None:
    """Not what was left to compute: layers times images, computed or recalled, are those of separate runs."""
    evaluator = make_evaluator()
    tried = list({a.key: a for a in choices(evaluator)}.values())
    with counted_images() as seen:
        evaluator.evaluate_many(tried)
    assert evaluator.network_images == 24 + sum(seen) == 24 + (1 + len(tried)) * (24 + 120)
    shared = evaluator.shared
    assert shared is not None
    for layer in evaluator.network.layer_names:
        assert shared.computed[layer] + shared.recalled[layer] == (1 + len(tried)) * (24 + 120)
    assert shared.computed["conv"] < shared.computed["fc3"]


def test_one_by_one_the_first_layers_are_computed_less(make_evaluator: Make) -> None:
    """A change of the last layer alone leaves the first ones alone, on the calibration images as well."""
    evaluator = make_evaluator()
    assert evaluator.shared is not None
    evaluator.evaluate(evaluator.baseline)
    before = evaluator.shared.computed.copy()
    assert set(before.values()) == {24 + 120}
    changed = {**evaluator.baseline.multipliers, "fc3": "mul8u_13QR"}
    evaluator.evaluate(Assignment(multipliers=changed))
    assert evaluator.shared.computed["conv"] == evaluator.shared.computed["fc1"] == 24 + 120
    assert evaluator.shared.computed["fc3"] == 2 * (24 + 120)
    evaluator.evaluate(Assignment(multipliers=changed), "accept")
    assert evaluator.shared.computed["fc3"] == 2 * (24 + 120) + 2 * 120, (
        "the baseline and the choice, calibrated before"
    )


def test_files_are_the_same_and_serve_both_ways(make_evaluator: Make, tmp_path: Path) -> None:
    alone, together = make_evaluator(tmp_path / "a", shared_bytes=0), make_evaluator(tmp_path / "b")
    tried = choices(alone)
    for assignment in tried:
        alone.evaluate(assignment)
    together.evaluate_many(tried)
    files = [{p.name: p.read_bytes() for p in (tmp_path / name).iterdir()} for name in "ab"]
    assert files[0] == files[1]
    again = make_evaluator(tmp_path / "a")
    with counted_images() as seen:
        again.evaluate_many(tried[:4])
        again.evaluate_many(tried)
    assert seen == []
    assert again.network_images == alone.network_images


def test_a_candidate_counts_once_each_time_it_is_asked_for(make_evaluator: Make) -> None:
    evaluator = make_evaluator(cap=5)
    one, other = evaluator.uniform("mul8u_QKX"), evaluator.uniform("mul8s_1L12")
    found = evaluator.evaluate_many([one, other, one])
    assert [e.assignment.key for e in found] == [one.key, other.key, one.key]
    assert evaluator.full_evaluations == 3
    assert evaluator.evaluate_many([]) == []
    with counted_images() as seen, pytest.raises(OutOfEvaluationsError, match="cap of 5 only 2"):
        evaluator.evaluate_many([evaluator.baseline] * 3)
    with pytest.raises(InvalidInputError, match="4 layers"):
        evaluator.evaluate_many([one, Assignment(multipliers={"conv": "exact"})])
    assert (seen, evaluator.full_evaluations, list(evaluator.history)) == ([], 3, [one.key, other.key])


def test_progress_of_many(make_evaluator: Make) -> None:
    told: list[tuple[str, int, int]] = []
    evaluator = make_evaluator(progress=lambda *m: told.append(m))
    evaluator.evaluate_many([evaluator.uniform("mul8u_QKX"), evaluator.uniform("mul8s_1L12")])
    assert told[0] == ("search: 3 assignments", 120, 120)
    assert [t[1:] for t in told[1:]] == [(1, 30), (2, 30)]
