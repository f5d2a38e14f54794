"""The key numbers of a result and what a reader must know about them, as data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from axdnn.records import GenerationResult, Multiplier
from axdnn.report.derived import accept_bound, approximate_layers, exact_names, layer_order, tested_bound
from axdnn.report.units import budget_text, change_text, duration, percent, points, quantity, significant, times_lower

OBJECTIVE_NAMES = {
    "energy": "energy of the chip",
    "multiplier": "energy of the multipliers alone",
    "paper_literal": "energy by the paper's equations (paper_literal)",
}
"""What a search minimised, in words."""


class Fact(NamedTuple):
    """A key number: identifier, what it is, the number, a line below it."""

    key: str
    label: str
    value: str
    detail: str


class Verdict(NamedTuple):
    """How the run ended: `tone` is `good`, `warn` or `bad`; one sentence; the status and reason of the record."""

    tone: str
    sentence: str
    status: str
    reason: str


def headline(result: GenerationResult) -> tuple[Fact, ...]:
    """Return the key numbers in reading order: loss, energies, latency, area, memory, effort."""
    loss = result.baseline_accuracy - result.accuracy
    bound = tested_bound(result)
    test = result.images.get("test")
    loss_detail = f"budget {budget_text(result.max_accuracy_loss)}; "
    loss_detail += f"{percent(result.baseline_accuracy)} → {percent(result.accuracy)}"
    loss_detail += f" on {test:,} test images" if test is not None else " on the test split"
    loss_detail += f"; 95 % bound {points(bound)}" if bound is not None else ""
    ideal = change_text(result.ideal_cost.energy_j, result.ideal_baseline_cost.energy_j)
    return (
        Fact("loss", "Accuracy loss", f"{points(loss)}\u00a0points", loss_detail),
        Fact(
            "multiplier_energy",
            "Multiplier energy",
            _times(result.multiplier_energy_j, result.baseline_multiplier_energy_j),
            _from_to(result.baseline_multiplier_energy_j, result.multiplier_energy_j, "J"),
        ),
        Fact(
            "energy",
            "Total energy",
            change_text(result.energy_j, result.baseline_energy_j),
            f"{_from_to(result.baseline_energy_j, result.energy_j, 'J')}; ideal reading {ideal}",
        ),
        _cost_fact("latency", "Latency", result.latency_s, result.baseline_latency_s, "s"),
        _cost_fact("area", "Area", result.area_m2, result.baseline_area_m2, "m²"),
        _cost_fact("memory", "Memory", float(result.memory_bytes), float(result.baseline_memory_bytes), "B"),
        Fact(
            "evaluations",
            "Full evaluations",
            f"{result.evaluations:,}",
            f"{result.network_images:,} images through the network",
        ),
        Fact("wall", "Wall time", duration(result.wall_s), _asked(result)),
    )


def objective_text(result: GenerationResult) -> str:
    """Return what the search minimised, in words."""
    return OBJECTIVE_NAMES.get(result.objective, result.objective)


def _asked(result: GenerationResult) -> str:
    goal = "" if result.objective == "energy" else f"; minimised: {objective_text(result)}"
    return f"strategy {result.strategy}, seed {result.seed}{goal}"


def _times(value: float, baseline: float) -> str:
    text = times_lower(value, baseline)
    if not baseline or value == baseline:
        return "unchanged" if value == baseline else text
    return f"{text}\u00a0lower" if value < baseline else f"{significant(value / baseline)}×\u00a0higher"


def _from_to(before: float, after: float, unit: str) -> str:
    return f"{quantity(before, unit)} → {quantity(after, unit)}"


def _cost_fact(key: str, label: str, value: float, baseline: float, unit: str) -> Fact:
    return Fact(key, label, quantity(value, unit), f"{change_text(value, baseline)}, before {quantity(baseline, unit)}")


def verdict(result: GenerationResult, multipliers: Sequence[Multiplier] = ()) -> Verdict:
    """Return how the run ended in one sentence of plain facts, with the record's own status and reason."""
    total, used = len(layer_order(result)), len(approximate_layers(result, multipliers))
    loss, budget = result.baseline_accuracy - result.accuracy, result.max_accuracy_loss  # a fraction, points
    skipping = [layer for layer in layer_order(result) if result.skipped.get(layer)]
    if not used and not skipping:
        sentence = "No approximate multiplier was chosen: every layer keeps an exact one."
        return Verdict("warn", sentence, result.status, result.reason)
    saved = _times(result.multiplier_energy_j, result.baseline_multiplier_energy_j)
    skipped = f"{len(skipping)} of {total} layer{'s skip' if total != 1 else ' skips'} neurons. " if skipping else ""
    sentence = (
        f"{used} of {total} layer{'s use' if total != 1 else ' uses'} an approximate multiplier. {skipped}"
        f"Multiplier energy is {saved}; the energy of the whole accelerator changes by "
        f"{change_text(result.energy_j, result.baseline_energy_j)}. "
    )
    within = 100 * loss <= budget + 1e-9
    word = "within" if within else "above"
    if loss < 0:
        sentence += f"The test accuracy is {points(-loss)} points higher than the exact network's."
    else:
        sentence += f"The test loss of {points(loss)} points is {word} the budget of {budget_text(budget)}."
    return Verdict("good" if within else "bad", sentence, result.status, result.reason)


