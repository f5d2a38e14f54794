"""Reading names, shapes and places from nodes of a torch.fx graph."""

from __future__ import annotations

from typing import Any

import torch


def layer_path(tensor_name: str) -> str:
    """Return the path of the module that owns a weight, or of the parameter itself where it is not named weight."""
    path = tensor_name.partition(".parametrizations.")[0]
    parent, _, leaf = path.rpartition(".")
    return parent if leaf in ("weight", "weight_g", "weight_v", "weight_orig") else path


def attribute(module: torch.nn.Module, target: str) -> Any:
    """Return what a dotted name stands for."""
    value: Any = module
    for part in target.split("."):
        value = getattr(value, part)
    return value


def dims_of(node: Any) -> tuple[Any, ...]:
    """Return the shape of a node's result, `()` if it has none; the batch size may be a symbol."""
    value = node.meta.get("val") if isinstance(node, torch.fx.Node) else None
    return tuple(value.shape) if value is not None and hasattr(value, "shape") else ()


def place_of(node: Any) -> str:
    """Return the operator and the path of the module that calls it."""
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    path = stack[-1][0] if stack and not str(stack[-1][0]).startswith("_") else ""
    target = node.target if node.op == "call_function" else node.name
    return f"{target} in {path!r}" if path else f"{target}"
