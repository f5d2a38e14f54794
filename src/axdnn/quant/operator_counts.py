"""How many scalar operations the operators cost that multiply with no circuit of the library, one inference each.

Literal counts of the textbook algorithms (`operator_work.py`). Operations are counted for every value, those on the
zeros around a padded window included. A function of one value is one look-up in a table of 256 codes, as the integer
network computes it. Sigmoid and hyperbolic tangent of a gate are one transcendental each. A view (reshape, expansion,
slice) moves nothing, neither does a permutation of axes of one value; other permutations are copies.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from axdnn.quant.graph import Node
from axdnn.quant.moves import Expand, Permute, Reshape, Select
from axdnn.quant.operator_work import (
    VIEW,
    Work,
    avg_pool_work,
    largest_work,
    max_pool_work,
    mean_work,
    norm_work,
    permutation_work,
    rms_norm_work,
    softmax_work,
    sum_work,
)
from axdnn.records import ExactOperator, OperatorKind

Shape = tuple[int, ...]
SLICES = ("select", "slice", "narrow")
"""Selections whose result is read where it lies."""


class Case(NamedTuple):
    """One operator: its attributes, and the shapes of its operands and its result for a batch of one."""

    attrs: dict[str, Any]
    inputs: tuple[Shape, ...]
    output: Shape

    @property
    def values(self) -> int:
        """Values of the first operand."""
        return math.prod(self.inputs[0])

    @property
    def results(self) -> int:
        """Values of the result."""
        return math.prod(self.output)

    @property
    def constants(self) -> dict[str, Any]:
        """Constants of a `function` node."""
        return dict(self.attrs["apply"].constants)


def exact_operator(node: Node, inputs: Sequence[Shape], output: Shape, reason: str) -> ExactOperator:
    """Describe an operator that stays exact, with its counts.

    Args:
        node: of the captured graph; an operator of `RULES`.
        inputs: shapes of its operands, for a batch of one.
        output: shape of its result.
        reason: why it stays exact.
    """
    label = str(node.attrs["function"]) if node.op == "function" else node.op
    case = Case(node.attrs, tuple(inputs), output)
    work = RULES[label](case)
    read, written = work.words or (sum(map(math.prod, case.inputs)), case.results)
    return ExactOperator(
        name=node.name, operator=label, reason=reason, kind=work.kind, input_words=read, output_words=written,
        operations=work.operations, transcendental=work.transcendental,
    )  # fmt: skip


def _each(kind: OperatorKind, operations: int, transcendental: int = 0, share: int = 1) -> Callable[[Case], Work]:
    """So many operations for each value of the result, or for each `share` of them."""
    return lambda c: Work(kind, operations * c.results // share, transcendental * c.results // share)


def _clamp(c: Case) -> Work:
    bounds = sum(c.attrs[key] is not None for key in ("min", "max"))
    return Work("activation", bounds * c.results)


def _affine(c: Case) -> Work:
    """A multiplication where there is a scale, an addition where there is a shift; a batch norm at inference too."""
    held = c.attrs if "scale" in c.attrs else c.constants
    steps = bool((held["scale"] != 1).any()) + bool((held["shift"] != 0).any())
    return Work("elementwise", steps * c.results)


def _combine(c: Case) -> Work:
    factors = sum(abs(c.constants[key]) != 1 for key in ("first", "second"))
    return Work("elementwise", (1 + factors) * c.results)


def _avg_pool(c: Case) -> Work:
    whole = c.attrs.get("whole")
    window = c.inputs[0][-2:] if whole else c.attrs.get("kernel") or c.constants["kernel_size"]
    return avg_pool_work(math.prod(window), c.results)


def _softmax(c: Case) -> Work:
    return softmax_work(c.values, c.values // c.inputs[0][c.constants["dim"]])


def _attention_weights(c: Case) -> Work:
    """Scaling, causal selection and mask before a softmax over the last axis."""
    before = (c.constants["scale"] != 1) + bool(c.constants["causal"]) + ("mask" in c.constants)
    return softmax_work(c.values, c.values // c.inputs[0][-1], before)


def _norm(c: Case) -> Work:
    held = c.constants
    sizes = held.get("normalized_shape")
    rows = c.values // math.prod(sizes) if sizes else c.inputs[0][0] * held["num_groups"]
    return norm_work(c.values, rows, ("weight" in held) + ("bias" in held))


def _rms_norm(c: Case) -> Work:
    rows = c.values // math.prod(c.constants["normalized_shape"])
    return rms_norm_work(c.values, rows, int("weight" in c.constants))


def _reshape(c: Case) -> Work:
    move = c.attrs["apply"]
    if isinstance(move, Permute):
        return permutation_work(c.inputs[0], move.order)
    view = isinstance(move, Reshape | Expand)
    if isinstance(move, Select):
        view = move.part is not None or move.operator.partition(".")[0] in SLICES
    return VIEW if view else Work("movement")


RULES: dict[str, Callable[[Case], Work]] = {
    "clamp": _clamp,
    "unary": _each("activation", 1),
    "add": _each("elementwise", 1),
    "mul": _each("elementwise", 1),
    "maximum": _each("elementwise", 1),
    "minimum": _each("elementwise", 1),
    "div": _each("elementwise", 0, 1),
    "combine": _combine,
    "affine": _affine,
    "batch_norm": _affine,
    "max_pool2d": lambda c: max_pool_work(math.prod(c.attrs["kernel"]), c.results),
    "avg_pool2d": _avg_pool,
    "avg_pool3d": _avg_pool,
    "mean": lambda c: mean_work(c.values, c.results),
    "sum": lambda c: sum_work(c.values),
    "amax": lambda c: largest_work(c.values, c.results),
    "softmax": _softmax,
    "log_softmax": _softmax,
    "attention_weights": _attention_weights,
    "layer_norm": _norm,
    "group_norm": _norm,
    "rms_norm": _rms_norm,
    "embedding": lambda c: Work("gather", words=(c.values + c.results, c.results)),
    # h and c: 4 sums of pre-activations, 3 products, 1 sum; 3 sigmoids and 2 hyperbolic tangents
    "lstm_cell": _each("other", 8, 5, share=2),
    # 4 sums, 1 difference, 3 products; 2 sigmoids and 1 hyperbolic tangent
    "gru_cell": _each("other", 8, 3),
    "rnn_tanh_cell": _each("other", 1, 1),
    "rnn_relu_cell": _each("other", 2),
    "reshape": _reshape,
    "cat": _each("movement", 0),
    "stack": _each("movement", 0),
    "pad": _each("movement", 0),
    "constant": lambda c: Work("movement", words=(0, c.results)),
}
"""Operator or function -> rule; every operator of `EXACT_REASONS` and every function of `FUNCTIONS` has one."""
