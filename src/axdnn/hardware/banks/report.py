"""The `CostReport` of a network on a bank of arrays."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from axdnn.hardware.banks.bank import ArrayBank
from axdnn.hardware.banks.routing import Routed, route_layers
from axdnn.hardware.components import exact_figures
from axdnn.hardware.estimate import working_set
from axdnn.hardware.notes import figure_sources
from axdnn.hardware.streaming import BOUNDS, memory_bytes, partial_sum_bytes
from axdnn.records import Assignment, Coding, CostReport, Figures, LayerCost, Multiplier, Network

MODEL = "bank"


def bank_report(
    bank: ArrayBank,
    network: Network,
    assignment: Assignment | None,
    multipliers: Mapping[str, Multiplier] | None = None,
    *,
    exact: Mapping[Coding, Figures] | None = None,
    batch: int = 1,
) -> CostReport:
    """Price one network.

    Args:
        bank: arrays and what they share.
        network: shapes.
        assignment: multiplier of each layer, and what is skipped; None = exact.
        multipliers: name -> multiplier with figures; the library's need not be given.
        exact: figures of the exact circuits by coding; default: those of the shipped library.
        batch: inferences computed together; all figures are of the batch.

    Raises:
        As `ArrayBank.cost`.
    """
    routed = route_layers(bank, network, assignment, multipliers, exact=exact, batch=batch)
    layers = tuple(_layer_cost(bank, routed, i) for i in range(len(network.layers)))
    memory, area = _memory(routed), routed.built.area_m2
    kinds = {array.multiplier: kind for array, kind in zip(bank.arrays, routed.built.kinds, strict=True)}
    return CostReport(
        network=network.name,
        accelerator=bank.name,
        model=MODEL,
        reading="buildable",
        layers=layers,
        pods=dict(sorted(Counter(array.multiplier for array in bank.arrays).items())),
        energy_j=sum(layer.total_energy_j for layer in layers),
        latency_s=sum(layer.latency_s for layer in layers),
        memory_bytes=sum(memory.values()),
        area_m2=sum(area.values()),
        multiplier_energy_j=sum(layer.energy_j["multiplier"] for layer in layers),
        area_breakdown_m2=area,
        memory_breakdown_bytes=memory,
        sources={**bank.sources, **figure_sources(kinds, exact_figures(exact))},
        batch=batch,
        notes=_notes(bank, routed),
    )


def _layer_cost(bank: ArrayBank, routed: Routed, index: int) -> LayerCost:
    layer, a = routed.shapes.layers[index], routed.route[index]
    priced, array, chip = routed.priced[a], bank.arrays[a], routed.built.chips[a]
    latency = float(priced.latency_s[index])
    energy = {name: float(joules[index]) for name, joules in priced.energy_j.items()}
    return LayerCost(
        layer=layer.name,
        multiplier=array.multiplier,
        pods=1,
        macs=layer.macs,
        cycles=int(priced.cycles[index]),
        latency_s=latency,
        utilisation=float(layer.macs / (priced.cycles[index] * chip.rows * chip.columns)),
        bound=BOUNDS[int(priced.terms.timings.bound[index, 0])],
        energy_j={**energy, "static": float(routed.watts[a] * latency)},
        traffic_bytes={name: float(moved[index]) for name, moved in priced.terms.moved._asdict().items()},
        memory_bytes=working_set(layer),
        area_m2=routed.built.pod_area_m2[a],
    )


def _memory(routed: Routed) -> dict[str, int]:
    """Footprint of the network; partial sums live on the array of their layer."""
    sums = [partial_sum_bytes(p.terms.layers, chip) for p, chip in zip(routed.priced, routed.built.chips, strict=True)]
    most = max(int(sums[a][i]) for i, a in enumerate(routed.route))
    return {**memory_bytes(routed.shapes, routed.priced[0].terms, routed.built.chips[0]), "partial_sums": most}


def _notes(bank: ArrayBank, routed: Routed) -> tuple[str, ...]:
    """Who runs what, and what is not priced."""
    names = routed.shapes.layer_names
    on = {a: [name for name, used in zip(names, routed.route, strict=True) if used == a] for a in routed.route}
    runs = "; ".join(f"array {a} ({bank.arrays[a].label}): {', '.join(on[a])}" for a in sorted(on))
    return (
        "layers run one after the other, each on one array; the others "
        f"draw {bank.idle_fraction:g} of their static power meanwhile",
        f"layers by array: {runs}",
        "not priced: energy and cycles of the network between memories and arrays (its area and leakage are), and "
        "operators that are no multiply-accumulate layers",
    )
