"""Functions of real values in ONNX: float64 from standard operators, rounded to float32 at the end.

ONNX's own Softmax and normalisations may compute in float32 whatever their type; written out, each operation is one of
float64. Sums may be added in another order than in torch, and `Exp`, `Log`, `Tanh` may round otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from axdnn.export.onnx_graph import Graph
from axdnn.export.program import Step
from axdnn.records import UnsupportedOperatorError


def add_function(g: Graph, s: Step) -> None:
    """Write a `function` step.

    Raises:
        UnsupportedOperatorError: there is no rule for it.
    """
    name = s.attrs["function"]
    if name not in FUNCTIONS:
        raise UnsupportedOperatorError(f"no ONNX rule for {name!r} of {s.node!r}; known: {', '.join(FUNCTIONS)}")
    w = _Writer(g, s)
    g.cast(FUNCTIONS[name](w, *[g.cast(value, "float64") for value in s.inputs]), "float32", output=s.output)


class _Writer:
    """Writes operators of float64 values; numbers and arrays become constants."""

    def __init__(self, g: Graph, s: Step) -> None:
        self.g, self.s = g, s
        self.shape = g.shapes[s.inputs[0]]

    def __call__(self, op: str, *inputs: Any, **attributes: Any) -> str:
        names = [i if isinstance(i, str) else self.g.constant(i, "float64") for i in inputs]
        return self.g.add(op, *names, **attributes)

    def axes(self, values: Sequence[int]) -> str:
        return self.g.constant(values, "int64")

    def reduce(self, op: str, x: str, axes: Sequence[int], keep: bool = True) -> str:
        return self.g.add(op, x, self.axes(axes), keepdims=int(keep))

    def mean(self, x: str, axes: Sequence[int], sizes: Sequence[int], keep: bool = True) -> str:
        return self("Div", self.reduce("ReduceSum", x, axes, keep), float(math.prod(sizes[a] for a in axes)))

    def scaled(self, x: str, shape: tuple[int, ...]) -> str:
        """Multiply with the weight and add the bias, where there are any, in a shape that broadcasts."""
        for op, key in (("Mul", "weight"), ("Add", "bias")):
            if key in self.s.arrays:
                x = self(op, x, self.s.arrays[key].reshape(shape))
        return x

    def normal(self, x: str, axes: Sequence[int], sizes: Sequence[int]) -> str:
        centred = self("Sub", x, self.mean(x, axes, sizes))
        variance = self.mean(self("Mul", centred, centred), axes, sizes)
        return self("Div", centred, self("Sqrt", self("Add", variance, self.s.attrs["eps"])))

    def parts(self, x: str, count: int) -> list[str]:
        """Cut the last axis into equal parts."""
        size = self.shape[-1] // count
        ends = [(i * size, (i + 1) * size) for i in range(count)]
        return [self.g.add("Slice", x, *(self.axes([v]) for v in (*end, -1))) for end in ends]


def _softmax(w: _Writer, x: str, axis: int | None = None) -> str:
    axis = w.s.attrs["dim"] if axis is None else axis
    powers = w("Exp", w("Sub", x, w.reduce("ReduceMax", x, [axis])))
    return w("Div", powers, w.reduce("ReduceSum", powers, [axis]))


def _log_softmax(w: _Writer, x: str) -> str:
    lower = w("Sub", x, w.reduce("ReduceMax", x, [w.s.attrs["dim"]]))
    return w("Sub", lower, w("Log", w.reduce("ReduceSum", w("Exp", lower), [w.s.attrs["dim"]])))


def _attention_weights(w: _Writer, x: str) -> str:
    x = w("Mul", x, w.s.attrs["scale"])
    if w.s.attrs["causal"]:
        x = w("Add", x, np.triu(np.full(w.shape[-2:], -np.inf), 1))
    mask = w.s.arrays.get("mask")
    if mask is not None:
        x = w("Add", x, np.where(mask, 0.0, -np.inf) if mask.dtype == bool else mask)
    return _softmax(w, x, -1)


def _layer_norm(w: _Writer, x: str) -> str:
    sizes = w.s.attrs["normalized_shape"]
    axes = range(len(w.shape) - len(sizes), len(w.shape))
    return w.scaled(w.normal(x, axes, w.shape), tuple(sizes))


def _rms_norm(w: _Writer, x: str) -> str:
    sizes = w.s.attrs["normalized_shape"]
    axes = range(len(w.shape) - len(sizes), len(w.shape))
    squares = w("Add", w.mean(w("Mul", x, x), axes, w.shape), w.s.attrs.get("eps", np.finfo(np.float64).eps))
    return w.scaled(w("Div", x, w("Sqrt", squares)), tuple(sizes))


def _group_norm(w: _Writer, x: str) -> str:
    grouped = (-1, w.s.attrs["num_groups"], math.prod(w.shape[1:]) // w.s.attrs["num_groups"])
    normal = w.normal(w.g.add("Reshape", x, w.axes(grouped)), [2], grouped)
    back = w.g.add("Reshape", normal, w.axes((-1, *w.shape[1:])))
    return w.scaled(back, (-1, *([1] * (len(w.shape) - 2))))


def _avg_pool3d(w: _Writer, x: str) -> str:
    """Sums of strided slices over how many values each has."""
    a, sizes, out, padding = w.s.attrs, w.shape[2:], w.s.shape[2:], w.s.attrs["padding"]
    whole = zip(sizes, out, a["kernel_size"], a["stride"], padding, strict=True)
    ends = [max(0, (o - 1) * t + k - size - 2 * p) for size, o, k, t, p in whole]  # windows that stick out
    border = [(p, p) for p in padding]
    counted = np.pad(np.ones(sizes), border, constant_values=float(a["count_include_pad"]))
    counted = np.pad(counted, [(0, end) for end in ends])
    after = [p + end for p, end in zip(padding, ends, strict=True)]
    x = w.g.add("Pad", x, w.axes([0, 0, *padding, 0, 0, *after]), w.g.constant(0, "float64"))
    total, count = "", np.zeros(out)
    for place in np.ndindex(*a["kernel_size"]):
        stops = [p + (o - 1) * t + 1 for p, o, t in zip(place, out, a["stride"], strict=True)]
        view = w.g.add("Slice", x, w.axes(place), w.axes(stops), w.axes([2, 3, 4]), w.axes(a["stride"]))
        total = w("Add", total, view) if total else view
        count += counted[tuple(slice(p, e, t) for p, e, t in zip(place, stops, a["stride"], strict=True))]
    return w("Div", total, count)


def _embedding(w: _Writer, x: str) -> str:
    weight = w.g.constant(w.s.arrays["weight"], "float32")
    return w.g.add("Gather", weight, w.g.cast(x, "int64"))


def _lstm_cell(w: _Writer, inputs: str, recurrent: str, c: str) -> str:
    i, f, g, o = w.parts(w("Add", inputs, recurrent), 4)
    c = w("Add", w("Mul", w("Sigmoid", f), c), w("Mul", w("Sigmoid", i), w("Tanh", g)))
    h = w("Mul", w("Sigmoid", o), w("Tanh", c))
    return w.g.add("Concat", *(w.g.add("Unsqueeze", v, w.axes([0])) for v in (h, c)), axis=0)


def _gru_cell(w: _Writer, inputs: str, recurrent: str, h: str) -> str:
    (r, z, n), (r_h, z_h, n_h) = w.parts(inputs, 3), w.parts(recurrent, 3)
    r, z = w("Sigmoid", w("Add", r, r_h)), w("Sigmoid", w("Add", z, z_h))
    new = w("Tanh", w("Add", n, w("Mul", r, n_h)))
    return w("Add", w("Mul", w("Sub", 1.0, z), new), w("Mul", z, h))


FUNCTIONS: dict[str, Callable[..., str]] = {
    "affine": lambda w, x: w("Add", w("Mul", x, w.s.arrays["scale"]), w.s.arrays["shift"]),
    "amax": lambda w, x: w.reduce("ReduceMax", x, w.s.attrs["dim"], w.s.attrs["keepdim"]),
    "attention_weights": _attention_weights,
    "avg_pool3d": _avg_pool3d,
    "combine": lambda w, x, y: w("Add", w("Mul", x, w.s.attrs["first"]), w("Mul", y, w.s.attrs["second"])),
    "div": lambda w, x, y: w("Div", x, y),
    "embedding": _embedding,
    "group_norm": _group_norm,
    "gru_cell": _gru_cell,
    "layer_norm": _layer_norm,
    "log_softmax": _log_softmax,
    "lstm_cell": _lstm_cell,
    "maximum": lambda w, x, y: w("Max", x, y),
    "mean": lambda w, x: w.mean(x, w.s.attrs["dim"], w.shape, w.s.attrs["keepdim"]),
    "minimum": lambda w, x, y: w("Min", x, y),
    "mul": lambda w, x, y: w("Mul", x, y),
    "rms_norm": _rms_norm,
    "rnn_relu_cell": lambda w, x, y: w("Relu", w("Add", x, y)),
    "rnn_tanh_cell": lambda w, x, y: w("Tanh", w("Add", x, y)),
    "softmax": _softmax,
    "sum": lambda w, x: w.reduce("ReduceSum", x, w.s.attrs["dim"], w.s.attrs["keepdim"]),
}
