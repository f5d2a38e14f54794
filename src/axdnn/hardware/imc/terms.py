"""Terms of `imc_cost`: bytes, energy, time and area from counts and unit costs, as arrays `(candidates..., layers)`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from axdnn.hardware.imc.array_costs import ArrayCosts, Parameters, adc_of
from axdnn.hardware.imc.chip import ImcChip
from axdnn.hardware.imc.chip_keys import SRAM_NODE_NM, keys_of
from axdnn.hardware.imc.converters import lossless_adc_bits
from axdnn.hardware.imc.gates import Floats, floats
from axdnn.hardware.imc.mapping import Ints, Placement, Residency, Shapes, up
from axdnn.records import InvalidInputError, unknown_name

PARTIAL_SUM_BYTES = 4


class Layout(NamedTuple):
    """Layers on arrays: shapes, copies of their weights, counts, and what stays."""

    shapes: Shapes
    copies: Ints
    place: Placement
    stay: Residency


class Bytes(NamedTuple):
    """Bytes of one inference by layer; `weights` is one copy, loaded or not."""

    read: Floats
    written: Floats
    moved: Floats
    weights: Floats


class Times(NamedTuple):
    """Seconds by layer: rounds, transfers of the buffer beside them, and writing of weights before them."""

    rounds: Floats
    buffer: Floats
    programming: Floats

    @property
    def compute(self) -> Floats:
        """The longer of what runs side by side."""
        return floats(np.maximum(self.rounds, self.buffer))

    @property
    def bound(self) -> Ints:
        """Index of what takes longest; see `BOUNDS`."""
        first = np.where(self.buffer > self.rounds, 1, 0)
        return np.asarray(np.where(self.programming > self.compute, 2, first), dtype=np.int64)


def parameters(chip: ImcChip, vary: Mapping[str, npt.ArrayLike]) -> tuple[dict[str, Floats], tuple[int, ...]]:
    """Numeric fields of a chip with some replaced, a last axis of 1 added, and the shape of the candidates.

    Raises:
        UnknownNameError: a field that the kind of chip does not have or that is no number.
        InvalidInputError: a value out of range, or arrays that do not broadcast.
    """
    keys = {key.field: key for key in keys_of(chip.kind) if not key.choices}
    for name, given in vary.items():
        if name not in keys:
            raise unknown_name("field to vary", name, keys, f"{chip.name!r} is {chip.kind}")
        value, key = floats(given), keys[name]
        legal = (value >= key.low) & (value <= key.high) & ((not key.whole) | (value == np.rint(value)))
        if not bool(np.all(legal)):
            kind = "whole numbers" if key.whole else "numbers"
            raise InvalidInputError(f"`{name}` must be {kind} in {key.low:g}..{key.high:g}, but got {given!r}")
    try:
        shape = np.broadcast_shapes(*(np.shape(value) for value in vary.values()))
    except ValueError as error:
        shapes = {name: np.shape(value) for name, value in vary.items()}
        raise InvalidInputError(f"values to vary must broadcast against each other, but got {shapes}") from error
    fields = {field: getattr(chip, field) for field in chip.__struct_fields__}
    numbers = {field: value for field, value in fields.items() if isinstance(value, int | float)}
    p = {field: floats(vary.get(field, value))[..., None] for field, value in numbers.items()}
    _check_together(chip.kind, p)
    if chip.kind == "resistive":
        p["adc_j"], p["adc_area_m2"] = adc_of(p, chip.adc_model)
    return p, shape


def _check_together(kind: str, p: Parameters) -> None:
    """Refuse values that are legal each but not together."""
    for low, high in (("input_bits", "activation_bits"), ("columns_per_adc", "columns"), ("off_s", "on_s")):
        if not bool(np.all(p[low] <= p[high])):
            raise InvalidInputError(f"`{low}` must be at most `{high}`, but got {p[low].ravel()}, {p[high].ravel()}")
    if kind != "resistive" and bool(np.any(p["columns"] % p["weight_bits"])):
        raise InvalidInputError(
            f"`columns` must be a multiple of `weight_bits` in an SRAM macro, but got {p['columns'].ravel()}, "
            f"{p['weight_bits'].ravel()}"
        )
    if kind != "resistive" and bool(np.any(p["node_nm"] != SRAM_NODE_NM)):
        raise InvalidInputError(f"`node_nm` must be {SRAM_NODE_NM} in an SRAM macro, but got {p['node_nm'].ravel()}")


def layer_bytes(layout: Layout, p: Parameters) -> Bytes:
    """Inputs are read unfolded, once a pass, and broadcast to column tiles; sums of row tiles travel with 32 bits."""
    s, place = layout.shapes, layout.place
    inputs = s.groups * s.m * s.k * (p["activation_bits"] / 8) * layout.stay.passes
    words = s.groups * s.m * s.n
    written = words * (p["output_bits"] / 8)
    partial = words * (place.row_tiles - 1) * PARTIAL_SUM_BYTES
    weights = s.groups * s.k * s.n * (p["weight_bits"] / 8)
    return Bytes(inputs, written, inputs * place.column_tiles + written + partial, weights)


def layer_energy_j(layout: Layout, costs: ArrayCosts, moved: Bytes, p: Parameters) -> dict[str, Floats]:
    """Energy by component, leakage not included."""
    s, place = layout.shapes, layout.place
    lines = place.row_drives * p["columns"] * costs.word_line_j + place.conversions * p["rows"] * costs.bit_line_j
    joined = s.groups * s.m * s.n * (place.row_tiles - 1) * p["accumulate_j"]
    fetch = moved.weights * np.where(s.dynamic, p["buffer_read_j_b"], p["weight_fetch_j_b"])
    return {
        "cells": floats(place.read_cells * costs.cell_j + lines),
        "adc": floats(place.conversions * costs.convert_j),
        "dac": floats(place.row_drives * costs.drive_j),
        "adders": floats(place.conversions * costs.shift_add_j + place.outputs * costs.output_j + joined),
        "buffer": floats(moved.read * p["buffer_read_j_b"] + moved.written * p["buffer_write_j_b"]),
        "interconnect": floats(moved.moved * p["interconnect_j_b"]),
        "programming": floats(layout.stay.loaded * (place.cells * layout.copies * p["write_j"] + fetch)),
    }


def layer_times(layout: Layout, costs: ArrayCosts, moved: Bytes, p: Parameters) -> Times:
    """Time of a layer: all its arrays work at once, in passes if they are not all there."""
    rounds = up(layout.shapes.m, layout.copies) * up(layout.place.activation_slices, costs.slices)
    writes = layout.place.row_writes * layout.copies * layout.stay.loaded
    return Times(
        floats(rounds * costs.round_s * layout.stay.passes),
        floats((moved.read + moved.written) / p["buffer_bandwidth_b_s"]),
        floats(writes * write_row_s(p)),
    )


def write_row_s(p: Parameters) -> Floats:
    """Time to write a row, divided by the arrays that are written at once."""
    return floats(p["write_row_s"] / np.minimum(p["parallel_writes"], p["arrays"]))


def setup(layout: Layout, moved: Bytes, p: Parameters) -> tuple[Floats, Floats]:
    """Energy and time of writing all weights once, `(candidates...)`."""
    kept = ~layout.shapes.dynamic
    energy = layout.place.cells * layout.copies * p["write_j"] + moved.weights * p["weight_fetch_j_b"]
    seconds = layout.place.row_writes * layout.copies * write_row_s(p)
    return floats((energy * kept).sum(axis=-1)), floats((seconds * kept).sum(axis=-1))


def chip_area_m2(costs: ArrayCosts, p: Parameters) -> dict[str, Floats]:
    """Area by component, `(candidates...)`."""
    parts = {part: (p["arrays"] * area)[..., 0] for part, area in costs.area_m2.items()}
    return {**parts, "buffer": p["buffer_m2"][..., 0], "interconnect": p["interconnect_m2"][..., 0]}


def adc_bits_missing(kind: str, shapes: Shapes, costs: ArrayCosts, p: Parameters) -> Ints:
    """Bits that the converter lacks to tell all sums of the rows in use apart."""
    if kind == "dimc":
        return np.zeros_like(shapes.k)
    width = p["input_bits"] * costs.slices
    needed = lossless_adc_bits(np.minimum(shapes.k, p["rows"]), width, p["cell_bits"], p["flipped"])
    return np.asarray(np.maximum(needed - p["adc_bits"], 0), dtype=np.int64)
