"""What is trained: ranges of activations, and the weights, biases and scales of a layer.

Scales are learned as logarithms of their change (S. R. Jain et al., "Trained quantization thresholds", MLSys 2020), so
they stay positive; as the change starts at 0, the network starts from the same bits. Zero points stay as they are.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from axdnn.kernels import Path
from axdnn.kernels.requantise import Levels
from axdnn.layers import IntegerLayer, LayerCoding
from axdnn.layers.coding import MOST_STEP_BITS
from axdnn.layers.emission import Emission
from axdnn.multipliers import classify
from axdnn.quant import Encoding
from axdnn.records import Multiplier
from axdnn.retraining.functions import Bounds, Products, Quantise
from axdnn.retraining.slopes import GradientRule, slopes

MINUS_ZERO = -128  # of sign-magnitude weights; training starts from plain zero instead
INSIDE_CELL = 0.49  # how far a weight may start from the level it is stored as


class ActivationRange(nn.Module):
    """The encoding of one input of one operator, its scale learned or frozen.

    Attributes:
        start: encoding before training.
        log_change: float64 scalar, logarithm of what its scale is multiplied with.
    """

    log_change: torch.Tensor

    def __init__(self, start: Encoding, learned: bool) -> None:
        super().__init__()
        self.start = start
        _state(self, "log_change", torch.zeros((), dtype=torch.float64), learned)

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
            dim: of the channels, 1 of `(b, c, h, w)` or -1.
            bounds: of a clamp on the way.
        """
        size = self.scale * (1 << self.start.step_bits)
        steps = ((1.0 if unit is None else unit) / size).float()
        form = replace(bounds, encoding=self.encoding())
        levels = form.levels
        assert levels is not None
        steps = steps.view(-1, 1, 1) if dim == 1 and steps.dim() else steps
        return Quantise.apply(value, steps, *_moving(form, size, levels), levels)  # type: ignore[no-any-return]

    def dequantise(self, codes: torch.Tensor) -> torch.Tensor:
        """Return the real values of codes, float32."""
        return (codes - self.start.zero_point) * self.scale.float()


