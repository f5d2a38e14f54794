"""Counts of ONNX operators whose attributes and constants matter, one function each."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from axdnn.models.onnx_reading import OnnxGraph, Shape
from axdnn.quant.operator_work import (
    VIEW,
    Work,
    avg_pool_work,
    mean_work,
    norm_work,
    permutation_work,
    softmax_work,
)

MOST_PRODUCTS = 3
"""Powers of at most so many products are multiplied out; the others are one transcendental."""
TAPS = {"linear": 2, "cubic": 4}
"""Values that an interpolation weighs along each axis."""


class Case(NamedTuple):
    """One node: its attributes, and the shapes of its operands that are no constants and of its first result."""

    graph: OnnxGraph
    node: Any
    attrs: dict[str, Any]
    inputs: tuple[Shape, ...]
    output: Shape

    @property
    def values(self) -> int:
        """Values of the first operand that is no constant."""
        return math.prod(self.inputs[0])

    @property
    def results(self) -> int:
        """Values of the result."""
        return math.prod(self.output)

    @property
    def operands(self) -> int:
        """Number of operands, constants too."""
        return len(self.node.input)

    def given(self, place: int) -> str:
        """Name of the operand in a place, empty if it is left out."""
        return self.node.input[place] if place < len(self.node.input) else ""

    def is_stored(self, place: int) -> bool:
        """Whether the operand in a place is a constant."""
        return self.given(place) in self.graph.constants

    def rows(self, usual: int = -1) -> int:
        """Sums of an operator over its axis and all that follow."""
        axis = self.attrs.get("axis", usual)
        return math.prod(self.inputs[0][: axis if axis >= 0 else len(self.inputs[0]) + axis])


Counted = tuple[str, Work]
"""Name that captured networks give an operator, and its work."""
Rule = Callable[[Case], Counted | None]
"""None where an operator cannot be counted."""


def clip(c: Case) -> Counted:
    """A comparison for each bound, which older operators hold as attributes."""
    bounds = sum(bool(c.given(place)) or key in c.attrs for place, key in ((1, "min"), (2, "max")))
    return "clamp", Work("activation", bounds * c.results)


def prelu(c: Case) -> Counted | None:
    """With stored slopes a function of one value, with computed ones no rule."""
    return ("unary", Work("activation", c.results)) if c.is_stored(1) else None


def div(c: Case) -> Counted:
    """By a constant it is a product with the inverse."""
    return ("affine", Work("elementwise", c.results)) if c.is_stored(1) else ("div", Work("elementwise", 0, c.results))


def power(c: Case) -> Counted:
    """Products where the exponent is stored, whole and small."""
    products = {value - 1 for value in c.graph.numbers.get(c.given(1), (0.0,))}
    if len(products) == 1 and products <= set(range(MOST_PRODUCTS + 1)):
        return "pow", Work("elementwise", int(products.pop()) * c.results)
    return "pow", Work("elementwise", 0, c.results)


def mean(c: Case) -> Counted:
    """Over height and width it is a pooling, as a captured one is."""
    axes = c.attrs.get("axes") or c.graph.numbers.get(c.given(1), ())
    rank = len(c.inputs[0])
    if rank == 4 and sorted(axis % rank for axis in axes) == [2, 3]:  # batch, channels, height, width
        return "avg_pool2d", avg_pool_work(math.prod(c.inputs[0][2:]), c.results)
    return "mean", mean_work(c.values, c.results)


def softmax(c: Case) -> Counted:
    """Over one axis; before version 13 over that and all that follow."""
    operator = "log_softmax" if c.node.op_type == "LogSoftmax" else "softmax"
    if c.graph.opset < 13:
        return operator, softmax_work(c.values, c.rows(1))
    return operator, softmax_work(c.values, c.values // c.inputs[0][c.attrs.get("axis", -1)])


def grouped_norm(c: Case) -> Counted:
    """Of groups of channels; an instance norm has a group a channel."""
    groups = c.attrs.get("num_groups", c.inputs[0][1])
    return "group_norm", norm_work(c.values, c.inputs[0][0] * groups)


def gather(c: Case) -> Counted:
    """Rows at computed places; at stored ones a selection, which one place alone leaves where it lies."""
    if not c.is_stored(1):
        return "embedding", Work("gather", words=(math.prod(c.inputs[-1]) + c.results, c.results))
    return "reshape", VIEW if c.graph.shapes.get(c.given(1)) == () else Work("movement")


def transpose(c: Case) -> Counted:
    """A permutation; without one all axes in reverse."""
    order = c.attrs.get("perm") or range(len(c.inputs[0]))[::-1]
    return "reshape", permutation_work(c.inputs[0], tuple(order))


def resize(c: Case) -> Counted:
    """Nearest neighbours are copies; else a product and a sum of every value that is weighed."""
    mode = c.attrs.get("mode", b"nearest").decode()
    resized = sum(before != after for before, after in zip(c.inputs[0], c.output, strict=True))
    if mode not in TAPS or not resized:
        return "reshape", Work("movement")
    return "interpolate", Work("other", 2 * TAPS[mode] ** resized * c.results)
