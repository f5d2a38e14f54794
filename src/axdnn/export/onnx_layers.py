"""Layers in ONNX: sums of table entries as convolutions and matrix products of looked-up operands.

Exactness: products and sums of codes are float32 integers, cut into parts whose partial sums stay within 2^24 in any
order, and integers from there on. The cast keeps each part an operator of its own, so that no runtime folds a scale
into its weights. Tables without small factors are summed entry by entry, in integers.
"""

from __future__ import annotations

import math

import numpy as np
from onnx import helper

from axdnn.export.onnx_graph import TYPES, Graph
from axdnn.export.planes import NOTHING, Planes, ProductPlanes, product_planes_of
from axdnn.export.program import Array, Step
from axdnn.kernels.bounds import FLOAT32_EXACT


def _padded(g: Graph, s: Step, value: str, dims: int, fill: int) -> str:
    """Return codes with a border of the code of zero."""
    pads = s.attrs["pads"]
    if not any(pads):
        return value
    border = [0, 0, *pads[:dims], 0, 0, *pads[dims:]]
    return g.add("Pad", value, g.constant(border, "int64"), g.constant(fill, g.types[s.inputs[0]]))


def _first(g: Graph, codes: str) -> int:
    return -128 if g.types[codes] == "int8" else 0


def add_conv(g: Graph, s: Step) -> None:
    """Write a convolution of codes."""
    dims = s.arrays["w"].ndim - 2
    rows = g.row(_padded(g, s, s.inputs[0], dims, s.attrs["zero"]), _first(g, s.inputs[0]))
    groups, channels = s.attrs["groups"], s.arrays["w"].shape[1]
    before = g.shapes[s.inputs[0]][2:]
    sizes = [size + s.attrs["pads"][i] + s.attrs["pads"][dims + i] for i, size in enumerate(before)]
    planes = g.planes(s)
    window = {"strides": s.attrs["stride"], "dilations": s.attrs["dilation"], "group": groups}
    split = rows if groups == 1 else g.add("Reshape", rows, g.constant([0, groups, channels, *sizes], "int64"))

    def part(begin: int, end: int) -> str:
        axis, width = (1 if groups == 1 else 2), len(planes.f[0]) * (end - begin)
        x = _looked_up(g, _slice(g, split, axis, begin, end, channels), planes.f, axis)
        x = x if groups == 1 else g.add("Reshape", x, g.constant([0, groups * width, *sizes], "int64"))
        w = np.moveaxis(planes.g[:, :, begin:end], 0, 1).reshape(-1, width, *s.arrays["w"].shape[2:])
        return g.add("Conv", x, g.constant(w, "float32"), kernel_shape=s.attrs["kernel"], **window)

    lookup = _conv_lookup(g, s, split, planes) if planes.columns is not None else None
    _finish(g, s, planes, [part(*ends) for ends in _parts(planes)], lookup)


def add_linear(g: Graph, s: Step) -> None:
    """Write a linear layer on codes."""
    rows, features = g.row(s.inputs[0], _first(g, s.inputs[0])), s.arrays["w"].shape[1]
    planes = g.planes(s)

    def part(begin: int, end: int) -> str:
        x = _looked_up(g, _slice(g, rows, -1, begin, end, features), planes.f, -1)
        w = np.moveaxis(planes.g[:, :, begin:end], 0, 1).reshape(len(s.arrays["w"]), -1)
        return g.add("MatMul", x, g.constant(w.T, "float32"))

    lookup = None
    if planes.columns is not None:
        last = len(s.shape) - 1  # the terms come first
        terms = _terms_first(g, rows, last + 1, -1, -1)
        columns = planes.columns.T.reshape(features, *[1] * last, -1)
        lookup = _table_sums(g, s, terms, g.constant(columns, "int32"), _sum_type(planes))
    _finish(g, s, planes, [part(*ends) for ends in _parts(planes)], lookup)


