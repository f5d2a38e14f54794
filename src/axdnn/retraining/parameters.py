"""What is trained: ranges of activations, and the weights, biases and scales of a layer.

Scales are learned as logarithms of their change (S. R. Jain et al., "Trained quantization thresholds", MLSys 2020), so
they stay positive; as the change starts at 0, the network starts from the same bits. Zero points stay as they are.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from axdnn.kernels import Path
from axdnn.kernels.codes import table_index
from axdnn.kernels.requantise import Levels
from axdnn.layers import IntegerLayer, LayerCoding, LayerSample, Recipe
from axdnn.layers.closed_forms import Steps
from axdnn.layers.emission import Emission
from axdnn.quant import Encoding
from axdnn.records import Multiplier
from axdnn.retraining.functions import Bounds, Products, Quantise, looked_up
from axdnn.retraining.slopes import GradientRule, slopes
from axdnn.retraining.weight_codes import StoreWeights, code_steps, effective_values, starting_values, value_bounds


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
    """A convolution or linear layer whose weights are trained and stored as codes (see `weight_codes`).

    Attributes:
        weight: float32, `(c_out, c_in / groups, kh, kw)` or `(out, in)`, batch norm folded.
        bias: float64 `(c_out,)`, real value added (bias and offset of the compensation).
        log_gain: float64 `(c_out,)`, logarithm of the change of the compensation's gain.
        log_weight_scale: float64 `(c_out,)`, logarithm of the change of the weight's scale.
    """

    start_scale: torch.Tensor
    start_gain: torch.Tensor
    values: torch.Tensor
    codes_of: torch.Tensor
    breaks: torch.Tensor
    log_weight_scale: torch.Tensor

    def __init__(
        self, layer: IntegerLayer, sample: LayerSample, recipe: Recipe, rule: GradientRule, ranges: bool,
        weight_scales: bool,
    ) -> None:  # fmt: skip
        super().__init__()
        coding = layer.coding
        self.range = ActivationRange(coding.encoding, ranges)
        steps = code_steps(layer, sample, recipe)
        self.register_buffer("codes_of", steps.values)
        self.register_buffer("breaks", steps.breaks)
        self.register_buffer("values", torch.from_numpy(layer.multiplier.w_values - coding.w_zero).double())
        self.register_buffer("start_scale", coding.w_scale.flatten().clone())
        self.register_buffer("start_gain", layer.scale.double() / layer.real_unit)
        start = starting_values(layer, sample.weight.flatten(0, 1), steps) * self.start_scale.view(-1, 1)
        self.weight = nn.Parameter(start.float().view(layer.w_codes.shape))
        self.bias = nn.Parameter(layer.bias.double() * layer.scale.double())
        self.log_gain = nn.Parameter(torch.zeros_like(self.start_gain))
        _state(self, "log_weight_scale", torch.zeros_like(self.start_scale), weight_scales)
        self._slopes = slopes(coding, effective_values(coding, sample), rule)
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
        inverse = (1.0 / self.weight_scale).float().view(-1, *([1] * (self.weight.dim() - 1)))
        steps, bounds = Steps(self.codes_of, self.breaks), value_bounds(self._integer[0].coding)
        return StoreWeights.apply(self.weight, inverse, steps, *bounds)  # type: ignore[no-any-return]

    def forward(self, x: torch.Tensor, path: Path) -> torch.Tensor:
        """Return sums with bias and corrections, float32, from activation codes (float32)."""
        w, layer = self.codes(), self._integer[0]
        self._refresh(layer, w.detach())
        steps = self.bias / self.scale.double()
        return Products.apply(x, w, steps, layer, self._slopes, path)  # type: ignore[no-any-return]

    @torch.no_grad()
    def finished(self) -> IntegerLayer:
        """Return the integer layer with the present codes, scales and biases, on the CPU."""
        old = self._integer[0]
        layer = IntegerLayer(old.node, old.w_codes.shape, self._coding(self.codes(), "cpu"))
        self._set_affine(layer, "cpu")
        return layer

    @torch.no_grad()
    def _refresh(self, layer: IntegerLayer, w: torch.Tensor) -> None:
        layer.coding = self._coding(w, w.device)
        layer.w_codes = layer.coding.w_codes.view(w.shape)
        values = looked_up(self.values, table_index(layer.w_codes, layer.multiplier.w_signed)).flatten(1).sum(1)
        layer.shift = (-layer.coding.encoding.zero_point * values).long()
        self._set_affine(layer, w.device)

    def _coding(self, w: torch.Tensor, device: torch.device | str) -> LayerCoding:
        old = self._integer[0].coding
        codes = w.to(device, old.w_codes.dtype).view(old.w_codes.shape)
        scale = self.weight_scale.detach().to(device).view(old.w_scale.shape)
        return replace(old, encoding=self.range.encoding(), w_codes=codes, w_scale=scale)

    def _set_affine(self, layer: IntegerLayer, device: torch.device | str) -> None:
        gain = (self.start_gain * torch.exp(self.log_gain)).to(device)
        layer.set_affine(gain, self.bias.detach().to(device))


def _state(module: nn.Module, name: str, value: torch.Tensor, learned: bool) -> None:
    if learned:
        module.register_parameter(name, nn.Parameter(value))
    else:
        module.register_buffer(name, value)


def _moving(form: Emission, size: torch.Tensor, levels: Levels) -> Bounds:
    """Return the bounds of a clamp in levels where they, not the range, decide: tensors that follow the range."""
    low = form.low is not None and form.low != 0 and round(form.low / float(size.detach())) == levels.low
    high = form.high is not None and form.high != 0 and round(form.high / float(size.detach())) == levels.high
    return Bounds(form.low / size if low else None, form.high / size if high else None)
