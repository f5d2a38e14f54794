"""How a figure of a layer comes about: formula, inputs and their sources, for every energy and the cycles.

Formulas are Python expressions over the inputs' names, so that anybody can recompute them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from axdnn.hardware.accelerator import Accelerator, load_accelerator
from axdnn.hardware.batching import batched
from axdnn.hardware.components import ACCUMULATOR_BYTES, exact_figures, pod_area_m2, power_ratio, shared_area_m2
from axdnn.hardware.dataflows import MOVING_BITS
from axdnn.hardware.estimate import estimate, kinds_in_use, slowed
from axdnn.hardware.explained import Explained, Input
from axdnn.hardware.layer_arrays import layer_arrays
from axdnn.hardware.parameters import OPTIONAL, PARAMETERS
from axdnn.hardware.row_mapping import term_counts
from axdnn.hardware.skipping import thinned
from axdnn.hardware.streaming import layer_terms
from axdnn.hardware.traffic import tiles_of
from axdnn.records import (
    Assignment,
    Coding,
    CostReport,
    Figures,
    InvalidInputError,
    LayerCost,
    Multiplier,
    Network,
    Reading,
    unknown_name,
)


def explain_layer(
    network: Network,
    assignment: Assignment,
    accelerator: str | Accelerator,
    layer: str,
    *,
    multipliers: Mapping[str, Multiplier],
    reading: Reading = "buildable",
    exact: Mapping[Coding, Figures] | None = None,
    batch: int = 1,
    delay_limits_clock: bool = False,
) -> tuple[Explained, ...]:
    """Explain what a layer costs: its energy by component, and its cycles; arguments as of `estimate`.

    Raises:
        UnknownNameError: no such layer; what `estimate` refuses.
    """
    if layer not in network.layer_names:
        raise unknown_name("layer", layer, network.layer_names, f"the network is {network.name!r}")
    chip = accelerator if isinstance(accelerator, Accelerator) else load_accelerator(accelerator)
    if delay_limits_clock:
        chip = slowed(chip, kinds_in_use(network, assignment, multipliers), exact_figures(exact))
    options = {"multipliers": multipliers, "reading": reading, "exact": exact, "batch": batch}
    report = estimate(network, assignment, chip, **options)  # type: ignore[arg-type]
    return _Layer(batched(thinned(network, assignment), batch), chip, layer, report, multipliers, exact).all()


class _Layer:
    def __init__(
        self, network: Network, chip: Accelerator, name: str, report: CostReport,
        multipliers: Mapping[str, Multiplier], exact: Mapping[Coding, Figures] | None,
    ) -> None:  # fmt: skip
        self.chip, self.report = chip, report
        self.index = network.layer_names.index(name)
        self.layer, self.cost = network.layers[self.index], report.layers[self.index]
        self.terms = layer_terms(network, chip)
        self.tiling = tiles_of(layer_arrays(network), chip)
        self.multiplier = multipliers[self.cost.multiplier]
        self.ratio = power_ratio(self.multiplier, exact_figures(exact))
        self._paths = {p.field: p.path for p in (*PARAMETERS, *OPTIONAL)}
        self._pod_areas = {
            kind: float(pod_area_m2(multipliers[kind], chip, exact_figures(exact))) for kind in report.pods
        }

    def all(self) -> tuple[Explained, ...]:
        return (
            self._multiplier(), self._mac_rest(), self._sram(), self._dram(), self._interconnect(), self._static(),
            self._cycles(),
        )  # fmt: skip

    def _shifted_words(self) -> float:
        """Words of what stays, or the sums on their way out."""
        if self.chip.dataflow == "os":
            return float(self.terms.moved.sums_written[self.index]) / ACCUMULATOR_BYTES
        return float(self.tiling.kept_words[self.index])

    def _own(self, *fields: str) -> dict[str, Input]:
        """Numbers of the accelerator."""
        found = {}
        for field in fields:
            path = self._paths[field]
            source = self.chip.sources.get(path, f"default of `{path}`")
            found[field] = Input(float(getattr(self.chip, field)), f"{self.chip.name}, {path}: {source}")
        return found

    def _moved(self, *fields: str) -> dict[str, Input]:
        """Bytes of a level and operand."""
        note = "bytes by the loop order that needs least of DRAM (`traffic`)"
        return {field: Input(float(getattr(self.terms.moved, field)[self.index]), note) for field in fields}

    def _explained(self, name: str, formula: str, inputs: dict[str, Input]) -> Explained:
        return Explained(name, self.cost.energy_j[name], "J", formula, inputs)

    def _multiplier(self) -> Explained:
        kept, approximate = term_counts(self.layer.k, self.chip)
        outputs = self.layer.groups * self.layer.m * self.layer.n
        figures = self.multiplier.figures
        inputs = {
            "outputs": Input(outputs, "groups * m * n of the layer's shape"),
            "terms": Input(approximate, f"of the {self.layer.k} terms of a sum, those on approximate rows"),
            "exact_terms": Input(kept, "terms on exact rows (`array.exact_rows`)"),
            "power_ratio": Input(
                self.ratio, "power / power of the exact circuit of the same signedness; "
                + (figures.source if figures else "")
            ),
            **self._own("multiply_j"),
        }  # fmt: skip
        return self._explained("multiplier", "outputs * (terms * power_ratio + exact_terms) * multiply_j", inputs)

    def _mac_rest(self) -> Explained:
        flow = self.chip.dataflow
        unsigned, wrapped = (self.multiplier.coding == c for c in ("unsigned", "sign_magnitude"))
        corrections = self.layer.groups * self.layer.m * (self.layer.k + self.layer.n)
        inputs = {
            "macs": Input(self.layer.macs, "groups * m * k * n of the layer's shape"),
            "moving_bits": Input(MOVING_BITS[flow], f"register bits that change a cycle with dataflow {flow}"),
            "wrapped": Input(int(wrapped), "1 with a sign-magnitude wrapper around an unsigned circuit"),
            "shifted_words": Input(self._shifted_words(), "words that shift through half the rows on average"),
            "shifted_bits": Input(32 if flow == "os" else 8, "of such a word"),
            "corrections": Input(
                corrections if unsigned else 0, "additions for the zero point of unsigned weights: groups * m * (k + n)"
            ),
            **self._own("add_j", "register_j_bit", "sign_magnitude_j", "rows"),
        }
        formula = (
            "macs * (add_j + moving_bits * register_j_bit + wrapped * sign_magnitude_j) "
            "+ shifted_words * shifted_bits * rows / 2 * register_j_bit + corrections * add_j"
        )
        return self._explained("mac_rest", formula, inputs)

    def _sram(self) -> Explained:
        moved = self._moved(
            "buffer_inputs", "buffer_weights", "buffer_outputs", "dram_weights", "dram_inputs", "dram_outputs",
            "home_weights", "home_inputs", "home_outputs", "sums_written", "sums_read",
        )  # fmt: skip
        energies = self._own(
            "buffer_read_j_b", "buffer_write_j_b", "accumulator_read_j_b", "accumulator_write_j_b", "backing_read_j_b",
            "backing_write_j_b",
        )  # fmt: skip
        formula = (
            "(buffer_inputs + buffer_weights + dram_outputs + home_outputs) * buffer_read_j_b "
            "+ (dram_weights + dram_inputs + home_inputs + home_weights + buffer_outputs) * buffer_write_j_b "
            "+ sums_written * accumulator_write_j_b + sums_read * accumulator_read_j_b "
            "+ (home_inputs + home_weights) * backing_read_j_b + home_outputs * backing_write_j_b"
        )
        return self._explained("sram", formula, {**moved, **energies})

    def _dram(self) -> Explained:
        inputs = {**self._moved("dram_weights", "dram_inputs", "dram_outputs"), **self._own("dram_j_bit")}
        return self._explained("dram", "8 * (dram_weights + dram_inputs + dram_outputs) * dram_j_bit", inputs)

    def _interconnect(self) -> Explained:
        inputs = {
            **self._moved("buffer_inputs", "buffer_weights", "sums_written", "sums_read"),
            **self._own("interconnect_j_b", "interconnect_expansion", "pods"),
        }
        factor = {
            "butterfly": "interconnect_expansion * log2(pods)", "benes": "4 * log2(pods)", "crossbar": "pods",
            "bus": "1", "mesh": "2 / 3 * (pods**0.5 - pods**-0.5)",
        }[self.chip.interconnect]  # fmt: skip
        formula = f"(buffer_inputs + buffer_weights + sums_written + sums_read) * interconnect_j_b * ({factor})"
        if self.chip.pods == 1:
            formula = "0 * interconnect_j_b"  # one pod needs no network
        return self._explained("interconnect", formula, inputs)

    def _static(self) -> Explained:
        pods = sum(self.report.pods.values())
        if self.report.reading == "ideal":
            pods = self.chip.pods
            area, note = pods * min(self._pod_areas.values()), "of all pods, each as small as the smallest kind"
        else:
            area = sum(count * self._pod_areas[name] for name, count in self.report.pods.items())
            note = "of all pods that are built, see `--explain chip`"
        shared = shared_area_m2(self.chip, pods)
        inputs = {
            "pod_area": Input(float(area), f"m2, {note}"),
            "network_area": Input(float(shared["interconnect"]), "m2 of the interconnect, see `--explain chip`"),
            "memory_area": Input(float(shared["sram"]), "m2 of buffers and accumulators, see `--explain chip`"),
            "built": Input(pods, "pods that are built, busy or not"),
            "clocked_bits": Input(MOVING_BITS[self.chip.dataflow], "register bits of an element"),
            "cycles": Input(self.cost.cycles, "below"),
            **self._own("logic_leakage_w_m2", "memory_leakage_w_m2", "clock_fraction", "register_j_bit", "rows",
                        "columns", "clock_hz"),
        }  # fmt: skip
        formula = (
            "((pod_area + network_area) * logic_leakage_w_m2 + memory_area * memory_leakage_w_m2) * cycles / clock_hz "
            "+ built * rows * columns * clock_fraction * clocked_bits * register_j_bit * cycles"
        )
        return self._explained("static", formula, inputs)

    def _cycles(self) -> Explained:
        timings, column = self.terms.timings, _available(self.report, self.cost) - 1
        busy = int(timings.compute_cycles[self.index, column])
        inputs = {
            "compute_cycles": Input(busy, "rounds of tiles on the pods, fill and drain, without waiting"),
            "stall_cycles": Input(
                self.cost.cycles - busy, f"waiting for memory; the layer is bound by {self.cost.bound}"
            ),
        }
        return Explained("cycles", self.cost.cycles, "cycles", "compute_cycles + stall_cycles", inputs)


def _available(report: CostReport, cost: LayerCost) -> int:
    """Pods that a layer may use."""
    pods = report.pods.get(cost.multiplier, 0)
    if pods < 1 or not math.isfinite(cost.latency_s):
        raise InvalidInputError(f"layer {cost.layer!r} has no pods of {cost.multiplier!r}: {report.pods}")
    return pods
