"""How area and memory of an in-memory chip come about; formulas are Python expressions over the inputs' names."""

from __future__ import annotations

from axdnn.hardware.explained import Explained, Input
from axdnn.hardware.imc import gates
from axdnn.hardware.imc.chip import ImcChip
from axdnn.hardware.imc.chip_keys import keys_of
from axdnn.hardware.imc.constants import constants
from axdnn.hardware.imc.macro import adder_counts
from axdnn.hardware.imc.terms import parameters
from axdnn.records import CostReport, Network

RESISTIVE = {
    "cells": "arrays * rows * columns * cell_m2",
    "adc": "arrays * (ceil(columns / columns_per_adc) * converter_m2 + columns * sample_m2)",
    "dac": "arrays * rows * driver_m2",
    "adders": "arrays * ceil(columns / columns_per_adc) * shift_add_m2",
}
SRAM = {
    "cells": "arrays * rows * columns * (bit_cell_m2 + gates_per_cell * gate_m2)",
    "adc": "arrays * columns * converter_m2",
    "dac": "arrays * rows * driver_m2",
    "adders": "arrays * columns / weight_bits * ((tree_adders + place_value_adders) * adder_m2 "
              "+ accumulator_bits * (adder_m2 + register_m2))",
}  # fmt: skip
SHARED = {"buffer": "buffer_m2", "interconnect": "interconnect_m2"}


def explain_imc_chip(report: CostReport, network: Network, chip: ImcChip) -> tuple[Explained, ...]:
    """Explain the area by component, and the memory of weights and activations.

    Args:
        report: of `imc_report`.
        network: that was priced.
        chip: that it was priced on.
    """
    formulas = (RESISTIVE if chip.kind == "resistive" else SRAM) | SHARED
    known = _own(chip) | (_resistive(chip) if chip.kind == "resistive" else _sram(chip))
    areas = []
    for name, formula in formulas.items():
        words = "".join(c if c.isalnum() or c == "_" else " " for c in formula).split()
        inputs = {word: known[word] for word in dict.fromkeys(words) if word in known}
        areas.append(Explained(f"area: {name}", report.area_breakdown_m2[name], "m2", formula, inputs))
    return (*areas, *explain_imc_memory(report, network))


def explain_imc_memory(report: CostReport, network: Network) -> tuple[Explained, ...]:
    """Explain the memory of weights and activations, as in-memory chips and systems report it."""
    found = report.memory_breakdown_bytes
    words = max(layer.input_words + layer.output_words for layer in network.layers)
    peak = Input(network.peak_activation_words, "most activation bytes alive at once")
    if not network.peak_activation_words:
        peak = Input(words, "input and output of the layer that has most, for the network does not tell its peak")
    return (
        Explained("memory: weights", found["weights"], "B", "weights",
                  {"weights": Input(network.weights, "weights of all layers, one byte each")}),
        Explained("memory: activations", found["activations"], "B", "batch * peak",
                  {"batch": Input(report.batch, "inferences computed together"), "peak": peak}),
    )  # fmt: skip


def _own(chip: ImcChip) -> dict[str, Input]:
    found = {}
    for key in keys_of(chip.kind):
        if isinstance(value := getattr(chip, key.field), int | float):
            found[key.field] = Input(float(value), f"{chip.name}, {key.path}: {chip.sources.get(key.path, 'default')}")
    return found


def _resistive(chip: ImcChip) -> dict[str, Input]:
    area = float(parameters(chip, {})[0]["adc_area_m2"].item())
    return {"converter_m2": Input(area, f"{chip.adc_bits} bits by the model `{chip.adc_model}`, see `converters`")}


def _sram(chip: ImcChip) -> dict[str, Input]:
    """Parts of the closed form of SRAM macros, see `gates` and `adder_counts`."""
    p, _ = parameters(chip, {})
    analogue = chip.kind == "aimc"
    counts = adder_counts(
        "aimc" if analogue else "dimc",
        *(p[n] for n in ("rows", "activation_bits", "weight_bits", "input_bits", "adc_bits")),
    )
    cell, behind = constants("gates_28nm")["cell_area"], "behind one column of weights, see `adder_counts`"
    converter = float(gates.adc_m2(chip.adc_bits)) if analogue else 0.0
    return {
        "bit_cell_m2": Input(cell.value, cell.source),
        "gate_m2": Input(gates.gate_m2(), "a NAND2 at 28 nm, see `gates`"),
        "gates_per_cell": Input(1 if analogue else chip.input_bits, "one-bit products at each cell"),
        "converter_m2": Input(
            converter,
            f"{chip.adc_bits} bits at 28 nm, see `gates`" if analogue else "digital macros have no converters",
        ),
        "driver_m2": Input(0.0, "the closed form gives drivers of rows no area"),
        "tree_adders": Input(counts.tree.item(), f"full adders {behind}"),
        "place_value_adders": Input(counts.place_value.item(), f"full adders that join place values {behind}"),
        "accumulator_bits": Input(counts.accumulator_bits.item(), behind),
        "adder_m2": Input(gates.adder_m2(), "a full adder at 28 nm, see `gates`"),
        "register_m2": Input(gates.register_m2(), "a flip-flop at 28 nm, see `gates`"),
    }
