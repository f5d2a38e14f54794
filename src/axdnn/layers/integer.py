"""A convolution or linear layer in integers: codes in, exact sums of approximate products out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from axdnn.kernels import ABSENT, Path, approx_conv2d, approx_matmul
from axdnn.kernels.codes import peak_product
from axdnn.layers.coding import LayerCoding, weight_values
from axdnn.quant import Node
from axdnn.records import Multiplier

INT32_MAX = 2**31 - 1
BIAS_STEPS = 2**28  # leaves room for a gain of 1/4 and the offset of the compensation


def fitting_bias(coding: LayerCoding, bias: torch.Tensor) -> LayerCoding:
    """Return a coding under which the bias fits int32: channels whose weights vanish beside their bias become zero.

    Args:
        coding: of a layer.
        bias: real, float64 `(c_out,)`.
    """
    bias = bias.view(coding.w_scale.shape)
    needed = bias.abs() / (BIAS_STEPS * coding.encoding.scale)
    lost = coding.w_scale < needed
    if not lost.any():
        return coding
    zero = torch.tensor(coding.w_zero, dtype=coding.w_codes.dtype)
    codes = torch.where(lost.unsqueeze(-1), zero, coding.w_codes)
    return replace(coding, w_codes=codes, w_scale=torch.where(lost, needed, coding.w_scale))


class IntegerLayer(nn.Module):
    """One layer with its multiplier.

    `sums(codes)` returns `sum T[x, w] + bias` as exact integers, zero-point corrections included; the real value of a
    sum is `scale[channel] * sum`, one float32 scale per output channel.

    Args:
        node: the layer in the captured graph.
        weight_shape: of its weight.
        coding: codes and how they were chosen.
        skipped: output channels that are not computed: their sums are 0.
        absent: input channels (of a linear layer: features) whose terms are left out.

    Attributes:
        multiplier: the circuit with its coding.
        terms: what each term of a sum multiplies with, see `approx_matmul`; None if all use the circuit.
        w_codes: stored weights, `(c_out, c_in / groups, kh, kw)` or `(out, in)`.
        scale: float32 `(c_out,)`.
        bias: int32 `(c_out,)`.
    """

    w_codes: torch.Tensor
    scale: torch.Tensor
    bias: torch.Tensor
    shift: torch.Tensor

    def __init__(
        self,
        node: Node,
        weight_shape: torch.Size,
        coding: LayerCoding,
        skipped: Sequence[int] = (),
        absent: Sequence[int] = (),
    ) -> None:
        super().__init__()
        self.node, self.coding = node, coding
        self.terms = _terms(node, weight_shape, coding, absent)
        self.skipped = torch.tensor(list(skipped), dtype=torch.long)
        # No sum of products exceeds this; exact terms, where there are any, stay below 2^16.
        self._peak = max(peak_product(coding.multiplier), 2**16) * weight_shape[1:].numel()
        self.multiplier: Multiplier = coding.multiplier
        channels = weight_shape[0]
        self.register_buffer("w_codes", coding.w_codes.reshape(weight_shape).contiguous())
        self.register_buffer("scale", torch.ones(channels))
        self.register_buffer("bias", torch.zeros(channels, dtype=torch.int32))
        values = weight_values(coding.w_codes, coding.multiplier, coding.w_zero)
        if self.terms is not None:
            values = values * (self.terms != ABSENT).view(-1, 1, values.shape[2])
        self.register_buffer("shift", -coding.encoding.zero_point * values.sum(dim=2).flatten())

    def extra_repr(self) -> str:
        """Show the user's layer name and the multiplier."""
        return f"{self.node.name}: {self.multiplier.name}"

    @property
    def real_unit(self) -> torch.Tensor:
        """Real value of one unit of the sum before compensation, float64 `(c_out,)`."""
        return self.coding.w_scale.flatten() * self.coding.encoding.scale

    def set_affine(self, gain: torch.Tensor, offset: torch.Tensor) -> None:
        """Fold a gain and an offset (bias included, real units) per channel into scale and int32 bias.

        Args:
            gain: float64 `(c_out,)`.
            offset: float64 `(c_out,)`, real value to add.
        """
        self.scale = (gain * self.real_unit).float()
        steps = torch.round(offset / self.scale.double())
        self.bias = steps.clamp(-INT32_MAX, INT32_MAX).to(torch.int32)
        self.bias[self.skipped] = 0

    def sums(self, codes: torch.Tensor, path: Path = "auto") -> torch.Tensor:
        """Return exact sums with corrections and bias; int32 where they are proven to fit, else int64.

        Args:
            codes: activations `(b, c_in, h, w)` or `(b, ..., in)`.
            path: kernel path.
        """
        sums, constant = self.open_sums(codes, path)
        return sums + self._channel(constant, sums)

    def raw_sums(self, codes: torch.Tensor, path: Path = "auto") -> torch.Tensor:
        """Return exact sums with zero-point corrections and without bias, of the same types."""
        sums, constant = self._open(codes, self.shift, path)
        return sums + self._channel(constant, sums)

    def open_sums(self, codes: torch.Tensor, path: Path = "auto") -> tuple[torch.Tensor, torch.Tensor]:
        """Return sums and what is still to be added for each channel, both int32 where the total is proven to fit."""
        return self._open(codes, self.shift + self.bias, path)

    def _open(self, codes: torch.Tensor, constant: torch.Tensor, path: Path) -> tuple[torch.Tensor, torch.Tensor]:
        """Return sums and an int64 constant `(c_out,)` of one type that holds their total; skipped channels are 0."""
        a: dict[str, Any] = self.node.attrs
        if self.node.op == "linear":
            lead = codes.shape[:-1]
            flat = codes.reshape(-1, codes.shape[-1])
            sums = approx_matmul(flat, self.w_codes, self.multiplier, path=path, terms=self.terms)
            raw = sums.reshape(*lead, self.w_codes.shape[0])
        else:
            raw = approx_conv2d(
                codes, self.w_codes, self.multiplier, a["stride"], a["padding"], a["dilation"], a["groups"],
                self.coding.encoding.zero_point, path=path, terms=self.terms,
            )  # fmt: skip
        if self.coding.w_zero:
            raw = raw - self._activation_sums(codes)
        fits = raw.dtype == torch.int32 and self._peak + int(constant.abs().max()) < 2**31
        if len(self.skipped):
            raw = raw.index_fill(1 if self.node.op == "conv2d" else -1, self.skipped, 0)
            constant = constant.index_fill(0, self.skipped, 0)
        return (raw, constant.to(torch.int32)) if fits else (raw.to(torch.int64), constant)

    def real(self, sums: torch.Tensor) -> torch.Tensor:
        """Return the real value of sums, float32."""
        return sums.to(torch.float32) * self._channel(self.scale, sums)

    def _activation_sums(self, codes: torch.Tensor) -> torch.Tensor:
        """Return `w_zero * sum of the window's codes`, exact: float64 holds every integer that can occur."""
        present = None if self.terms is None else self.terms != ABSENT
        if self.node.op == "linear":
            present_codes = codes.to(torch.int64) if present is None else codes.to(torch.int64) * present
            return self.coding.w_zero * present_codes.sum(dim=-1, keepdim=True)
        a = self.node.attrs
        pad_h, pad_w = a["padding"]
        padded = functional.pad(codes.double(), (pad_w, pad_w, pad_h, pad_h), value=self.coding.encoding.zero_point)
        ones = padded.new_ones(a["groups"], *self.w_codes.shape[1:])  # one window sum a group serves all its channels
        if present is not None:
            ones = ones * present.expand(a["groups"], -1).reshape(ones.shape)
        sums = functional.conv2d(padded, ones, None, a["stride"], 0, a["dilation"], a["groups"]).to(torch.int64)
        return self.coding.w_zero * sums.repeat_interleave(self.w_codes.shape[0] // a["groups"], dim=1)

    def _channel(self, vector: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
        return vector.view(-1, 1, 1) if self.node.op == "conv2d" else vector


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
