"""A convolution or linear layer in integers: codes in, exact sums of approximate products out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from axdnn.kernels import ABSENT, Path, approx_conv, approx_conv_transpose, approx_matmul, exact_of
from axdnn.kernels.codes import peak_product
from axdnn.layers.coding import LayerCoding, weight_values
from axdnn.layers.emission import Emission
from axdnn.quant import TRANSPOSED_OPS, Node
from axdnn.records import Multiplier

INT32_MAX = 2**31 - 1


class ScaledSums(nn.Module):
    """What layers with weights and products of activations have in common: sums, and their way to real values.

    Args:
        node: of the captured graph, the first call of the layer.
        coding: codes and how they were chosen.
        channels: of the result; 1 if all of it shares a scale.

    Attributes:
        multiplier: the circuit with its coding.
        terms: what each term of a sum multiplies with, see `approx_matmul`; None if all use the circuit.
        skipped: channels that are not computed.
        scale: float32 `(channels,)`, real value of one unit of a sum.
        bias: int32 `(channels,)`.
    """

    scale: torch.Tensor
    bias: torch.Tensor

    def __init__(self, node: Node, coding: LayerCoding, channels: int) -> None:
        super().__init__()
        self.node, self.coding = node, coding
        self.multiplier: Multiplier = coding.multiplier
        self.skipped = torch.zeros(0, dtype=torch.long)
        self.terms = None if coding.multiplier.is_exact else coding.terms
        self.register_buffer("scale", torch.ones(channels))
        self.register_buffer("bias", torch.zeros(channels, dtype=torch.int32))

    def extra_repr(self) -> str:
        """Show the user's layer name and the multiplier."""
        return f"{self.node.name}: {self.multiplier.name}"

    @property
    def forms(self) -> tuple[Emission, ...]:
        """The form in which each input is read."""
        return (Emission(self.coding.encoding),)

    @property
    def real_unit(self) -> torch.Tensor:
        """Real value of one unit of the sum before compensation, float64 `(channels,)`."""
        return self.coding.w_scale.flatten() * self.coding.encoding.scale

    def set_affine(self, gain: torch.Tensor, offset: torch.Tensor) -> None:
        """Fold a gain and an offset (bias included, real units) per channel into scale and int32 bias.

        Args:
            gain: float64 `(channels,)`.
            offset: float64 `(channels,)`, real value to add.
        """
        self.scale = (gain * self.real_unit).float()
        steps = torch.round(offset / self.scale.double())
        self.bias = steps.clamp(-INT32_MAX, INT32_MAX).to(torch.int32)

    def sums(self, *codes: torch.Tensor, path: Path = "auto") -> torch.Tensor:
        """Return exact sums with corrections and bias; int32 where they are proven to fit, else int64.

        Args:
            codes: activations `(b, c_in, *sizes)` or `(b, ..., in)`; of a product both operands.
            path: kernel path.
        """
        sums, constant = self.open_sums(*codes, path=path)
        return sums + self._channel(constant, sums)

    def raw_sums(self, *codes: torch.Tensor, path: Path = "auto") -> torch.Tensor:
        """Return exact sums with zero-point corrections and without bias, of the same types."""
        raise NotImplementedError

    def open_sums(self, *codes: torch.Tensor, path: Path = "auto") -> tuple[torch.Tensor, torch.Tensor]:
        """Return sums and what is still to be added for each channel, both int32 where the total is proven to fit."""
        raise NotImplementedError

    def real(self, sums: torch.Tensor) -> torch.Tensor:
        """Return the real value of sums, float32."""
        return sums.to(torch.float32) * self._channel(self.scale, sums)

    def by_channel(self, values: torch.Tensor) -> torch.Tensor:
        """Return values of the layer's output as `(rows, channels)`."""
        if len(self.scale) == 1:
            return values.reshape(-1, 1)
        if self.node.channel_dim == 1:
            return values.transpose(0, 1).flatten(1).T
        return values.reshape(-1, values.shape[-1])

    def _channel(self, vector: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
        return vector.view(-1, *([1] * (like.dim() - 2))) if self.node.channel_dim == 1 else vector


class IntegerLayer(ScaledSums):
    """One layer with weights and its multiplier.

    `sums(codes)` returns `sum T[x, w] + bias` as exact integers, zero-point corrections included; the real value of a
    sum is `scale[channel] * sum`, one float32 scale per output channel.

    Args:
        node: the layer in the captured graph.
        weight_shape: of its weight.
        coding: codes and how they were chosen.
        skipped: output channels that are not computed: their sums are 0.
        absent: input channels (of a linear layer: features) whose terms are left out.

    Attributes:
        w_codes: stored weights, `(c_out, c_in / groups, *kernel)` or `(out, in)`.
    """

    w_codes: torch.Tensor
    shift: torch.Tensor

    def __init__(
        self,
        node: Node,
        weight_shape: torch.Size,
        coding: LayerCoding,
        skipped: Sequence[int] = (),
        absent: Sequence[int] = (),
    ) -> None:
        super().__init__(node, coding, weight_shape[0])
        self.terms = _terms(node, weight_shape, coding, absent)
        self.skipped = torch.tensor(list(skipped), dtype=torch.long)
        self.at_once: dict[Any, Any] = {}  # form -> what `codes_at_once` works out once
        # No sum of products exceeds this; exact terms, where there are any, stay below 2^16.
        self._peak = max(peak_product(coding.multiplier), 2**16) * weight_shape[1:].numel()
        self.register_buffer("w_codes", coding.w_codes.reshape(weight_shape).contiguous())
        values = weight_values(coding.w_codes, coding.multiplier, coding.w_zero)
        if self.terms is not None:
            values = values * (self.terms != ABSENT).view(-1, 1, values.shape[2])
        self.register_buffer("shift", -coding.encoding.zero_point * values.sum(dim=2).flatten())

    def set_affine(self, gain: torch.Tensor, offset: torch.Tensor) -> None:
        """Fold gain and offset into scale and bias; skipped channels keep the bias 0."""
        super().set_affine(gain, offset)
        self.bias[self.skipped] = 0

    def raw_sums(self, *codes: torch.Tensor, path: Path = "auto") -> torch.Tensor:
        """Return exact sums with zero-point corrections and without bias, of the same types."""
        sums, constant = self._open(codes[0], torch.zeros_like(self.shift), path)
        return sums + self._channel(constant, sums)

    def open_sums(self, *codes: torch.Tensor, path: Path = "auto") -> tuple[torch.Tensor, torch.Tensor]:
        """Return sums and what is still to be added for each channel, both int32 where the total is proven to fit."""
        return self._open(codes[0], self.bias, path)

    def known_constant(self) -> torch.Tensor | None:
        """Return what is to be added to the sums of each channel, int32, or None where the total may not fit it."""
        constant = self.shift + self.bias
        return constant.to(torch.int32) if self._fits(constant) else None

    def _fits(self, constant: torch.Tensor) -> bool:
        """Whether any sum of products and the constant of its channel fit int32."""
        return self._peak + int(constant.abs().max()) < 2**31

    def _open(self, codes: torch.Tensor, bias: torch.Tensor, path: Path) -> tuple[torch.Tensor, torch.Tensor]:
        """Return sums and an int64 constant `(c_out,)` of one type that holds their total; skipped channels are 0."""
        raw = self._multiply(codes, self.w_codes, self.multiplier, path, self.terms)
        constant = self.shift + bias
        if self.coding.w_zero:
            raw = raw - self.coding.w_zero * self._activation_sums(codes)
        if self.node.op in TRANSPOSED_OPS and self.coding.encoding.zero_point:
            raw, constant = raw + self._tap_shift(codes), bias.to(torch.int64)
        fits = raw.dtype == torch.int32 and self._fits(constant)
        if len(self.skipped):
            raw = raw.index_fill(self.node.channel_dim, self.skipped, 0)
            constant = constant.index_fill(0, self.skipped, 0)
        return (raw, constant.to(torch.int32)) if fits else (raw.to(torch.int64), constant)

    def _multiply(
        self,
        codes: torch.Tensor,
        w_codes: torch.Tensor,
        multiplier: Multiplier,
        path: Path = "auto",
        terms: torch.Tensor | None = None,
        pad_code: int | None = None,
    ) -> torch.Tensor:
        """Return sums of products of codes and weights, nothing corrected."""
        if self.node.op == "linear":
            flat = codes.reshape(-1, codes.shape[-1])
            sums = approx_matmul(flat, w_codes, multiplier, path=path, terms=terms)
            return sums.reshape(*codes.shape[:-1], w_codes.shape[0])
        a: dict[str, Any] = self.node.attrs
        pad = self.coding.encoding.zero_point if pad_code is None else pad_code
        if self.node.op in TRANSPOSED_OPS:
            return approx_conv_transpose(
                codes, w_codes, multiplier, a["stride"], a["padding"], a["output_padding"], a["dilation"], a["groups"],
                pad, path=path, terms=terms,
            )  # fmt: skip
        return approx_conv(
            codes, w_codes, multiplier, a["stride"], a["padding"], a["dilation"], a["groups"], pad, path=path,
            terms=terms,
        )  # fmt: skip

    def _activation_sums(self, codes: torch.Tensor) -> torch.Tensor:
        """Return the sum of the window's codes, int64: exact products with weights of one, once for each group."""
        groups = self.node.attrs.get("groups", 1)
        ones = torch.ones_like(self.w_codes[:groups])
        terms = None if self.terms is None else self.terms * (self.terms == ABSENT)
        sums = self._multiply(codes, ones, exact_of(self.multiplier), terms=terms).to(torch.int64)
        return sums.repeat_interleave(self.w_codes.shape[0] // groups, dim=self.node.channel_dim)

    def _tap_shift(self, codes: torch.Tensor) -> torch.Tensor:
        """Return `-zero point * sum of weights`, int64: not all taps of a transposed kernel meet each output."""
        ones = torch.ones_like(codes[:1])
        terms = None if self.terms is None else self.terms * (self.terms == ABSENT)
        sums = self._multiply(ones, self.w_codes, exact_of(self.multiplier), terms=terms, pad_code=1).to(torch.int64)
        if self.coding.w_zero:
            one_weights = torch.ones_like(self.w_codes)
            taps = self._multiply(ones, one_weights, exact_of(self.multiplier), terms=terms, pad_code=1)
            sums = sums - self.coding.w_zero * taps
        return -self.coding.encoding.zero_point * sums


def _terms(node: Node, weight_shape: torch.Size, coding: LayerCoding, absent: Sequence[int]) -> torch.Tensor | None:
    """Return what each term is, uint8 `(k,)` or `(groups, k)`; exact terms of an exact circuit are like the others."""
    terms = None if coding.multiplier.is_exact else coding.terms
    if not len(absent):
        return terms
    groups = node.attrs.get("groups", 1)
    inputs, window = weight_shape[1], weight_shape[1:].numel() // weight_shape[1]
    dropped = torch.zeros(groups * inputs, dtype=torch.bool)
    dropped[list(absent)] = True
    mask = dropped.view(groups, inputs, 1).expand(groups, inputs, window).reshape(groups, -1)
    kinds = torch.zeros(mask.shape[1], dtype=torch.uint8) if terms is None else terms
    kinds = torch.where(mask, torch.tensor(ABSENT, dtype=torch.uint8), kinds)
    return kinds[0] if groups == 1 else kinds
