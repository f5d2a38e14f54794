"""Tables of a search: what was visited, how scores rank the layers, how strategies compare."""

from __future__ import annotations

from collections.abc import Sequence

from axdnn.records import Evaluation, GenerationResult, LayerScores
from axdnn.report.derived import result_labels, score_labels, tested_bound
from axdnn.report.tables import Cell, Column, Table
from axdnn.report.tau import kendall_tau, ranks
from axdnn.report.units import budget_text, ratio


def visited_table(result: GenerationResult) -> Table:
    """Return one row a full evaluation, in the order made; the chosen candidate is marked."""
    columns = (
        Column("order", "#", "count"),
        Column("strategy", "proposed by"),
        Column("approximate_layers", "approximate layers", "count"),
        Column("multipliers", "kinds", "count"),
        Column("energy_ratio", "energy / exact", "percent", digits=1),
        Column("multiplier_energy_ratio", "multiplier energy / exact", "percent", digits=1),
        Column("predicted_loss", "predicted loss", "points"),
        Column("search_loss", "loss, search", "points"),
        Column("accept_loss", "loss, accept", "points"),
        Column("accept_bound", "95 % bound, accept", "points"),
        Column("accepted", "accepted", "flag"),
        Column("chosen", "chosen", "flag"),
    )
    rows = tuple(_visited_row(result, i, e) for i, e in enumerate(result.visited, start=1))
    sizes = [f"{split} {count:,}" for split, count in result.images.items()]
    notes = [
        "Accepted: the one-sided 95 % upper bound of the loss on the accept split is within the budget of "
        f"{budget_text(result.max_accuracy_loss)}. Energy: reading 'buildable', over the exact baseline."
    ]
    if sizes:
        notes.append(f"Images: {', '.join(sizes)}.")
    return Table("Everything visited", columns, rows, tuple(notes))


def _visited_row(result: GenerationResult, order: int, evaluation: Evaluation) -> tuple[Cell, ...]:
    base = {layer.layer: layer.multiplier for layer in result.baseline_cost.layers}
    used = evaluation.assignment.multipliers
    search, accept = evaluation.accuracy.get("search"), evaluation.accuracy.get("accept")
    return (
        order,
        evaluation.strategy,
        sum(base.get(layer) != name for layer, name in used.items()),
        len(set(used.values())),
        ratio(evaluation.energy_j, result.baseline_energy_j),
        ratio(evaluation.multiplier_energy_j, result.baseline_multiplier_energy_j),
        evaluation.predicted_loss,
        search.loss if search else None,
        accept.loss if accept else None,
        accept.loss_bound if accept else None,
        evaluation.accepted,
        (evaluation.assignment.key, evaluation.strategy) == (result.chosen.assignment.key, result.chosen.strategy),
    )


def importance_table(scores: Sequence[LayerScores], layers: Sequence[str] = ()) -> Table:
    """Return one row a layer: value and rank (1 = most important) by each score."""
    names = list(dict.fromkeys([*layers, *(layer for score in scores for layer in score.values)]))
    columns = [Column("layer", "layer")]
    labels = score_labels(scores)
    for label in labels:
        columns.append(Column(label, label, "number", digits=4))
        columns.append(Column(f"{label}_rank", "rank", "rank"))
    ranked = [ranks(score.values) for score in scores]
    rows = []
    for name in names:
        row: list[Cell] = [name]
        for score, rank in zip(scores, ranked, strict=True):
            row += [score.values.get(name), rank.get(name)]
        rows.append(tuple(row))
    notes = tuple(_score_note(label, score) for label, score in zip(labels, scores, strict=True))
    return Table("Importance of layers", tuple(columns), tuple(rows), notes)


