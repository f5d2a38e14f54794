"""The rule of each step in ONNX; requantisation is Mul, Round (half to even) and Clip in float32."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from axdnn.export.onnx_graph import Graph
from axdnn.export.onnx_layers import add_conv, add_linear
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
    a, channels = s.attrs, s.shape[0]
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


def _reshape(g: Graph, s: Step) -> None:
    g.add("Reshape", s.inputs[0], g.constant([0, *s.attrs["sizes"]], "int64"), output=s.output)


RULES: dict[str, Callable[[Graph, Step], object]] = {
    "quantise": _quantise, "scale": _scale, "clamp": _clamp, "conv": add_conv, "linear": add_linear,
    "dequantise": _dequantise, "affine": _affine, "pool_sum": _pool_sum, "max_pool": _max_pool, "lookup": _lookup,
    "reshape": _reshape,
    "add": lambda g, s: g.add("Add", *s.inputs, output=s.output),
    "transpose": lambda g, s: g.add("Transpose", s.inputs[0], perm=s.attrs["order"], output=s.output),
    "concat": lambda g, s: g.add("Concat", *s.inputs, axis=s.attrs["axis"], output=s.output),
}  # fmt: skip
