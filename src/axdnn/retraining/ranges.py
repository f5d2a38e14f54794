"""The range of an activation under training: the scale of its codes, learned or frozen; the zero point stays.

Scales are learned as logarithms of their change (S. R. Jain et al., "Trained quantization thresholds", MLSys 2020), so
they stay positive; as the change starts at 0, the network starts from the same bits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import nn

from axdnn.kernels.requantise import Levels
from axdnn.layers.emission import Emission
from axdnn.quant import Encoding
from axdnn.retraining.functions import Bounds, Quantise


class ActivationRange(nn.Module):
    """The encoding of one input of one operator, its scale learned or frozen.

    Args:
        start: encoding before training.
        learned: whether its scale is trained.
        form: the form in which the operator reads its input, from the encoding.

    Attributes:
        start: encoding before training.
        log_change: float64 scalar, logarithm of what its scale is multiplied with.
    """

    log_change: torch.Tensor

    def __init__(self, start: Encoding, learned: bool, form: Callable[[Encoding], Emission] = Emission) -> None:
        super().__init__()
        self.start, self._form = start, form
        keep_state(self, "log_change", torch.zeros((), dtype=torch.float64), learned)

    @property
    def scale(self) -> torch.Tensor:
        """Real size of one code step, float64 scalar."""
        return self.start.scale * torch.exp(self.log_change)

    def encoding(self) -> Encoding:
        """Return the encoding as it is now."""
        return replace(self.start, scale=float(self.scale.detach()))

    def emit(self, value: torch.Tensor, unit: torch.Tensor | None, dim: int, bounds: Emission) -> torch.Tensor:
        """Return the codes (float32) of `value * unit`, as `Emission.emit` computes them.

        Args:
            value: float32 sums or real values.
            unit: float64 real value of one unit of `value`, scalar or `(c,)`; None means 1.
            dim: of the channels, 1 of `(b, c, *sizes)` or -1.
            bounds: of a clamp on the way.
        """
        size = self.scale * (1 << self.start.step_bits)
        steps = ((1.0 if unit is None else unit) / size).float()
        levels = self._form(self.encoding()).clamped(bounds.low, bounds.high).levels
        assert levels is not None
        steps = by_channel(steps, value, dim)
        return Quantise.apply(value, steps, *_moving(bounds, size, levels), levels)  # type: ignore[no-any-return]

    def dequantise(self, codes: torch.Tensor) -> torch.Tensor:
        """Return the real values of codes, float32."""
        return (codes - self.start.zero_point) * self.scale.float()


def keep_state(module: nn.Module, name: str, value: torch.Tensor, learned: bool) -> None:
    """Register a parameter, or a buffer where it is not learned."""
    if learned:
        module.register_parameter(name, nn.Parameter(value))
    else:
        module.register_buffer(name, value)


def by_channel(vector: torch.Tensor, like: torch.Tensor, dim: int) -> torch.Tensor:
    """Return an entry a channel, to be broadcast over `like` whose channels lie at `dim`; scalars as they are."""
    return vector.view(-1, *([1] * (like.dim() - 2))) if dim == 1 and vector.dim() else vector


def _moving(clamp: Emission, size: torch.Tensor, levels: Levels) -> Bounds:
    """Return the bounds of a clamp in levels where they, not the range, decide: tensors that follow the range."""

    def moving(bound: float | None, level: int) -> torch.Tensor | None:
        decides = bound and round(bound / float(size.detach())) == level
        return bound / size if decides and bound is not None else None

    return Bounds(moving(clamp.low, levels.low), moving(clamp.high, levels.high))
