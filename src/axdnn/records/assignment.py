"""`Assignment`: which multiplier each layer uses."""

from __future__ import annotations

import hashlib

from axdnn.records.codec import Record


class Assignment(Record, frozen=True, kw_only=True):
    """Layer -> multiplier.

    Attributes:
        multipliers: layer name -> catalogue name of the multiplier.
        pods: multiplier name -> number of pods that hold it; empty means "let the cost model choose".
        skip: layer name -> output channels (neurons) that are not computed; they hand on 0.
        absent: layer name -> input channels (of a linear layer: features) whose products are left out: inputs that are
            always 0 because what made them is skipped, or connections dropped on purpose.
    """

    multipliers: dict[str, str]
    pods: dict[str, int] = {}
    skip: dict[str, tuple[int, ...]] = {}
    absent: dict[str, tuple[int, ...]] = {}

    @property
    def kinds(self) -> tuple[str, ...]:
        """Distinct multipliers, sorted."""
        return tuple(sorted(set(self.multipliers.values())))

    @property
    def key(self) -> str:
        """Content key of the layer choice: equal for equal choices, whatever the order of layers."""
        lines = [f"{layer}\t{name}" for layer, name in sorted(self.multipliers.items())]
        for kind, left_out in (("skip", self.skip), ("absent", self.absent)):
            lines += [f"{kind}\t{layer}\t{sorted(which)}" for layer, which in sorted(left_out.items()) if which]
        text = "\n".join(lines)
        return hashlib.sha256(text.encode()).hexdigest()[:16]
