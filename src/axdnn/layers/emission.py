"""Which codes each operator must hand on: requests travel backward from consumers to producers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from axdnn.quant import PASSING_OPS, CapturedModel, Encoding


@dataclass(frozen=True)
class Emission:
    """A form in which a tensor is handed on.

    Attributes:
        encoding: codes, or None for real values (the network's output).
        low, high: real bounds of a clamp (ReLU) on the way, or None.
    """

    encoding: Encoding | None
    low: float | None = None
    high: float | None = None

    def clamped(self, low: float | None, high: float | None) -> Emission:
        """Return the emission that a clamp before this one needs from its producer.

        A clamp after a clamp stays exact because the later one, already in `self`, wins where the two do not overlap.
        """
        lows = [b for b in (low, self.low) if b is not None]
        highs = [b for b in (high, self.high) if b is not None]
        new_low, new_high = (max(lows) if lows else None), (min(highs) if highs else None)
        if new_low is not None and new_high is not None and new_low > new_high:
            below = high is not None and self.low is not None and high < self.low
            new_low = new_high = self.low if below else self.high
        return Emission(self.encoding, new_low, new_high)

    def emit(self, value: torch.Tensor, multiplier: torch.Tensor | None = None) -> torch.Tensor:
        """Turn a float32 value (times `multiplier`, when given) into codes: scale, round half to even, clamp.

        Args:
            value: float32 sums or real values.
            multiplier: float64 real value of one unit of `value`, broadcastable; None means 1.
        """
        unit = torch.ones((), dtype=torch.float64) if multiplier is None else multiplier
        if self.encoding is None:
            real = value * unit.float()
            return real if self.low is None and self.high is None else torch.clamp(real, self.low, self.high)
        size = self.encoding.level_scale
        low, high = self.encoding.level_bounds
        if self.low is not None:
            low = min(max(low, round(self.low / size)), high)
        if self.high is not None:
            high = max(min(high, round(self.high / size)), low)
        levels = (value * (unit / size).float()).round_().clamp_(low, high)
        return self.encoding.code_of(levels)


def requests_of(
    model: CapturedModel, layer_encodings: Mapping[str, Encoding], other_encodings: Mapping[tuple[str, int], Encoding]
) -> dict[str, tuple[Emission, ...]]:
    """Return the forms in which each node's value is wanted.

    Args:
        model: captured graph.
        layer_encodings: layer name -> encoding of its activations.
        other_encodings: (node name, input index) -> encoding, for additions, pooling and unary functions.
    """
    wanted: dict[str, dict[Emission, None]] = {name: {} for name in model.nodes}
    for node in reversed(list(model.nodes.values())):
        for i, source in enumerate(node.inputs):
            if node.op == "output":
                new = [Emission(None)]
            elif node.is_layer:
                new = [Emission(layer_encodings[node.name])]
            elif node.op in PASSING_OPS:
                bounds = (node.attrs["min"], node.attrs["max"]) if node.op == "clamp" else (None, None)
                new = [e.clamped(*bounds) for e in wanted[node.name]]
            else:
                new = [Emission(other_encodings[node.name, i])]
            wanted[source].update(dict.fromkeys(new))
    return {name: tuple(forms) for name, forms in wanted.items()}
