"""`ArrayBank`: arrays of different sizes and multipliers behind shared memories; each layer runs on one of them.

The chip of AutoApprox (DATE 2022): a bank of arrays with different levels of approximation, and a router that gives
every layer an array. An assignment says which multiplier a layer uses; of the arrays that hold it, the layer takes the
cheapest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from axdnn.hardware.accelerator import Accelerator
from axdnn.hardware.interface import one_or_all, pairs
from axdnn.records import Assignment, CostReport, InvalidInputError, Multiplier, Network

NOT_COUNTED = ("array.pods", "array.rows", "array.columns", "array.pods_together")
"""Keys of the shared chip that say nothing about a bank."""


class BankArray(msgspec.Struct, frozen=True, kw_only=True):
    """One array: its size and the multiplier that it is built of."""

    rows: int
    columns: int
    multiplier: str = "exact"

    @property
    def label(self) -> str:
        """Size and multiplier."""
        return f"{self.rows} x {self.columns} of {self.multiplier}"


class ArrayBank(msgspec.Struct, frozen=True, kw_only=True):
    """Arrays that share a chip.

    Attributes:
        chip: technology and memories; its `pods`, `rows` and `columns` do not count.
        arrays: at least one.
        idle_fraction: part of its static power that an array draws while another works: 1 = it leaks, 0 = it is gated.
        delay_limits_clock: whether an array with a slower multiplier than the exact one has a slower clock.
        name, description: label and one sentence; default: the chip's, and what the arrays are.
        idle_source: where `idle_fraction` comes from.
    """

    chip: Accelerator
    arrays: tuple[BankArray, ...]
    idle_fraction: float = 1.0
    delay_limits_clock: bool = False
    name: str = ""
    description: str = ""
    idle_source: str = ""

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
        for field, text in self._said().items():
            if not getattr(self, field):
                msgspec.structs.force_setattr(self, field, text)

    def _said(self) -> dict[str, str]:
        """The texts that stand where none is given."""
        arrays = ", ".join(array.label for array in self.arrays)
        return {
            "name": f"{self.chip.name} bank",
            "description": f"Arrays that share the memories of {self.chip.name}: {arrays}.",
            "idle_source": "default: arrays leak while they wait" if self.idle_fraction == 1 else "given by the caller",
        }

    def replace(self, **changes: Any) -> ArrayBank:
        """Return a copy with some fields changed; texts that were not given are made anew.

        Raises:
            InvalidInputError: as the class does.
        """
        anew = {field: "" for field, text in self._said().items() if getattr(self, field) == text}
        source = {"idle_source": "given by the caller"} if "idle_fraction" in changes else {}
        return msgspec.structs.replace(self, **{**anew, **source, **changes})

    @property
    def sources(self) -> dict[str, str]:
        """Sources of the arrays, of the idle fraction and of the shared chip."""
        arrays = {f"arrays.{i}": f"{a.label}; array {i} of {self.name}" for i, a in enumerate(self.arrays)}
        idle = {"idle_fraction": f"{self.idle_fraction:g}; {self.idle_source}"}
        slow = "yes; a multiplier slower than the exact one slows its array"
        clock = {"delay_limits_clock": slow} if self.delay_limits_clock else {}
        shared = {key: text for key, text in self.chip.sources.items() if key not in NOT_COUNTED}
        return {**arrays, **idle, **clock, **shared}

    def cost(
        self,
        networks: Network | Sequence[Network],
        assignments: Assignment | Sequence[Assignment] | None = None,
        *,
        multipliers: Mapping[str, Multiplier] | None = None,
        **options: Any,
    ) -> CostReport | tuple[CostReport, ...]:
        """Price networks under assignments, see `Machine.cost`; `options` are those of `bank_report`: `batch`, `exact`.

        Multipliers of the library need not be given. A layer runs on arrays of its multiplier under any of its names;
        without an assignment that is the exact one.

        Raises:
            InfeasibleError: a layer wants a multiplier that no array holds; names layer, multiplier and the arrays.
            InvalidInputError: a layer without multiplier, or a multiplier without figures.
            UnknownNameError: an array's multiplier that is neither given nor known.
        """
        from axdnn.hardware.banks.report import bank_report  # prices this class

        reports = [
            bank_report(self, network, given, multipliers, **options) for network, given in pairs(networks, assignments)
        ]
        return one_or_all(networks, assignments, reports)
