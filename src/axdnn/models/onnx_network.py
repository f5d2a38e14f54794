"""`network_from_onnx`: the layers of an ONNX file as a `Network`, by shapes alone."""

from __future__ import annotations

import math
import os
import re
from pathlib import Path
from typing import Any

import msgspec

from axdnn.models.onnx_layers import is_layer, layer_of, weight_of
from axdnn.models.onnx_operators import exact_operator
from axdnn.models.onnx_reading import OnnxGraph, read_onnx
from axdnn.records import InvalidInputError, Layer, Network

MOVES = (
    "Cast", "Clip", "DequantizeLinear", "Dropout", "Flatten", "Identity", "QuantizeLinear", "Relu", "Reshape",
    "Squeeze", "Transpose", "Unsqueeze",
)  # fmt: skip
"""Operators that leave their result where their input was."""


def network_from_onnx(path: str | os.PathLike[str]) -> Network:
    """Describe the network in an ONNX file for one inference; no operator is run and no weight is looked at.

    Layers are Conv, ConvTranspose, Gemm and MatMul and their integer forms. They are named by their weights where these
    are called `NAME.weight`, else by the node's path. An addition or batch norm that alone follows a layer and adds
    constants is its bias. Layers of one name, weights and attributes are calls of one layer. Other operators are
    counted as those of captured networks, see `onnx_operators.py`; one without a rule has no counts.

    Args:
        path: of the file. The first axis of its inputs is the batch and becomes 1; the others must be fixed.

    Raises:
        MissingPackageError: `onnx` is not installed (extra `onnx`).
        InvalidInputError: the file cannot be read, sizes are free or do not fit, or nothing multiplies.
        UnsupportedOperatorError: an operator that multiplies without a rule, or is not of the ONNX standard.
    """
    graph = read_onnx(path)
    readers: dict[str, list[Any]] = {}
    for node in graph.nodes:
        for value in node.input:
            readers.setdefault(value, []).append(node)
    multiplying = [node for node in graph.nodes if is_layer(node)]
    if not multiplying:
        raise InvalidInputError(f"{os.fspath(path)} must hold a layer (Conv, Gemm, MatMul, ...), but has none")
    absorbed = {node.output[0]: bias for node in multiplying if (bias := _bias(graph, node, readers)) is not None}
    calls: dict[tuple[Any, ...], list[Layer]] = {}
    names: dict[str, str] = {}
    for node in multiplying:
        key = _identity(graph, node)
        name = calls[key][0].name if key in calls else _free(_name(graph, node), set(names.values()))
        calls.setdefault(key, []).append(layer_of(graph, node, name, node.output[0] in absorbed))
        names[node.output[0]] = name
    inside = {bias.output[0] for bias in absorbed.values()}
    exact = tuple(
        exact_operator(graph, node)
        for node in graph.nodes
        if node.output[0] not in names and node.output[0] not in inside
    )
    shape = graph.shapes[graph.inputs[0]]
    return Network(
        name=Path(path).stem,
        layers=tuple(_together(each) for each in calls.values()),
        edges=_edges(graph, names),
        exact_operators=exact,
        input_shape=shape[1:] if len(shape) > 1 else shape,
        peak_activation_words=_peak_words(graph, inside),
        captured_by="onnx",
    )


def _bias(graph: OnnxGraph, node: Any, readers: dict[str, list[Any]]) -> Any:
    """Return the node behind a layer that alone reads it and adds constants, None if there is none."""
    after = readers.get(node.output[0], [])
    if graph.uses[node.output[0]] != 1 or len(after) != 1:
        return None
    follower = after[0]
    if follower.op_type == "BatchNormalization" and weight_of(graph, node):
        return follower
    stored = [name for name in follower.input if name in graph.constants]
    if follower.op_type != "Add" or len(stored) != 1 or not weight_of(graph, node):
        return None
    return follower if math.prod(graph.shapes.get(stored[0], (0,))) in graph.shape(node.output[0], node) else None


def _identity(graph: OnnxGraph, node: Any) -> tuple[Any, ...]:
    """What calls of one layer share; a product of activations is a layer each time.

    Exporters may store the weights again for each call and number the calls: equal numbers under one name.
    """
    if not weight_of(graph, node):
        return (node.output[0],)
    stored = tuple(graph.contents.get(name, name) for name in node.input if name and name in graph.constants)
    attributes = tuple(sorted((a.name, a.SerializeToString()) for a in node.attribute))
    return (node.op_type, stored, attributes, re.sub(r"_[0-9]+(?=\.|$)", "", _name(graph, node)))


def _together(calls: list[Layer]) -> Layer:
    if len(calls) == 1:
        return calls[0]
    return msgspec.structs.replace(
        calls[0], m=sum(c.m for c in calls), calls=len(calls), input_words=sum(c.input_words for c in calls),
        output_words=sum(c.output_words for c in calls),
    )  # fmt: skip


def _name(graph: OnnxGraph, node: Any) -> str:
    """Name of the weights without `.weight`, else the path of the node without its operator, dots for slashes."""
    weight = weight_of(graph, node)
    if weight.endswith(".weight"):
        return weight.removesuffix(".weight")
    path: list[str] = []
    parts = [part for part in node.name.split("/") if part]
    for part in parts[:-1] or parts:
        if path and part.startswith(f"{path[-1]}."):  # torch writes a container's name again before its member's
            path[-1] = part
        else:
            path.append(part)
    return ".".join(path) or node.output[0]


def _free(name: str, taken: set[str]) -> str:
    count, found = 2, name
    while found in taken or found in ("input", "output"):
        found, count = f"{name}_{count}", count + 1
    return found


def _edges(graph: OnnxGraph, names: dict[str, str]) -> tuple[tuple[str, str], ...]:
    sources: dict[str, tuple[str, ...]] = dict.fromkeys(graph.inputs, ("input",))
    edges: list[tuple[str, str]] = []
    for node in graph.nodes:
        before = tuple(dict.fromkeys(s for value in graph.activations(node) for s in sources.get(value, ())))
        name = names.get(node.output[0])
        if name is not None:
            edges += [(source, name) for source in before]
        for value in node.output:
            sources[value] = before if name is None else (name,)
    edges += [(source, "output") for value in graph.outputs for source in sources.get(value, ())]
    return tuple(dict.fromkeys(edges))


def _peak_words(graph: OnnxGraph, inside: set[str]) -> int:
    """Largest sum of live values when nodes run in order; moves and what a layer absorbs reuse their input."""
    root = {name: name for name in graph.inputs}
    for node in graph.nodes:
        before = graph.activations(node)
        reuses = before and (node.op_type in MOVES or node.output[0] in inside)
        root.update({value: root.get(before[0], before[0]) if reuses else value for value in node.output})
    last = {root[value]: step for step, node in enumerate(graph.nodes) for value in graph.activations(node)}
    last |= {root[value]: len(graph.nodes) for value in graph.outputs if value in root}
    live = {name: graph.words(name) for name in graph.inputs}
    peak = sum(live.values())
    for step, node in enumerate(graph.nodes):
        live |= {value: graph.words(value) for value in node.output if value and root[value] == value}
        peak = max(peak, sum(live.values()))
        live = {name: words for name, words in live.items() if last.get(name, -1) > step}
    return peak
