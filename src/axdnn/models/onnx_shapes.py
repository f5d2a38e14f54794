"""Shapes of all values of an ONNX model, also where the model computes them from other shapes."""

from __future__ import annotations

from typing import Any

import numpy as np

from axdnn.records import InvalidInputError

SMALL = 1024
"""Constants of at most so many values may be part of a shape."""
SAME_SHAPE = ("GroupNormalization",)
"""Operators whose result has the shape of their input, which ONNX's inference does not know."""


def inferred(model: Any, where: str) -> Any:
    """Return the graph of a model with inferred shapes, what shapes determine replaced by constants.

    ONNX's own inference does not follow all arithmetic of shapes (a division, say) and none of widths of padding, so
    what depends on known shapes and small constants alone is computed, and shapes are inferred again until nothing new
    is found.

    Raises:
        InvalidInputError: shapes do not fit together.
    """
    from onnx import shape_inference

    while True:
        try:
            found = shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
        except Exception as error:  # InferenceError and what onnx's checks raise
            raise InvalidInputError(f"{where}: the shapes do not fit together for a batch of one: {error}") from error
        shapes = shapes_of(found.graph)
        computed = _computed(found, shapes)
        if computed:
            model = _replaced(found, computed)
        elif _completed(found.graph, shapes):
            model = found
        else:
            return found.graph


def shapes_of(graph: Any) -> dict[str, tuple[int, ...]]:
    """Return the known shapes of a graph's values."""
    shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    for value in (*graph.input, *graph.value_info, *graph.output):
        tensor = value.type.tensor_type
        if tensor.HasField("shape") and all(size.HasField("dim_value") for size in tensor.shape.dim):
            shapes[value.name] = tuple(size.dim_value for size in tensor.shape.dim)
    return shapes


def _computed(model: Any, shapes: dict[str, tuple[int, ...]]) -> dict[str, Any]:
    """Values that follow from known shapes and small constants, by name; empty if no shape is read or filled."""
    from onnx import helper, numpy_helper, reference

    small = [tensor for tensor in model.graph.initializer if _size(tensor.dims) <= SMALL and not tensor.external_data]
    known, nodes, from_shapes = {tensor.name for tensor in small} | {""}, [], []
    for node in model.graph.node:
        if node.op_type in ("Shape", "Size"):
            if node.input[0] not in shapes:
                continue
            from_shapes.append(_shape_node(node, shapes[node.input[0]]))
            nodes.append(from_shapes[-1])
        elif node.op_type == "Constant" or (node.input and all(name in known for name in node.input)):
            nodes.append(node)
        else:
            continue
        known.update(node.output)
    if not from_shapes and not any(node.op_type == "ConstantOfShape" for node in nodes):
        return {}
    outputs = [helper.make_empty_tensor_value_info(name) for node in nodes for name in node.output if name]
    graph = helper.make_graph(nodes, "shapes", [], outputs, small)
    run = reference.ReferenceEvaluator(helper.make_model(graph, opset_imports=list(model.opset_import)))
    values = zip((output.name for output in outputs), run.run(None, {}), strict=True)
    return {name: numpy_helper.from_array(np.asarray(value), name) for name, value in values}


def _shape_node(node: Any, shape: tuple[int, ...]) -> Any:
    from onnx import helper, numpy_helper

    ends = {attribute.name: attribute.i for attribute in node.attribute}
    part = np.array(shape[ends.get("start", 0) : ends.get("end", len(shape))], dtype=np.int64)
    value = part if node.op_type == "Shape" else np.array(_size(shape), dtype=np.int64)
    return helper.make_node("Constant", [], list(node.output), value=numpy_helper.from_array(value))


def _completed(graph: Any, shapes: dict[str, tuple[int, ...]]) -> bool:
    """Write the shapes of results of `SAME_SHAPE` into the graph; return whether any was missing."""
    values = {value.name: value for value in (*graph.input, *graph.value_info, *graph.output)}
    missing = [
        node
        for node in graph.node
        if node.op_type in SAME_SHAPE and node.input[0] in shapes and node.output[0] not in shapes
    ]
    for node in missing:
        value = values.get(node.output[0]) or graph.value_info.add(name=node.output[0])
        value.type.CopyFrom(values[node.input[0]].type)
    return bool(missing)


def _replaced(model: Any, computed: dict[str, Any]) -> Any:
    """Put constants in the place of the nodes that compute them, and forget shapes that depend on them."""
    nodes = [node for node in model.graph.node if not set(node.output) & set(computed)]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(computed.values())
    del model.graph.value_info[:]
    for value in model.graph.output:
        value.type.tensor_type.ClearField("shape")
    return model


def _size(shape: Any) -> int:
    return int(np.prod(list(shape), dtype=np.int64))
