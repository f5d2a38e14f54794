"""`Program`: the integer network as a list of plain steps, which every export format writes down.

A step is one of the operators of `STEPS`. Values are named; codes are int8 or uint8, sums are exact integers, real
values float32. docs/export.md defines each step.

The batch may be any axis of a value, alone or merged with others: in shapes its size is -1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy.typing as npt

from axdnn.records import Multiplier

Array = npt.NDArray[Any]

# Operator -> what it makes of its inputs. Arrays of a step broadcast against values.
STEPS = {
    "quantise": "codes of `unit * x`: round half to even, clamp to low..high, times step, plus zero",
    "scale": "real `unit * x`",
    "clamp": "real values kept within low..high, either of which may be null",
    "conv": "sums of table entries over a window, plus constant",
    "linear": "sums of table entries over the last axis, plus constant",
    "matmul": "sums of table entries of two activations, minus zero points times sums of values, plus constant",
    "dequantise": "real `scale * (code - zero)`",
    "add": "real sum of two values",
    "affine": "real `scale * x + shift` for each channel",
    "pool_sum": "integer sum of `code - zero` over a window; the border adds nothing",
    "lookup": "entry of a table of 256",
    "max_pool": "largest value of a window, the border left out",
    "reshape": "the same values in another shape",
    "transpose": "axes in another order",
    "concat": "values side by side",
    "take": "values at the places of an index along an axis",
    "pad": "a border of one value",
    "constant": "a stored value, once for each example of the batch",
    "function": "a function of real values in float64, rounded to float32",
}
# Functions whose every operation IEEE 754 rounds correctly, in one order: the same bits in every format.
SAME_BITS = ("affine", "amax", "combine", "div", "embedding", "maximum", "minimum", "mul", "rnn_relu_cell")


@dataclass(frozen=True, eq=False)
class Step:
    """One operation.

    Attributes:
        op: key of `STEPS`.
        output: name of the value it makes.
        inputs: names of the values it reads.
        node: operator of the network it belongs to.
        shape: of the result, -1 for the axis that depends on the batch.
        dtype: of the result: `int8`, `uint8`, `int64` (exact sums) or `float32`.
        attrs: plain numbers and lists.
        arrays: tensors.
    """

    op: str
    output: str
    inputs: tuple[str, ...]
    node: str
    shape: tuple[int, ...]
    dtype: str
    attrs: Mapping[str, Any] = field(default_factory=dict)
    arrays: Mapping[str, Array] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Program:
    """A whole network.

    Attributes:
        inputs: name -> shape without the batch dimension; float32.
        outputs: names of the results.
        steps: in order.
        tables: id -> multiplier; steps name them by id.
        about: text that says what this is: network, assignment, version.
    """

    inputs: dict[str, tuple[int, ...]]
    outputs: tuple[str, ...]
    steps: tuple[Step, ...]
    tables: dict[str, Multiplier]
    about: dict[str, str]

    @property
    def inexact(self) -> tuple[str, ...]:
        """Functions that may differ between formats in the last bit of float64, before they are rounded to float32."""
        names = (step.attrs["function"] for step in self.steps if step.op == "function")
        return tuple(dict.fromkeys(name for name in names if name not in SAME_BITS))
