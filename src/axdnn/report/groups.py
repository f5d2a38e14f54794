"""Layers grouped into the units a reader thinks in, and what a result chose for each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from axdnn.records import GenerationResult, Multiplier
from axdnn.report.derived import approximate_layers, layer_order

Kind = Literal["exact", "skip only", "multipliers only", "both"]


def unit_layers(layers: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return unit -> its layers, in order; a unit is the part of a layer's name before the first dot."""
    found: dict[str, list[str]] = {}
    for name in layers:
        found.setdefault(name.split(".")[0], []).append(name)
    return {unit: tuple(names) for unit, names in found.items()}


def run_kind(result: GenerationResult, multipliers: Sequence[Multiplier] = ()) -> Kind:
    """Return what a result uses: skipped neurons, approximate multipliers, both or neither."""
    skips = any(result.skipped.values())
    if approximate_layers(result, multipliers):
        return "both" if skips else "multipliers only"
    return "skip only" if skips else "exact"


def unit_skips(result: GenerationResult) -> dict[str, float]:
    """Return unit -> share of its neurons that is skipped, 0..1 (of an output layer: of its inputs)."""
    ends = {producer for producer, consumer in result.network.edges if consumer == "output"}
    counts = {layer.name: layer.in_channels if layer.name in ends else layer.out_channels
              for layer in result.network.layers}  # fmt: skip
    shares = {}
    for unit, layers in unit_layers(layer_order(result)).items():
        total = sum(counts.get(name, 0) for name in layers)
        gone = sum(counts.get(name, 0) * result.skipped.get(name, 0.0) for name in layers)
        shares[unit] = gone / total if total else 0.0
    return shares


def unit_multipliers(result: GenerationResult) -> dict[str, tuple[str, ...]]:
    """Return unit -> its multipliers, by their library names, the one of most products first."""
    macs = {layer.name: layer.macs for layer in result.network.layers}
    chosen = {}
    for unit, layers in unit_layers(layer_order(result)).items():
        weight: dict[str, int] = {}
        for name in layers:
            used = result.assignment.get(name, "")
            weight[used] = weight.get(used, 0) + macs.get(name, 0)
        chosen[unit] = tuple(sorted((x for x in weight if x), key=lambda name: (-weight[name], name)))
    return chosen
