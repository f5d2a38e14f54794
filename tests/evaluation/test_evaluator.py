"""The evaluator: right accuracies and prices, every evaluation and image counted, the cap kept."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from axdnn.evaluation import Evaluator, OutOfEvaluationsError, Split, paired_loss_bound, predictions
from axdnn.hardware import estimate
from axdnn.layers import ApproxModel, Recipe, approximate
from axdnn.multipliers import load_multiplier
from axdnn.quant import CapturedModel
from axdnn.records import Assignment, AxdnnError, InvalidInputError, UnknownNameError
from axdnn.testing import counted_images

Make = Callable[..., Evaluator]


def mixed(evaluator: Evaluator) -> Assignment:
    names = ("mul8u_13QR", "exact", "mul8s_1L12", "mul8u_QKX")
    return Assignment(multipliers=dict(zip(evaluator.network.layer_names, names, strict=True)))


def test_accuracy_equals_a_direct_computation(make_evaluator: Make, splits: dict[str, Split], small: nn.Module) -> None:
    """Through `approximate` on the user's model, image by image, no cache and no bank."""
    evaluator = make_evaluator()
    found = evaluator.evaluate(mixed(evaluator), "search").accuracy["search"]
    calibration = evaluator.bank.calibration.images
    recipe = Recipe(fit_rows=64)
    right = {}
    for name, chosen in (("exact", "exact"), ("mixed", dict(mixed(evaluator).multipliers))):
        model = approximate(small, chosen, calibration, recipe=recipe)
        logits = torch.cat([model(image) for image in splits["search"].images.split(1)])
        right[name] = (logits.argmax(1) == splits["search"].labels).numpy()
    assert found.accuracy == right["mixed"].mean()
    assert found.baseline_accuracy == right["exact"].mean()
    assert found.loss_bound == paired_loss_bound(right["exact"], right["mixed"])
    assert found.loss == pytest.approx(right["exact"].mean() - right["mixed"].mean())
    assert found.images == len(splits["search"])
    assert (right["mixed"] != right["exact"]).any(), "the test needs a choice that changes something"


def test_costs_are_those_of_the_wired_circuits(make_evaluator: Make) -> None:
    evaluator = make_evaluator()
    chosen = mixed(evaluator)
    found = evaluator.evaluate(chosen)
    wired = {n: load_multiplier(n) for n in chosen.kinds}
    wired = {n: m.sign_magnitude() if m.coding == "unsigned" else m for n, m in wired.items()}
    expected = estimate(evaluator.network, chosen, "tpu_v4", multipliers=wired)
    assert (found.energy_j, found.latency_s, found.area_m2) == (expected.energy_j, expected.latency_s, expected.area_m2)
    assert found.assignment.pods == expected.pods
    assert found.assignment.key == chosen.key


def test_both_splits_and_the_verdict_end_in_one_record(make_evaluator: Make) -> None:
    evaluator = make_evaluator()
    chosen = evaluator.uniform("mul8u_QKX")
    evaluator.evaluate(chosen, "search", 0.01, "greedy")
    evaluator.evaluate(chosen, "accept")
    record = evaluator.mark(chosen, True)
    assert list(record.accuracy) == ["search", "accept"]
    assert (record.predicted_loss, record.strategy, record.accepted) == (0.01, "greedy", True)
    assert list(evaluator.history) == [chosen.key]


def test_every_full_evaluation_counts_repeats_too(make_evaluator: Make) -> None:
    evaluator = make_evaluator(cap=5)
    chosen = evaluator.uniform("mul8u_QKX")
    for done in range(1, 6):
        evaluator.evaluate(chosen)
        assert (evaluator.full_evaluations, evaluator.left) == (done, 5 - done)
    with counted_images() as seen, pytest.raises(OutOfEvaluationsError, match="cap of 5"):
        evaluator.evaluate(mixed(evaluator))
    assert seen == []
    assert evaluator.full_evaluations == 5
    assert mixed(evaluator).key not in evaluator.history
    assert issubclass(OutOfEvaluationsError, AxdnnError)


