"""Small facts that tables and figures share, derived from records only."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from axdnn.records import Accuracy, CostReport, Evaluation, GenerationResult, LayerScores, Multiplier
from axdnn.report.units import budget_text, ratio

_MULTIPLIER_COMPONENTS = ("multiplier", "multipliers", "mul")


def multiplier_component(report: CostReport) -> str | None:
    """Return the energy component that is the multipliers' own part.

    Records leave its name to the cost model: a component named `multiplier` or `multipliers`, else the one whose sum is
    `multiplier_energy_j`; None if there is neither.
    """
    parts = report.energy_breakdown_j
    for name in _MULTIPLIER_COMPONENTS:
        if name in parts:
            return name
    target = report.multiplier_energy_j
    equal = [name for name, joules in parts.items() if target and math.isclose(joules, target, rel_tol=1e-9)]
    return equal[0] if len(equal) == 1 else None


def layer_multiplier_energy(report: CostReport) -> dict[str, float]:
    """Return layer -> joules in its multipliers; empty where the report does not single them out."""
    component = multiplier_component(report)
    if component is None:
        return {}
    return {layer.layer: layer.energy_j.get(component, 0.0) for layer in report.layers}


def power_ratios(result: GenerationResult) -> dict[str, float | None]:
    """Return layer -> energy per product of its multiplier over the baseline's; None where it is not known.

    Per product, because a layer that skips neurons has fewer products than its baseline.
    """
    before, after = _energy_per_product(result.baseline_cost), _energy_per_product(result.cost)
    known = {name: ratio(after[name], before[name]) for name in after if name in before}
    base = {layer.layer: layer.multiplier for layer in result.baseline_cost.layers}
    ratios: dict[str, float | None] = {}
    for layer, name in result.assignment.items():
        ratios[layer] = known.get(layer)
        if ratios[layer] is None and base.get(layer) == name:
            ratios[layer] = 1.0
    return ratios


def _energy_per_product(report: CostReport) -> dict[str, float]:
    macs = {layer.layer: layer.macs for layer in report.layers}
    return {name: joules / macs[name] for name, joules in layer_multiplier_energy(report).items() if macs[name]}


def exact_names(result: GenerationResult, multipliers: Sequence[Multiplier] = ()) -> frozenset[str]:
    """Return the names known to be exact: those of the baseline, and exact ones among `multipliers`."""
    names = {layer.multiplier for layer in result.baseline_cost.layers}
    return frozenset(names | {m.name for m in multipliers if m.is_exact})


def approximate_layers(result: GenerationResult, multipliers: Sequence[Multiplier] = ()) -> tuple[str, ...]:
    """Return the layers, in order, whose multiplier is not exact."""
    exact = exact_names(result, multipliers)
    return tuple(name for name in layer_order(result) if result.assignment.get(name, "") not in exact | {""})


def layer_order(result: GenerationResult) -> tuple[str, ...]:
    """Return the layers in execution order, then any that only the assignment names."""
    names = list(result.network.layer_names)
    return (*names, *(name for name in result.assignment if name not in names))


def component_order(reports: Iterable[CostReport]) -> tuple[str, ...]:
    """Return every energy component, the largest one first."""
    largest: dict[str, float] = {}
    for report in reports:
        for name, joules in energy_parts(report).items():
            largest[name] = max(largest.get(name, 0.0), joules)
    return tuple(sorted(largest, key=lambda name: (-largest[name], name)))


def energy_parts(report: CostReport) -> dict[str, float]:
    """Return component -> joules that sum to the total; what no layer accounts for is `not in a layer`."""
    parts = dict(report.energy_breakdown_j)
    rest = report.energy_j - sum(parts.values())
    if abs(rest) > 1e-9 * abs(report.energy_j):
        parts["not in a layer"] = rest
    return parts


def shown_accuracy(evaluation: Evaluation) -> Accuracy | None:
    """Return the accuracy a candidate is shown with: the accept split if tried, else search, else test, else any."""
    for split in ("accept", "search", "test"):
        if split in evaluation.accuracy:
            return evaluation.accuracy[split]
    return next(iter(evaluation.accuracy.values()), None)


def tested_bound(result: GenerationResult) -> float | None:
    """Return the 95 % upper bound of the loss on the test split, a fraction; None if it was not recorded."""
    test = result.chosen.accuracy.get("test")
    return None if test is None else test.loss_bound


def result_labels(results: Sequence[GenerationResult]) -> tuple[str, ...]:
    """Return one distinct label a result: the strategy, and what else differs; seeds only where nothing else does."""
    fields: tuple[tuple[str, list[str]], ...] = (
        ("", [r.model for r in results]),
        ("", [r.data for r in results]),
        ("", [r.accelerator for r in results]),
        ("", [r.multiplier_set for r in results]),
        ("minimising ", ["" if r.objective == "energy" else r.objective for r in results]),
        ("budget ", [budget_text(r.max_accuracy_loss) for r in results]),
        ("seed ", [str(r.seed) for r in results]),
    )
    labels = [_strategy_label(r) for r in results]
    for prefix, values in fields:
        needed = prefix != "seed " or len(set(labels)) < len(labels)
        if needed and len(set(values)) > 1:
            pairs = zip(labels, values, strict=True)
            labels = [f"{label}, {prefix}{value}" if value else label for label, value in pairs]
    return numbered(labels)


def _strategy_label(result: GenerationResult) -> str:
    trained = result.training is not None and result.training.chosen
    return f"{result.strategy or 'unnamed'}{', fine-tuned' if trained else ''}"


def same_task(result: GenerationResult, others: Sequence[GenerationResult]) -> tuple[GenerationResult, ...]:
    """Return those of `others` that solve the same task: same model, data and accuracy budget."""
    task = (result.model, result.data, result.max_accuracy_loss)
    return tuple(other for other in others if (other.model, other.data, other.max_accuracy_loss) == task)


def score_labels(scores: Sequence[LayerScores]) -> tuple[str, ...]:
    """Return one distinct label a score: its name, numbered where several share it."""
    return numbered([score.score or "unnamed" for score in scores])


def numbered(labels: Iterable[str]) -> tuple[str, ...]:
    """Return the labels with a number after those that were there before."""
    seen: dict[str, int] = {}
    distinct = []
    for label in labels:
        seen[label] = seen.get(label, 0) + 1
        distinct.append(label if seen[label] == 1 else f"{label} #{seen[label]}")
    return tuple(distinct)


def accept_bound(result: GenerationResult) -> float | None:
    """Return the 95 % upper bound of the loss on the accept split, which decides acceptance."""
    accept = result.chosen.accuracy.get("accept")
    return None if accept is None else accept.loss_bound
