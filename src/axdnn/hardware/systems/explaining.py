"""How the figures of a layer on a system come about: those of its core, and its part of what all cores share.

Formulas are Python expressions over the inputs' names, so that anybody can recompute them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from axdnn.hardware.accelerator import Accelerator
from axdnn.hardware.explained import Explained, Input
from axdnn.hardware.explaining import explain_layer
from axdnn.hardware.imc import ImcChip, explain_imc_layer
from axdnn.hardware.mapping import spilled_bytes
from axdnn.hardware.systems.chip import SystemChip
from axdnn.hardware.systems.keys import KEYS
from axdnn.hardware.systems.report import MappedRun, Schedule, busy_s, mapped_run, report_of
from axdnn.records import Assignment, Layer, Multiplier, Network, unknown_name

SHARE = "busy_s / all_busy_s"
"""A layer's part of what belongs to no layer."""


def explain_system_layer(
    network: Network,
    assignment: Assignment | None,
    chip: SystemChip,
    layer: str,
    *,
    multipliers: Mapping[str, Multiplier],
    batch: int = 1,
    objective: str | tuple[float, float] = "energy",
    schedule: Schedule = "sequential",
) -> tuple[Explained, ...]:
    """Explain every energy of a layer and its latency; arguments as of `mapped_report`.

    Components that the layer's core does not have are 0, as in the report.

    Raises:
        UnknownNameError: no such layer, objective or schedule.
        InfeasibleError: no mapping.
    """
    if layer not in network.layer_names:
        raise unknown_name("layer", layer, network.layer_names, f"the network is {network.name!r}")
    run = mapped_run(chip, network, assignment, multipliers, batch, objective, schedule)
    index = network.layer_names.index(layer)
    cost = report_of(chip, run).layers[index]
    core = _on_core(run, chip, index, multipliers)
    shared = _Shared(run, chip, index)
    nothing = {"nothing": Input(0.0, f"no component of {cost.bound}, the core that runs the layer")}
    formulas = dict.fromkeys(cost.energy_j, ("nothing", nothing)) | core.energies | shared.formulas(core.written)
    explained = [Explained(name, value, "J", *formulas[name]) for name, value in cost.energy_j.items()]
    return (*explained, Explained("latency", cost.latency_s, "s", *shared.latency(core.seconds)))


Formula = tuple[str, dict[str, Input]]


class _OnCore(NamedTuple):
    """What the core's own model says: its energies, the time it computes, the energy of writing the layer's weights."""

    energies: dict[str, Formula]
    seconds: Formula
    written: Formula


def _on_core(run: MappedRun, chip: SystemChip, index: int, multipliers: Mapping[str, Multiplier]) -> _OnCore:
    layer, design = run.shapes.layers[index], chip.cores[run.mapped.layers[index].core]
    if isinstance(design, Accelerator):
        return _systolic(run, design, layer, multipliers)
    return _in_memory(design, layer)


def _systolic(run: MappedRun, design: Accelerator, layer: Layer, multipliers: Mapping[str, Multiplier]) -> _OnCore:
    plain = Assignment(multipliers=run.assignment.multipliers)
    parts = {p.name: p for p in explain_layer(run.shapes, plain, design, layer.name, multipliers=multipliers)}
    cycles, static = parts.pop("cycles"), parts.pop("static")
    seconds = f"({cycles.formula}) / clock_hz", {**cycles.inputs, "clock_hz": static.inputs["clock_hz"]}
    streams = "written_j", {"written_j": Input(0.0, f"weights stream through {design.name}, none are written before")}
    return _OnCore({name: (p.formula, p.inputs) for name, p in parts.items()}, seconds, streams)


def _in_memory(design: ImcChip, layer: Layer) -> _OnCore:
    """The layer alone, its weights in place; static power and programming are the system's to charge."""
    alone = Network(name=layer.name, layers=(layer,))
    parts = {p.name: p for p in explain_imc_layer(alone, design.replace(reload=1), layer.name)}
    writing, latency = parts.pop("programming"), parts.pop("latency")
    del parts["leakage"]
    seconds = "max(rounds_s, buffer_s)", {name: latency.inputs[name] for name in ("rounds_s", "buffer_s")}
    inputs = {name: x for name, x in writing.inputs.items() if name != "loaded"}
    written = "(cells * copies * write_j + weight_bytes * fetch_j_b)", inputs
    return _OnCore({name: (p.formula, p.inputs) for name, p in parts.items()}, seconds, written)


