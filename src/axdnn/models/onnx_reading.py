"""An ONNX file as nodes with the shapes of their values, for a batch of one."""

from __future__ import annotations

import hashlib
import math
import os
from collections import Counter
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np

from axdnn.models.onnx_shapes import inferred, shapes_of
from axdnn.records import InvalidInputError, MissingPackageError, UnsupportedOperatorError

Shape = tuple[int, ...]
STANDARD_DOMAINS = ("", "ai.onnx")
STATIC = ("Shape", "Size")  # known once the shapes are
FEW = 8
"""Constants of at most so many values are read: axes, exponents."""
HELD = ("value", "value_float", "value_floats", "value_int", "value_ints")  # numbers of a Constant


@dataclass(frozen=True)
class OnnxGraph:
    """A graph for one inference.

    Attributes:
        nodes: in order, without those that compute constants.
        shapes: of all values that shape inference finds, batch of one.
        constants: names of values that do not depend on the input.
        inputs, outputs: names.
        uses: how many nodes and outputs read a value.
        contents: a hash of each stored tensor that is in the file.
        numbers: values of stored tensors of at most `FEW`.
        opset: version of the operators.
    """

    nodes: tuple[Any, ...]
    shapes: dict[str, Shape]
    constants: frozenset[str]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    uses: Counter[str]
    contents: dict[str, str]
    numbers: dict[str, tuple[float, ...]]
    opset: int

    def shape(self, value: str, node: Any) -> Shape:
        """Return the shape of a value that a node has.

        Raises:
            InvalidInputError: shape inference did not find it.
        """
        if value not in self.shapes:
            raise InvalidInputError(
                f"the shape of {value!r} at {label(node)} must follow from the inputs, but shape inference does not "
                "find it; export the model with fixed sizes"
            )
        return self.shapes[value]

    def words(self, value: str) -> int:
        """Return the number of values; 0 where the shape is not known."""
        return math.prod(self.shapes[value]) if value in self.shapes else 0

    def activations(self, node: Any) -> list[str]:
        """Return the inputs of a node that depend on the network's."""
        return [name for name in node.input if name and name not in self.constants]


def label(node: Any) -> str:
    """Name a node in messages."""
    return f"{node.op_type} {(node.name or node.output[0])!r}"


def read_onnx(path: str | os.PathLike[str]) -> OnnxGraph:
    """Read an ONNX file, fix its batch to one and infer all shapes. Weights beside the file are not needed.

    Raises:
        MissingPackageError: `onnx` is not installed.
        InvalidInputError: the file cannot be read, or a size other than the batch is free.
        UnsupportedOperatorError: an operator outside the ONNX standard, or a control flow.
    """
    if find_spec("onnx") is None:
        raise MissingPackageError("reading ONNX files needs the package onnx: pip install axdnn[onnx]")
    import onnx
    from onnx import inliner

    where = os.fspath(path)
    try:
        model = onnx.load(where, load_external_data=False)
    except OSError as error:
        raise InvalidInputError(f"cannot read the ONNX file {where}: {error.strerror or error}") from error
    except Exception as error:  # protobuf's own error, which needs its import
        raise InvalidInputError(f"{where} must be an ONNX model, but cannot be decoded: {error}") from error
    if not model.graph.node:
        raise InvalidInputError(f"{where} must be an ONNX model with operators, but has none")
    if model.functions:
        model = inliner.inline_local_functions(model)
    _check_operators(model.graph, where)
    inputs = _fix_batch(model.graph, where)
    graph = inferred(model, where)
    shapes = shapes_of(graph)
    constants = _constants(graph)
    nodes = tuple(node for node in graph.node if any(out not in constants for out in node.output))
    outputs = tuple(value.name for value in graph.output)
    uses = Counter(name for node in nodes for name in node.input) + Counter(outputs)
    contents = {tensor.name: _hash(tensor) for tensor in graph.initializer if not tensor.external_data}
    opset = max(one.version for one in model.opset_import if one.domain in STANDARD_DOMAINS)
    return OnnxGraph(nodes, shapes, constants, inputs, outputs, uses, contents, _numbers(graph), opset)


def _numbers(graph: Any) -> dict[str, tuple[float, ...]]:
    """Values of small constants, also of those that nodes hold."""
    from onnx import helper, numpy_helper

    found: dict[str, Any] = {t.name: t for t in graph.initializer if not t.external_data}
    for node in graph.node:
        held = [a for a in node.attribute if node.op_type == "Constant" and a.name in HELD]
        found |= {name: helper.get_attribute_value(a) for a in held for name in node.output}
    few = {}
    for name, value in found.items():
        if hasattr(value, "dims") and (math.prod(value.dims) > FEW or value.data_type == value.STRING):
            continue
        array = np.ravel(numpy_helper.to_array(value) if hasattr(value, "dims") else value)
        if 0 < array.size <= FEW:
            few[name] = tuple(float(number) for number in array)
    return few


def _hash(tensor: Any) -> str:
    bare = type(tensor)()
    bare.CopyFrom(tensor)
    bare.ClearField("name")
    return hashlib.sha256(bare.SerializeToString()).hexdigest()


def _check_operators(graph: Any, where: str) -> None:
    for node in graph.node:
        if node.domain not in STANDARD_DOMAINS:
            raise UnsupportedOperatorError(
                f"{where}: {label(node)} is of the domain {node.domain!r}; only standard ONNX operators can be counted"
            )
        if any(attribute.HasField("g") for attribute in node.attribute):
            raise UnsupportedOperatorError(f"{where}: {label(node)} runs a graph of its own, which cannot be counted")


def _fix_batch(graph: Any, where: str) -> tuple[str, ...]:
    """Set the first axis of every input to one and drop stored shapes of other values; return the inputs' names."""
    stored = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in stored]
    if not inputs:
        raise InvalidInputError(f"{where} must have an input, but has none")
    for value in inputs:
        sizes = value.type.tensor_type.shape.dim
        if len(sizes) > 1:
            sizes[0].dim_value = 1
        free = [i for i, size in enumerate(sizes) if not size.HasField("dim_value") or size.dim_value < 1]
        if free or not sizes:
            raise InvalidInputError(
                f"{where}: input {value.name!r} must have fixed sizes but for the first, the batch, but axes "
                f"{free or 'all'} are free; export the model with fixed sizes"
            )
    del graph.value_info[:]
    for value in graph.output:
        value.type.tensor_type.ClearField("shape")
    return tuple(value.name for value in inputs)


def _constants(graph: Any) -> frozenset[str]:
    found = {"", *(tensor.name for tensor in graph.initializer)}
    for node in graph.node:
        computed = node.input and all(name in found for name in node.input)
        if node.op_type in ("Constant", *STATIC) or computed:
            found.update(node.output)
    return frozenset(found)
