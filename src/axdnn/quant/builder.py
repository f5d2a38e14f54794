"""Walk an ATen graph once: nodes, layers named by the user's paths, stored tensors, and a list of everything faulty."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from axdnn.quant.affine import AFFINE, affine_attrs
from axdnn.quant.fx_nodes import attribute, dims_of, layer_path, place_of
from axdnn.quant.graph import CapturedModel, FloatLayer, Node
from axdnn.quant.lower import (
    IDENTITY,
    RESHAPES,
    SILENT,
    UNARY,
    Rejected,
    adaptive_avg_attrs,
    arguments,
    avg_pool_attrs,
    batch_norm_attrs,
    clamp_attrs,
    conv_attrs,
    max_pool_attrs,
    mean_attrs,
    reject_identity,
    reshape_attrs,
    same_padding,
    unary_attrs,
)
from axdnn.records import UnsupportedOperatorError

RESERVED = ("input", "output")
CLAMPS = ("relu", "relu6", "hardtanh", "clamp", "clamp_min", "clamp_max")
LAYER_CALLS = {"conv2d": "input", "convolution": "input", "linear": "input", "matmul": "self", "mm": "self"}


class Builder:
    """Turns an ATen graph into a `CapturedModel`.

    Args:
        module: graph and its stored tensors.
        model: the user's model, whose tensor names become layer names.
        parameters: placeholder name -> (name in the model, tensor).
        captured_by: path taken.
        input_shape: without the batch dimension.
    """

    def __init__(
        self,
        module: torch.fx.GraphModule,
        model: nn.Module,
        parameters: dict[str, tuple[str, torch.Tensor]],
        captured_by: str,
        input_shape: tuple[int, ...],
    ) -> None:
        self.module, self.captured_by, self.input_shape = module, captured_by, input_shape
        self.tensors: dict[str, tuple[str, torch.Tensor]] = dict(parameters)
        named = [*model.named_parameters(remove_duplicate=False), *model.named_buffers(remove_duplicate=False)]
        self.tensor_names = {tensor.data_ptr(): name for name, tensor in reversed(named) if tensor.numel()}
        self.reserved = {layer_path(name) for name, _ in named} | set(RESERVED)
        self.batch: Any = None
        self.nodes: dict[str, Node] = {}
        self.layers: dict[str, FloatLayer] = {}
        self.alias: dict[str, str] = {}
        self.faults: list[str] = []

    def build(self) -> CapturedModel:
        """Walk the graph.

        Raises:
            UnsupportedOperatorError: listing every operator without a rule.
        """
        for node in self.module.graph.nodes:
            try:
                self._visit(node)
            except Rejected as fault:
                self.faults.append(f"{place_of(node)}: {fault}")
                self.alias[node.name] = node.name
        if self.faults:
            listed = "; ".join(dict.fromkeys(self.faults))
            raise UnsupportedOperatorError(
                f"the model uses operators that axdnn cannot make integer: {listed}. Supported: 2-D convolution, "
                "linear, batch norm, max and average pooling, add, a number or channel vector that is added or "
                "multiplied, cat, reshape, permute, clamp-like and unary functions"
            )
        return CapturedModel(self.nodes.values(), self.layers, self.captured_by, self.input_shape)

    def _visit(self, node: Any) -> None:
        if node.op == "placeholder" and node.name not in self.tensors:
            if self.batch is not None:
                raise Rejected("the model must take one tensor")
            self.batch = dims_of(node)[0]
            self._add(node, "input", ())
        elif node.op == "get_attr":
            tensor = attribute(self.module, node.target)
            if not isinstance(tensor, torch.Tensor):
                raise Rejected(f"a stored {type(tensor).__name__}")
            self.tensors[node.name] = (self.tensor_names.get(tensor.data_ptr(), str(node.target)), tensor)
        elif node.op == "call_function" and not self._constant(node):
            self._call(node)
        elif node.op == "output":
            results = node.args[0]
            results = [results] if isinstance(results, torch.fx.Node) else list(results)
            if len(results) != 1 or not isinstance(results[0], torch.fx.Node):
                raise Rejected(f"the model must return one tensor, but returns {len(results)} values")
            self.nodes["output"] = Node("output", "output", (self._value(results[0]),))

    def _add(self, node: Any, op: str, inputs: tuple[str, ...], attrs: dict[str, Any] | None = None) -> None:
        name = node.name
        while name in self.reserved or name in self.nodes:
            name += "_"
        self.alias[node.name] = name
        self.nodes[name] = Node(name, op, inputs, attrs or {})

    def _value(self, node: Any) -> str:
        if not isinstance(node, torch.fx.Node):
            raise Rejected(f"an operand is the constant {node!r}")
        if node.name in self.tensors:
            raise Rejected(f"a stored tensor ({self.tensors[node.name][0]}) is used as an activation")
        if node.name not in self.alias:
            raise Rejected("an operand is not a tensor of the network")
        return self.alias[node.name]

    def _tensor(self, node: Any) -> torch.Tensor | None:
        if node is None:
            return None
        if not isinstance(node, torch.fx.Node) or node.name not in self.tensors:
            raise Rejected("weights are computed from activations")
        return self.tensors[node.name][1]

    def _constant(self, node: Any) -> bool:
        """Compute an operator whose inputs are all stored tensors (a parametrised weight, a reshaped mean)."""
        sources = node.all_input_nodes
        if not sources or not all(source.name in self.tensors for source in sources):
            return False
        stored = {source: self.tensors[source.name][1] for source in sources}
        args, kwargs = torch.fx.node.map_arg((node.args, node.kwargs), lambda source: stored[source])
        result = node.target(*args, **kwargs)
        if not isinstance(result, torch.Tensor):
            raise Rejected("a value computed from stored tensors is not a tensor")
        self.tensors[node.name] = (self.tensors[sources[0].name][0], result)
        return True

    def _call(self, node: Any) -> None:
        if not hasattr(node.target, "_schema"):
            if isinstance(node.meta.get("val"), torch.SymInt | int | bool):
                return
            raise Rejected(f"{node.target}")
        name = node.target._schema.name.removeprefix("aten::").removesuffix(
            "_"
        )  # tracing renames what changes in place
        a = arguments(node.target, node.args, node.kwargs)
        if name in SILENT:
            return
        if name in IDENTITY:
            reject_identity(name, a)
            self.alias[node.name] = self._value(node.args[0])
        elif name in LAYER_CALLS and (name not in ("matmul", "mm") or self._is_stored(node.args[1])):
            self._layer(node, name, a)
        elif name == "addmm":
            raise Rejected("aten.addmm; use torch.nn.functional.linear")
        else:
            self._plain(node, name, a)

    def _is_stored(self, node: Any) -> bool:
        return isinstance(node, torch.fx.Node) and node.name in self.tensors

    def _is_activation(self, node: Any) -> bool:
        return isinstance(node, torch.fx.Node) and not self._is_stored(node)

    def _layer(self, node: Any, name: str, a: dict[str, Any]) -> None:
        op = "conv2d" if name in ("conv2d", "convolution") else "linear"
        holder = node.args[1]
        weight = self._tensor(holder)
        assert weight is not None
        if name in ("matmul", "mm"):
            weight = weight.T if weight.dim() == 2 else weight
        bias = self._tensor(a.get("bias"))
        if weight.dim() != (2 if op == "linear" else 4) or a.get("transposed"):
            raise Rejected(f"a {op} with weights of shape {tuple(weight.shape)}, or transposed")
        attrs: dict[str, Any] = {}
        if op == "conv2d":
            if isinstance(a["padding"], str):
                kernel, dilation = (weight.shape[2], weight.shape[3]), a["dilation"]
                same = same_padding(kernel, (dilation[0], dilation[-1])) if a["padding"] == "same" else (0, 0)
                a = {**a, "padding": list(same)}
            attrs = conv_attrs(a)
        source = self._value(a[LAYER_CALLS[name]])
        path = self._layer_name(node, self.tensors[holder.name][0])
        self.alias[node.name] = path
        self.layers[path] = FloatLayer(op, weight, bias, attrs)
        self.nodes[path] = Node(path, op, (source,), attrs)

    def _layer_name(self, node: Any, tensor_name: str) -> str:
        path = layer_path(tensor_name) or node.name
        path = f"{path}#layer" if path in RESERVED else path  # the ends of the network's edges keep their names
        name, count = path, 2
        while name in self.nodes:
            name, count = f"{path}#{count}", count + 1
        return name

    def _plain(self, node: Any, name: str, a: dict[str, Any]) -> None:
        if name == "cat":
            if a["dim"] % len(dims_of(node)) == 0:
                raise Rejected("cat over the batch")
            self._add(node, "cat", tuple(self._value(i) for i in a["tensors"]), {"dim": a["dim"]})
            return
        if name in AFFINE and not (self._is_activation(a["self"]) and self._is_activation(a["other"])):
            source, attrs = affine_attrs(name, a, self.tensors, dims_of(node))
            self._add(node, "batch_norm", (self._value(source),), attrs)
            return
        if name == "add":
            if a.get("alpha", 1) != 1:
                raise Rejected("add with alpha")
            self._add(node, "add", (self._value(a["self"]), self._value(a["other"])))
            return
        op, attrs = self._one_input(node, name, a)
        self._add(node, op, (self._value(node.args[0]),), attrs)

    def _one_input(self, node: Any, name: str, a: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        shape = dims_of(node.args[0])
        if name in CLAMPS:
            return "clamp", clamp_attrs(name, a)
        if name == "batch_norm":
            if a["training"]:
                raise Rejected("batch norm that always uses the statistics of the batch")
            stored = {key: self._tensor(a[key]) for key in ("weight", "bias", "running_mean", "running_var")}
            return "batch_norm", batch_norm_attrs(**stored, eps=a["eps"], dims=len(shape))
        if name == "max_pool2d":
            return "max_pool2d", max_pool_attrs(a)
        if name == "avg_pool2d":
            return "avg_pool2d", avg_pool_attrs(a)
        if name == "adaptive_avg_pool2d":
            return "avg_pool2d", adaptive_avg_attrs(a, (int(shape[2]), int(shape[3])))
        if name == "mean":
            return "avg_pool2d", mean_attrs(a, len(shape))
        if name in RESHAPES:
            return "reshape", reshape_attrs(name, a, shape, dims_of(node), self.batch)
        if name in UNARY:
            return "unary", unary_attrs(name, a)
        raise Rejected(f"aten.{name}")
