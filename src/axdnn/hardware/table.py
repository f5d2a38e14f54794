"""`CostTable`: layers x multipliers priced once, then many candidates at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from axdnn.hardware.accelerator import Accelerator, load_accelerator
from axdnn.hardware.components import (
    Floats,
    exact_figures,
    mac_rest_j,
    multiply_j,
    pod_area_m2,
    pod_static_w,
    shared_area_m2,
    shared_static_w,
)
from axdnn.hardware.pods import allocate
from axdnn.hardware.row_mapping import term_counts
from axdnn.hardware.streaming import MODEL, layer_terms
from axdnn.hardware.systolic import Ints
from axdnn.records import Coding, Figures, InvalidInputError, Multiplier, Network, Reading


class Prices(NamedTuple):
    """Totals of C candidates: energy, latency, area, the multipliers' own energy, shape `(C,)`; pods `(C, M)`.

    In the `buildable` reading a candidate with more kinds than pods has infinite energy, latency and area. In the
    `ideal` reading `pods` is P for every kind in use.
    """

    energy_j: Floats
    latency_s: Floats
    area_m2: Floats
    multiplier_energy_j: Floats
    pods: Ints


class CostTable(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Costs of L layers with M multipliers on an accelerator, batch 1.

    P is the number of groups of pods that hold the same kind: the pods themselves unless `pods_together` is above 1.

    Attributes:
        layers, multipliers: names along the axes.
        dynamic_j: energy that does not depend on time or pods, multiplier included, shape `(L, M)`.
        multiplier_j: the part of `dynamic_j` spent in multipliers, shape `(L, M)`.
        latency_s: on 1..P groups of pods of the layer's kind, shape `(L, P)`.
        static_w_pod: power of one pod that holds each multiplier, busy or not, shape `(M,)`.
        static_w_shared: power of memories and interconnect.
        area_m2_pod: shape `(M,)`.
        area_m2_shared: memories and interconnect.
        pods_together: pods of a group.
        model: cost model, as in `CostReport`; tables of two models are never compared.
    """

    layers: tuple[str, ...]
    multipliers: tuple[str, ...]
    dynamic_j: Floats
    multiplier_j: Floats
    latency_s: Floats
    static_w_pod: Floats
    static_w_shared: float
    area_m2_pod: Floats
    area_m2_shared: float
    pods_together: int = 1
    model: str = MODEL

    @property
    def pods(self) -> int:
        """P: groups of pods, each of one kind; also the most kinds there can be."""
        return int(self.latency_s.shape[1])

    def energy(
        self, choice: npt.ArrayLike, reading: Reading = "buildable", shapes: npt.ArrayLike | None = None
    ) -> Prices:
        """Price candidates.

        Args:
            choice: index of the multiplier of each layer, integers, shape `(C, L)` or `(L,)` for one candidate.
            reading: `buildable` or `ideal`, see `estimate`.
            shapes: for a table whose rows are shapes that layers may have: the row that prices each layer, `(C, N)`;
                `choice` has N columns then.

        Raises:
            InvalidInputError: wrong shape, not integers, index out of range, unknown reading.
        """
        rows = np.arange(len(self.layers)) if shapes is None else self._within("shapes", shapes, len(self.layers))
        index = self._within("choice", choice, len(self.multipliers))
        if index.shape[1] != rows.shape[-1] or (rows.ndim == 2 and len(rows) != len(index)):
            raise InvalidInputError(
                f"`choice` must have the shape (candidates, {rows.shape[-1]}), but got {index.shape}"
            )
        dynamic = self.dynamic_j[rows, index].sum(axis=1)
        multiplier = self.multiplier_j[rows, index].sum(axis=1)
        used = np.zeros((len(index), len(self.multipliers)), dtype=bool)
        np.put_along_axis(used, index, True, axis=1)
        if reading == "ideal":
            last = self.latency_s[:, -1]
            latency = np.full(len(index), last.sum()) if rows.ndim == 1 else last[rows].sum(axis=1)
            every = self.pods * self.pods_together
            watts = np.where(used, self.static_w_pod, np.inf).min(axis=1) * every + self.static_w_shared
            area = np.where(used, self.area_m2_pod, 0.0).max(axis=1) * every + self.area_m2_shared
            return Prices(dynamic + watts * latency, latency, area, multiplier, np.where(used, every, 0))
        if reading != "buildable":
            raise InvalidInputError(f"`reading` must be buildable or ideal, but got {reading!r}")
        return self._buildable(index, used, dynamic, multiplier, rows)

    def _buildable(
        self, index: Ints, used: npt.NDArray[np.bool_], dynamic: Floats, multiplier: Floats, shapes: Ints
    ) -> Prices:
        count = used.sum(axis=1)
        nothing = np.full(len(index), np.inf)
        out = Prices(nothing, nothing.copy(), nothing.copy(), multiplier, np.zeros(used.shape, dtype=np.int64))
        for kinds in np.unique(count):
            if kinds > self.pods:
                continue
            rows = np.flatnonzero(count == kinds)
            names = np.nonzero(used[rows])[1].reshape(-1, kinds)
            place = np.cumsum(used[rows], axis=1) - 1  # multiplier -> its place among the kinds in use
            local = np.take_along_axis(place, index[rows], axis=1)
            watts = self.pods_together * self.static_w_pod[names]
            kind_latency = self._kind_latency(local, int(kinds), shapes if shapes.ndim == 1 else shapes[rows])
            best = allocate(kind_latency, watts, self.static_w_shared)
            pods = self.pods_together * best.pods
            out.energy_j[rows] = dynamic[rows] + best.static_j
            out.latency_s[rows] = best.latency_s
            out.area_m2[rows] = (pods * self.area_m2_pod[names]).sum(axis=1) + self.area_m2_shared
            out.pods[rows[:, None], names] = pods
        return out

    def _kind_latency(self, local: Ints, kinds: int, shapes: Ints) -> Floats:
        """Latency summed over the layers of each kind, shape `(C, kinds, P)`; shapes `(N,)` or `(C, N)`."""
        result = np.empty((len(local), kinds, self.pods))
        every = self.latency_s if shapes.ndim == 1 else self.latency_s[shapes]
        for kind in range(kinds):
            mine = (local == kind).astype(np.float64)
            result[:, kind] = mine @ every if every.ndim == 2 else np.matmul(mine[:, None, :], every)[:, 0]
        return result

    @staticmethod
    def _within(name: str, given: npt.ArrayLike, count: int) -> Ints:
        index = np.atleast_2d(np.asarray(given))
        if index.ndim != 2 or index.dtype.kind not in "iu":
            raise InvalidInputError(
                f"`{name}` must hold integers of shape (candidates, layers), but got {index.dtype} {index.shape}"
            )
        if index.size and not (index.min() >= 0 and index.max() < count):
            raise InvalidInputError(f"0 <= {name} < {count} must hold, but got {index.min()}..{index.max()}")
        return index.astype(np.int64, copy=False)


