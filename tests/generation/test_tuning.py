"""Assignment and training in turns: what is trained gains, what is accepted holds, what is counted happened."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from axdnn.evaluation import Split
from axdnn.generation import Request, Run, TuningOptions, TuningResult, tune
from axdnn.layers import Recipe
from axdnn.records import InvalidInputError
from axdnn.retraining import FineTuning

Small = tuple[nn.Module, torch.Tensor, dict[str, Split]]
CIRCUITS = (
    "mul8s_1L2L,mul8u_2AC,mul8u_QKX,mul8u_R36,mul8u_13QR,mul8s_1L12,mul8u_18DU,mul8u_17R6,mul8s_1L2N"  # fine to coarse
)
OPTIONS = TuningOptions(rounds=3, first=3.0, fine_tuning=FineTuning(epochs=6, batch_size=32, learning_rate=1e-2))


def run_of(small: Small, budget: float = 6.0, **options: Any) -> Run:
    request = Request(
        max_accuracy_loss=budget,
        multipliers=CIRCUITS,
        evaluations=8,
        objective="multiplier",
        recipe=Recipe(fit_rows=64),
    )
    return Run(*small, request, **options)


@pytest.fixture(scope="module")
def tuned(small: Small, small_train: Split) -> TuningResult:
    return tune(run_of(small), small_train, OPTIONS)


def test_training_wins_back_what_bold_assignments_lose(tuned: TuningResult, small: Small) -> None:
    assert 1 <= len(tuned.rounds) <= 3
    for trained in tuned.rounds:
        assert trained.cost.multiplier_energy_j < tuned.untrained_cost.multiplier_energy_j
        assert trained.losses[-1] < trained.losses[0]
        assert trained.accuracy["search"].accuracy > trained.before.accuracy - 0.02
    assert max(t.accuracy["search"].accuracy - t.before.accuracy for t in tuned.rounds) > 0.02
    assert tuned.chosen is not None, "training buys a cheaper assignment here"
    assert tuned.chosen.accuracy["accept"].loss_bound <= 0.06
    assert tuned.chosen.accuracy["search"].loss <= 0.06
    accepted = [t for t in tuned.rounds if t.accepted]
    assert tuned.chosen == min(accepted, key=lambda t: t.cost.multiplier_energy_j)
    assert tuned.test.loss < 0.1
    assert tuned.test.images == 400


def test_levels_go_up_while_they_hold_and_between_when_not(tuned: TuningResult) -> None:
    low, high = 1.0, float("inf")
    level = 3.0
    for trained in tuned.rounds:
        assert trained.level == pytest.approx(level)
        if trained.accepted:
            low, level = level, level * 2 if high == float("inf") else (level * high) ** 0.5
        else:
            high, level = level, (low * level) ** 0.5


def test_the_network_handed_over_is_the_one_measured(tuned: TuningResult, small: Small) -> None:
    test = small[2]["test"]
    fast = tuned.model(test.images)
    assert float((fast.argmax(1) == test.labels).double().mean()) == tuned.test.accuracy
    tuned.model.path = "reference"
    assert torch.equal(tuned.model(test.images), fast)
    tuned.model.path = "auto"
    assert tuned.chosen is not None
    chosen = {name: tuned.model.layer(name).multiplier.name for name in tuned.model.layer_names}
    for name, circuit in chosen.items():
        assert circuit.startswith(tuned.chosen.assignment.multipliers[name])
    assert tuned.training_images == len(tuned.rounds) * 6 * 1200


def test_the_exact_network_stays_what_losses_are_counted_from(tuned: TuningResult, small: Small) -> None:
    untouched = run_of(small)
    exact = untouched.evaluator.accuracy(untouched.evaluator.baseline, small[2]["search"])
    assert {t.before.baseline_accuracy for t in tuned.rounds} == {exact.baseline_accuracy}
    assert {t.accuracy["search"].baseline_accuracy for t in tuned.rounds} == {exact.baseline_accuracy}


def test_interrupted_in_training_it_goes_on_to_the_same_end(
    tuned: TuningResult, small: Small, small_train: Split, tmp_path: Path
) -> None:
    model = copy.deepcopy(small[0])

    def stop(message: str, done: int, total: int) -> None:
        if message.startswith("fine-tuning") and done >= total // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tune(run_of(small, cache=tmp_path, progress=stop), small_train, OPTIONS, checkpoints=tmp_path)
    assert len(list(tmp_path.glob("*.pt"))) == 1
    again = tune(run_of(small, cache=tmp_path), small_train, OPTIONS, checkpoints=tmp_path)
    assert again.rounds == tuned.rounds
    assert (again.test, again.training_images) == (tuned.test, tuned.training_images)
    for before, after in zip(model.parameters(), small[0].parameters(), strict=True):
        assert torch.equal(before, after), "the model that was handed over is not trained"


ALTERNATING = replace(OPTIONS, alternate=True, rounds=4)


@pytest.fixture(scope="module")
def alternated(small: Small, small_train: Split, tmp_path_factory: pytest.TempPathFactory) -> TuningResult:
    folder = tmp_path_factory.mktemp("alternated")
    return tune(run_of(small, cache=folder), small_train, ALTERNATING, checkpoints=folder)


def test_alternating_starts_anew_from_each_accepted_training(alternated: TuningResult, tuned: TuningResult) -> None:
    accepted = 0
    for trained in alternated.rounds:
        assert trained.stage == accepted
        accepted += trained.accepted
    assert accepted >= 2, "the weights of an accepted training were trained on to a cheaper choice"
    first = next(i for i, trained in enumerate(alternated.rounds) if trained.accepted)
    assert alternated.rounds[: first + 1] == tuned.rounds[: first + 1], "up to there nothing differs"


def test_alternating_never_makes_the_accepted_energy_worse(alternated: TuningResult) -> None:
    energies = [alternated.untrained_cost.multiplier_energy_j]
    for trained in alternated.rounds:
        assert trained.cost.multiplier_energy_j < energies[-1]
        energies += [trained.cost.multiplier_energy_j] if trained.accepted else []
    assert alternated.chosen is not None
    assert alternated.chosen.cost.multiplier_energy_j == energies[-1]
    assert alternated.chosen.accuracy["accept"].loss_bound <= 0.06


def test_alternating_counts_losses_from_the_network_as_it_came(alternated: TuningResult, small: Small) -> None:
    untouched = run_of(small)
    for split in ("search", "accept"):
        exact = untouched.evaluator.accuracy(untouched.evaluator.baseline, small[2][split]).baseline_accuracy
        found = [t.accuracy[split].baseline_accuracy for t in alternated.rounds if split in t.accuracy]
        assert set(found) == {exact}
    assert alternated.test.baseline_accuracy == untouched.evaluator.accuracy(
        untouched.evaluator.baseline, small[2]["test"]).accuracy  # fmt: skip
    test = small[2]["test"]
    assert float((alternated.model(test.images).argmax(1) == test.labels).double().mean()) == alternated.test.accuracy


def test_alternating_interrupted_goes_on_to_the_same_end(
    alternated: TuningResult, small: Small, small_train: Split, tmp_path: Path
) -> None:
    def stop(message: str, done: int, total: int) -> None:
        if message.startswith("fine-tuning") and done >= total // 2 and list(tmp_path.glob("*-1.pt")):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tune(run_of(small, cache=tmp_path, progress=stop), small_train, ALTERNATING, checkpoints=tmp_path)
    again = tune(run_of(small, cache=tmp_path), small_train, ALTERNATING, checkpoints=tmp_path)
    assert (again.rounds, again.test) == (alternated.rounds, alternated.test)
    assert (again.network_images, again.training_images, again.evaluations) == (
        alternated.network_images, alternated.training_images, alternated.evaluations)  # fmt: skip


def test_nothing_bolder_leaves_the_untrained_choice(small: Small, small_train: Split) -> None:
    result = tune(run_of(small, budget=100.0), small_train, OPTIONS)
    assert (result.rounds, result.chosen, result.training_images) == ((), None, 0)
    assert result.untrained_cost.multiplier_energy_j < result.exact_cost.multiplier_energy_j


def test_images_of_another_split_are_refused(small: Small) -> None:
    with pytest.raises(InvalidInputError, match="training images"):
        tune(run_of(small), Split("fit", small[2]["search"].images, small[2]["search"].labels))


@pytest.mark.parametrize("wrong", [{"rounds": 0}, {"first": -1.0}, {"bolder": 0.5}])
def test_bad_options(wrong: dict[str, float]) -> None:
    with pytest.raises(InvalidInputError, match=next(iter(wrong))):
        TuningOptions(**wrong)  # type: ignore[arg-type]
