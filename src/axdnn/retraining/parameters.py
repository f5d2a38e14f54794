"""What is trained: the weights, biases and scales of a layer, the scales of a product of activations."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import torch
from torch import nn

from axdnn.kernels import Path
from axdnn.kernels.codes import table_index
from axdnn.layers import IntegerLayer, LayerCoding, LayerSample, Recipe, ScaledSums
from axdnn.layers.closed_forms import Steps
from axdnn.layers.emission import Emission
from axdnn.layers.product import IntegerProduct, second_form
from axdnn.quant import Encoding
from axdnn.records import Multiplier
from axdnn.retraining.functions import Products, looked_up
from axdnn.retraining.ranges import ActivationRange, keep_state
from axdnn.retraining.slopes import GradientRule, Slope, Slopes, slopes
from axdnn.retraining.weight_codes import StoreWeights, code_steps, effective_values, starting_values, value_bounds


class Ready(NamedTuple):
    """What all calls of a layer in one forward pass share.

    Attributes:
        weights: the weight's codes as float32; none of a product of activations.
        bias: float64 `(channels,)`, in units of the sums.
    """

    weights: tuple[torch.Tensor, ...]
    bias: torch.Tensor


class TrainableSums(nn.Module):
    """What trainable layers and products of activations have in common: gain, offset, and the sums with gradients.

    Attributes:
        bias: float64 `(channels,)`, real value added (bias and offset of the compensation).
        log_gain: float64 `(channels,)`, logarithm of the change of the compensation's gain.
        ranges: of the operands that are activations.
    """

    start_gain: torch.Tensor
    ranges: nn.ModuleList
    _slopes: Slopes

    def __init__(self, layer: ScaledSums, ranges: list[ActivationRange]) -> None:
        super().__init__()
        self.ranges = nn.ModuleList(ranges)
        self.register_buffer("start_gain", layer.scale.double() / layer.real_unit)
        self.bias = nn.Parameter(layer.bias.double() * layer.scale.double())
        self.log_gain = nn.Parameter(torch.zeros_like(self.start_gain))

    @property
    def integer(self) -> ScaledSums:
        """The layer that computes the sums, with the codes of the last forward pass."""
        raise NotImplementedError

    @property
    def weight_scale(self) -> torch.Tensor:
        """Real value of one unit of the second operand's value, float64 `(channels,)`."""
        raise NotImplementedError

    def ready(self) -> Ready:
        """Return what the calls share, and take over the present codes and scales into `integer`."""
        raise NotImplementedError

    def finished(self) -> ScaledSums:
        """Return the integer layer with the present codes, scales and biases, on the CPU."""
        raise NotImplementedError

    @property
    def range(self) -> ActivationRange:
        """Range of the first operand."""
        return self.ranges[0]  # type: ignore[return-value]

    @property
    def multiplier(self) -> Multiplier:
        """The circuit with its coding."""
        return self.integer.multiplier

    @property
    def gain(self) -> torch.Tensor:
        """What compensation multiplies each channel with, float64 `(channels,)`."""
        gain: torch.Tensor = self.start_gain * torch.exp(self.log_gain)
        return gain

    @property
    def scale(self) -> torch.Tensor:
        """Real value of one unit of the sums, float32 `(channels,)`."""
        return (self.gain * (self.weight_scale * self.range.scale)).float()

    def forward(self, codes: tuple[torch.Tensor, ...], ready: Ready, path: Path) -> torch.Tensor:
        """Return sums with bias and corrections, float32, from activation codes (float32)."""
        operands = (*codes, *ready.weights)
        return Products.apply(*operands, ready.bias, self.integer, self._slopes, path)  # type: ignore[no-any-return]

    @torch.no_grad()
    def set_affine(self, layer: ScaledSums, device: torch.device | str) -> None:
        """Give `layer` the present gain and offset."""
        layer.set_affine(self.gain.to(device), self.bias.detach().to(device))


