"""Rules for operators that do not multiply with weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from axdnn.quant.affine import AFFINE, affine_node
from axdnn.quant.functions import OVER_AXES, PAIRWISE, function_attrs
from axdnn.quant.fx_nodes import dims_of
from axdnn.quant.lower import (
    UNARY,
    batch_norm_attrs,
    clamp_attrs,
    unary_attrs,
)
from axdnn.quant.moves import (
    PERMUTES,
    RESHAPES,
    SELECTIONS,
    Select,
    expand_attrs,
    is_fixed,
    permute_attrs,
    reshape_attrs,
)
from axdnn.quant.pool_rules import POOLS, add_pool
from axdnn.quant.rejected import Rejected

if TYPE_CHECKING:
    from axdnn.quant.builder import Builder

CLAMPS = ("relu", "relu6", "hardtanh", "clamp", "clamp_min", "clamp_max")
NORMS = ("layer_norm", "group_norm", "instance_norm", "rms_norm")


def add_plain(builder: Builder, node: Any, name: str, a: dict[str, Any]) -> None:
    """Add the nodes of an operator.

    Raises:
        Rejected: it has no rule.
    """
    if name in ("cat", "stack"):
        dim = int(a["dim"]) % len(dims_of(node))
        if not is_fixed(dims_of(node)[dim]):
            raise Rejected(f"{name} over the batch")
        builder.result(node, name, tuple(builder.value(i) for i in a["tensors"]), {"dim": dim})
    elif name in AFFINE and builder.is_constant(a["self"]) != builder.is_constant(a["other"]):
        source, op, attrs = affine_node(name, a, builder.tensors, dims_of(node))
        builder.result(node, op, (builder.value(source),), attrs)
    elif name in PAIRWISE:
        _pairwise(builder, node, name, a)
    elif name in POOLS:
        add_pool(builder, node, name, a)
    elif name == "embedding":
        weight = builder.tensor(a["weight"])
        builder.result(node, "function", (builder.value(a["indices"]),), function_attrs("embedding", weight=weight))
    else:
        op, attrs = _one_input(builder, node, name, a)
        builder.result(node, op, (builder.value(node.args[0]),), attrs)


def _pairwise(builder: Builder, node: Any, name: str, a: dict[str, Any]) -> None:
    both = (builder.value(a["self"]), builder.value(a["other"]))
    alpha = float(a.get("alpha") or 1)
    if name == "add" and alpha == 1 and dims_of(a["self"]) == dims_of(a["other"]):
        builder.result(node, "add", both, {})
    elif name in ("add", "sub"):
        attrs = function_attrs("combine", first=1.0, second=alpha if name == "add" else -alpha)
        builder.result(node, "function", both, attrs)
    elif a.get("rounding_mode") is not None:
        raise Rejected("division with rounding")
    else:
        builder.result(node, "function", both, function_attrs(name))


def _one_input(builder: Builder, node: Any, name: str, a: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    shape, result = dims_of(node.args[0]), dims_of(node)
    if name in CLAMPS:
        return "clamp", clamp_attrs(name, a)
    if name == "batch_norm":
        if a["training"]:
            raise Rejected("batch norm that always uses the statistics of the batch")
        stored = {key: builder.tensor(a[key]) for key in ("weight", "bias", "running_mean", "running_var")}
        return "batch_norm", batch_norm_attrs(**stored, eps=a["eps"], dims=len(shape))
    if name in NORMS:
        return "function", _norm(builder, name, a, shape)
    if name in OVER_AXES:
        return _over_axes(name, a, shape)
    if name in RESHAPES:
        return "reshape", reshape_attrs(name, result)
    if name in PERMUTES:
        return "reshape", permute_attrs(name, a, len(shape))
    if name in ("expand", "expand_as", "broadcast_to"):
        return "reshape", expand_attrs(result)
    if name in ("constant_pad_nd", "pad"):
        if a.get("value") or a.get("mode", "constant") != "constant" or len(a["pad"]) > 2 * (len(shape) - 1):
            raise Rejected("padding with anything but zeros, or of the batch")
        return "pad", {"sizes": tuple(int(s) for s in a["pad"])}
    if name in SELECTIONS:
        return "reshape", select_attrs(node, a)
    if name in UNARY:
        return "unary", unary_attrs(name, a)
    raise Rejected(f"aten.{name}")


def select_attrs(node: Any, a: dict[str, Any], part: int | None = None) -> dict[str, Any]:
    """Return a selection that leaves the batch whole."""
    source = node.args[0]
    name = str(node.target._schema.name).removeprefix("aten::")
    overload = node.target._schema.overload_name
    arguments = {k: v for k, v in a.items() if k not in ("self", "input")}
    if any(isinstance(v, torch.fx.Node) for v in arguments.values()):
        raise Rejected(f"aten.{name} with places that are computed")
    dim = arguments.get("dim")
    if isinstance(dim, int) and not _whole(name, arguments, dims_of(source), dim):
        raise Rejected(f"aten.{name} takes the batch apart")
    return {"apply": Select(f"{name}.{overload}" if overload else name, arguments, part)}


def _whole(name: str, a: dict[str, Any], shape: tuple[Any, ...], dim: int) -> bool:
    everything = name == "slice" and not a["start"] and a["step"] == 1 and (a["end"] is None or a["end"] >= 2**31)
    return is_fixed(shape[dim]) or everything


def _norm(builder: Builder, name: str, a: dict[str, Any], shape: tuple[Any, ...]) -> dict[str, Any]:
    weight, bias = builder.tensor(a.get("weight")), builder.tensor(a.get("bias"))
    if name in ("layer_norm", "rms_norm"):
        sizes = tuple(int(s) for s in a["normalized_shape"])
        both = {"weight": weight} if name == "rms_norm" else {"weight": weight, "bias": bias}
        return function_attrs(name, normalized_shape=sizes, eps=a["eps"], **both)
    if name == "instance_norm" and not a["use_input_stats"]:
        raise Rejected("instance norm with running statistics; use batch norm")
    groups = int(shape[1]) if name == "instance_norm" else int(a["num_groups"])
    return function_attrs("group_norm", num_groups=groups, weight=weight, bias=bias, eps=a["eps"])


def _over_axes(name: str, a: dict[str, Any], shape: tuple[Any, ...]) -> tuple[str, dict[str, Any]]:
    rank = len(shape)
    given = a.get("dim")
    axes = tuple(int(d) % rank for d in (given if isinstance(given, list | tuple) else [given]) if d is not None)
    if not axes or not all(is_fixed(shape[d]) for d in axes):
        raise Rejected(f"{name} over the batch")
    if a.get("dtype") not in (None, torch.float32):
        raise Rejected(f"{name} to {a['dtype']}")
    if name == "mean" and rank == 4 and axes in ((2, 3), (3, 2)):
        return "avg_pool2d", {"whole": True, "keepdim": bool(a["keepdim"])}
    if "softmax" in name:
        return "function", function_attrs(name.removeprefix("_"), dim=axes[0])
    return "function", function_attrs(name, dim=axes, keepdim=bool(a["keepdim"]))
