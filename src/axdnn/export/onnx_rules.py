"""The rule of each step in ONNX; requantisation is Mul, Round (half to even) and Clip in float32."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from axdnn.export.onnx_functions import add_function
from axdnn.export.onnx_graph import Graph
from axdnn.export.onnx_layers import add_conv, add_linear, add_matmul
from axdnn.export.program import Step
from axdnn.kernels.bounds import FLOAT32_EXACT
from axdnn.records import UnsupportedOperatorError


def add_step(g: Graph, step: Step) -> None:
    """Write a step.

    Raises:
        UnsupportedOperatorError: there is no rule for it.
    """
    if step.op not in RULES:
        raise UnsupportedOperatorError(f"no ONNX rule for {step.op!r} of {step.node!r}; known: {', '.join(RULES)}")
    g.step = step
    RULES[step.op](g, step)


def _quantise(g: Graph, s: Step) -> None:
    a = s.attrs
    scaled = g.add("Mul", g.cast(s.inputs[0], "float32"), g.constant(s.arrays["unit"], "float32"))
    bounds = (g.constant(a["low"], "float32"), g.constant(a["high"], "float32"))
    level = g.add("Clip", g.add("Round", scaled), *bounds)
    level = level if a["step"] == 1 else g.add("Mul", level, g.constant(a["step"], "float32"))
    level = level if a["zero"] == 0 else g.add("Add", level, g.constant(a["zero"], "float32"))
    g.cast(level, s.dtype, output=s.output)


def _scale(g: Graph, s: Step) -> None:
    g.add("Mul", g.cast(s.inputs[0], "float32"), g.constant(s.arrays["unit"], "float32"), output=s.output)


def _clamp(g: Graph, s: Step) -> None:
    bounds = ["" if s.attrs[key] is None else g.constant(s.attrs[key], "float32") for key in ("low", "high")]
    g.add("Clip", s.inputs[0], *bounds, output=s.output)


def _dequantise(g: Graph, s: Step) -> None:
    level = g.add("Sub", g.cast(s.inputs[0], "float32"), g.constant(s.attrs["zero"], "float32"))
    g.add("Mul", level, g.constant(s.arrays["scale"], "float32"), output=s.output)


def _affine(g: Graph, s: Step) -> None:
    scaled = g.add("Mul", s.inputs[0], g.constant(s.arrays["scale"], "float32"))
    g.add("Add", scaled, g.constant(s.arrays["shift"], "float32"), output=s.output)


def _pool_sum(g: Graph, s: Step) -> None:
    """Sum a window by a convolution with ones, channel by channel; a float32 holds the sum."""
    a, channels = s.attrs, s.shape[1]
    if 255 * math.prod(a["kernel"]) > FLOAT32_EXACT:
        raise UnsupportedOperatorError(f"no ONNX rule for a sum of {math.prod(a['kernel'])} codes in {s.node!r}")
    level = g.add("Sub", g.cast(s.inputs[0], "float32"), g.constant(a["zero"], "float32"))
    ones = g.constant(np.ones((channels, 1, *a["kernel"])), "float32")
    sums = g.add("Conv", level, ones, kernel_shape=a["kernel"], strides=a["stride"], pads=a["pads"], group=channels)
    g.cast(sums, s.dtype, output=s.output)


def _max_pool(g: Graph, s: Step) -> None:
    a = s.attrs
    window = {"kernel_shape": a["kernel"], "strides": a["stride"], "dilations": a["dilation"], "pads": a["pads"]}
    g.add("MaxPool", s.inputs[0], output=s.output, **window)


def _lookup(g: Graph, s: Step) -> None:
    table = g.constant(s.arrays["table"], s.dtype)
    g.add("Gather", table, g.row(s.inputs[0], s.attrs["first"]), output=s.output)


def _move(g: Graph, s: Step, op: str, *constants: str, **attributes: object) -> None:
    """Write an operator that moves values of any type; sums may be int32 or int64."""
    inputs, types = list(s.inputs), {g.types[name] for name in s.inputs}
    if len(types) > 1:
        inputs = [g.cast(name, "int64") for name in inputs]
    g.types[s.output] = types.pop() if len(types) == 1 else "int64"
    g.add(op, *inputs, *constants, output=s.output, **attributes)


def _pad(g: Graph, s: Step) -> None:
    sides = g.constant([*s.attrs["before"], *s.attrs["after"]], "int64")
    _move(g, s, "Pad", sides, g.constant(s.attrs["value"], s.dtype))


def _constant(g: Graph, s: Step) -> None:
    axis, sizes = s.attrs["axis"], s.arrays["value"].shape
    batch = g.add("Shape", s.inputs[0], start=0, end=1)
    parts = [g.constant(sizes[:axis], "int64"), batch, g.constant(sizes[axis + 1 :], "int64")]
    shape = g.add("Concat", *parts, axis=0)
    g.add("Expand", g.constant(s.arrays["value"], "float32"), shape, output=s.output)


RULES: dict[str, Callable[[Graph, Step], object]] = {
    "quantise": _quantise, "scale": _scale, "clamp": _clamp, "conv": add_conv, "linear": add_linear,
    "matmul": add_matmul, "dequantise": _dequantise, "affine": _affine, "pool_sum": _pool_sum, "max_pool": _max_pool,
    "lookup": _lookup, "pad": _pad, "constant": _constant, "function": add_function,
    "add": lambda g, s: g.add("Add", *s.inputs, output=s.output),
    "reshape": lambda g, s: _move(g, s, "Reshape", g.constant(s.attrs["sizes"], "int64")),
    "transpose": lambda g, s: _move(g, s, "Transpose", perm=s.attrs["order"]),
    "concat": lambda g, s: _move(g, s, "Concat", axis=s.attrs["axis"]),
    "take": lambda g, s: _move(g, s, "Gather", g.constant(s.arrays["index"], "int64"), axis=s.attrs["axis"]),
}  # fmt: skip
