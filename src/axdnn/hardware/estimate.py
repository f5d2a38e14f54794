"""`estimate`: the `CostReport` of a network under an assignment, with breakdown, notes and sources."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, get_args

import numpy as np

from axdnn.hardware.accelerator import Accelerator, load_accelerator
from axdnn.hardware.components import (
    ACCUMULATOR_BYTES,
    exact_figures,
    mac_rest_j,
    multiply_j,
    pe_area_m2,
    pod_area_m2,
    pod_static_w,
    shared_area_m2,
    shared_static_w,
)
from axdnn.hardware.notes import notes, sources
from axdnn.hardware.pods import allocate
from axdnn.hardware.streaming import BOUNDS, MODEL, LayerTerms, layer_terms, memory_bytes
from axdnn.records import (
    Assignment,
    Coding,
    CostReport,
    Figures,
    InvalidInputError,
    Layer,
    LayerCost,
    Multiplier,
    Network,
    Reading,
    unknown_name,
)


class Build(NamedTuple):
    """What is built: pods of each kind, pods a layer of each kind may use, static power, and its area by part."""

    pods: dict[str, int]
    available: dict[str, int]
    static_w: float
    area_m2: dict[str, float]


def estimate(
    network: Network,
    assignment: Assignment,
    accelerator: str | Accelerator = "tpu_v4",
    *,
    multipliers: Mapping[str, Multiplier],
    reading: Reading = "buildable",
    exact: Mapping[Coding, Figures] | None = None,
) -> CostReport:
    """Energy, latency, memory and area of one inference at batch 1, `streaming` model.

    Args:
        network: shapes.
        assignment: multiplier of each layer; with `pods`, also how many pods hold each (then nothing is chosen).
        accelerator: name, path of a YAML file, or loaded.
        multipliers: name -> multiplier with figures, at least those in the assignment.
        reading: `buildable`: each pod holds one fixed multiplier, a layer runs on the pods of its kind, and the
            allocation of all pods to kinds with least energy is taken. `ideal`: every pod runs every chosen
            multiplier at no cost; an upper bound of the benefit.
        exact: figures of the exact circuits by coding; default: those of the shipped library.

    Raises:
        UnknownNameError: unknown accelerator, layer or multiplier.
        InvalidInputError: a layer without multiplier, a multiplier without figures, more kinds than pods, or a pod
            allocation that does not fit.
    """
    if reading not in get_args(Reading):
        raise InvalidInputError(f"`reading` must be one of {', '.join(get_args(Reading))}, but got {reading!r}")
    chip = accelerator if isinstance(accelerator, Accelerator) else load_accelerator(accelerator)
    kinds = _kinds(network, assignment, multipliers)
    reference = exact_figures(exact)
    terms = layer_terms(network, chip)
    build = _ideal(kinds, chip) if reading == "ideal" else _buildable(network, assignment, kinds, chip, terms)
    layers = _layer_costs(network, assignment, kinds, chip, reference, terms, build)
    memory = memory_bytes(network, terms, chip)
    return CostReport(
        network=network.name,
        accelerator=chip.name,
        model=MODEL,
        reading=reading,
        layers=layers,
        pods=build.pods,
        energy_j=sum(layer.total_energy_j for layer in layers),
        latency_s=sum(layer.latency_s for layer in layers),
        memory_bytes=sum(memory.values()),
        area_m2=sum(build.area_m2.values()),
        multiplier_energy_j=sum(layer.energy_j["multiplier"] for layer in layers),
        area_breakdown_m2=build.area_m2,
        memory_breakdown_bytes=memory,
        notes=notes(reading, layers, kinds, reference),
        sources=sources(chip, kinds, reference),
    )


def _kinds(network: Network, assignment: Assignment, multipliers: Mapping[str, Multiplier]) -> dict[str, Multiplier]:
    """Check the assignment against the network; return the multipliers in use or with pods, sorted by name."""
    for name in network.layer_names:
        if name not in assignment.multipliers:
            raise InvalidInputError(f"the assignment must give every layer a multiplier, but layer {name!r} has none")
    for name in assignment.multipliers:
        if name not in network.layer_names:
            raise unknown_name("layer", name, network.layer_names, f"the network is {network.name!r}")
    names = sorted({*assignment.kinds, *assignment.pods})
    for name in names:
        if name not in multipliers:
            raise unknown_name("multiplier", name, multipliers, "the argument `multipliers` must hold it")
    return {name: multipliers[name] for name in names}


def _area(kinds: Mapping[str, Multiplier], pods: Mapping[str, int], chip: Accelerator) -> dict[str, float]:
    """Area by part, for pods of each kind."""
    elements = chip.rows * chip.columns
    parts = {name: pe_area_m2(kinds[name], chip) for name in pods}
    return {
        "multiplier": sum(count * elements * parts[name][0] for name, count in pods.items()),
        "mac_rest": sum(count * elements * parts[name][1] for name, count in pods.items()),
        **shared_area_m2(chip, sum(pods.values())),
    }


def _ideal(kinds: Mapping[str, Multiplier], chip: Accelerator) -> Build:
    """Every pod is every kind: all pods for every layer, static power of the least kind, area of the largest."""
    largest = max(kinds, key=lambda name: pod_area_m2(kinds[name], chip))
    watts = min(pod_static_w(m, chip) for m in kinds.values()) * chip.pods + shared_static_w(chip, chip.pods)
    every = dict.fromkeys(kinds, chip.pods)
    return Build(every, every, watts, _area(kinds, {largest: chip.pods}, chip))


def _buildable(
    network: Network, assignment: Assignment, kinds: Mapping[str, Multiplier], chip: Accelerator, terms: LayerTerms
) -> Build:
    """The given allocation of pods, or the one of least energy."""
    pods = _given(assignment, chip) if assignment.pods else {}
    if not pods:
        if len(kinds) > chip.pods:
            raise InvalidInputError(
                f"a buildable {chip.name!r} has at most {chip.pods} kinds of multiplier, one a pod, but the assignment "
                f"has {len(kinds)}: {', '.join(kinds)}; use fewer kinds or reading='ideal'"
            )
        choice = np.array([assignment.multipliers[name] for name in network.layer_names])
        latency = terms.timings.cycles / chip.clock_hz
        by_kind = np.stack([latency[choice == name].sum(axis=0) for name in kinds])
        watts = np.array([pod_static_w(m, chip) for m in kinds.values()])
        best = allocate(by_kind[None], watts[None], shared_static_w(chip, chip.pods))
        pods = {name: int(count) for name, count in zip(kinds, best.pods[0], strict=True)}
    power = sum(count * pod_static_w(kinds[name], chip) for name, count in pods.items())
    return Build(pods, pods, power + shared_static_w(chip, sum(pods.values())), _area(kinds, pods, chip))


def _given(assignment: Assignment, chip: Accelerator) -> dict[str, int]:
    """Check an allocation that the caller gave."""
    pods = dict(sorted(assignment.pods.items()))
    for name, count in pods.items():
        if isinstance(count, bool) or not isinstance(count, int) or count < 0:
            raise InvalidInputError(f"`pods` must hold whole numbers >= 0, but got {count!r} for {name!r}")
    if sum(pods.values()) > chip.pods:
        raise InvalidInputError(
            f"`pods` must sum to at most {chip.pods} on {chip.name!r}, but got {sum(pods.values())}: {pods}"
        )
    for name in assignment.kinds:
        if pods.get(name, 0) < 1:
            raise InvalidInputError(f"`pods` must give every multiplier in use at least one pod, but {name!r} has none")
    return pods


def _layer_costs(
    network: Network,
    assignment: Assignment,
    kinds: Mapping[str, Multiplier],
    chip: Accelerator,
    exact: Mapping[Coding, Figures],
    terms: LayerTerms,
    build: Build,
) -> tuple[LayerCost, ...]:
    """One record a layer."""
    costs = []
    product_j = {name: multiply_j(m, chip, exact) for name, m in kinds.items()}
    rest_j = {name: mac_rest_j(m, chip) for name, m in kinds.items()}
    moved = {field: values.tolist() for field, values in terms.moved._asdict().items()}
    for i, layer in enumerate(network.layers):
        name = assignment.multipliers[layer.name]
        column = build.available[name] - 1
        cycles, used = int(terms.timings.cycles[i, column]), int(terms.timings.pods_used[i, column])
        latency = cycles / chip.clock_hz
        corrections = terms.zero_point_j[i] if kinds[name].coding == "unsigned" else 0.0
        energy = {
            "multiplier": layer.macs * product_j[name],
            "mac_rest": float(layer.macs * rest_j[name] + terms.weight_load_j[i] + corrections),
            "sram": float(terms.sram_j[i]),
            "dram": float(terms.dram_j[i]),
            "interconnect": float(terms.interconnect_j[i]),
            "static": build.static_w * latency,
        }
        costs.append(
            LayerCost(
                layer=layer.name,
                multiplier=name,
                pods=used,
                macs=layer.macs,
                cycles=cycles,
                latency_s=latency,
                utilisation=layer.macs / (cycles * used * chip.rows * chip.columns),
                bound=BOUNDS[int(terms.timings.bound[i, column])],
                energy_j=energy,
                traffic_bytes={field: values[i] for field, values in moved.items()},
                memory_bytes=_working_set(layer),
                area_m2=used * pod_area_m2(kinds[name], chip),
            )
        )
    return tuple(costs)


def _working_set(layer: Layer) -> int:
    """Bytes of a layer's int8 weights, int32 biases, int8 input and output."""
    biases = ACCUMULATOR_BYTES * layer.groups * layer.n if layer.has_bias else 0
    return layer.weights + biases + layer.input_words + layer.output_words