class TrainableLayer(TrainableSums):
    """A convolution or linear layer whose weights are trained and stored as codes (see `weight_codes`).

    Attributes:
        weight: float32, `(c_out, c_in / groups, *kernel)` or `(out, in)`, batch norm folded.
        log_weight_scale: float64 `(c_out,)`, logarithm of the change of the weight's scale.
    """

    start_scale: torch.Tensor
    values: torch.Tensor
    codes_of: torch.Tensor
    breaks: torch.Tensor
    log_weight_scale: torch.Tensor

    def __init__(
        self, layer: IntegerLayer, sample: LayerSample, recipe: Recipe, rule: GradientRule, ranges: bool,
        weight_scales: bool,
    ) -> None:  # fmt: skip
        coding = layer.coding
        super().__init__(layer, [ActivationRange(coding.encoding, ranges)])
        steps = code_steps(layer, sample, recipe)
        self.register_buffer("codes_of", steps.values)
        self.register_buffer("breaks", steps.breaks)
        self.register_buffer("values", torch.from_numpy(layer.multiplier.w_values - coding.w_zero).double())
        self.register_buffer("start_scale", coding.w_scale.flatten().clone())
        joint = recipe.weight_codes == "joint"
        start = starting_values(layer, sample.weight.flatten(0, 1), steps, joint) * self.start_scale.view(-1, 1)
        self.weight = nn.Parameter(start.float().view(layer.w_codes.shape))
        keep_state(self, "log_weight_scale", torch.zeros_like(self.start_scale), weight_scales)
        self._slopes = slopes(coding, effective_values(coding, sample), rule)
        # Computes the sums with the codes of the moment; not a submodule, because its state follows from ours.
        self._integer = (IntegerLayer(layer.node, layer.w_codes.shape, coding),)

    @property
    def integer(self) -> IntegerLayer:
        """The layer that computes the sums, with the codes of the last forward pass."""
        return self._integer[0]

    @property
    def weight_scale(self) -> torch.Tensor:
        """Real weight of one unit of weight value, float64 `(c_out,)`."""
        scale: torch.Tensor = self.start_scale * torch.exp(self.log_weight_scale)
        return scale

    def codes(self) -> torch.Tensor:
        """Return the weight's codes as float32."""
        inverse = (1.0 / self.weight_scale).float().view(-1, *([1] * (self.weight.dim() - 1)))
        steps, bounds = Steps(self.codes_of, self.breaks), value_bounds(self.integer.coding)
        return StoreWeights.apply(self.weight, inverse, steps, *bounds)  # type: ignore[no-any-return]

    def ready(self) -> Ready:
        """Return what the calls share, and take over the present codes and scales into `integer`."""
        w = self.codes()
        self._refresh(self.integer, w.detach())
        return Ready((w,), self.bias / self.scale.double())

    @torch.no_grad()
    def finished(self) -> IntegerLayer:
        """Return the integer layer with the present codes, scales and biases, on the CPU."""
        old = self.integer
        layer = IntegerLayer(old.node, old.w_codes.shape, self._coding(self.codes(), "cpu"))
        self.set_affine(layer, "cpu")
        return layer

    @torch.no_grad()
    def _refresh(self, layer: IntegerLayer, w: torch.Tensor) -> None:
        layer.coding = self._coding(w, w.device)
        layer.w_codes = layer.coding.w_codes.view(w.shape)
        values = looked_up(self.values, table_index(layer.w_codes, layer.multiplier.w_signed)).flatten(1).sum(1)
        layer.shift = (-layer.coding.encoding.zero_point * values).long()
        self.set_affine(layer, w.device)

    def _coding(self, w: torch.Tensor, device: torch.device | str) -> LayerCoding:
        old = self.integer.coding
        codes = w.to(device, old.w_codes.dtype).view(old.w_codes.shape)
        scale = self.weight_scale.detach().to(device).view(old.w_scale.shape)
        return replace(old, encoding=self.range.encoding(), w_codes=codes, w_scale=scale)


class TrainableProduct(TrainableSums):
    """A product of two activations: both ranges, gain and offset are trained."""

    def __init__(self, layer: IntegerProduct, rule: GradientRule, ranges: bool) -> None:
        coding = layer.coding
        assert coding.w_encoding is not None

        def form(encoding: Encoding) -> Emission:
            return second_form(replace(coding, w_encoding=encoding))

        super().__init__(
            layer, [ActivationRange(coding.encoding, ranges), ActivationRange(coding.w_encoding, ranges, form)]
        )
        self._values_a_code = 2 if layer.multiplier.coding == "sign_magnitude" else 1
        exact = torch.from_numpy(layer.multiplier.w_values - coding.w_zero).double()
        by_value = slopes(coding, exact, rule)
        self._slopes = Slopes(by_value.a, Slope(by_value.w.p, by_value.w.q * self._values_a_code))
        self._integer = (IntegerProduct(layer.node, coding),)

    @property
    def integer(self) -> IntegerProduct:
        """The product that computes the sums, with the scales of the last forward pass."""
        return self._integer[0]

    @property
    def weight_scale(self) -> torch.Tensor:
        """Real value of one unit of the second operand's value, float64 `(1,)`."""
        second = self.ranges[1]
        assert isinstance(second, ActivationRange)
        return second.scale.view(1) / self._values_a_code

    def ready(self) -> Ready:
        """Return what the calls share, and take over the present scales into `integer`."""
        self._refresh(self.integer, self.start_gain.device)
        return Ready((), self.bias / self.scale.double())

    @torch.no_grad()
    def finished(self) -> IntegerProduct:
        """Return the integer product with the present scales, on the CPU."""
        product = IntegerProduct(self.integer.node, self.integer.coding)
        self._refresh(product, "cpu")
        return product

    @torch.no_grad()
    def _refresh(self, product: IntegerProduct, device: torch.device | str) -> None:
        first, second = (of.encoding() for of in self.ranges if isinstance(of, ActivationRange))
        scale = self.weight_scale.to(device).view(1, 1)
        product.coding = replace(product.coding, encoding=first, w_encoding=second, w_scale=scale)
        self.set_affine(product, device)