def facts_to_know(result: GenerationResult, multipliers: Sequence[Multiplier] = ()) -> tuple[str, ...]:
    """Return what a reader must know to judge the numbers: readings, baseline, splits, bounds, then recorded notes."""
    cost = result.cost
    lines = [
        f"Two readings of the hardware are shown. Buildable (the headline): each pod holds one fixed multiplier. "
        f"Ideal: every pod runs every chosen multiplier at no cost, an upper bound on the saving. Both are of the cost "
        f"model {cost.model!r} on {cost.accelerator}, one inference at batch 1.",
        "The baseline is the int8 network with exact multipliers on the same accelerator, "
        f"{percent(result.baseline_accuracy)} on the test split"
        + (
            f"; the float network has {percent(result.float_accuracy)}."
            if result.float_accuracy is not None
            else "; the accuracy of the float network was not recorded."
        ),
    ]
    if result.objective != "energy":
        lines.append(f"The search minimised the {objective_text(result)}; the energy of the chip was not its goal.")
    if result.skipped:
        lines.append(
            "Skipped neurons hand on 0 and are not computed; the energies count the products that are left. "
            "The baseline skips none."
        )
    if result.images:
        sizes = ", ".join(f"{split} {count:,}" for split, count in result.images.items())
        own = result.chosen.assignment.key
        unseen = all("test" not in e.accuracy for e in result.visited if e.assignment.key != own)
        rule = (
            " The record holds a test accuracy for the result only, not for other candidates."
            if unseen and result.visited
            else ""
        )
        lines.append(f"Images by split: {sizes}.{rule}")
    bound = accept_bound(result)
    if bound is not None:
        lines.append(
            f"On the accept split, the one-sided 95 % upper bound of the chosen loss is {points(bound)} points "
            f"(budget {budget_text(result.max_accuracy_loss)})."
        )
    exact = [x for x in layer_order(result) if result.assignment.get(x) in exact_names(result, multipliers)]
    if exact and len(exact) < len(layer_order(result)):
        lines.append(f"Layers that keep an exact multiplier: {', '.join(exact)}.")
    path = result.network.captured_by
    lines.append(f"Seed {result.seed}{f'; network captured by {path}' if path else ''}.")
    ideal = [note for note in result.ideal_cost.notes if not note.startswith("sensitivity")]  # said above already
    recorded = [*result.notes, *result.cost.notes, *ideal]
    return (*lines, *dict.fromkeys(note for note in recorded if note))
