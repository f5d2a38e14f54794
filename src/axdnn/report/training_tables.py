"""What fine-tuning added to a result: the choice without training, and every assignment that was trained."""

from __future__ import annotations

from axdnn.records import Evaluation, GenerationResult, TrainedChoice, Training
from axdnn.report.tables import Cell, Column, Table
from axdnn.report.units import budget_text, ratio

COLUMNS = (
    Column("choice", "choice"),
    Column("multiplier_energy_ratio", "multiplier energy / exact", "percent", digits=1),
    Column("energy_ratio", "energy / exact", "percent", digits=1),
    Column("before_loss", "loss before training, search", "points"),
    Column("search_loss", "loss, search", "points"),
    Column("accept_bound", "95 % bound, accept", "points"),
    Column("test_loss", "loss, test", "points"),
    Column("accepted", "accepted", "flag"),
    Column("chosen", "chosen", "flag"),
)


def training_table(result: GenerationResult) -> Table:
    """Return a row for the choice without training and one for each that was trained; none without training."""
    training = result.training
    if training is None:
        return Table("What training added", COLUMNS, ())
    rows = [_row(result, "without training", training.untrained, None, not training.chosen)]
    for number, one in enumerate(training.rounds, start=1):
        chosen = training.chosen and one.evaluation == result.chosen
        rows.append(_row(result, f"trained, {number}", one.evaluation, one, chosen))
    return Table("What training added", COLUMNS, tuple(rows), training_notes(result, training))


def training_notes(result: GenerationResult, training: Training) -> tuple[str, ...]:
    """Return what a reader must know about the training."""
    teacher = float(training.settings.get("distillation", "0"))
    lines = [
        f"Each was trained for {training.epochs} x {training.images:,} images of split fit, "
        f"{training.training_images:,} images in all, at a learning rate of {training.settings.get('learning_rate')}"
        + (f" and with the exact network as teacher (weight {teacher:g})." if teacher else "."),
        f"Losses are counted from the exact network, which was not trained further; budget "
        f"{budget_text(result.max_accuracy_loss)}. Energy: reading 'buildable', over the exact baseline.",
    ]
    if any(not one.losses for one in training.rounds):
        lines.append("A choice without a loss after training diverged.")
    return tuple(lines)


def _row(
    result: GenerationResult, label: str, evaluation: Evaluation, trained: TrainedChoice | None, chosen: bool
) -> tuple[Cell, ...]:
    found = evaluation.accuracy
    search, accept, test = found.get("search"), found.get("accept"), found.get("test")
    return (
        label,
        ratio(evaluation.multiplier_energy_j, result.baseline_multiplier_energy_j),
        ratio(evaluation.energy_j, result.baseline_energy_j),
        None if trained is None else trained.before.loss,
        search.loss if search else None,
        accept.loss_bound if accept else None,
        test.loss if test else None,
        evaluation.accepted,
        chosen,
    )
