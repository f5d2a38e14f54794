"""Key numbers of a search method and what a reader must know about them, as data."""

from __future__ import annotations

from axdnn.records import SearchResult
from axdnn.report.headline import Fact, Verdict
from axdnn.report.measures import (
    Measure,
    figure_measures,
    large_count,
    measure,
    objective_measures,
    readable,
    values_text,
)
from axdnn.report.units import duration


def search_facts(result: SearchResult) -> tuple[Fact, ...]:
    """Return the key numbers: what was searched on what, effort, space, hypervolume."""
    reference = values_text(objective_measures(result), result.reference)
    splits = ", ".join(f"{split} {count:,}" for split, count in result.images.items())
    each = f", {duration(result.wall_s / result.evaluations)} an evaluation" if result.evaluations else ""
    failed = f"{result.failed:,} of them failed" if result.failed else "none of them failed"
    return (
        Fact("model", "Network", result.model or "searched", "layers are chosen, the network is given"
             if result.model else "networks themselves are the candidates"),
        Fact("data", "Data", result.data or "none", splits or "no images on record"),
        Fact("accelerator", "Accelerator", result.accelerator or "searched", "every candidate is priced on it"
             if result.accelerator else "it is a part of the candidates"),
        Fact("space", "Space", large_count(result.space_size), "candidates, counted exactly"),
        Fact("evaluations", "Evaluations", f"{result.evaluations:,}", failed if result.evaluations else ""),
        Fact("hypervolume", "Hypervolume", readable(result.hypervolume), f"reference point: {reference}"
             if reference else "no reference point on record"),
        Fact("images", "Images and epochs", f"{result.network_images:,}\u00a0images", "sent through networks; "
             + (f"{result.epochs:g} epoch{'' if result.epochs == 1 else 's'} of training a candidate"
                if result.epochs else "no candidate was trained")),
        Fact("wall", "Wall time", duration(result.wall_s), f"interruptions left out{each}"),
    )  # fmt: skip


def search_verdict(result: SearchResult) -> Verdict:
    """Return what was found in one sentence: how many networks, from where to where; a warning for an empty front."""
    if not result.front:
        kept = " that keeps every constraint" if result.constraints else ""
        text = f"The front is empty: no candidate{kept} was evaluated to the end."
        return Verdict("warn", text, "nothing found", _ended(result))
    measures = objective_measures(result)
    ranges = [f"{m.label} {_range(m, [x.objectives[m.key] for x in result.front])}" for m in measures]
    count = len(result.front)
    text = f"{count:,} networks, none beaten by another: " if count > 1 else "One network: "
    return Verdict("good", f"{text}{'; '.join(ranges)}.", f"{count:,} on the front", _ended(result))


def _ended(result: SearchResult) -> str:
    return f"Ended: {result.reason}." if result.reason and result.reason[-1] not in ".!" else result.reason


def _range(one: Measure, values: list[float]) -> str:
    low, high = min(values), max(values)
    return one.text(low) if low == high else f"{one.text(low)} to {one.text(high)}"


def search_notes(result: SearchResult) -> tuple[str, ...]:
    """Return what a reader must know: directions, constraints, how effort and hypervolume are counted."""
    measures = objective_measures(result)
    ways = "; ".join(f"{m.label}, {m.better}" for m in measures)
    lines = [
        f"Objectives: {ways}.",
        "A front holds what nothing beats: no network is as good in all objectives and better in one.",
    ]
    for c in result.constraints:
        known = (*measures, *figure_measures(result), measure(c.name, c.unit, "", [c.bound]))
        one = next(m for m in known if m.key == c.name)
        sense = "≤" if c.sense == "<=" else "≥"
        lines.append(f"Every network of the front keeps {one.label} {sense} {one.text(c.bound)}.")
    lines.append(
        "Hypervolume: how much of the space of objectives the front beats, measured up to the reference point. Only "
        "hypervolumes with the same reference point can be compared."
    )
    lines.append("Evaluations count failed ones too. Images are those of evaluations, not of scores and trainings.")
    if any(layer.importance is not None for member in result.front for layer in member.layers):
        lines.append("Importance of a layer is beside the other layers of its network, whose mean is 1.")
    return tuple(lines)
