"""What the figures show, as named tuples: exactly the values that are drawn, nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from axdnn.records import Evaluation, GenerationResult, LayerScores
from axdnn.report.derived import (
    component_order,
    energy_parts,
    exact_names,
    layer_order,
    power_ratios,
    result_labels,
    score_labels,
    shown_accuracy,
    tested_bound,
)
from axdnn.report.units import change_text, ratio

State = Literal["accepted", "rejected", "not tried"]


class ImportanceData(NamedTuple):
    """Bars of importance: `values[score][layer]`, each score over its largest magnitude; None where not scored."""

    layers: tuple[str, ...]
    scores: tuple[str, ...]
    values: tuple[tuple[float | None, ...], ...]


def importance_data(result: GenerationResult) -> ImportanceData:
    """Return each score of each layer of a result, normalised so that the largest magnitude is 1."""
    return scores_data(result.scores, layer_order(result))


def scores_data(scores: Sequence[LayerScores], order: Sequence[str] = ()) -> ImportanceData:
    """Return scores by layer, normalised so that the largest magnitude is 1; `order` comes first."""
    layers = tuple(dict.fromkeys([*order, *(x for s in scores for x in s.values)]))
    values = []
    for score in scores:
        top = max((abs(v) for v in score.values.values()), default=0.0) or 1.0
        values.append(tuple(score.values[x] / top if x in score.values else None for x in layers))
    return ImportanceData(layers, score_labels(scores), tuple(values))


class ChosenData(NamedTuple):
    """Per layer: multiplier, its power over the exact one's (None if unknown), share of the products, exactness.

    `skipped`: share of its neurons that is skipped; empty when no layer skips any.
    """

    layers: tuple[str, ...]
    multipliers: tuple[str, ...]
    power_ratio: tuple[float | None, ...]
    mac_share: tuple[float, ...]
    exact: tuple[bool, ...]
    skipped: tuple[float, ...] = ()


def chosen_data(result: GenerationResult) -> ChosenData:
    """Return what each layer was given and what it weighs."""
    layers = tuple(name for name in layer_order(result) if name in result.assignment)
    macs = {layer.name: layer.macs for layer in result.network.layers}
    total = sum(macs.values()) or 1
    ratios, exact = power_ratios(result), exact_names(result)
    names = tuple(result.assignment[x] for x in layers)
    shares = tuple(macs.get(x, 0) / total for x in layers)
    skipped = tuple(result.skipped.get(x, 0.0) for x in layers) if any(result.skipped.values()) else ()
    powers = tuple(ratios[x] for x in layers)
    return ChosenData(layers, names, powers, shares, tuple(n in exact for n in names), skipped)


class EnergyBar(NamedTuple):
    """One stacked bar: joules by component (in the order of `EnergyData.components`), total, change to its baseline."""

    reading: str
    which: Literal["baseline", "chosen"]
    joules: tuple[float, ...]
    total_j: float
    change: str


class EnergyData(NamedTuple):
    """Energy by component, before and after, in both readings."""

    components: tuple[str, ...]
    bars: tuple[EnergyBar, ...]


def energy_data(result: GenerationResult) -> EnergyData:
    """Return the four stacked bars: ideal before and after, buildable before and after."""
    pairs = ((result.ideal_baseline_cost, result.ideal_cost), (result.baseline_cost, result.cost))
    components = component_order(report for pair in pairs for report in pair)
    bars = []
    for (before, after), reading in zip(pairs, ("ideal", "buildable"), strict=True):
        for which, report in (("baseline", before), ("chosen", after)):
            parts = energy_parts(report)
            joules = tuple(parts.get(name, 0.0) for name in components)
            text = change_text(after.energy_j, before.energy_j) if which == "chosen" else ""
            bars.append(EnergyBar(reading, which, joules, report.energy_j, text))  # type: ignore[arg-type]
    return EnergyData(components, tuple(bars))


class TradeoffPoint(NamedTuple):
    """A candidate: energies over the exact baseline's (None if that is zero), loss and its bound in points."""

    energy_ratio: float | None
    multiplier_ratio: float | None
    loss_points: float
    bound_points: float | None
    split: str
    state: State


class TradeoffData(NamedTuple):
    """Accuracy against energy of everything visited; `baseline` is (1, 1) at no loss."""

    points: tuple[TradeoffPoint, ...]
    chosen: TradeoffPoint | None
    baseline: TradeoffPoint
    budget_points: float


def tradeoff_data(result: GenerationResult) -> TradeoffData:
    """Return every visited candidate that was measured; the loss is that of the accept split where it was tried."""
    points = tuple(p for e in result.visited if (p := _point(result, e)) is not None)
    baseline = TradeoffPoint(1.0, 1.0, 0.0, None, "", "accepted")
    return TradeoffData(points, _point(result, result.chosen), baseline, result.max_accuracy_loss)


def _point(result: GenerationResult, evaluation: Evaluation) -> TradeoffPoint | None:
    accuracy = shown_accuracy(evaluation)
    if accuracy is None:
        return None
    state: State = "not tried" if evaluation.accepted is None else "accepted" if evaluation.accepted else "rejected"
    return TradeoffPoint(
        ratio(evaluation.energy_j, result.baseline_energy_j),
        ratio(evaluation.multiplier_energy_j, result.baseline_multiplier_energy_j),
        accuracy.loss * 100,
        accuracy.loss_bound * 100 if accuracy.split == "accept" else None,
        accuracy.split,
        state,
    )


class ComparePoint(NamedTuple):
    """A result: energies over its exact baseline's, test loss and its 95 % bound in points, its own budget."""

    label: str
    energy_ratio: float | None
    multiplier_ratio: float | None
    loss_points: float
    bound_points: float | None
    budget_points: float


class CompareData(NamedTuple):
    """Several results; total energies are left out (None) where the cost model differs from `model`."""

    points: tuple[ComparePoint, ...]
    model: str


def compare_data(results: Sequence[GenerationResult]) -> CompareData:
    """Return one point a result, on the test split."""
    model = results[0].cost.model if results else ""
    points = []
    for result, label in zip(results, result_labels(results), strict=True):
        bound = tested_bound(result)
        energy = ratio(result.energy_j, result.baseline_energy_j) if result.cost.model == model else None
        points.append(
            ComparePoint(
                label,
                energy,
                ratio(result.multiplier_energy_j, result.baseline_multiplier_energy_j),
                (result.baseline_accuracy - result.accuracy) * 100,
                None if bound is None else bound * 100,
                result.max_accuracy_loss,
            )
        )
    return CompareData(tuple(points), model)
