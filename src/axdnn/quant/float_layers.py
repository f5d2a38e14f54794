"""The layers of a captured model in float: products of activations with weights, or of two activations."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional

CONV_OPS = ("conv1d", "conv2d", "conv3d")
TRANSPOSED_OPS = ("conv_transpose1d", "conv_transpose2d", "conv_transpose3d")


class FloatLayer(nn.Module):
    """A convolution or linear layer in float, as captured (batch norm may be folded in).

    Attributes:
        weight: `(c_out, c_in / groups, *kernel)`, transposed convolutions included, or `(out, in)`.
        bias: `(c_out,)`, zeros if the layer has none.
        has_bias: whether it has one, its own or a folded batch norm's.
    """

    weight: torch.Tensor
    bias: torch.Tensor

    def __init__(self, op: str, weight: torch.Tensor, bias: torch.Tensor | None, attrs: dict[str, Any]) -> None:
        super().__init__()
        self.op, self.attrs, self.has_bias = op, attrs, bias is not None
        self.register_buffer("weight", weight.detach().clone().float())
        zero = torch.zeros(weight.shape[0])
        self.register_buffer("bias", bias.detach().clone().float() if bias is not None else zero)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply the layer in float."""
        if self.op == "linear":
            return functional.linear(x, self.weight, self.bias)
        a = self.attrs
        if self.op in TRANSPOSED_OPS:
            weight = swap_channels(self.weight, a["groups"])
            transposed = getattr(functional, self.op)
            return transposed(  # type: ignore[no-any-return]
                x, weight, self.bias, a["stride"], a["padding"], a["output_padding"], a["groups"], a["dilation"]
            )
        convolve = getattr(functional, self.op)
        return convolve(  # type: ignore[no-any-return]
            x, self.weight, self.bias, a["stride"], a["padding"], a["dilation"], a["groups"]
        )


class FloatProduct(nn.Module):
    """A matrix product of two activations, `(..., m, k)` and `(..., k, n)`, in float."""

    op = "matmul"
    has_bias = False

    def __init__(self) -> None:
        super().__init__()
        self.attrs: dict[str, Any] = {}

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        """Multiply in float."""
        return a @ b


def swap_channels(weight: torch.Tensor, groups: int) -> torch.Tensor:
    """Return the weight of a transposed convolution with its channel axes swapped within each group.

    torch stores `(c_in, c_out / groups, *kernel)`; this turns that into `(c_out, c_in / groups, *kernel)` and back.
    """
    parts = weight.unflatten(0, (groups, -1)).transpose(1, 2)
    return parts.flatten(0, 1)
