"""What every layer costs on every array of a bank, and which array it takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from axdnn.hardware.accelerator import Accelerator
from axdnn.hardware.banks.bank import ArrayBank
from axdnn.hardware.batching import batched
from axdnn.hardware.components import (
    exact_figures,
    mac_rest_j,
    multiply_j,
    pod_area_parts_m2,
    pod_static_w,
    require_figures,
    shared_area_m2,
    shared_static_w,
)
from axdnn.hardware.dataflows import Floats
from axdnn.hardware.interface import exact_assignment
from axdnn.hardware.skipping import thinned
from axdnn.hardware.streaming import LayerTerms, layer_terms
from axdnn.records import (
    Assignment,
    Coding,
    Figures,
    InfeasibleError,
    InvalidInputError,
    Multiplier,
    Network,
    UnknownNameError,
)


class Built(NamedTuple):
    """What is built: each array as a chip of one pod, its multiplier, area and static power; what all share."""

    chips: tuple[Accelerator, ...]
    kinds: tuple[Multiplier, ...]
    pod_area_m2: tuple[float, ...]
    own_w: Floats
    shared_w: float
    area_m2: dict[str, float]

    def working_w(self, idle_fraction: float) -> Floats:
        """Static power while one array works: its own, what is shared, and the idle part of the others'; `(A,)`."""
        return np.asarray(self.own_w + self.shared_w + idle_fraction * (self.own_w.sum() - self.own_w))


class Priced(NamedTuple):
    """Every layer on one array: arrays over layers, shape `(L,)`; energies without static power."""

    terms: LayerTerms
    cycles: Floats
    latency_s: Floats
    energy_j: Mapping[str, npt.NDArray[Any]]


class Routed(NamedTuple):
    """Layers with their arrays: the shapes that are left, what is built, every array's prices, and each layer's array.

    `assignment` is the one given, or the exact one.
    """

    shapes: Network
    assignment: Assignment
    built: Built
    priced: tuple[Priced, ...]
    watts: Floats
    route: tuple[int, ...]


def route_layers(
    bank: ArrayBank,
    network: Network,
    assignment: Assignment | None,
    multipliers: Mapping[str, Multiplier] | None = None,
    *,
    exact: Mapping[Coding, Figures] | None = None,
    batch: int = 1,
) -> Routed:
    """Give every layer the array of its multiplier with least energy; arguments and errors as of `ArrayBank.cost`."""
    known, reference = known_multipliers(bank, multipliers), exact_figures(exact)
    chosen = assignment or usual_assignment(bank, network, known)
    shapes = batched(thinned(network, chosen), batch)
    built = build(bank, known, exact)
    priced = tuple(_price(shapes, chip, m, reference) for chip, m in zip(built.chips, built.kinds, strict=True))
    watts = built.working_w(bank.idle_fraction)
    total = np.stack([sum(p.energy_j.values()) + watts[i] * p.latency_s for i, p in enumerate(priced)], axis=1)
    fits = {name: _fitting(bank, name, known) for name in set(chosen.multipliers.values())}
    route = tuple(_cheapest(bank, layer, chosen, fits, total[i]) for i, layer in enumerate(network.layer_names))
    return Routed(shapes, chosen, built, priced, watts, route)


def known_multipliers(bank: ArrayBank, given: Mapping[str, Multiplier] | None) -> dict[str, Multiplier]:
    """Return the given multipliers and those of the arrays: the given one of any of its names, else the library's."""
    from axdnn.multipliers import load_multiplier

    known = dict(given or {})
    for name in {array.multiplier for array in bank.arrays} - set(known):
        loaded = load_multiplier(name)
        known[name] = known.get(loaded.name, loaded)
    return known


def usual_assignment(bank: ArrayBank, network: Network, known: Mapping[str, Multiplier]) -> Assignment:
    """Return the exact multiplier for every layer: the signed one if an array holds it, else another that one does.

    Raises:
        InfeasibleError: no array is exact; names their multipliers.
    """
    if _fitting(bank, "exact", known):
        return exact_assignment(network)
    held = next((array.multiplier for array in bank.arrays if known[array.multiplier].is_exact), None)
    if held is None:
        raise InfeasibleError(
            f"{bank.name!r} has no exact array, and nothing says what the layers use: give them a multiplier of "
            f"{_held(bank)}, or add an array"
        )
    return Assignment(multipliers=dict.fromkeys(network.layer_names, held))


