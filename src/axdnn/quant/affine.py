"""Numbers and channel vectors added to or multiplied with an activation (input normalisation, layer scale)."""

from __future__ import annotations

from typing import Any

import torch

from axdnn.quant.lower import Rejected

# Operators of two operands, one of which may be a number or a stored tensor.
AFFINE = {"add", "sub", "rsub", "mul", "div"}


def affine_attrs(
    name: str, a: dict[str, Any], tensors: dict[str, tuple[str, torch.Tensor]], dims: tuple[Any, ...]
) -> tuple[Any, dict[str, Any]]:
    """Return the activation operand and `y = scale * x + shift` per channel.

    Args:
        name: one of `AFFINE`.
        a: call arguments; exactly one of `self` and `other` is an activation.
        tensors: stored tensors by node name.
        dims: shape of the result.
    """
    first, second = a["self"], a["other"]
    if name == "rsub":
        name, first, second = "sub", second, first
    alpha = float(a.get("alpha", 1))
    if a.get("rounding_mode") is not None:
        raise Rejected("division with rounding")
    left, right = _constant(first, tensors, dims), _constant(second, tensors, dims)
    constant = left if right is None else right
    if constant is None or (left is not None and right is not None):
        raise Rejected(f"aten.{name} of these operands")
    if name == "div" and left is not None:
        raise Rejected("division by an activation")
    one, zero = torch.ones_like(constant), torch.zeros_like(constant)
    if name == "add":
        swapped = left is not None and alpha != 1.0
        scale, shift = (one * alpha, constant) if swapped else (one, constant * (alpha if left is None else 1.0))
    elif name == "sub":
        scale, shift = (one, -alpha * constant) if left is None else (-alpha * one, constant)
    else:
        scale, shift = (constant if name == "mul" else one / constant), zero
    if not torch.isfinite(scale).all():
        raise Rejected("division by zero")
    source = first if left is None else second
    return source, {"scale": scale.float(), "shift": shift.float(), "dims": len(dims)}


def _constant(operand: Any, tensors: dict[str, tuple[str, torch.Tensor]], dims: tuple[Any, ...]) -> torch.Tensor | None:
    """Return a number or stored tensor as a float64 vector per channel, None for an activation."""
    if isinstance(operand, torch.fx.Node):
        if operand.name not in tensors:
            return None
        name, tensor = tensors[operand.name]
    elif isinstance(operand, int | float):
        name, tensor = repr(operand), torch.tensor(operand)
    else:
        raise Rejected(f"an operand is {operand!r}")
    if len(dims) < 2 or tensor.dim() > len(dims):
        raise Rejected(f"a stored tensor ({name}) of shape {tuple(tensor.shape)} meets an activation of another rank")
    channels = int(dims[1])
    full = tensor.detach().double().reshape(*([1] * (len(dims) - tensor.dim())), *tensor.shape)
    if any(size != 1 for i, size in enumerate(full.shape) if i != 1):
        raise Rejected(f"a stored tensor ({name}) of shape {tuple(tensor.shape)} that is not one number per channel")
    return full.flatten().expand(channels).clone()
