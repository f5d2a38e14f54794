"""What the operators of an ONNX file do that are no layers: counts by the rules of captured networks.

The algorithms are those of `axdnn.quant.operator_work`, and an operator has the name that a captured one has, so that a
price does not depend on where a network came from. What an exporter wrote out (a normalisation as means, differences
and products, say) counts as its parts. Constants are not read, as weights are not; a table holds a function of one
value. QuantizeLinear, DequantizeLinear and Cast move nothing: whoever makes a value is charged for making it a code.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from axdnn.models.onnx_reading import OnnxGraph
from axdnn.models.onnx_rules import (
    Case,
    Counted,
    Rule,
    clip,
    div,
    gather,
    grouped_norm,
    mean,
    power,
    prelu,
    resize,
    softmax,
    transpose,
)
from axdnn.quant.operator_work import (
    VIEW,
    Work,
    avg_pool_work,
    largest_work,
    max_pool_work,
    norm_work,
    rms_norm_work,
    sum_work,
)
from axdnn.records import ExactOperator, OperatorKind

TABLES = (
    "Abs", "Ceil", "Celu", "Cos", "Elu", "Erf", "Exp", "Floor", "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu", "Log",
    "Mish", "Neg", "Round", "Selu", "Shrink", "Sigmoid", "Sign", "Sin", "Softplus", "Softsign", "Swish", "Tanh",
    "ThresholdedRelu",
)  # fmt: skip
"""Functions of one value."""
VIEWS = (
    "Cast", "CastLike", "DequantizeLinear", "Dropout", "Expand", "Flatten", "Identity", "QuantizeLinear", "Reshape",
    "Slice", "Split", "Squeeze", "Unsqueeze",
)  # fmt: skip
COPIES = ("DepthToSpace", "SpaceToDepth", "Tile")
CHOICES = ("And", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Not", "Or", "Where", "Xor")
"""One comparison or selection a value."""


def exact_operator(graph: OnnxGraph, node: Any) -> ExactOperator:
    """Describe a node that is no layer, for one inference; without counts if it has no rule or an unknown shape."""
    from onnx import helper

    name, reason = node.name or node.output[0], f"{node.op_type} of the file: no product of a layer, computed exactly"
    values = (*graph.activations(node), node.output[0])
    found = None
    if node.op_type in RULES and all(value in graph.shapes for value in values):
        attrs = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
        *inputs, output = (graph.shapes[value] for value in values)
        found = RULES[node.op_type](Case(graph, node, attrs, tuple(inputs), output))
    if found is None:
        return ExactOperator(name=name, operator=node.op_type, reason=reason)
    operator, work = found
    read, written = work.words or (sum(map(math.prod, inputs)), math.prod(output))
    return ExactOperator(
        name=name, operator=operator, reason=reason, kind=work.kind, input_words=read, output_words=written,
        operations=work.operations, transcendental=work.transcendental,
    )  # fmt: skip


def _each(operator: str, kind: OperatorKind, operations: int, transcendental: int = 0) -> Rule:
    """So many operations for each value of the result."""
    return lambda c: (operator, Work(kind, operations * c.results, transcendental * c.results))


def _joined(operator: str, further: int = 0) -> Rule:
    """One operation between neighbours of any number of operands, and further ones of each result."""
    return lambda c: (operator, Work("elementwise", (c.operands - 1 + further) * c.results))


def _of_two(operator: str) -> Rule:
    """One operation; with a constant it is a scale or a shift."""
    return lambda c: (operator if len(c.inputs) > 1 else "affine", Work("elementwise", c.results))


def _always(operator: str, work: Work) -> Rule:
    return lambda c: (operator, work)


def _pool(work: Callable[[int, int], Work], operator: str) -> Rule:
    """Of windows; of the whole picture where the operator has none."""

    def rule(c: Case) -> Counted:
        window = c.attrs.get("kernel_shape", c.inputs[0][2:])
        return f"{operator}{len(window)}d", work(math.prod(window), c.results)

    return rule


def _reduced(operator: str, work: Callable[[Case], Work]) -> Rule:
    return lambda c: (operator, work(c))


RULES: dict[str, Rule] = {
    **dict.fromkeys(TABLES, _each("unary", "activation", 1)),
    **dict.fromkeys(VIEWS, _always("reshape", VIEW)),
    **dict.fromkeys(COPIES, _always("reshape", Work("movement"))),
    **{name: _each(name.lower(), "elementwise", 1) for name in CHOICES},
    "Relu": _each("clamp", "activation", 1),
    "Clip": clip,
    "PRelu": prelu,
    "Add": _of_two("add"),
    "Sub": _of_two("combine"),
    "Mul": _of_two("mul"),
    "Div": div,
    "Pow": power,
    "Sqrt": _each("sqrt", "elementwise", 0, 1),
    "Reciprocal": _each("div", "elementwise", 0, 1),
    "Sum": _joined("add"),
    "Mean": _joined("add", 1),
    "Max": _joined("maximum"),
    "Min": _joined("minimum"),
    "BatchNormalization": _each("batch_norm", "elementwise", 2),
    "MaxPool": _pool(max_pool_work, "max_pool"),
    "GlobalMaxPool": _pool(max_pool_work, "max_pool"),
    "AveragePool": _pool(avg_pool_work, "avg_pool"),
    "GlobalAveragePool": _pool(avg_pool_work, "avg_pool"),
    "ReduceMean": mean,
    "ReduceSum": _reduced("sum", lambda c: sum_work(c.values)),
    "ReduceProd": _reduced("prod", lambda c: sum_work(c.values)),
    "ReduceMax": _reduced("amax", lambda c: largest_work(c.values, c.results)),
    "ReduceMin": _reduced("amin", lambda c: largest_work(c.values, c.results)),
    # of every value its size or its square too
    "ReduceL1": _reduced("sum", lambda c: sum_work(2 * c.values)),
    "ReduceSumSquare": _reduced("sum", lambda c: sum_work(2 * c.values)),
    "ReduceL2": _reduced("sum", lambda c: Work("reduction", 2 * c.values, c.results)),
    "ArgMax": _reduced("argmax", lambda c: largest_work(c.values, c.results)),
    "ArgMin": _reduced("argmin", lambda c: largest_work(c.values, c.results)),
    "Softmax": softmax,
    "LogSoftmax": softmax,
    "LayerNormalization": lambda c: ("layer_norm", norm_work(c.values, c.rows(), 1 + bool(c.given(2)))),
    "RMSNormalization": lambda c: ("rms_norm", rms_norm_work(c.values, c.rows())),
    "GroupNormalization": grouped_norm,
    "InstanceNormalization": grouped_norm,
    "Gather": gather,
    "Concat": lambda c: ("cat", Work("movement", words=(c.results, c.results))),
    "Pad": _always("pad", Work("movement")),
    "Transpose": transpose,
    "Resize": resize,
    "Upsample": resize,
}
"""Operator -> rule; one without a rule stays uncounted."""