class _Shared:
    """Formulas of what the system charges: transfers, reloads, spills, static power, and time."""

    def __init__(self, run: MappedRun, chip: SystemChip, index: int) -> None:
        self.run, self.chip, self.index = run, chip, index
        self.problem, self.mapped = run.costs.problem, run.mapped
        self.row = run.mapped.layers[index]

    def formulas(self, written: Formula) -> dict[str, Formula]:
        """Of the energies; `written` is that of writing the layer's weights."""
        crossing = self._crossing()
        spill = {
            "spilled_bytes": Input(self.mapped.spilled_bytes, self._spilled()),
            **self._own("dram_j_b"), **self._share(),
        }  # fmt: skip
        moved = f"({' + '.join(crossing)}) * link_j_b"
        return {
            "transfer": (moved, {**crossing, **self._own("link_j_b")}),
            "reload": (f"reloaded * {written[0]}", {**self._reloaded(), **written[1]}),
            "spill": (f"2 * spilled_bytes * dram_j_b * {SHARE}", spill),
            "static": self._static(),
        }

    def latency(self, seconds: Formula) -> Formula:
        """Of the layer; `seconds` is the time its core computes."""
        crossing = self._crossing()
        writing_s = float(self.problem.reload_latency_s[self.index, self.mapped.cores[self.index]])
        spilled = spilled_bytes(self.problem)  # of one inference alone, whatever the schedule
        inputs = {
            **seconds[1], **self._reloaded(),
            "writing_s": Input(writing_s, f"writing of the weights on {self.row.core}"),
            "transfers": Input(len(self._sources()), "inputs that come from other cores"), **crossing,
            "spilled_bytes": Input(spilled, f"{self._spilled()}, of an inference alone"),
            "all_busy_s": self._share()["all_busy_s"],
            **self._own("link_latency_s", "link_bandwidth_b_s", "dram_bandwidth_b_s"),
        }  # fmt: skip
        moving = f"transfers * link_latency_s + ({' + '.join(crossing)}) / link_bandwidth_b_s"
        busy = f"({seconds[0]} + reloaded * writing_s + {moving})"
        return f"{busy} * (1 + 2 * spilled_bytes / dram_bandwidth_b_s / all_busy_s)", inputs

    def _static(self) -> Formula:
        """Static energy of the whole by share: shared parts and idle cores all the time, a core's rest while awake."""
        inputs = {
            "period_s": Input(self.mapped.period_s, "from an inference to the next; in series its latency"),
            **self._own("shared_static_w", "idle_fraction"), **self._share(),
        }  # fmt: skip
        watts, awake = self.problem.static_w, self.mapped.core_busy_s
        terms = ["shared_static_w * period_s"]
        for i, (name, design) in enumerate(self.chip.cores.items()):
            inputs[f"static_w_{i}"] = Input(float(watts[i]), f"static power of {name}, see `static.*` of {design.name}")
            note = f"{name} computes, reloads, or is at an end of a transfer"
            inputs[f"awake_s_{i}"] = Input(awake[i], note)
            terms.append(f"static_w_{i} * (idle_fraction * period_s + (1 - idle_fraction) * awake_s_{i})")
        return f"({' + '.join(terms)}) * {SHARE}", inputs

    def _spilled(self) -> str:
        return f"outputs for which the shared buffer of {self.chip.buffer_bytes:g} bytes has no room"

    def _own(self, *fields: str) -> dict[str, Input]:
        """Numbers of the system's file."""
        paths = {key.field: key.path for key in KEYS}
        return {
            field: Input(
                float(getattr(self.chip, field)),
                f"{self.chip.name}, {paths[field]}: {self.chip.sources.get(paths[field], 'not told')}",
            )
            for field in fields
        }

    def _share(self) -> dict[str, Input]:
        busy = [busy_s(row) for row in self.mapped.layers]
        return {
            "busy_s": Input(busy[self.index], "computing, reloading and fetching inputs, see `latency`"),
            "all_busy_s": Input(sum(busy), "the same of all layers"),
        }

    def _reloaded(self) -> dict[str, Input]:
        done = "are not" if self.row.resident else "are"
        source = f"1 if weights are written in every inference; on {self.row.core} those of this layer {done}"
        return {"reloaded": Input(float(not self.row.resident), source)}

    def _sources(self) -> list[int]:
        """Edges that bring the layer's inputs from other cores."""
        cores = self.mapped.cores
        edges = self.problem.inputs_of[self.index]
        return [e for e in edges if cores[self.problem.pairs()[e][0]] != cores[self.index]]

    def _crossing(self) -> dict[str, Input]:
        """Bytes that come from other cores."""
        found = {}
        for i, edge in enumerate(self._sources()):
            producer = self.problem.pairs()[edge][0]
            names = self.problem.layer_names[producer], self.mapped.layers[producer].core
            found[f"bytes_{i}"] = Input(float(self.problem.edge_bytes[edge]), f"outputs of {names[0]}, from {names[1]}")
        return found or {"bytes_0": Input(0.0, f"all inputs are on {self.row.core} already")}
