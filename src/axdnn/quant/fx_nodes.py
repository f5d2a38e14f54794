"""Reading names, shapes and places from nodes of a torch.fx graph."""

from __future__ import annotations

from dataclasses import dataclass
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


@dataclass(frozen=True)
class BatchSize:
    """A size that is so many times that of the batch, in a graph recorded from one run."""

    times: int


@dataclass(frozen=True)
class Shape:
    """What is known of a value in such a graph."""

    shape: tuple[Any, ...]


def with_batch(value: Any, size: int) -> Any:
    """Return a tensor's shape in which what the batch size divides is a `BatchSize`; anything else as it is."""
    if not isinstance(value, torch.Tensor):
        return value
    return Shape(tuple(s if s % size else BatchSize(s // size) for s in value.shape))


def dims_of(node: Any) -> tuple[Any, ...]:
    """Return the shape of a node's result, `()` if it has none; the batch size may be a symbol."""
    value = node.meta.get("val") if isinstance(node, torch.fx.Node) else None
    return tuple(value.shape) if value is not None and hasattr(value, "shape") else ()


def caller_path(node: Any) -> str:
    """Return the path of the module that calls an operator, or an empty text."""
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    return str(stack[-1][0]) if stack and not str(stack[-1][0]).startswith("_") else ""


def place_of(node: Any) -> str:
    """Return the operator and the path of the module that calls it."""
    path = caller_path(node)
    target = node.target if node.op == "call_function" else node.name
    return f"{target} in {path!r}" if path else f"{target}"
