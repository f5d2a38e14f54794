"""The `CostReport` of a network on a system on a chip: its best mapping to the cores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple, get_args

from axdnn.hardware.batching import batched
from axdnn.hardware.interface import exact_assignment
from axdnn.hardware.mapping import LayerRow, Mapped, pipelined, sequential
from axdnn.hardware.skipping import thinned
from axdnn.hardware.systems.chip import SystemChip
from axdnn.hardware.systems.core_costs import CoreCosts, core_costs
from axdnn.records import Assignment, CostReport, LayerCost, Multiplier, Network, unknown_name

MODEL = "system"
Schedule = Literal["sequential", "pipelined"]


def mapped_report(
    chip: SystemChip,
    network: Network,
    assignment: Assignment | None,
    multipliers: Mapping[str, Multiplier],
    *,
    batch: int = 1,
    objective: str | tuple[float, float] = "energy",
    schedule: Schedule = "sequential",
) -> CostReport:
    """Price one network on the best mapping.

    Args:
        chip: cores, links and memory.
        network: shapes.
        assignment: multipliers of layers that run on systolic cores; None = exact.
        multipliers: name -> multiplier with figures.
        batch: inferences computed together.
        objective: of the mapping in series: `latency`, `energy`, `edp` or weights of (latency, energy).
        schedule: `sequential`, layers one after the other, or `pipelined`, inferences that follow each other through
            the cores (least time between two of them).

    Raises:
        InfeasibleError: no mapping; says what binds and what would help.
        UnknownNameError: another objective or schedule.
    """
    return report_of(chip, mapped_run(chip, network, assignment, multipliers, batch, objective, schedule))


class MappedRun(NamedTuple):
    """What a report is made of: the shapes and multipliers that were priced, the cores' costs, and the mapping."""

    shapes: Network
    assignment: Assignment
    costs: CoreCosts
    mapped: Mapped
    batch: int


def mapped_run(
    chip: SystemChip, network: Network, assignment: Assignment | None, multipliers: Mapping[str, Multiplier],
    batch: int, objective: str | tuple[float, float], schedule: Schedule,
) -> MappedRun:  # fmt: skip
    """Find the best mapping; arguments and errors as of `mapped_report`."""
    if schedule not in get_args(Schedule):
        raise unknown_name("schedule", schedule, get_args(Schedule))
    chosen = assignment or exact_assignment(network)
    shapes = batched(thinned(network, chosen), batch)
    costs = core_costs(chip, shapes, chosen, multipliers)
    if schedule == "pipelined":
        found = pipelined(costs.problem)
    else:
        found = sequential(costs.problem, objective)  # type: ignore[arg-type]
    return MappedRun(shapes, chosen, costs, found.raise_if_infeasible(), batch)


def busy_s(row: LayerRow) -> float:
    """Time of a layer, by whose share it bears what belongs to no layer: computing, reloading, fetching its inputs."""
    return row.compute_s + row.reload_s + row.transfer_s


def report_of(chip: SystemChip, run: MappedRun) -> CostReport:
    """The report of a mapping."""
    shapes, costs, mapped = run.shapes, run.costs, run.mapped
    names = [
        "transfer",
        "reload",
        "spill",
        "static",
        *dict.fromkeys(k for row in costs.energy_j for p in row for k in p),
    ]
    all_busy_s = sum(busy_s(row) for row in mapped.layers)
    layers = []
    for i, (layer, row, core) in enumerate(zip(shapes.layers, mapped.layers, mapped.cores, strict=True)):
        share = busy_s(row) / all_busy_s  # of what belongs to no layer
        energy = dict.fromkeys(names, 0.0) | costs.energy_j[i][core] | {
            "transfer": row.transfer_j, "reload": row.reload_j, "spill": mapped.energy_parts_j["spill"] * share,
            "static": mapped.energy_parts_j["static"] * share,
        }  # fmt: skip
        layers.append(LayerCost(
            layer=layer.name, multiplier=run.assignment.multipliers[layer.name], pods=1, macs=layer.macs, cycles=0,
            latency_s=busy_s(row) + mapped.latency_parts_s["spill"] * share, bound=row.core, energy_j=energy,
            utilisation=float(costs.utilisation[i, core]),
            memory_bytes=(0 if layer.kind == "matmul" else layer.weights) + layer.input_words + layer.output_words,
        ))  # fmt: skip
    area = {**costs.area_m2, "buffer": chip.buffer_m2, "links": chip.link_m2}
    peak = shapes.peak_activation_words or max(x.input_words + x.output_words for x in shapes.layers)
    memory = {"weights": shapes.weights, "activations": peak}
    of_cores = {f"{name}: {key}": text for name, core in chip.cores.items() for key, text in core.sources.items()}
    return CostReport(
        network=shapes.name, accelerator=chip.name, model=MODEL, reading="buildable", layers=tuple(layers), pods={},
        energy_j=sum(x.total_energy_j for x in layers), latency_s=mapped.latency_s, memory_bytes=sum(memory.values()),
        area_m2=sum(area.values()), multiplier_energy_j=sum(x.energy_j.get("multiplier", 0.0) for x in layers),
        area_breakdown_m2=area, memory_breakdown_bytes=memory, sources={**chip.sources, **of_cores}, batch=run.batch,
        notes=(f"mapping by {mapped.method}, at most {100 * mapped.gap:.2g} % above the least {mapped.objective}; "
               f"an inference every {mapped.period_s:.4g} s; `bound` names a layer's core",
               *((mapped.note,) if mapped.note else ())),
    )  # fmt: skip