@pytest.mark.parametrize(
    "recipe", [Recipe(fit_rows=64), Recipe(fit_rows=64, compensate=False), Recipe(fit_rows=64, in_order=False)]
)
def test_network_images_are_what_a_counter_sees(make_evaluator: Make, splits: dict[str, Split], recipe: Recipe) -> None:
    with counted_images() as seen:
        evaluator = make_evaluator(recipe=recipe, shared_bytes=0)
        assert evaluator.network_images == sum(seen)
        for name in ("exact", "mul8u_QKX", "mul8u_QKX", "mul8s_1L12"):
            evaluator.evaluate(evaluator.uniform(name))
            assert evaluator.network_images == sum(seen)
        evaluator.evaluate(mixed(evaluator), "accept")
        evaluator.accuracy(mixed(evaluator), splits["test"])
        assert evaluator.network_images == sum(seen)
        evaluator.model(mixed(evaluator))
        assert evaluator.network_images == sum(seen)


def test_network_images_when_targets_are_not_kept(
    make_evaluator: Make, monkeypatch: pytest.MonkeyPatch, tmp_path
) -> None:
    """A network whose pre-activations are too large to keep sends the calibration images twice for each choice."""
    monkeypatch.setattr("axdnn.layers.samples.CACHE_BYTES", 0)
    totals = []
    for _ in range(2):
        with counted_images() as seen:
            evaluator = make_evaluator(tmp_path)
            evaluator.evaluate(mixed(evaluator))
        totals.append((evaluator.network_images, sum(seen)))
    assert totals[0][0] == totals[0][1] == 24 + 2 * (2 * 24 + 120)
    assert totals[1] == (totals[0][0], 24)


def test_progress_is_told_the_count(make_evaluator: Make) -> None:
    told: list[tuple[str, int, int]] = []
    evaluator = make_evaluator(cap=7, progress=lambda *m: told.append(m))
    evaluator.evaluate(evaluator.baseline)
    evaluator.evaluate(mixed(evaluator), "accept")
    assert [t[1:] for t in told] == [(1, 7), (2, 7)]
    assert told[0][0] == "search: loss +0.00 points"
    assert told[1][0].startswith("accept: loss +")


@pytest.mark.parametrize("batch", [1, 7, 500])
def test_predictions_do_not_depend_on_the_batch(make_evaluator: Make, splits: dict[str, Split], batch: int) -> None:
    evaluator = make_evaluator()
    model: ApproxModel = evaluator.model(mixed(evaluator))
    found = predictions(model, splits["search"].images, batch)
    assert torch.equal(found, model(splits["search"].images).argmax(1))


def test_unusable_assignments_cost_no_evaluation(make_evaluator: Make) -> None:
    evaluator = make_evaluator()
    with pytest.raises(UnknownNameError, match="mul8u_QKX"):
        evaluator.evaluate(evaluator.uniform("mul8u_QXK"))
    with pytest.raises(InvalidInputError, match="4 layers"):
        evaluator.evaluate(Assignment(multipliers={"conv": "exact"}))
    assert evaluator.full_evaluations == 0


def test_splits_of_one_name_are_kept_apart(make_evaluator: Make, splits: dict[str, Split]) -> None:
    evaluator = make_evaluator()
    whole, part = splits["test"], Split("test", splits["test"].images[:50], splits["test"].labels[:50])
    assert evaluator.accuracy(mixed(evaluator), whole).images == 120
    found = evaluator.accuracy(mixed(evaluator), part)
    assert found.images == 50
    assert found.accuracy == evaluator.correct(mixed(evaluator), whole)[:50].mean()


def test_a_split_has_as_many_labels_as_images() -> None:
    for images, labels in ((3, 2), (0, 0)):
        with pytest.raises(InvalidInputError, match="search"):
            Split("search", torch.zeros(images, 1), torch.zeros(labels, dtype=torch.long))


def test_captured_model_is_left_alone(make_evaluator: Make, capture_small: Callable[..., CapturedModel]) -> None:
    model = capture_small()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    evaluator = make_evaluator(model=model)
    evaluator.evaluate(mixed(evaluator))
    assert all(np.array_equal(before[k], v) for k, v in model.state_dict().items())
