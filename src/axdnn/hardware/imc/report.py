"""The `CostReport` of a network on an in-memory chip."""

from __future__ import annotations

import numpy.typing as npt

from axdnn.hardware.batching import batched
from axdnn.hardware.imc.activity import Activity
from axdnn.hardware.imc.chip import ImcChip
from axdnn.hardware.imc.cost import imc_cost
from axdnn.hardware.imc.result import BOUNDS, ImcCost
from axdnn.records import CostReport, InfeasibleError, Layer, LayerCost, Network

MODEL = "imc"
NOTES = (
    "layers run one after the other, weights in place unless they do not fit; not priced: a limit of the buffer's "
    "size, activations off the chip, voltage drop in wires, operators that do not multiply; `utilisation` is the share "
    "of the cells that hold weights",
)


def imc_report(
    network: Network,
    chip: ImcChip,
    *,
    batch: int = 1,
    activity: Activity | None = None,
    replicas: npt.ArrayLike = 1,
    pack_groups: bool = False,
) -> CostReport:
    """Price a network on an in-memory chip; arguments as of `imc_cost`, and a batch of inferences.

    Raises:
        InfeasibleError: the weights do not fit and may not be reloaded; names the resource and what would help.
    """
    shapes = batched(network, batch)
    cost = imc_cost(shapes, chip, activity, replicas=replicas, pack_groups=pack_groups)
    if (missing := cost.shortfall()) is not None:
        raise InfeasibleError(f"{network.name!r} does not fit {chip.name!r}: {missing}")
    layers = tuple(_layer(layer, cost, i) for i, layer in enumerate(shapes.layers))
    area = {part: float(value) for part, value in cost.area_m2.items()}
    peak = shapes.peak_activation_words or max(x.input_words + x.output_words for x in shapes.layers)
    memory = {"weights": network.weights, "activations": peak}
    given = activity is not None
    return CostReport(
        network=network.name, accelerator=chip.name, model=MODEL, reading="buildable", layers=layers, pods={},
        energy_j=sum(x.total_energy_j for x in layers), latency_s=sum(x.latency_s for x in layers),
        memory_bytes=sum(memory.values()), area_m2=sum(area.values()), multiplier_energy_j=0.0,
        area_breakdown_m2=area, memory_breakdown_bytes=memory, sources=chip.sources, batch=batch,
        notes=(*NOTES, "operand activity as given" if given else "operand activity 1: every cell and bit switches",
               *_lossy(cost)),
    )  # fmt: skip


def _layer(layer: Layer, cost: ImcCost, i: int) -> LayerCost:
    return LayerCost(
        layer=layer.name,
        multiplier="in memory",
        pods=int(cost.arrays[i]),
        macs=layer.macs,
        cycles=0,
        latency_s=float(cost.latency_s[i]),
        utilisation=float(cost.utilisation[i]),
        bound=BOUNDS[int(cost.bound[i])],
        energy_j={part: float(values[i]) for part, values in cost.energy_j.items()},
        memory_bytes=(0 if layer.kind == "matmul" else layer.weights) + layer.input_words + layer.output_words,
    )


def _lossy(cost: ImcCost) -> tuple[str, ...]:
    """Say where converters have fewer bits than lossless sums need."""
    short = [f"{name} {int(bits)}" for name, bits in zip(cost.layers, cost.adc_bits_missing, strict=True) if bits > 0]
    return (f"converters lack bits for lossless sums, accuracy will suffer: {', '.join(short)}",) if short else ()