def score_costs_table(scores: Sequence[LayerScores]) -> Table:
    """Return one row a score: what it looked at and what it cost, in images sent through the network."""
    columns = (
        Column("score", "score"), Column("unit", "unit"), Column("images", "images looked at", "count"),
        Column("network_images", "network images", "count"), Column("per_image", "per image", "number", digits=3),
    )  # fmt: skip
    rows = tuple(
        (label, s.unit, s.images, s.network_images, s.network_images / s.images if s.images else None)
        for label, s in zip(score_labels(scores), scores, strict=True)
    )
    note = (
        "network images: images sent through the network, one for each point on a path and each circuit tried; "
        "calibration counts with the first score that needs it."
    )
    return Table("Cost of scores", columns, rows, (note,))


def _score_note(label: str, score: LayerScores) -> str:
    parts = [score.unit] if score.unit else []
    parts.append(f"{score.images:,} images, {score.network_images:,} through the network")
    parts += [f"{key} {value}" for key, value in score.settings.items()]
    return f"{label}: {'; '.join(parts)}."


def tau_table(scores: Sequence[LayerScores]) -> Table:
    """Return Kendall's tau-b between every two scores, over the layers both have; None where undefined."""
    labels = score_labels(scores)
    columns = (Column("score", "score"), *(Column(name, name, "fixed", digits=2) for name in labels))
    rows = []
    for label, a in zip(labels, scores, strict=True):
        row: list[Cell] = [label]
        for b in scores:
            shared = [layer for layer in a.values if layer in b.values]
            row.append(kendall_tau([a.values[x] for x in shared], [b.values[x] for x in shared]))
        rows.append(tuple(row))
    note = "1: the two scores order the layers alike; \u22121: in reverse; about 0: unrelated."
    return Table("Agreement of scores (Kendall tau-b)", columns, tuple(rows), (note,))


def comparison_table(results: Sequence[GenerationResult]) -> Table:
    """Return one row a result; energy and latency of different cost models stand in different columns."""
    models = list(dict.fromkeys(result.cost.model for result in results))
    columns = [
        Column("strategy", "strategy"),
        Column("status", "status"),
        Column("accuracy", "test accuracy", "percent"),
        Column("loss", "loss", "points"),
        Column("loss_bound", "95 % bound", "points"),
        Column("multiplier_energy_ratio", "multiplier energy / exact", "percent", digits=1),
    ]
    for model in models:
        suffix = f", {model}" if len(models) > 1 else ""
        columns += [
            Column(f"energy_j{'_' + model if suffix else ''}", f"energy{suffix}", "si", "J"),
            Column(f"energy_ratio{'_' + model if suffix else ''}", f"energy / exact{suffix}", "percent", digits=1),
            Column(f"latency_s{'_' + model if suffix else ''}", f"latency{suffix}", "si", "s"),
        ]
    columns += [
        Column("evaluations", "evaluations", "count"),
        Column("network_images", "network images", "count"),
        Column("wall_s", "wall (s)", "number"),
    ]
    labels = result_labels(results)
    rows = tuple(_comparison_row(r, label, models) for r, label in zip(results, labels, strict=True))
    notes = ["Loss against the exact-multiplier int8 network on the test split; energy in the reading 'buildable'."]
    budgets = sorted({result.max_accuracy_loss for result in results})
    if budgets:
        notes.append(f"Budget: {', '.join(budget_text(b) for b in budgets)}.")
    return Table("Comparison", tuple(columns), rows, tuple(notes))


def _comparison_row(result: GenerationResult, label: str, models: Sequence[str]) -> tuple[Cell, ...]:
    costs: list[Cell] = []
    for model in models:
        own = result.cost.model == model
        energy_ratio = ratio(result.energy_j, result.baseline_energy_j)
        costs += [result.energy_j, energy_ratio, result.latency_s] if own else [None, None, None]
    return (
        label,
        result.status,
        result.accuracy,
        result.baseline_accuracy - result.accuracy,
        tested_bound(result),
        ratio(result.multiplier_energy_j, result.baseline_multiplier_energy_j),
        *costs,
        result.evaluations,
        result.network_images,
        result.wall_s,
    )
