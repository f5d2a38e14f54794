"""`CostReport`: energy, latency, memory and area of a network under an assignment, with breakdown and sources."""

from __future__ import annotations

from typing import Literal

from axdnn.records.codec import Record
from axdnn.records.network import OperatorKind

Reading = Literal["ideal", "buildable"]
Operators = Literal["apart", "included"]


class LayerCost(Record, frozen=True, kw_only=True):
    """Cost of one layer for one batch of inferences.

    Attributes:
        layer: layer name.
        multiplier: multiplier name.
        pods: pods that work on the layer.
        macs: multiply-accumulate operations.
        cycles: clock cycles from the first weight load to the last result, stalls included.
        latency_s: the same in seconds.
        utilisation: macs / (cycles * processing elements of the pods used), 0..1.
        bound: what limits the layer: `compute`, `dram` or `sram`.
        energy_j: component -> joules; the components of the accelerator are the same for every layer.
        traffic_bytes: level -> bytes moved.
        memory_bytes: what the layer needs at once: its weights, biases, input and output.
        area_m2: processing elements of the pods that work on the layer (memories are shared by all layers).
    """

    layer: str
    multiplier: str
    pods: int
    macs: int
    cycles: int
    latency_s: float
    utilisation: float
    bound: str
    energy_j: dict[str, float]
    traffic_bytes: dict[str, float] = {}
    memory_bytes: int = 0
    area_m2: float = 0.0

    @property
    def total_energy_j(self) -> float:
        """Sum over components."""
        return sum(self.energy_j.values())


class OperatorCost(Record, frozen=True, kw_only=True):
    """Cost of an operator that is no multiply-accumulate layer, for one batch of inferences.

    Attributes:
        name: of the operator; a layer's name for the requantisation of its results.
        operator: what it computes, e.g. `max_pool2d` or `requantise`.
        kind: its group, as in `ExactOperator`.
        fused: whether it streams behind the array, so that its time is hidden, or makes a pass of its own.
        operations, transcendental: counts, as in `ExactOperator`.
        cycles: clock cycles that the vector unit, or the post-processor behind the array, is busy.
        latency_s: time that it adds to an inference; 0 if it is fused.
        energy_j: component -> joules; with `static`, the chip's static power for that time, where the report's totals
            contain operators.
    """

    name: str
    operator: str
    kind: OperatorKind
    fused: bool
    operations: int
    transcendental: int
    cycles: int
    latency_s: float
    energy_j: dict[str, float]

    @property
    def total_energy_j(self) -> float:
        """Sum over components."""
        return sum(self.energy_j.values())


class CostReport(Record, frozen=True, kw_only=True):
    """Cost of a network under an assignment on an accelerator, one batch of inferences.

    Attributes:
        network, accelerator: labels.
        model: cost model, e.g. `"streaming"`; figures of different models are never put in one column.
        reading: `ideal` (every pod runs every chosen multiplier at no cost: an upper bound) or `buildable` (each
            pod holds one fixed multiplier).
        layers: per layer.
        pods: multiplier -> pods that hold it.
        energy_j, latency_s, memory_bytes, area_m2: totals.
        multiplier_energy_j: the multipliers' own part, MACs x e_exact x power / power of the exact circuit of the
            same signedness.
        area_breakdown_m2: component -> square metres.
        memory_breakdown_bytes: component -> bytes.
        notes: what a reader must know (bounds, sensitivities, assumptions).
        sources: parameter -> value, unit and source, as text.
        batch: inferences computed together; every figure is of all of them.
        operators: what is no multiply-accumulate layer, and the requantisation of the layers' results.
        operator_energy_j, operator_latency_s: their totals.
        operators_included: whether these are part of `energy_j` and `latency_s`.
    """

    network: str
    accelerator: str
    model: str
    reading: Reading
    layers: tuple[LayerCost, ...]
    pods: dict[str, int]
    energy_j: float
    latency_s: float
    memory_bytes: int
    area_m2: float
    multiplier_energy_j: float
    area_breakdown_m2: dict[str, float] = {}
    memory_breakdown_bytes: dict[str, int] = {}
    notes: tuple[str, ...] = ()
    sources: dict[str, str] = {}
    batch: int = 1
    operators: tuple[OperatorCost, ...] = ()
    operator_energy_j: float = 0.0
    operator_latency_s: float = 0.0
    operators_included: bool = False

    @property
    def energy_breakdown_j(self) -> dict[str, float]:
        """Component -> joules, summed over layers, and over operators where the totals contain them."""
        parts = [layer.energy_j for layer in self.layers]
        if self.operators_included:
            parts += [operator.energy_j for operator in self.operators]
        total: dict[str, float] = {}
        for energy in parts:
            for component, joules in energy.items():
                total[component] = total.get(component, 0.0) + joules
        return total