def cost_table(
    network: Network,
    multipliers: Sequence[Multiplier],
    accelerator: str | Accelerator = "tpu_v4",
    exact: Mapping[Coding, Figures] | None = None,
) -> CostTable:
    """Price every layer with every multiplier; agrees with `estimate`.

    Args:
        network: shapes.
        multipliers: the alternatives, with figures.
        accelerator: name, path or loaded.
        exact: figures of the exact circuits by coding; default: those of the shipped library.

    Raises:
        InvalidInputError: no multipliers, one without figures, or a network without layers.
        UnknownNameError: unknown accelerator.
    """
    if not multipliers:
        raise InvalidInputError("a cost table needs at least one multiplier")
    chip = accelerator if isinstance(accelerator, Accelerator) else load_accelerator(accelerator)
    reference = exact_figures(exact)
    terms = layer_terms(network, chip)
    macs = terms.layers.macs[:, None]
    shares = np.array([term_counts(layer.k, chip) for layer in network.layers])
    kept, approximate = (macs[:, 0] // terms.layers.k * shares.T)[..., None]
    product = approximate * np.array([multiply_j(m, chip, reference) for m in multipliers]) + kept * chip.multiply_j
    rest = macs * np.array([mac_rest_j(m, chip) for m in multipliers])
    unsigned = np.array([m.coding == "unsigned" for m in multipliers])
    common = terms.weight_load_j + terms.sram_j + terms.dram_j + terms.interconnect_j
    arrays: dict[str, Any] = {
        "dynamic_j": product + rest + common[:, None] + terms.zero_point_j[:, None] * unsigned,
        "multiplier_j": product,
        "latency_s": terms.timings.cycles[:, chip.pods_together - 1 :: chip.pods_together] / chip.clock_hz,
        "static_w_pod": np.array([pod_static_w(m, chip, reference) for m in multipliers]),
        "area_m2_pod": np.array([pod_area_m2(m, chip, reference) for m in multipliers]),
    }
    for array in arrays.values():
        array.flags.writeable = False
    return CostTable(
        layers=network.layer_names,
        multipliers=tuple(m.name for m in multipliers),
        static_w_shared=shared_static_w(chip, chip.pods),
        area_m2_shared=sum(shared_area_m2(chip, chip.pods).values()),
        pods_together=chip.pods_together,
        **arrays,
    )
