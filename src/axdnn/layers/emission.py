"""Which codes each operator must hand on: requests travel backward from consumers to producers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from axdnn.kernels.requantise import Codes, Levels, add_codes, requantise
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

    @property
    def levels(self) -> Levels | None:
        """What the levels of the codes are clamped to and how they become codes; None for real values."""
        if self.encoding is None:
            return None
        size = self.encoding.level_scale
        low, high = self.encoding.level_bounds
        if self.low is not None:
            low = min(max(low, round(self.low / size)), high)
        if self.high is not None:
            high = max(min(high, round(self.high / size)), low)
        return Levels(low, high, 1 << self.encoding.step_bits, self.encoding.zero_point, self.encoding.signed)

    def level_unit(self, multiplier: torch.Tensor | None) -> torch.Tensor:
        """Return levels (or, without an encoding, real value) of one unit of a value, float32."""
        unit = torch.ones((), dtype=torch.float64) if multiplier is None else multiplier
        return (unit if self.encoding is None else unit / self.encoding.level_scale).float()

    def emit(self, value: torch.Tensor, multiplier: torch.Tensor | None = None) -> torch.Tensor:
        """Turn a float32 value (times `multiplier`, when given) into codes: scale, round half to even, clamp.

        Args:
            value: float32 sums or real values.
            multiplier: float64 real value of one unit of `value`, broadcastable; None means 1.
        """
        scaled, levels = value * self.level_unit(multiplier), self.levels
        if self.encoding is None or levels is None:
            return scaled if self.low is None and self.high is None else torch.clamp(scaled, self.low, self.high)
        return self.encoding.code_of(scaled.round_().clamp_(levels.low, levels.high))

    def emit_sums(
        self, sums: torch.Tensor, constant: torch.Tensor, multiplier: torch.Tensor, dim: int, literal: bool = False
    ) -> torch.Tensor:
        """Turn a layer's sums plus a constant for each channel into codes, by the native kernels where they can.

        Args:
            sums: int32 or int64.
            constant: int32 `(c,)` where the total fits int32, else int64.
            multiplier: float64 real value of one unit, `(c,)`.
            dim: of the channels, 1 of `(b, c, *sizes)` or -1.
            literal: leave the native kernels out.
        """
        levels = self.levels
        if not literal and levels is not None and sums.dtype == constant.dtype == torch.int32:
            codes = requantise(sums, constant, self.level_unit(multiplier), levels, dim)
            if codes is not None:
                return codes
        shape = (-1, *([1] * (sums.dim() - 2))) if dim == 1 else (-1,)
        return self.emit((sums + constant.view(shape)).to(torch.float32), multiplier.view(shape))


def sums_of(a: Codes, b: Codes, wanted: Sequence[Emission]) -> dict[Emission, torch.Tensor] | None:
    """Return the sum of two tensors of codes in each form, or None where the native kernels cannot do it."""
    forms = [(float(e.level_unit(None)), levels) for e in wanted if (levels := e.levels) is not None]
    found = add_codes(a, b, forms) if len(forms) == len(wanted) else None
    return None if found is None else dict(zip(wanted, found, strict=True))


def requests_of(
    model: CapturedModel,
    layer_forms: Mapping[str, tuple[Emission, ...]],
    other_encodings: Mapping[tuple[str, int], Encoding],
) -> dict[str, tuple[Emission, ...]]:
    """Return the forms in which each node's value is wanted.

    Args:
        model: captured graph.
        layer_forms: layer name -> the form in which it reads each input.
        other_encodings: (node name, input index) -> encoding, for additions, pooling, tables and scales; functions
            read real values.
    """
    wanted: dict[str, dict[Emission, None]] = {name: {} for name in model.nodes}
    for node in reversed(list(model.nodes.values())):
        for i, source in enumerate(node.inputs):
            if node.op in ("output", "function"):
                new = [Emission(None)]
            elif node.op == "constant":  # reads nothing but the size of the batch
                new = []
            elif node.is_layer:
                new = [layer_forms[node.layer_name][i]]
            elif node.op in PASSING_OPS:
                bounds = (node.attrs["min"], node.attrs["max"]) if node.op == "clamp" else (None, None)
                new = [e.clamped(*bounds) for e in wanted[node.name]]
            else:
                new = [Emission(other_encodings[node.name, i])]
            wanted[source].update(dict.fromkeys(new))
    return {name: tuple(forms) for name, forms in wanted.items()}
