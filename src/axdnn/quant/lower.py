"""Rules that turn ATen operators into nodes of the captured graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

# Functions of one value; in the integer network each becomes a 256-entry table.
UNARY: dict[str, Callable[..., torch.Tensor]] = {
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "silu": torch.nn.functional.silu,
    "gelu": torch.nn.functional.gelu,
    "hardswish": torch.nn.functional.hardswish,
    "hardsigmoid": torch.nn.functional.hardsigmoid,
    "leaky_relu": torch.nn.functional.leaky_relu,
    "elu": torch.nn.functional.elu,
    "softplus": torch.nn.functional.softplus,
    "mish": torch.nn.functional.mish,
    "exp": torch.exp,
    "neg": torch.neg,
    "abs": torch.abs,
}
IDENTITY = {"dropout", "clone", "detach", "contiguous", "alias", "feature_dropout", "lift_fresh_copy", "_to_copy", "to"}


class Rejected(Exception):
    """An operator that has no rule; the text says why."""


def pair(value: Any) -> tuple[int, int]:
    """Return one or two numbers as two."""
    if isinstance(value, int):
        return value, value
    values = tuple(int(v) for v in value)
    return (values[0], values[0]) if len(values) == 1 else (values[0], values[1])


def arguments(target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return an ATen call's arguments by name, defaults filled in."""
    named: dict[str, Any] = {}
    for i, argument in enumerate(target._schema.arguments):
        if i < len(args):
            named[argument.name] = args[i]
        elif argument.name in kwargs:
            named[argument.name] = kwargs[argument.name]
        else:
            named[argument.name] = argument.default_value
    return named


def conv_attrs(a: dict[str, Any]) -> dict[str, Any]:
    """Return the attributes of a 2-D convolution."""
    if isinstance(a["padding"], str):
        raise Rejected("string padding that is not symmetric")
    return {
        "stride": pair(a["stride"]), "padding": pair(a["padding"]), "dilation": pair(a["dilation"]),
        "groups": int(a["groups"]),
    }  # fmt: skip


def same_padding(kernel: tuple[int, int], dilation: tuple[int, int]) -> tuple[int, int]:
    """Return symmetric padding that keeps the size, for `padding="same"` with stride 1."""
    reach = [dilation[i] * (kernel[i] - 1) for i in range(2)]
    if any(r % 2 for r in reach):
        raise Rejected("padding='same' with an even window is not symmetric")
    return reach[0] // 2, reach[1] // 2


def clamp_attrs(name: str, a: dict[str, Any]) -> dict[str, Any]:
    """Return bounds of relu, relu6, hardtanh and clamp."""
    if name == "relu":
        return {"min": 0.0, "max": None}
    if name == "relu6":
        return {"min": 0.0, "max": 6.0}
    if name == "hardtanh":
        return {"min": float(a["min_val"]), "max": float(a["max_val"])}
    low, high = a["min"], a["max"]
    return {"min": None if low is None else float(low), "max": None if high is None else float(high)}


def max_pool_attrs(a: dict[str, Any]) -> dict[str, Any]:
    """Return the attributes of max pooling."""
    kernel = pair(a["kernel_size"])
    return {
        "kernel": kernel, "stride": pair(a["stride"]) if a["stride"] else kernel, "padding": pair(a["padding"]),
        "dilation": pair(a["dilation"]), "ceil_mode": bool(a["ceil_mode"]),
    }  # fmt: skip


def avg_pool_attrs(a: dict[str, Any]) -> dict[str, Any]:
    """Return the attributes of average pooling."""
    padding = pair(a["padding"])
    if a["ceil_mode"] or a["divisor_override"] or (any(padding) and not a["count_include_pad"]):
        raise Rejected("average pooling with ceil_mode, divisor_override or count_include_pad=False")
    kernel = pair(a["kernel_size"])
    return {"kernel": kernel, "stride": pair(a["stride"]) if a["stride"] else kernel, "padding": padding}


def adaptive_avg_attrs(a: dict[str, Any], size: tuple[int, int]) -> dict[str, Any]:
    """Return adaptive average pooling as plain pooling.

    Args:
        a: call arguments. size: height and width of the input.
    """
    out = pair(a["output_size"])
    if out == (1, 1):
        return {"whole": True, "keepdim": True}
    if any(size[i] % out[i] for i in range(2)):
        raise Rejected(f"adaptive average pooling of {size} to {out}, which is not a whole number of windows")
    kernel = (size[0] // out[0], size[1] // out[1])
    return {"kernel": kernel, "stride": kernel, "padding": (0, 0)}


def mean_attrs(a: dict[str, Any], dims: int) -> dict[str, Any]:
    """Return a mean over height and width as global average pooling."""
    axes = a["dim"] if isinstance(a["dim"], list | tuple) else [a["dim"]]
    if dims != 4 or sorted(d % 4 for d in axes if d is not None) != [2, 3]:
        raise Rejected("mean over anything but height and width")
    return {"whole": True, "keepdim": bool(a["keepdim"])}


def batch_norm_attrs(
    weight: torch.Tensor | None, bias: torch.Tensor | None, mean: torch.Tensor, var: torch.Tensor, eps: float
) -> dict[str, Any]:
    """Return batch norm in eval mode as scale and shift per channel, computed in float64."""
    inverse = torch.rsqrt(var.double() + eps)
    scale = inverse * (weight.double() if weight is not None else 1.0)
    shift = (bias.double() if bias is not None else 0.0) - mean.double() * scale
    return {"scale": scale.float().detach(), "shift": shift.float().detach()}
