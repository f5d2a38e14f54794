"""Operators between the layers of a trainable network, with gradients: those that move codes and those that compute."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn import functional

from axdnn.quant import Node, pool_count, pool_sum
from axdnn.retraining.functions import LookUp
from axdnn.retraining.ranges import ActivationRange

Coded = list[tuple[torch.Tensor, ActivationRange]]
Real = tuple[torch.Tensor, torch.Tensor | None]  # float32 values and, unless 1, the real value of one unit


def _add(node: Node, inputs: Coded) -> Real:
    (a, range_a), (b, range_b) = inputs
    return range_a.dequantise(a) + range_b.dequantise(b), None


def _average(node: Node, inputs: Coded) -> Real:
    codes, of = inputs[0]
    levels = codes.double() - of.start.zero_point  # float64 holds every sum
    return pool_sum(levels, node.attrs).float(), of.scale / pool_count(codes, node.attrs)


def _affine(node: Node, inputs: Coded) -> Real:
    codes, of = inputs[0]
    shape = (-1, *([1] * (codes.dim() - 2)))
    scale, shift = (node.attrs[name].to(codes.device).view(shape) for name in ("scale", "shift"))
    return of.dequantise(codes) * scale + shift, None


def _unary(node: Node, inputs: Coded) -> Real:
    codes, of = inputs[0]
    every = of.start.all_codes().to(codes.device, torch.float32)
    with torch.enable_grad():
        at = of.dequantise(every).double()
        point = at.detach().requires_grad_()
        slope = torch.autograd.grad(node.attrs["apply"](point).sum(), point)[0] * of.scale.detach()
    table = node.attrs["apply"](at).float()
    return LookUp.apply(codes, table, slope.float(), of.start.code_min), None


def _max_pool(node: Node, inputs: list[torch.Tensor]) -> torch.Tensor:
    a = node.attrs
    return functional.max_pool2d(inputs[0], a["kernel"], a["stride"], a["padding"], a["dilation"], a["ceil_mode"])


# Operators that only move values, but `pad`, which needs the code of zero.
PASSING: dict[str, Callable[[Node, list[torch.Tensor]], torch.Tensor]] = {
    "clamp": lambda node, inputs: inputs[0],
    "cat": lambda node, inputs: torch.cat(inputs, node.attrs["dim"]),
    "stack": lambda node, inputs: torch.stack(inputs, node.attrs["dim"]),
    "reshape": lambda node, inputs: node.attrs["apply"](inputs[0]),
    "max_pool2d": _max_pool,
}
# Operators that compute real values from codes.
EXACT: dict[str, Callable[[Node, Coded], Real]] = {
    "add": _add, "avg_pool2d": _average, "batch_norm": _affine, "unary": _unary,
}  # fmt: skip
