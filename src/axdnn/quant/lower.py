"""Rules that turn ATen operators into nodes of the captured graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from axdnn.quant.rejected import Rejected

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
# Operators that check shapes or read sizes.
SILENT = {"sym_size", "_assert_scalar", "_assert_tensor_metadata", "sym_constrain_range_for_size", "_assert_async"}
IDENTITY = {"dropout", "clone", "detach", "contiguous", "alias", "feature_dropout", "lift_fresh_copy", "_to_copy", "to"}


def reject_identity(name: str, a: dict[str, Any]) -> None:
    """Reject dropout that stays active in eval mode, and casts to another type."""
    if name.endswith("dropout") and a["train"] and a["p"] > 0:
        raise Rejected("dropout that is active in eval mode")
    if a.get("dtype") not in (None, torch.float32):
        raise Rejected(f"a cast to {a['dtype']}")


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


def clamp_attrs(name: str, a: dict[str, Any]) -> dict[str, Any]:
    """Return bounds of relu, relu6, hardtanh and clamp."""
    if name == "relu":
        return {"min": 0.0, "max": None}
    if name == "relu6":
        return {"min": 0.0, "max": 6.0}
    if name == "hardtanh":
        return {"min": float(a["min_val"]), "max": float(a["max_val"])}
    low, high = (None if a.get(key) is None else float(a[key]) for key in ("min", "max"))
    if low is not None and high is not None:
        low = min(low, high)  # torch: where the bounds cross, the upper one wins
    return {"min": low, "max": high}


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
    if a["ceil_mode"] or a.get("divisor_override") or (any(padding) and not a["count_include_pad"]):
        raise Rejected("average pooling with ceil_mode, divisor_override or count_include_pad=False")
    kernel = pair(a["kernel_size"])
    return {"kernel": kernel, "stride": pair(a["stride"]) if a["stride"] else kernel, "padding": padding}


def adaptive_avg_attrs(a: dict[str, Any], size: tuple[int, int]) -> dict[str, Any]:
    """Return adaptive average pooling as plain pooling.

    Args:
        a: call arguments.
        size: height and width of the input.
    """
    out = pair(a["output_size"])
    if out == (1, 1):
        return {"whole": True, "keepdim": True}
    if any(size[i] % out[i] for i in range(2)):
        raise Rejected(f"adaptive average pooling of {size} to {out}, which is not a whole number of windows")
    kernel = (size[0] // out[0], size[1] // out[1])
    return {"kernel": kernel, "stride": kernel, "padding": (0, 0)}


def batch_norm_attrs(
    weight: torch.Tensor | None,
    bias: torch.Tensor | None,
    running_mean: torch.Tensor | None,
    running_var: torch.Tensor | None,
    eps: float,
    dims: int,
) -> dict[str, Any]:
    """Return batch norm in eval mode as scale and shift per channel, computed in float64, and the input's rank."""
    if running_mean is None or running_var is None:
        raise Rejected("batch norm without running statistics")
    inverse = torch.rsqrt(running_var.double() + eps)
    scale = inverse * (weight.double() if weight is not None else 1.0)
    shift = (bias.double() if bias is not None else 0.0) - running_mean.double() * scale
    return {"scale": scale.float().detach(), "shift": shift.float().detach(), "dims": dims}


def unary_attrs(name: str, a: dict[str, Any]) -> dict[str, Any]:
    """Return a function of one value with its extra arguments."""
    names = {"alpha", "negative_slope", "approximate", "beta", "threshold"}
    extra = {key: value for key, value in a.items() if key in names and value is not None}
    if a.get("scale", 1) != 1 or a.get("input_scale", 1) != 1:
        raise Rejected(f"aten.{name} with scales")
    return {"function": name, "apply": Unary(name, extra)}


class Unary:
    """A named function of one value with its extra arguments."""

    def __init__(self, name: str, extra: dict[str, Any]) -> None:
        self.name, self.extra = name, extra

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Apply the function."""
        return UNARY[self.name](x, **self.extra)