def add_matmul(g: Graph, s: Step) -> None:
    """Write a product of two activations; both are looked up."""
    rows, columns = g.row(s.inputs[0], _first(g, s.inputs[0])), g.row(s.inputs[1], _first(g, s.inputs[1]))
    k, m = g.shapes[s.inputs[0]][-1], g.program.tables[s.attrs["table"]]
    planes = product_planes_of(s, m, k, FLOAT32_EXACT)

    def part(begin: int, end: int) -> str:
        left, right = _slice(g, rows, -1, begin, end, k), _slice(g, columns, -2, begin, end, k)
        looked = []
        for column, terms in zip(planes.g.T, planes.terms[:, begin:end], strict=True):
            value = g.add("Gather", g.constant(column, "float32"), right)
            kept = value if terms.all() else g.add("Mul", value, g.constant(terms[:, None], "float32"))
            looked.append(kept)
        beside = looked[0] if len(looked) == 1 else g.add("Concat", *looked, axis=-2)
        return g.add("MatMul", _looked_up(g, left, planes.f, -1), beside)

    lookup = None
    if planes.looked_up is not None:
        places = columns
        if not planes.looked_up.all():
            kept = g.constant(planes.looked_up[:, None], "bool")
            places = g.add("Where", kept, columns, g.constant(NOTHING, "int32"))
        terms = [_terms_first(g, rows, len(g.shapes[s.inputs[0]]), -1, -1),
                 _terms_first(g, places, len(g.shapes[s.inputs[1]]), -2, -2)]  # fmt: skip
        lookup = _table_sums(g, s, terms[0], terms[1], _sum_type(planes))
    _finish(g, s, planes, [part(*ends) for ends in _parts(planes)], lookup)


def _terms_first(g: Graph, value: str, rank: int, axis: int, added: int) -> str:
    """Return a value with one axis ahead of all others and an axis of size 1 added."""
    order = [rank + axis, *(i for i in range(rank) if i != rank + axis)]
    return g.add("Unsqueeze", g.add("Transpose", value, perm=order), g.constant([added], "int64"))


def _parts(planes: Planes | ProductPlanes) -> list[tuple[int, int]]:
    """Return where each part of the reduction begins and ends; nothing to do without planes."""
    return list(zip((0, *planes.ends[:-1]), planes.ends, strict=True)) if planes.f.shape[1] else []


def _slice(g: Graph, value: str, axis: int, begin: int, end: int, size: int) -> str:
    if (begin, end) == (0, size):
        return value
    return g.add("Slice", value, *(g.constant([v], "int64") for v in (begin, end, axis)))


def _looked_up(g: Graph, rows: str, f: Array, axis: int) -> str:
    """Return the planes of F side by side, float32."""
    looked = [g.add("Gather", g.constant(column, "float32"), rows) for column in f.T]
    return looked[0] if len(looked) == 1 else g.add("Concat", *looked, axis=axis)


def _conv_lookup(g: Graph, s: Step, rows: str, planes: Planes) -> str:
    """Sum table entries over the window: its positions are slices of the input, side by side along a new first axis."""
    a, groups, dims = s.attrs, s.attrs["groups"], s.arrays["w"].ndim - 2
    split = g.add("Unsqueeze", rows, g.constant([1], "int64")) if groups == 1 else rows  # (b, groups, c, *sizes)
    axes, steps = g.constant(range(3, 3 + dims), "int64"), g.constant(a["stride"], "int64")
    views = []
    for place in np.ndindex(*a["kernel"]):
        begin = [p * d for p, d in zip(place, a["dilation"], strict=True)]
        end = [b + (size - 1) * st + 1 for b, size, st in zip(begin, s.shape[2:], a["stride"], strict=True)]
        views.append(g.add("Slice", split, g.constant(begin, "int64"), g.constant(end, "int64"), axes, steps))
    # (b, groups, window * c, *sizes), then terms first and an axis for the output channels of a group
    x = views[0] if len(views) == 1 else g.add("Concat", *views, axis=2)
    x = g.add("Transpose", x, perm=[2, 0, 1, *range(3, 3 + dims)])
    x = g.add("Unsqueeze", x, g.constant([3], "int64"))
    assert planes.columns is not None
    columns = planes.columns.reshape(groups, -1, s.arrays["w"].shape[1], math.prod(a["kernel"]))
    terms = columns.transpose(3, 2, 0, 1).reshape(-1, 1, groups, columns.shape[1], *[1] * dims)
    sums = _table_sums(g, s, x, g.constant(terms, "int32"), _sum_type(planes))
    return g.add("Reshape", sums, g.constant([0, *s.shape[1:]], "int64"))


