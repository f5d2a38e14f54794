"""How area and memory of a whole system come about; formulas are Python expressions over the inputs' names."""

from __future__ import annotations

from collections.abc import Mapping

from axdnn.hardware.accelerator import Accelerator
from axdnn.hardware.batching import batched
from axdnn.hardware.estimate import estimate
from axdnn.hardware.explained import Explained, Input
from axdnn.hardware.explaining_chip import explain_chip
from axdnn.hardware.imc import ImcChip, explain_imc_chip, explain_imc_memory, imc_report
from axdnn.hardware.systems.chip import SystemChip
from axdnn.records import Assignment, CostReport, Multiplier, Network


def explain_system_chip(
    report: CostReport, network: Network, chip: SystemChip, *, multipliers: Mapping[str, Multiplier]
) -> tuple[Explained, ...]:
    """Explain the area of each core, of the shared buffer and of the links, and the memory of weights and activations.

    Args:
        report: of `mapped_report`.
        network: that was priced, skipped neurons taken out.
        chip: that it was priced on.
        multipliers: name -> multiplier with figures.
    """
    area, found = report.area_breakdown_m2, []
    for name, design in chip.cores.items():
        if isinstance(design, Accelerator):
            parts = _systolic(report, network, design, multipliers)
        else:
            parts = _in_memory(network, design)
        parts = tuple(part for part in parts if part.name.startswith("area: "))
        inputs = {key: x for part in parts for key, x in part.inputs.items()}
        formula = " + ".join(f"({part.formula})" for part in parts)
        found.append(Explained(f"area: {name}", area[name], "m2", formula, inputs))
    for name, field, path in (("buffer", "buffer_m2", "area.buffer"), ("links", "link_m2", "area.links")):
        source = f"{chip.name}, {path}: {chip.sources.get(path, 'not told')}"
        found.append(Explained(f"area: {name}", area[name], "m2", field, {field: Input(getattr(chip, field), source)}))
    return (*found, *explain_imc_memory(report, network))


def _systolic(
    report: CostReport, network: Network, design: Accelerator, multipliers: Mapping[str, Multiplier]
) -> tuple[Explained, ...]:
    """A core is built for all layers, those that other cores run too."""
    shapes, chosen = (
        batched(network, report.batch),
        Assignment(multipliers={x.layer: x.multiplier for x in report.layers}),
    )
    alone = estimate(shapes, chosen, design, multipliers=multipliers)
    return explain_chip(alone, shapes, design, multipliers=multipliers)


def _in_memory(network: Network, design: ImcChip) -> tuple[Explained, ...]:
    """Arrays are as many as the design says, whatever runs on them."""
    one = Network(name=network.name, layers=network.layers[:1])
    return explain_imc_chip(imc_report(one, design.replace(reload=1)), one, design)
