"""`Assignment`: which multiplier each layer uses."""

from __future__ import annotations

import hashlib

from axdnn.records.codec import Record


class Assignment(Record, frozen=True, kw_only=True):
    """Layer -> multiplier.

    Attributes:
        multipliers: layer name -> catalogue name of the multiplier.
        pods: multiplier name -> number of pods that hold it; empty means "let the cost model choose".
    """

    multipliers: dict[str, str]
    pods: dict[str, int] = {}

    @property
    def kinds(self) -> tuple[str, ...]:
        """Distinct multipliers, sorted."""
        return tuple(sorted(set(self.multipliers.values())))

    @property
    def key(self) -> str:
        """Content key of the layer choice: equal for equal choices, whatever the order of layers."""
        text = "\n".join(f"{layer}\t{name}" for layer, name in sorted(self.multipliers.items()))
        return hashlib.sha256(text.encode()).hexdigest()[:16]
