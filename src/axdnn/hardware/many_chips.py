"""Many chips at a time: the `streaming` model over candidates x layers, for searches and sweeps.

The same functions as for one chip, given arrays for the chip's numbers: nothing is modelled twice. Every pod holds the
same multiplier.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt

from axdnn.hardware.accelerator import Accelerator
from axdnn.hardware.components import (
    exact_figures,
    mac_rest_j,
    multiply_j,
    pod_area_m2,
    pod_static_w,
    shared_area_m2,
    shared_static_w,
)
from axdnn.hardware.dataflows import Floats
from axdnn.hardware.layer_arrays import LayerArrays
from axdnn.hardware.many_timings import timings_of_many
from axdnn.hardware.streaming import shared_energies, with_term_parts
from axdnn.hardware.systolic import Ints
from axdnn.hardware.traffic import traffic
from axdnn.records import Coding, Figures, InvalidInputError, Multiplier

BLOCK = 16384
"""Chip-layer pairs priced at once: fewer spend their time in calls, many more leave a processor's cache."""


class Chips:
    """Accelerators as one: every field an array of shape `(A, 1)`, or one value where all agree.

    Chips of a set have the same dataflow, timing and network.
    """

    def __init__(self, chips: Sequence[Accelerator]) -> None:
        """Raises `InvalidInputError` for no chips, several dataflows, timings or networks, or exact rows."""
        if not chips:
            raise InvalidInputError("`chips` must hold at least one accelerator")
        kinds = sorted({(c.dataflow, c.timing, c.interconnect) for c in chips})
        if len(kinds) > 1:
            raise InvalidInputError(
                f"`chips` must have one dataflow, timing and network, but got {kinds}; price each set apart"
            )
        if any(c.exact_rows for c in chips):
            raise InvalidInputError("`chips` must have no exact rows: price such a chip with `estimate`")
        self.count = len(chips)
        self._fields = {field: _alike([getattr(c, field) for c in chips]) for field in _PRICED}

    @classmethod
    def varied(cls, base: Accelerator, **fields: npt.ArrayLike) -> Chips:
        """Return copies of `base` in which fields take the values of arrays of one length; SI, ranges not checked."""
        arrays = {name: np.asarray(values).ravel() for name, values in fields.items()}
        unknown = sorted(set(arrays) - (set(_PRICED) - {"dataflow", "timing", "interconnect", "exact_rows"}))
        if unknown or len({len(a) for a in arrays.values()}) != 1:
            raise InvalidInputError(
                f"`fields` must be numeric fields of an accelerator with arrays of one length, but got "
                f"{ {name: len(a) for name, a in arrays.items()} }" + (f"; unknown: {unknown}" if unknown else "")
            )
        one = cls([base])
        one.count = len(next(iter(arrays.values())))
        one._fields |= {name: a[:, None] for name, a in arrays.items()}
        return one

    def __getattr__(self, field: str) -> Any:
        if field.startswith("_") or field not in self._fields:
            raise AttributeError(field)
        return self._fields[field]

    def part(self, start: int, end: int) -> Chips:
        """Return chips `[start, end)`."""
        some = object.__new__(Chips)
        some.count = end - start
        some._fields = {f: v[start:end] if isinstance(v, np.ndarray) else v for f, v in self._fields.items()}
        return some


_PRICED = tuple(f for f in Accelerator.__struct_fields__ if f not in ("name", "description", "sources"))


def _alike(values: list[Any]) -> Any:
    same = all(v == values[0] for v in values)
    return values[0] if same or isinstance(values[0], str) else np.array(values)[:, None]


class Costs(NamedTuple):
    """Costs of A chips x L layers, every pod with one multiplier, batch 1.

    Attributes:
        cycles: stalls included, `(A, L)`.
        stall_cycles: those in which pods wait for memory, 0 or more, `(A, L)`.
        latency_s: `(A, L)`.
        energy_j: component -> joules, `(A, L)`; components of `CostReport`.
        area_m2: component -> square metres, `(A,)`.
    """

    cycles: Ints
    stall_cycles: Ints
    latency_s: Floats
    energy_j: dict[str, Floats]
    area_m2: dict[str, Floats]

    @property
    def total_energy_j(self) -> Floats:
        """Joules of an inference, `(A,)`."""
        return np.asarray(sum(part.sum(axis=1) for part in self.energy_j.values()))

    @property
    def total_latency_s(self) -> Floats:
        """Seconds of an inference, layers one after the other, `(A,)`."""
        return np.asarray(self.latency_s.sum(axis=1))

    @property
    def total_area_m2(self) -> Floats:
        """Square metres, `(A,)`."""
        return np.asarray(sum(self.area_m2.values()))


def price_chips(
    layers: LayerArrays,
    chips: Sequence[Accelerator] | Chips,
    multiplier: Multiplier,
    exact: Mapping[Coding, Figures] | None = None,
) -> Costs:
    """Price a network's layers on many chips; each chip's figures are those of `estimate`.

    Args:
        layers: of `layer_arrays`.
        chips: accelerators of one dataflow, timing and network, without exact rows.
        multiplier: of all pods, with figures.
        exact: figures of the exact circuits by coding; default: those of the shipped library.
    """
    every = chips if isinstance(chips, Chips) else Chips(chips)
    reference = exact_figures(exact)
    step = max(1, BLOCK // len(layers.m))
    if every.count <= step:
        return _priced(layers, every, multiplier, reference)
    parts = [
        _priced(layers, every.part(i, min(i + step, every.count)), multiplier, reference)
        for i in range(0, every.count, step)
    ]
    return Costs(
        np.concatenate([p.cycles for p in parts]),
        np.concatenate([p.stall_cycles for p in parts]),
        np.concatenate([p.latency_s for p in parts]),
        {name: np.concatenate([p.energy_j[name] for p in parts]) for name in parts[0].energy_j},
        {name: np.concatenate([p.area_m2[name] for p in parts]) for name in parts[0].area_m2},
    )


def _priced(layers: LayerArrays, chips: Chips, multiplier: Multiplier, exact: Mapping[Coding, Figures]) -> Costs:
    chip, shape = cast("Accelerator", chips), (chips.count, len(layers.m))

    def whole(values: npt.ArrayLike) -> Floats:
        return np.broadcast_to(np.asarray(values, dtype=np.float64), shape)

    moved = traffic(layers, chip)
    cycles, stalls, term_parts = timings_of_many(layers, moved, chip)
    latency = cycles / chip.clock_hz
    shared = shared_energies(layers, with_term_parts(moved, term_parts), chip)
    correction = shared.zero_point_j if multiplier.coding == "unsigned" else 0.0
    static_w = pod_static_w(multiplier, chip, exact) * chip.pods + shared_static_w(chip, chip.pods)
    energy = {
        "multiplier": layers.macs * multiply_j(multiplier, chip, exact),
        "mac_rest": layers.macs * mac_rest_j(multiplier, chip) + shared.weight_load_j + correction,
        "sram": shared.sram_j,
        "dram": shared.dram_j,
        "interconnect": shared.interconnect_j,
        "static": static_w * latency,
    }
    area = {"pods": pod_area_m2(multiplier, chip, exact) * chip.pods, **shared_area_m2(chip, chip.pods)}
    one = (chips.count, 1)
    return Costs(
        np.broadcast_to(cycles, shape), np.broadcast_to(stalls, shape), whole(latency),
        {name: whole(values) for name, values in energy.items()},
        {name: np.broadcast_to(np.asarray(a, dtype=np.float64), one)[:, 0] for name, a in area.items()},
    )  # fmt: skip
