"""`SystemChip`: cores of different kinds on one chip, an NPU beside compute-in-memory macros, say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from axdnn.hardware.accelerator import Accelerator
from axdnn.hardware.imc import ImcChip
from axdnn.hardware.interface import one_or_all, pairs
from axdnn.hardware.systems.keys import KEYS
from axdnn.records import Assignment, CostReport, InvalidInputError, Multiplier, Network

Core = Accelerator | ImcChip
SHARED_PARTS = ("buffer", "links")
"""What a system has beside its cores; its area stands under these names."""


def core_name_fault(name: object) -> str:
    """Say why a core cannot have this name, or nothing."""
    if not isinstance(name, str) or not name.strip():
        return f"the name of a core must be a text, but got {name!r}"
    if name in SHARED_PARTS:
        return f"the name of a core must not be {' or '.join(SHARED_PARTS)}, parts of every system; give it another"
    return ""


class SystemChip(msgspec.Struct, frozen=True, kw_only=True):
    """Cores on one chip. Fields are in SI units.

    Attributes:
        name, description: label and one sentence.
        cores: name -> core, at least one; systolic or in memory. No name may be one of `SHARED_PARTS`.
        link_bandwidth_b_s, link_latency_s, link_j_b: of a transfer from any core to any other.
        shared_static_w: power of what is not in a core.
        idle_fraction: part of its static power that an idle core draws: 1 = it leaks, 0 = it is gated off.
        buffer_bytes: shared memory in which outputs wait for their consumers.
        dram_bandwidth_b_s, dram_j_b: of outputs that do not fit it.
        buffer_m2, link_m2: area of shared memory and links.
        depthwise: `fine`, `poor` or `illegal` on cores in memory, see `mapping.legality`; as `poor` at its own cost.
        activation_products: the same for products of two activations.
        sources: key path -> `value unit; source`; those of the cores under their names.
    """

    name: str
    description: str
    cores: dict[str, Core]
    link_bandwidth_b_s: float
    link_latency_s: float
    link_j_b: float
    shared_static_w: float
    idle_fraction: float
    buffer_bytes: float
    dram_bandwidth_b_s: float
    dram_j_b: float
    buffer_m2: float
    link_m2: float
    depthwise: Literal["fine", "poor", "illegal"] = "illegal"
    activation_products: Literal["fine", "poor", "illegal"] = "illegal"
    sources: dict[str, str] = {}

    def __post_init__(self) -> None:
        """Raises `InvalidInputError` for no cores, or names that a core cannot have."""
        if not self.cores:
            raise InvalidInputError(f"`cores` of {self.name!r} must hold at least one core")
        if faults := [fault for name in self.cores if (fault := core_name_fault(name))]:
            raise InvalidInputError(f"`cores` of {self.name!r}: {'; '.join(faults)}")

    def replace(self, **changes: Any) -> SystemChip:
        """Return a copy with some fields changed; their sources say so. Values are SI; ranges are not checked."""
        paths = {key.field: key.path for key in KEYS}
        changed = {paths[f]: f"{v!r} (SI); changed by the caller" for f, v in changes.items() if f in paths}
        return msgspec.structs.replace(self, **{"sources": {**self.sources, **changed}, **changes})

    def cost(
        self,
        networks: Network | Sequence[Network],
        assignments: Assignment | Sequence[Assignment] | None = None,
        *,
        multipliers: Mapping[str, Multiplier] | None = None,
        **options: Any,
    ) -> CostReport | tuple[CostReport, ...]:
        """Price networks, each layer on the core that the mapping gives it, see `Machine.cost`.

        `options` are those of `mapped_report`.
        """
        from axdnn.hardware.systems.report import mapped_report  # prices this class
        from axdnn.multipliers import load_multiplier

        known = {"exact": load_multiplier("exact"), **(multipliers or {})}
        reports = [mapped_report(self, net, given, known, **options) for net, given in pairs(networks, assignments)]
        return one_or_all(networks, assignments, reports)
