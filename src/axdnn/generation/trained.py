"""What training brought, and the result of a run that it becomes part of."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import msgspec

from axdnn.evaluation import Evaluator
from axdnn.generation.generate import Run
from axdnn.generation.outcome import MET, SPLITS_NOTE, proof_images, prove
from axdnn.generation.tuning_options import TuningOptions
from axdnn.layers import ApproxModel
from axdnn.records import Accuracy, Assignment, CostReport, Evaluation, GenerationResult, TrainedChoice, Training

TRAINED_SPLITS_NOTE = (
    "choices were searched on held-out training images (search), accepted on disjoint ones (accept); the test split "
    "was used for the final figures alone, of the choice without training and of the trained one"
)


@dataclass(frozen=True)
class Trained:
    """One assignment that was trained.

    Attributes:
        assignment: multiplier of each layer.
        level: predicted loss before training, in budgets.
        before: accuracy on the search split before training.
        accuracy: by split, after training; `accept` only if the search split allowed it; none if training diverged.
        accepted: whether its bound on the accept split is within the budget.
        cost: on the accelerator.
        losses: mean training loss of each epoch.
        stage: which weights it began with, see `TrainedChoice`.
    """

    assignment: Assignment
    level: float
    before: Accuracy
    accuracy: dict[str, Accuracy]
    accepted: bool
    cost: CostReport
    losses: tuple[float, ...]
    stage: int = 0


@dataclass(frozen=True)
class TuningResult:
    """What training brought.

    Attributes:
        untrained: the cheapest choice accepted without training.
        untrained_cost, exact_cost: of that one, and of the exact network.
        rounds: all assignments trained, in order.
        chosen: the cheapest of them that was accepted and costs less than `untrained`; None if there is none.
        model: its integer network, trained.
        test: accuracy on the test split of the chosen network, looked at once.
        training_images: images that training went through.
        network_images: images through networks apart from training.
        stage_images: those of them in choosing under trained weights, by evaluators of their own.
        evaluations: full evaluations of assignments that were trained, before and after, and under trained weights.
    """

    untrained: Assignment
    untrained_cost: CostReport
    exact_cost: CostReport
    rounds: tuple[Trained, ...]
    chosen: Trained | None
    model: ApproxModel
    test: Accuracy
    training_images: int
    network_images: int
    stage_images: int
    evaluations: int


def with_training(
    untrained: GenerationResult, tuned: TuningResult, run: Run, options: TuningOptions, images: int,
    weights_file: str = "", weights_sha256: str = "",
) -> GenerationResult:  # fmt: skip
    """Return the result with what training brought: of the trained network, proved, if one was accepted.

    Args:
        untrained: result of the search without training.
        tuned: of the same run.
        run: that made both.
        options: of the training.
        images: that were trained on.
        weights_file: name of the file that holds the chosen network.
        weights_sha256: its checksum.
    """
    settings, trained = options.fine_tuning, tuned.chosen
    checked = {} if trained is None else {"reference_check": _proved(tuned.model, run)}
    rounds = tuple(_choice(one, run, tuned) for one in tuned.rounds)
    passes = 2 if settings.distillation else 1  # the teacher sees every image too
    training = Training(
        epochs=settings.epochs, images=images, training_images=tuned.training_images,
        settings={key: str(value) for key, value in {**asdict(settings), **_own(options)}.items()},
        rounds=rounds, untrained=untrained.chosen, weights_file=weights_file if trained else "",
        weights_sha256=weights_sha256 if trained else "",
    )  # fmt: skip
    result = msgspec.structs.replace(
        untrained, training=training, images={**untrained.images, "fit": images},
        evaluations=untrained.evaluations + tuned.evaluations,
        network_images=run.network_images() + tuned.stage_images + passes * tuned.training_images,
        visited=(*untrained.visited, *(one.evaluation for one in rounds)), notes=_notes(untrained, tuned, training),
    )  # fmt: skip
    if trained is None:
        return result
    chosen = rounds[tuned.rounds.index(trained)].evaluation
    return msgspec.structs.replace(
        result, status="met", reason=f"{MET}, after fine-tuning", accuracy=tuned.test.accuracy,
        baseline_accuracy=tuned.test.baseline_accuracy, assignment=dict(trained.assignment.multipliers), skipped={},
        chosen=chosen, provenance={**result.provenance, **checked, "trained_sha256": weights_sha256},
        **_priced(run.evaluator, trained),
    )  # fmt: skip


def _proved(model: ApproxModel, run: Run) -> str:
    images = proof_images(run.splits["search"].images, run.network)
    said, model.path = prove(model, images), "auto"
    run.other_images += 2 * len(images)
    return said


def _own(options: TuningOptions) -> dict[str, object]:
    return {name: getattr(options, name) for name in options.__dataclass_fields__ if name != "fine_tuning"}


def _choice(trained: Trained, run: Run, tuned: TuningResult) -> TrainedChoice:
    """Return a trained assignment as a record; the chosen one with its accuracy on the test split."""
    cost, accuracy = trained.cost, dict(trained.accuracy)
    if trained is tuned.chosen:
        accuracy["test"] = tuned.test
    evaluation = Evaluation(
        assignment=msgspec.structs.replace(trained.assignment, pods=cost.pods), accuracy=accuracy,
        energy_j=cost.energy_j, latency_s=cost.latency_s, memory_bytes=cost.memory_bytes, area_m2=cost.area_m2,
        multiplier_energy_j=cost.multiplier_energy_j,
        predicted_loss=trained.level * run.request.max_accuracy_loss / 100.0,
        strategy=f"{run.request.strategy}, fine-tuned", accepted=trained.accepted,
    )  # fmt: skip
    return TrainedChoice(level=trained.level, before=trained.before, evaluation=evaluation, losses=trained.losses,
                         stage=trained.stage)  # fmt: skip


def _priced(evaluator: Evaluator, trained: Trained) -> dict[str, object]:
    """Return what a result says of the cost of an assignment."""
    cost, assignment = trained.cost, trained.assignment
    return {
        "energy_j": cost.energy_j, "multiplier_energy_j": cost.multiplier_energy_j, "latency_s": cost.latency_s,
        "memory_bytes": cost.memory_bytes, "area_m2": cost.area_m2, "cost": cost,
        "ideal_cost": evaluator.cost(assignment, "ideal"), "paper_literal": evaluator.paper_cost(assignment),
    }  # fmt: skip


def _notes(untrained: GenerationResult, tuned: TuningResult, training: Training) -> tuple[str, ...]:
    count, accepted = len(tuned.rounds), sum(one.accepted for one in tuned.rounds)
    if not count:
        said = "nothing was fine-tuned: no assignment of the predicted losses asked for costs less than the choice "
        return (*untrained.notes, said + "without training")
    did = (
        f"{count} bolder assignment{'s were' if count > 1 else ' was'} fine-tuned, {training.epochs} x "
        f"{training.images:,} training images each (split fit, which shares no image with search, accept and test), "
        f"and {accepted} accepted"
    )
    counted = "losses are counted from the exact network as it was, which gets no training"
    if tuned.chosen is None:
        return (*untrained.notes, f"{did}; this is the choice without training", counted)
    kept = tuple(note for note in untrained.notes if note != SPLITS_NOTE)
    return (*kept, f"{did}; the choice without training stands beside this result", counted, TRAINED_SPLITS_NOTE)
