"""`ArrayBank`: arrays of different sizes and multipliers behind shared memories; each layer runs on one of them.

The chip of AutoApprox (DATE 2022): a bank of arrays with different levels of approximation, and a router that gives
every layer an array. An assignment says which multiplier a layer uses; of the arrays that hold it, the layer takes the
cheapest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from axdnn.hardware.accelerator import Accelerator
from axdnn.hardware.batching import batched
from axdnn.hardware.components import (
    exact_figures,
    mac_rest_j,
    multiply_j,
    pod_area_parts_m2,
    pod_static_w,
    require_figures,
    shared_area_m2,
    shared_static_w,
)
from axdnn.hardware.dataflows import Floats
from axdnn.hardware.interface import exact_assignment, one_or_all, pairs
from axdnn.hardware.skipping import thinned
from axdnn.hardware.streaming import BOUNDS, LayerTerms, layer_terms, memory_bytes
from axdnn.records import (
    Assignment,
    Coding,
    CostReport,
    Figures,
    InfeasibleError,
    InvalidInputError,
    LayerCost,
    Multiplier,
    Network,
)

MODEL = "bank"


class BankArray(msgspec.Struct, frozen=True, kw_only=True):
    """One array: its size and the multiplier that it is built of."""

    rows: int
    columns: int
    multiplier: str = "exact"


class ArrayBank(msgspec.Struct, frozen=True, kw_only=True):
    """Arrays that share a chip.

    Attributes:
        chip: technology and memories; its `pods`, `rows` and `columns` do not count.
        arrays: at least one.
        idle_fraction: part of its static power that an array draws while another works: 1 = it leaks, 0 = it is gated.
        delay_limits_clock: whether an array with a slower multiplier than the exact one has a slower clock.
    """

    chip: Accelerator
    arrays: tuple[BankArray, ...]
    idle_fraction: float = 1.0
    delay_limits_clock: bool = False

    def __post_init__(self) -> None:
        """Raises `InvalidInputError` for no arrays, sizes below 1, an idle fraction outside 0..1, or exact rows."""
        if not self.arrays:
            raise InvalidInputError("`arrays` must hold at least one array")
        for i, array in enumerate(self.arrays):
            if array.rows < 1 or array.columns < 1:
                raise InvalidInputError(f"array {i}: rows and columns >= 1 must hold, but got {array}")
        if not 0 <= self.idle_fraction <= 1:
            raise InvalidInputError(f"0 <= `idle_fraction` <= 1 must hold, but got {self.idle_fraction}")
        if self.chip.exact_rows:
            raise InvalidInputError("`chip` of a bank must have no exact rows: make an array of exact multipliers")

    @property
    def name(self) -> str:
        """Label."""
        return f"{self.chip.name} bank"

    @property
    def description(self) -> str:
        """One sentence."""
        sizes = ", ".join(f"{a.rows} x {a.columns} of {a.multiplier}" for a in self.arrays)
        return f"Arrays that share the memories of {self.chip.name}: {sizes}."

    @property
    def sources(self) -> dict[str, str]:
        """Sources of the shared chip."""
        return self.chip.sources

    def cost(
        self,
        networks: Network | Sequence[Network],
        assignments: Assignment | Sequence[Assignment] | None = None,
        *,
        multipliers: Mapping[str, Multiplier] | None = None,
        batch: int = 1,
        exact: Mapping[Coding, Figures] | None = None,
    ) -> CostReport | tuple[CostReport, ...]:
        """Price networks under assignments, see `Machine.cost`.

        Raises:
            InfeasibleError: a layer wants a multiplier that no array holds; names layer, multiplier and the arrays.
            InvalidInputError: a multiplier that is not given, or without figures.
        """
        from axdnn.multipliers import load_multiplier

        known = dict(multipliers or {})
        for name in {a.multiplier for a in self.arrays} - set(known):
            known[name] = load_multiplier(name)
        reports = [
            _report(self, network, assignment or exact_assignment(network), known, exact_figures(exact), batch)
            for network, assignment in pairs(networks, assignments)
        ]
        return one_or_all(networks, assignments, reports)


class _Priced(NamedTuple):
    """Every layer on one array: arrays over layers, shape `(L,)`; energies without static power."""

    terms: LayerTerms
    cycles: Floats
    latency_s: Floats
    energy_j: Mapping[str, npt.NDArray[Any]]


def _alone(bank: ArrayBank, array: BankArray, multiplier: Multiplier, exact: Mapping[Coding, Figures]) -> Accelerator:
    """The shared chip with this array as its only pod."""
    clock = bank.chip.clock_hz
    if bank.delay_limits_clock:
        clock /= max(1.0, require_figures(multiplier).delay_s / exact[multiplier.coding].delay_s)
    return bank.chip.replace(pods=1, pods_together=1, rows=array.rows, columns=array.columns, clock_hz=clock)


def _priced(network: Network, chip: Accelerator, multiplier: Multiplier, exact: Mapping[Coding, Figures]) -> _Priced:
    terms = layer_terms(network, chip)
    macs = terms.layers.macs
    cycles = terms.timings.cycles[:, 0].astype(np.float64)
    rest = macs * mac_rest_j(multiplier, chip) + terms.weight_load_j
    energy = {
        "multiplier": macs * multiply_j(multiplier, chip, exact),
        "mac_rest": rest + (terms.zero_point_j if multiplier.coding == "unsigned" else 0.0),
        "sram": terms.sram_j,
        "dram": terms.dram_j,
        "interconnect": terms.interconnect_j,
    }
    return _Priced(terms, cycles, cycles / chip.clock_hz, energy)


def _report(
    bank: ArrayBank, network: Network, assignment: Assignment, multipliers: Mapping[str, Multiplier],
    exact: Mapping[Coding, Figures], batch: int,
) -> CostReport:  # fmt: skip
    shapes = batched(thinned(network, assignment), batch)
    chips = [_alone(bank, a, multipliers[a.multiplier], exact) for a in bank.arrays]
    kinds = [multipliers[a.multiplier] for a in bank.arrays]
    priced = [_priced(shapes, chip, kind, exact) for chip, kind in zip(chips, kinds, strict=True)]
    static = np.array([pod_static_w(kind, chip, exact) for chip, kind in zip(chips, kinds, strict=True)])
    common = shared_static_w(bank.chip, len(bank.arrays))
    # power while array a works: its own, the idle part of the others', memories and network
    watts = common + static + bank.idle_fraction * (static.sum() - static)
    total = np.stack([sum(p.energy_j.values()) + watts[i] * p.latency_s for i, p in enumerate(priced)], axis=1)
    route = [_cheapest(bank, layer.name, assignment, total[i]) for i, layer in enumerate(network.layers)]
    layers = tuple(
        LayerCost(
            layer=layer.name,
            multiplier=bank.arrays[a].multiplier,
            pods=1,
            macs=layer.macs,
            cycles=int(priced[a].cycles[i]),
            latency_s=float(priced[a].latency_s[i]),
            utilisation=float(layer.macs / (priced[a].cycles[i] * bank.arrays[a].rows * bank.arrays[a].columns)),
            bound=BOUNDS[int(priced[a].terms.timings.bound[i, 0])],
            energy_j={**{name: float(e[i]) for name, e in priced[a].energy_j.items()},
                      "static": float(watts[a] * priced[a].latency_s[i])},
            area_m2=sum(pod_area_parts_m2(kinds[a], chips[a], exact)),
        )
        for (i, layer), a in zip(enumerate(shapes.layers), route, strict=True)
    )  # fmt: skip
    parts = [pod_area_parts_m2(kind, chip, exact) for chip, kind in zip(chips, kinds, strict=True)]
    area = {"multiplier": sum(p for p, _ in parts), "mac_rest": sum(r for _, r in parts),
            **{k: float(v) for k, v in shared_area_m2(bank.chip, len(bank.arrays)).items()}}  # fmt: skip
    memory = memory_bytes(shapes, priced[0].terms, chips[0])
    return CostReport(
        network=network.name, accelerator=bank.name, model=MODEL, reading="buildable", layers=layers,
        pods=dict(sorted(Counter(a.multiplier for a in bank.arrays).items())),
        energy_j=sum(x.total_energy_j for x in layers), latency_s=sum(x.latency_s for x in layers),
        memory_bytes=sum(memory.values()), area_m2=sum(area.values()),
        multiplier_energy_j=sum(x.energy_j["multiplier"] for x in layers), area_breakdown_m2=area,
        memory_breakdown_bytes=memory, sources=bank.sources, batch=batch,
        notes=("layers run one after the other, each on one array; the others "
               f"draw {bank.idle_fraction:g} of their static power meanwhile",),
    )  # fmt: skip


def _cheapest(bank: ArrayBank, layer: str, assignment: Assignment, energy_j: Floats) -> int:
    """The array of a layer's multiplier with least energy."""
    if layer not in assignment.multipliers:
        raise InvalidInputError(f"the assignment must give every layer a multiplier, but layer {layer!r} has none")
    wanted = assignment.multipliers[layer]
    fit = [i for i, array in enumerate(bank.arrays) if array.multiplier == wanted]
    if not fit:
        held = ", ".join(sorted({a.multiplier for a in bank.arrays}))
        raise InfeasibleError(f"layer {layer!r} wants multiplier {wanted!r}, but the arrays hold {held}; add an array")
    return min(fit, key=lambda i: float(energy_j[i]))