class TrainableLayer(nn.Module):
    """A convolution or linear layer whose weights are trained and stored as codes.

    The float weight is a latent variable: its code is the nearest one that the circuit can tell apart. Where the
    recipe stored another code than the nearest, the weight starts at the edge of that code's cell.

    Attributes:
        weight: float32, `(c_out, c_in / groups, kh, kw)` or `(out, in)`, batch norm folded.
        bias: float64 `(c_out,)`, real value added (bias and offset of the compensation).
        log_gain: float64 `(c_out,)`, logarithm of the change of the compensation's gain.
        log_weight_scale: float64 `(c_out,)`, logarithm of the change of the weight's scale.
    """

    log_weight_scale: torch.Tensor

    def __init__(
        self, layer: IntegerLayer, weight: torch.Tensor, rule: GradientRule, ranges: bool, weight_scales: bool
    ) -> None:
        super().__init__()
        self.rule, coding = rule, layer.coding
        self.range = ActivationRange(coding.encoding, ranges)
        self.levels, self.unit = _weight_levels(coding)
        self.register_buffer("start_scale", coding.w_scale.flatten().clone())
        self.register_buffer("start_gain", layer.scale.double() / layer.real_unit)
        stored = (layer.w_codes.double() - self.levels.zero) / self.levels.step
        if layer.multiplier.coding == "sign_magnitude":
            stored[layer.w_codes == MINUS_ZERO] = 0
        size = self._spread(self.start_scale * self.unit, weight)
        level = torch.minimum(torch.maximum(weight.double() / size, stored - INSIDE_CELL), stored + INSIDE_CELL)
        self.weight = nn.Parameter((level * size).float())
        self.bias = nn.Parameter(layer.bias.double() * layer.scale.double())
        self.log_gain = nn.Parameter(torch.zeros_like(self.start_gain))
        _state(self, "log_weight_scale", torch.zeros_like(self.start_scale), weight_scales)
        # Computes the sums with the codes of the moment; not a submodule, because its state follows from ours.
        self._integer = (IntegerLayer(layer.node, layer.w_codes.shape, coding),)

    @property
    def multiplier(self) -> Multiplier:
        """The circuit with its coding."""
        return self._integer[0].multiplier

    @property
    def weight_scale(self) -> torch.Tensor:
        """Real weight of one unit of weight value, float64 `(c_out,)`."""
        scale: torch.Tensor = self.start_scale * torch.exp(self.log_weight_scale)
        return scale

    @property
    def scale(self) -> torch.Tensor:
        """Real value of one unit of the sums, float32 `(c_out,)`."""
        gain = self.start_gain * torch.exp(self.log_gain)
        return (gain * (self.weight_scale * self.range.scale)).float()

    def codes(self) -> torch.Tensor:
        """Return the weight's codes as float32."""
        steps = self._spread(1.0 / (self.weight_scale * self.unit), self.weight).float()
        return Quantise.apply(self.weight, steps, None, None, self.levels)  # type: ignore[no-any-return]

    def forward(self, x: torch.Tensor, path: Path) -> torch.Tensor:
        """Return sums with bias and corrections, float32, from activation codes (float32)."""
        w, layer = self.codes(), self._integer[0]
        self._refresh(layer, w.detach())
        steps = self.bias / self.scale.double()
        derivative = slopes(layer.multiplier, self.range.start.zero_point, self.levels.zero, self.rule)
        return Products.apply(x, w, steps, layer, derivative, path)  # type: ignore[no-any-return]

    @torch.no_grad()
    def finished(self) -> IntegerLayer:
        """Return the integer layer with the present codes, scales and biases, on the CPU."""
        old = self._integer[0]
        layer = IntegerLayer(old.node, old.w_codes.shape, self._coding(self.codes(), "cpu"))
        self._set_affine(layer, "cpu")
        return layer

    @torch.no_grad()
    def _refresh(self, layer: IntegerLayer, w: torch.Tensor) -> None:
        device = w.device
        layer.coding = self._coding(w, device)
        layer.w_codes = layer.coding.w_codes.view(w.shape)
        values = (w - self.levels.zero).flatten(1).sum(1, dtype=torch.float64) * (self.unit / self.levels.step)
        layer.shift = (-layer.coding.encoding.zero_point * values).long()
        self._set_affine(layer, device)

    def _coding(self, w: torch.Tensor, device: torch.device | str) -> LayerCoding:
        old = self._integer[0].coding
        codes = w.to(device, old.w_codes.dtype).view(old.w_codes.shape)
        scale = self.weight_scale.detach().to(device).view(old.w_scale.shape)
        return replace(old, encoding=self.range.encoding(), w_codes=codes, w_scale=scale)

    def _set_affine(self, layer: IntegerLayer, device: torch.device | str) -> None:
        gain = (self.start_gain * torch.exp(self.log_gain)).to(device)
        layer.set_affine(gain, self.bias.detach().to(device))

    @staticmethod
    def _spread(channels: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        return channels.view(-1, *([1] * (weight.dim() - 1)))


def _state(module: nn.Module, name: str, value: torch.Tensor, learned: bool) -> None:
    if learned:
        module.register_parameter(name, nn.Parameter(value))
    else:
        module.register_buffer(name, value)


def _weight_levels(coding: LayerCoding) -> tuple[Levels, float]:
    """Return how levels of a weight become codes, and the weight value of one level.

    Levels are the steps the circuit can tell apart, if the stored codes keep to them.
    """
    multiplier, zero = coding.multiplier, coding.w_zero
    step = 1 << min(classify(multiplier).w_step_bits, MOST_STEP_BITS)
    if bool(((coding.w_codes.long() - zero) % step).any()):
        step = 1
    sign_magnitude = multiplier.coding == "sign_magnitude"
    below = 127 if sign_magnitude else 128
    levels = Levels(-(below // step), 127 // step, step, zero, multiplier.w_signed)
    return levels, float(step * (2 if sign_magnitude else 1))


def _moving(form: Emission, size: torch.Tensor, levels: Levels) -> Bounds:
    """Return the bounds of a clamp in levels where they, not the range, decide: tensors that follow the range."""
    low = form.low is not None and form.low != 0 and round(form.low / float(size.detach())) == levels.low
    high = form.high is not None and form.high != 0 and round(form.high / float(size.detach())) == levels.high
    return Bounds(form.low / size if low else None, form.high / size if high else None)