def build(bank: ArrayBank, known: Mapping[str, Multiplier], exact: Mapping[Coding, Figures] | None = None) -> Built:
    """Return what is built; `known` as of `known_multipliers`.

    Memories are shared. Each array has its part of the network between them, at its own width.
    """
    reference, count = exact_figures(exact), len(bank.arrays)
    kinds = tuple(known[array.multiplier] for array in bank.arrays)
    chips = tuple(_alone(bank, i, kind, reference) for i, kind in enumerate(kinds))
    pods = [pod_area_parts_m2(kind, chip, reference) for chip, kind in zip(chips, kinds, strict=True)]
    shared = [shared_area_m2(chip, count) for chip in chips]
    area = {
        "multiplier": sum(product for product, _ in pods),
        "mac_rest": sum(rest for _, rest in pods),
        "sram": float(shared[0]["sram"]),
        "interconnect": float(sum(area["interconnect"] for area in shared)) / count,
    }
    own = [pod_static_w(kind, chip, reference) for chip, kind in zip(chips, kinds, strict=True)]
    watts = sum(float(shared_static_w(chip, count)) for chip in chips) / count
    return Built(chips, kinds, tuple(map(sum, pods)), np.array(own), watts, area)


def _alone(bank: ArrayBank, index: int, kind: Multiplier, exact: Mapping[Coding, Figures]) -> Accelerator:
    """The shared chip with this array as its only pod."""
    array, sources = bank.arrays[index], dict(bank.chip.sources)
    for field in ("rows", "columns"):
        sources[f"array.{field}"] = f"{getattr(array, field)}; array {index} of {bank.name}"
    sources["array.pods"] = f"1; array {index} of {bank.name} alone"
    clock = bank.chip.clock_hz
    if bank.delay_limits_clock:
        slowdown = max(1.0, require_figures(kind).delay_s / exact[kind.coding].delay_s)
        clock /= slowdown
        said = f"/ {slowdown:.4g}, delay of {kind.name} / delay of the exact circuit, at least 1"
        sources["array.clock"] = f"{sources.get('array.clock', f'{bank.chip.clock_hz:g} Hz')}; {said}"
    changes = {"pods": 1, "pods_together": 1, "rows": array.rows, "columns": array.columns, "clock_hz": clock}
    return msgspec.structs.replace(bank.chip, **changes, sources=sources)


def _price(network: Network, chip: Accelerator, kind: Multiplier, exact: Mapping[Coding, Figures]) -> Priced:
    terms = layer_terms(network, chip)
    macs = terms.layers.macs
    cycles = terms.timings.cycles[:, 0].astype(np.float64)
    rest = macs * mac_rest_j(kind, chip) + terms.weight_load_j
    energy = {
        "multiplier": macs * multiply_j(kind, chip, exact),
        "mac_rest": rest + (terms.zero_point_j if kind.coding == "unsigned" else 0.0),
        "sram": terms.sram_j,
        "dram": terms.dram_j,
        "interconnect": terms.interconnect_j,
    }
    return Priced(terms, cycles, cycles / chip.clock_hz, energy)


def _fitting(bank: ArrayBank, name: str, known: Mapping[str, Multiplier]) -> list[int]:
    """Arrays of this multiplier: of that name, or of another name of the same circuit."""
    from axdnn.multipliers import load_multiplier

    wanted = known.get(name)
    if wanted is None:
        try:
            wanted = load_multiplier(name)
        except UnknownNameError:  # a name of nothing is held by no array
            return []
        wanted = known.get(wanted.name, wanted)
    return [i for i, a in enumerate(bank.arrays) if a.multiplier == name or _same(known[a.multiplier], wanted)]


def _same(one: Multiplier, other: Multiplier) -> bool:
    """Whether two multipliers are one circuit: the same products at the same price."""
    return one.id == other.id and one.figures == other.figures


def _cheapest(
    bank: ArrayBank, layer: str, assignment: Assignment, fits: Mapping[str, list[int]], energy_j: Floats
) -> int:
    """The array of a layer's multiplier with least energy, the first of equal ones."""
    if layer not in assignment.multipliers:
        raise InvalidInputError(f"the assignment must give every layer a multiplier, but layer {layer!r} has none")
    wanted = assignment.multipliers[layer]
    if not fits[wanted]:
        raise InfeasibleError(
            f"layer {layer!r} wants multiplier {wanted!r}, but the arrays hold {_held(bank)}; add an array"
        )
    return min(fits[wanted], key=lambda i: float(energy_j[i]))


def _held(bank: ArrayBank) -> str:
    return ", ".join(sorted({array.multiplier for array in bank.arrays}))
