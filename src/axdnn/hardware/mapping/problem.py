"""`Problem`: what a mapping of layers to cores is decided from, checked once, as arrays in SI units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from axdnn.hardware.components import Floats
from axdnn.records import InvalidInputError

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Problem:
    """L layers in execution order, C cores, and what each pairing costs. Arrays broadcast to the shapes given.

    Attributes:
        latency_s, energy_j: of one layer on one core, `(L, C)`, >= 0, weights in place, without static power;
            `inf` in either = the core cannot run the layer.
        reasons: `(layer, core)` -> why not, for forbidden pairs.
        need: what the layer's weights take of the core's resident memory, `(L, C)`, in any unit that `capacity`
            shares (bytes, arrays); `inf` = they can never stay (the second operand is an activation).
        capacity: of resident weights, `(C,)`; `inf` = no limit. Weights that are not resident pass through a working
            area that is not part of it.
        reload_latency_s, reload_energy_j: added in every inference if the weights are not resident, `(L, C)`;
            `inf` = the core cannot reload this layer.
        edges: (producer, consumer) pairs of layer indices, producer < consumer; the default is a chain.
        edge_bytes: on each edge, `(E,)`.
        link_bandwidth_b_s, link_latency_s, link_j_b: from row core to column core, `(C, C)`; the diagonal is not
            read, a layer's output is free to its own core. An infinite latency = no link. Each edge is moved by itself.
        static_w: of each core, `(C,)`.
        shared_static_w: of the rest of the chip, always on.
        idle_fraction: part of its static power that an idle core draws: 1 = it leaks, 0 = it is gated off.
        buffer_bytes: shared memory in which outputs wait for their consumers.
        dram_bandwidth_b_s, dram_j_b: of what does not fit, written once and read once.
        layer_names, core_names: labels in answers.
    """

    latency_s: Floats
    energy_j: Floats
    reasons: Mapping[tuple[int, int], str] = field(default_factory=dict)
    need: Any = 0.0
    capacity: Any = np.inf
    reload_latency_s: Any = np.inf
    reload_energy_j: Any = np.inf
    edges: Sequence[tuple[int, int]] | None = None
    edge_bytes: Any = 0.0
    link_bandwidth_b_s: Any = np.inf
    link_latency_s: Any = 0.0
    link_j_b: Any = 0.0
    static_w: Any = 0.0
    shared_static_w: float = 0.0
    idle_fraction: float = 1.0
    buffer_bytes: float = np.inf
    dram_bandwidth_b_s: float = np.inf
    dram_j_b: float = 0.0
    layer_names: Sequence[str] = ()
    core_names: Sequence[str] = ()

    def __post_init__(self) -> None:
        """Broadcast and check every field.

        Raises:
            InvalidInputError: a shape that does not fit, a number out of range, or edges that run backwards.
        """
        latency = np.asarray(self.latency_s, dtype=np.float64)
        if latency.ndim != 2 or 0 in latency.shape:
            raise InvalidInputError(f"`latency_s` must have shape (layers, cores), both >= 1, but got {latency.shape}")
        layers, cores = latency.shape
        edges = [(i, i + 1) for i in range(layers - 1)] if self.edges is None else list(self.edges)
        self._set("edges", _checked_edges(edges, layers))
        shapes = {
            "latency_s": (layers, cores), "energy_j": (layers, cores), "need": (layers, cores), "capacity": (cores,),
            "reload_latency_s": (layers, cores), "reload_energy_j": (layers, cores), "edge_bytes": (len(edges),),
            "link_bandwidth_b_s": (cores, cores), "link_latency_s": (cores, cores), "link_j_b": (cores, cores),
            "static_w": (cores,), "shared_static_w": (), "idle_fraction": (), "buffer_bytes": (),
            "dram_bandwidth_b_s": (), "dram_j_b": (),
        }  # fmt: skip
        for name, shape in shapes.items():
            array = _checked(name, getattr(self, name), shape)
            self._set(name, array if shape else float(array))
        for name, count, word in (("layer_names", layers, "layer"), ("core_names", cores, "core")):
            labels = tuple(getattr(self, name)) or tuple(f"{word} {i}" for i in range(count))
            if len(labels) != count or len(set(labels)) != count:
                raise InvalidInputError(f"`{name}` must be {count} different names, but got {labels}")
            self._set(name, labels)
        for pair in self.reasons:
            if not (0 <= pair[0] < layers and 0 <= pair[1] < cores):
                raise InvalidInputError(f"`reasons` must have keys (layer, core) below {latency.shape}, but got {pair}")

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    @property
    def layers(self) -> int:
        """Number of layers."""
        return int(self.latency_s.shape[0])

    @property
    def cores(self) -> int:
        """Number of cores."""
        return int(self.latency_s.shape[1])

    @cached_property
    def allowed(self) -> Bools:
        """Pairs of layer and core that can run at all, weights resident or not; shape `(L, C)`."""
        runs = np.isfinite(self.latency_s) & np.isfinite(self.energy_j)
        return np.asarray(runs & (self.can_stay | self.can_reload))

    @cached_property
    def can_stay(self) -> Bools:
        """Pairs whose weights fit an empty core; shape `(L, C)`."""
        return np.asarray(np.isfinite(self.need) & (self.need <= self.capacity))

    @cached_property
    def can_reload(self) -> Bools:
        """Pairs that can run with their weights brought in; shape `(L, C)`."""
        return np.asarray(np.isfinite(self.reload_latency_s) & np.isfinite(self.reload_energy_j))

    @cached_property
    def limited(self) -> tuple[int, ...]:
        """Cores whose capacity may bind: not all of the weights that could stay on them fit together."""
        total = np.where(self.can_stay, self.need, 0.0).sum(axis=0)
        return tuple(int(c) for c in np.flatnonzero(total > self.capacity))

    @cached_property
    def inputs_of(self) -> tuple[tuple[int, ...], ...]:
        """Indices of the edges that end at each layer."""
        assert self.edges is not None
        return tuple(tuple(e for e, (_, c) in enumerate(self.edges) if c == layer) for layer in range(self.layers))

    @property
    def is_forest(self) -> bool:
        """Whether every layer has at most one producer (a chain does)."""
        return all(len(edges) <= 1 for edges in self.inputs_of)

    def pairs(self) -> tuple[tuple[int, int], ...]:
        """Edges, the default filled in."""
        assert self.edges is not None
        return tuple(self.edges)

    def why_not(self, layer: int, core: int) -> str:
        """Why a forbidden pair is forbidden."""
        if text := self.reasons.get((layer, core)):
            return text
        if not np.isfinite(self.latency_s[layer, core]) or not np.isfinite(self.energy_j[layer, core]):
            return "no reason given"
        if not np.isfinite(self.need[layer, core]):
            return "its weights can neither stay nor be reloaded"
        return (
            f"its weights need {self.need[layer, core]:g} of a capacity of {self.capacity[core]:g} "
            "and cannot be reloaded"
        )


_POSITIVE = ("link_bandwidth_b_s", "dram_bandwidth_b_s")
_MAY_BE_INFINITE = (
    "latency_s", "energy_j", "need", "capacity", "reload_latency_s", "reload_energy_j", "link_latency_s",
    "buffer_bytes", *_POSITIVE,
)  # fmt: skip


def _checked(name: str, value: Any, shape: tuple[int, ...]) -> Floats:
    try:
        array = np.array(np.broadcast_to(np.asarray(value, dtype=np.float64), shape))
    except (TypeError, ValueError) as error:
        raise InvalidInputError(f"`{name}` must be numbers that broadcast to {shape}, but got {value!r}") from error
    least = array.min(initial=np.inf)
    if np.isnan(array).any() or least < 0 or (name in _POSITIVE and least <= 0):
        raise InvalidInputError(f"`{name}` must be {'> 0' if name in _POSITIVE else '>= 0'}, but got {least:g}")
    if name not in _MAY_BE_INFINITE and np.isinf(array).any():
        raise InvalidInputError(f"`{name}` must be finite, but got inf")
    if name == "idle_fraction" and array > 1:
        raise InvalidInputError(f"`idle_fraction` must be 0..1, but got {array:g}")
    array.flags.writeable = False
    return array


def _checked_edges(edges: Sequence[tuple[int, int]], layers: int) -> tuple[tuple[int, int], ...]:
    checked = []
    for edge in edges:
        producer, consumer = (int(end) for end in edge)
        if not 0 <= producer < consumer < layers:
            raise InvalidInputError(
                f"`edges` must run forwards, 0 <= producer < consumer < {layers}, but got {(producer, consumer)}; "
                "number the layers in execution order"
            )
        checked.append((producer, consumer))
    return tuple(checked)
