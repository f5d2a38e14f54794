"""Numbers and stored tensors added to or multiplied with an activation (normalisation, layer scale, positions)."""

from __future__ import annotations

from typing import Any

import torch

from axdnn.quant.functions import function_attrs
from axdnn.quant.rejected import Rejected

# Operators of two operands, one of which may be a number or a stored tensor.
AFFINE = {"add", "sub", "rsub", "mul", "div"}


def affine_node(
    name: str, a: dict[str, Any], tensors: dict[str, tuple[str, torch.Tensor]], dims: tuple[Any, ...]
) -> tuple[Any, str, dict[str, Any]]:
    """Return the activation operand, the operator and its attributes for `y = scale * x + shift`.

    With one number a channel it is a `batch_norm`, which a layer before it may absorb; otherwise a `function`.

    Args:
        name: one of `AFFINE`.
        a: call arguments; exactly one of `self` and `other` is an activation.
        tensors: stored tensors by node name.
        dims: shape of the result.
    """
    source, scale, shift = _scale_and_shift(name, a, tensors)
    if not torch.isfinite(scale).all():
        raise Rejected("division by zero")
    if len(dims) < 2 or scale.dim() > len(dims):
        raise Rejected(f"a stored tensor of shape {tuple(scale.shape)} meets an activation of another rank")
    vectors = [_per_channel(t, dims) for t in (scale, shift)]
    if vectors[0] is None or vectors[1] is None:
        return source, "function", function_attrs("affine", scale=scale.float(), shift=shift.float())
    return source, "batch_norm", {"scale": vectors[0].float(), "shift": vectors[1].float(), "dims": len(dims)}


def _scale_and_shift(
    name: str, a: dict[str, Any], tensors: dict[str, tuple[str, torch.Tensor]]
) -> tuple[Any, torch.Tensor, torch.Tensor]:
    first, second = a["self"], a["other"]
    if name == "rsub":
        name, first, second = "sub", second, first
    alpha = float(a.get("alpha", 1))
    if a.get("rounding_mode") is not None:
        raise Rejected("division with rounding")
    left, right = _constant(first, tensors), _constant(second, tensors)
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
    return first if left is None else second, scale, shift


def _constant(operand: Any, tensors: dict[str, tuple[str, torch.Tensor]]) -> torch.Tensor | None:
    """Return a number or stored tensor in float64, None for an activation."""
    if isinstance(operand, torch.fx.Node):
        return tensors[operand.name][1].detach().double() if operand.name in tensors else None
    if isinstance(operand, int | float):
        return torch.tensor(operand, dtype=torch.float64)
    raise Rejected(f"an operand is {operand!r}")


def _per_channel(tensor: torch.Tensor, dims: tuple[Any, ...]) -> torch.Tensor | None:
    """Return a tensor as a vector with one number a channel, None if it has more."""
    full = tensor.reshape(*([1] * (len(dims) - tensor.dim())), *tensor.shape)
    if any(size != 1 for i, size in enumerate(full.shape) if i != 1):
        return None
    return full.flatten().expand(int(dims[1])).clone() if isinstance(dims[1], int) else None