def _table_sums(g: Graph, s: Step, rows: str, columns: str, dtype: str) -> str:
    """Sum `table[row, column]` over the first axis of both, one term after the other, by a Scan.

    Args:
        g: graph.
        s: step of a layer.
        rows: value of rows, int32 `(terms, batch, ...)`.
        columns: of columns, int32 `(terms, 1, ...)`, broadcast against the rows.
        dtype: that holds the sums.
    """
    table = g.program.tables[s.attrs["table"]].table.astype(np.int64)
    flat = np.pad(table, ((0, 0), (0, 1))).ravel()  # column `NOTHING` holds zeros
    starts = g.add("Mul", rows, g.constant(NOTHING + 1, "int32"))
    inner, entry = g.name(), g.name()
    names = {key: f"{inner}/{key}" for key in ("total", "start", "column", "index", "next", "picked", "sum")}
    n = names
    body = helper.make_graph(
        [
            helper.make_node("Add", [n["start"], n["column"]], [n["index"]]),
            helper.make_node("Gather", [g.constant(flat, dtype), n["index"]], [n["picked"]]),
            helper.make_node("Add", [n["total"], n["picked"]], [n["next"]]),
        ],
        inner,
        [helper.make_tensor_value_info(n[k], TYPES[t], None) for k, t in
         (("total", dtype), ("start", "int32"), ("column", "int32"))],
        [helper.make_tensor_value_info(n["next"], TYPES[dtype], None)],
    )  # fmt: skip
    # Zeros of the result's shape: any term's index, times nothing.
    first = g.add("Gather", starts, g.constant(0, "int64"), axis=0)
    broadcast = g.add("Add", first, g.add("Gather", columns, g.constant(0, "int64"), axis=0))
    zeros = g.add("Mul", g.cast(broadcast, dtype), g.constant(0, dtype), output=entry)
    return g.add("Scan", zeros, starts, columns, body=body, num_scan_inputs=2)


def _sum_type(planes: Planes | ProductPlanes) -> str:
    return "int32" if planes.total < 2**31 else "int64"


def _finish(g: Graph, s: Step, planes: Planes | ProductPlanes, parts: list[str], lookup: str | None) -> None:
    """Add the parts of a sum and the constant, as integers."""
    dtype = g.types[s.output] = _sum_type(planes)
    sums = [g.cast(part, dtype) for part in parts] + ([lookup] if lookup else [])
    total = g.constant(s.arrays["constant"], dtype)
    if not sums:  # a table of zeros: the constant alone, in the shape of the result
        ones = g.add("Expand", total, _result_shape(g, s))
        g.add("Identity", ones, output=s.output)
    for i, part in enumerate(sums):
        total = g.add("Add", part, total, output=s.output if i == len(sums) - 1 else "")


def _result_shape(g: Graph, s: Step) -> str:
    kept = 1 if s.op == "conv" else len(s.shape) - 1
    sizes = g.add("Shape", s.inputs[0], start=0, end=kept)
    return g.add("Concat", sizes, g.constant(s.shape[kept:], "int64"), axis=0)
