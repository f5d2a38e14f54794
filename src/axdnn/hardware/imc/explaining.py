"""How the figures of a layer on an in-memory chip come about: formulas over counts and unit costs, with sources."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from axdnn.hardware.batching import batched
from axdnn.hardware.explained import Explained, Input
from axdnn.hardware.imc.activity import Activity
from axdnn.hardware.imc.array_costs import array_costs
from axdnn.hardware.imc.chip import ImcChip
from axdnn.hardware.imc.chip_keys import keys_of
from axdnn.hardware.imc.cost import laid_out, network_shapes
from axdnn.hardware.imc.report import imc_report
from axdnn.hardware.imc.terms import layer_bytes, layer_times, parameters
from axdnn.records import Network, unknown_name

COUNTED = "counted, see `place_on_arrays`"
MOVED = "bytes, see `layer_bytes`"
FORMULAS = {
    "cells": "read_cells * cell_j + row_drives * columns * word_line_j + conversions * rows * bit_line_j",
    "adc": "conversions * convert_j",
    "dac": "row_drives * drive_j",
    "adders": "conversions * shift_add_j + outputs * output_j + results * (row_tiles - 1) * accumulate_j",
    "buffer": "bytes_read * buffer_read_j_b + bytes_written * buffer_write_j_b",
    "interconnect": "bytes_moved * interconnect_j_b",
    "programming": "loaded * (cells * copies * write_j + weight_bytes * fetch_j_b)",
    "leakage": "(arrays * array_leakage_w + shared_leakage_w) * seconds",
}


def explain_imc_layer(
    network: Network,
    chip: ImcChip,
    layer: str,
    *,
    batch: int = 1,
    activity: Activity | None = None,
    replicas: npt.ArrayLike = 1,
    pack_groups: bool = False,
) -> tuple[Explained, ...]:
    """Explain the energies and the latency of a layer; arguments as of `imc_report`.

    Raises:
        UnknownNameError: no such layer.
        InfeasibleError: as of `imc_report`.
    """
    if layer not in network.layer_names:
        raise unknown_name("layer", layer, network.layer_names, f"the network is {network.name!r}")
    report = imc_report(network, chip, batch=batch, activity=activity, replicas=replicas, pack_groups=pack_groups)
    cost = report.layers[network.layer_names.index(layer)]
    known = _inputs(batched(network, batch), chip, layer, activity, replicas, pack_groups, cost.latency_s)
    explained = [
        Explained(name, cost.energy_j[name], "J", formula, _named(formula, known)) for name, formula in FORMULAS.items()
    ]
    formula = "max(rounds_s, buffer_s) + programming_s"
    return (*explained, Explained("latency", cost.latency_s, "s", formula, _named(formula, known)))


def _named(formula: str, known: dict[str, Input]) -> dict[str, Input]:
    """The inputs that a formula names."""
    words = "".join(c if c.isalnum() or c == "_" else " " for c in formula).split()
    return {word: known[word] for word in dict.fromkeys(words) if word in known}


def _inputs(
    network: Network, chip: ImcChip, layer: str, activity: Activity | None, replicas: npt.ArrayLike, pack_groups: bool,
    seconds: float,
) -> dict[str, Input]:  # fmt: skip
    p, _ = parameters(chip, {})
    layout, index = laid_out(network_shapes(network), p, replicas, pack_groups), network.layer_names.index(layer)
    costs = array_costs(chip.kind, p, (activity or Activity()).checked())
    moved, s, place = layer_bytes(layout, p), layout.shapes, layout.place
    times = layer_times(layout, costs, moved, p)

    def at(values: npt.ArrayLike) -> float:
        return float(_broadcast(values, len(network.layers))[index])

    unit = "unit cost of the array from its parts, see `array_costs`"
    fetch = "buffer_read_j_b" if bool(s.dynamic[index]) else "weight_fetch_j_b"
    found = {name: Input(at(getattr(place, name)), COUNTED)
             for name in ("read_cells", "row_drives", "conversions", "outputs", "row_tiles", "cells")}  # fmt: skip
    found |= {name: Input(at(getattr(costs, name)), unit) for name in
              ("cell_j", "word_line_j", "bit_line_j", "convert_j", "drive_j", "shift_add_j", "output_j")}  # fmt: skip
    found |= {
        "results": Input(at(s.groups * s.m * s.n), "groups * m * n of the layer's shape"),
        "copies": Input(at(layout.copies), "replicas of the weights"),
        "loaded": Input(at(layout.stay.loaded), "share of the weights that is written in every inference"),
        "bytes_read": Input(at(moved.read), MOVED), "bytes_written": Input(at(moved.written), MOVED),
        "bytes_moved": Input(at(moved.moved), MOVED), "weight_bytes": Input(at(moved.weights), MOVED),
        "seconds": Input(seconds, "latency of the layer"),
        "rounds_s": Input(at(times.rounds), "rounds of all passes"),
        "buffer_s": Input(at(times.buffer), "transfers of the buffer beside them"),
        "programming_s": Input(at(times.programming), "writing of weights before them"),
    }  # fmt: skip
    for key in keys_of(chip.kind):
        if isinstance(value := getattr(chip, key.field), int | float) and key.field not in found:
            found[key.field] = Input(float(value), f"{chip.name}, {key.path}: {chip.sources.get(key.path, 'default')}")
    found["fetch_j_b"] = found[fetch]
    return found


def _broadcast(values: npt.ArrayLike, layers: int) -> npt.NDArray[np.float64]:
    return np.broadcast_to(np.asarray(values, dtype=np.float64), (layers,))
