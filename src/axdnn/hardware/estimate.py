"""`estimate`: the `CostReport` of a network under an assignment, with breakdown, notes and sources."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

from axdnn.hardware.accelerator import Accelerator, load_accelerator
from axdnn.hardware.batching import batched
from axdnn.hardware.building import Build, buildable, ideal
from axdnn.hardware.components import (
    ACCUMULATOR_BYTES,
    exact_figures,
    mac_rest_j,
    multiply_j,
    pod_area_m2,
    require_figures,
)
from axdnn.hardware.notes import notes, sources
from axdnn.hardware.operators import operator_notes, priced_operators, totals_note
from axdnn.hardware.row_mapping import term_counts
from axdnn.hardware.skipping import thinned
from axdnn.hardware.streaming import BOUNDS, MODEL, LayerTerms, layer_terms, memory_bytes
from axdnn.hardware.technology import clock_limit_hz
from axdnn.hardware.vector_unit import vector_sources
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
    Operators,
    Reading,
    unknown_name,
)


def estimate(
    network: Network,
    assignment: Assignment,
    accelerator: str | Accelerator = "tpu_v4",
    *,
    multipliers: Mapping[str, Multiplier],
    reading: Reading = "buildable",
    exact: Mapping[Coding, Figures] | None = None,
    batch: int = 1,
    delay_limits_clock: bool = False,
    operators: Operators = "apart",
) -> CostReport:
    """Energy, latency, memory and area of one batch of inferences, `streaming` model.

    Args:
        network: shapes.
        assignment: multiplier of each layer; with `pods`, also how many pods hold each (then nothing is chosen); with
            `skip` and `absent`, the shapes that are left are priced (see `thinned`).
        accelerator: name, path of a YAML file, or loaded.
        multipliers: name -> multiplier with figures, at least those in the assignment.
        reading: `buildable`: each pod holds one fixed multiplier, a layer runs on the pods of its kind, and the
            allocation of all pods to kinds with least energy is taken. `ideal`: every pod runs every chosen
            multiplier at no cost; an upper bound of the benefit. Exact rows stay exact in both.
        exact: figures of the exact circuits by coding; default: those of the shipped library.
        batch: inferences computed together; all figures are of the batch.
        delay_limits_clock: whether a circuit slower than the exact one of its signedness lowers the chip's clock, as if
            the exact one just met the period; faster ones never raise it.
        operators: where operators go that are no multiply-accumulate layers. `apart`: they stand beside the totals.
            `included`: energy and latency contain them, with static energy of the chip for the time of their passes.
            The choice of pods does not look at them.

    Raises:
        UnknownNameError: unknown accelerator, layer or multiplier.
        InvalidInputError: a layer without multiplier, a multiplier without figures, more kinds than pods, or a pod
            allocation that does not fit.
    """
    for name, value, known in (("reading", reading, get_args(Reading)), ("operators", operators, get_args(Operators))):
        if value not in known:
            raise InvalidInputError(f"`{name}` must be one of {', '.join(known)}, but got {value!r}")
    chip = accelerator if isinstance(accelerator, Accelerator) else load_accelerator(accelerator)
    kinds = kinds_in_use(network, assignment, multipliers)
    network = batched(thinned(network, assignment), batch)
    reference = exact_figures(exact)
    if delay_limits_clock:
        chip = slowed(chip, kinds, reference)
    terms = layer_terms(network, chip)
    if reading == "ideal":
        build = ideal(kinds, chip, reference)
    else:
        build = buildable(network, assignment, kinds, chip, terms, reference)
    layers = _layer_costs(network, assignment, kinds, chip, reference, terms, build)
    memory = memory_bytes(network, terms, chip)
    included = operators == "included"
    static_w = build.static_w if included else None
    priced = priced_operators(network, chip, static_w)
    operator_j = sum(operator.total_energy_j for operator in priced)
    operator_s = sum(operator.latency_s for operator in priced)
    said = notes(
        reading, layers, kinds, reference, chip, _exact_rows_j(network, chip), delay_limits_clock,
        totals_note(priced, static_w), operator_j if included else 0.0,
    )  # fmt: skip
    return CostReport(
        network=network.name,
        accelerator=chip.name,
        model=MODEL,
        batch=batch,
        reading=reading,
        layers=layers,
        pods=build.pods,
        energy_j=sum(layer.total_energy_j for layer in layers) + (operator_j if included else 0.0),
        latency_s=sum(layer.latency_s for layer in layers) + (operator_s if included else 0.0),
        memory_bytes=sum(memory.values()),
        area_m2=sum(build.area_m2.values()),
        multiplier_energy_j=sum(layer.energy_j["multiplier"] for layer in layers),
        area_breakdown_m2=build.area_m2,
        memory_breakdown_bytes=memory,
        notes=(*said, *operator_notes(network.exact_operators)),
        sources={**sources(chip, kinds, reference), **vector_sources(chip)},
        operators=priced,
        operator_energy_j=operator_j,
        operator_latency_s=operator_s,
        operators_included=included,
    )


def slowed(chip: Accelerator, kinds: Mapping[str, Multiplier], exact: Mapping[Coding, Figures]) -> Accelerator:
    """Return the chip with the clock that its slowest multiplier allows, see `delay_limits_clock` of `estimate`."""
    ratios = {name: require_figures(m).delay_s / exact[m.coding].delay_s for name, m in kinds.items()}
    name = max(ratios, key=lambda key: ratios[key])
    if ratios[name] <= 1:
        return chip
    told = (
        f"{chip.sources.get('array.clock', 'unknown')}; / {ratios[name]:.4g} for {name}, slower than the exact circuit"
    )
    changed = chip.replace(clock_hz=float(clock_limit_hz(ratios[name], chip.clock_hz)))
    return changed.replace(sources={**chip.sources, "array.clock": told})


def kinds_in_use(
    network: Network, assignment: Assignment, multipliers: Mapping[str, Multiplier]
) -> dict[str, Multiplier]:
    """Check an assignment against a network; return its multipliers, those with pods alone too, sorted by name.

    Raises:
        InvalidInputError: a layer without multiplier.
        UnknownNameError: a layer that the network does not have, or a multiplier that is not given.
    """
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


def _exact_rows_j(network: Network, chip: Accelerator) -> tuple[float, ...]:
    """Multiplier energy of each layer that is spent on exact rows."""
    macs = (layer.groups * layer.m * layer.n * term_counts(layer.k, chip)[0] for layer in network.layers)
    return tuple(count * chip.multiply_j for count in macs)


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
    kept_j = _exact_rows_j(network, chip)
    area_m2 = {name: pod_area_m2(m, chip, exact) for name, m in kinds.items()}
    moved = {field: values.tolist() for field, values in terms.moved._asdict().items()}
    for i, layer in enumerate(network.layers):
        name = assignment.multipliers[layer.name]
        column = build.available[name] - 1
        cycles, used = int(terms.timings.cycles[i, column]), int(terms.timings.pods_used[i, column])
        latency = cycles / chip.clock_hz
        outputs = layer.groups * layer.m * layer.n
        corrections = terms.zero_point_j[i] if kinds[name].coding == "unsigned" else 0.0
        energy = {
            "multiplier": outputs * term_counts(layer.k, chip)[1] * product_j[name] + kept_j[i],
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
                memory_bytes=working_set(layer),
                area_m2=used * area_m2[name],
            )
        )
    return tuple(costs)


def working_set(layer: Layer) -> int:
    """Bytes of a layer's int8 weights, int32 biases, int8 inputs and output."""
    biases = ACCUMULATOR_BYTES * layer.groups * layer.n if layer.has_bias else 0
    weights = 0 if layer.kind == "matmul" else layer.weights  # of a product of activations both operands are inputs
    return weights + biases + layer.input_words + layer.output_words
