"""A captured model: a flat graph of a small vocabulary of operators, run in float by a plain interpreter.

Layers are modules of their own, so hooks (and Captum) find them; everything else is functional.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from axdnn.quant.float_layers import CONV_OPS, TRANSPOSED_OPS, FloatLayer, FloatProduct

LAYER_OPS = (*CONV_OPS, *TRANSPOSED_OPS, "linear", "matmul")
# Operators that hand integer codes through unchanged (max is monotone in the codes; a clamp tightens the code range).
PASSING_OPS = ("clamp", "max_pool2d", "reshape", "cat", "stack", "pad")

Inputs = torch.Tensor | tuple[torch.Tensor, ...]
Visit = Callable[["Node", tuple[torch.Tensor, ...], torch.Tensor], None]


@dataclass(frozen=True)
class Node:
    """One operator.

    Attributes:
        name: unique; for layers the path of the user's module.
        op: one of `LAYER_OPS` or `PASSING_OPS`, `input`, `constant`, `batch_norm`, `unary`, `add`, `avg_pool2d`,
            `function` or `output`.
        inputs: names of producers.
        attrs: parameters of the operator.
        layer: of a further call of a layer, the name of that layer (its first node); else empty.
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    attrs: dict[str, Any] = field(default_factory=dict)
    layer: str = ""

    @property
    def is_layer(self) -> bool:
        """Whether the node multiplies activations with weights or with activations."""
        return self.op in LAYER_OPS

    @property
    def layer_name(self) -> str:
        """Name of the layer that the node computes."""
        return self.layer or self.name

    @property
    def channel_dim(self) -> int:
        """Axis of a layer's output channels."""
        return 1 if self.op in CONV_OPS or self.op in TRANSPOSED_OPS else -1

    @property
    def real_inputs(self) -> tuple[int, ...]:
        """Which inputs a function reads as real values, not as codes."""
        return tuple(self.attrs.get("real", ()))


class CapturedModel(nn.Module):
    """A model as a graph. Calling it computes what the original computes, in eval mode.

    Attributes:
        nodes: name -> Node, in execution order.
        captured_by: path taken, e.g. `torch.export`.
        input_shapes: of one example, without the batch dimension, one for each input.
    """

    def __init__(
        self,
        nodes: Iterable[Node],
        layers: Mapping[str, FloatLayer | FloatProduct],
        captured_by: str,
        input_shapes: tuple[tuple[int, ...], ...],
    ) -> None:
        super().__init__()
        self.nodes: dict[str, Node] = {node.name: node for node in nodes}
        self.captured_by = captured_by
        self.input_shapes = input_shapes
        self._keys = {name: f"layer{i}" for i, name in enumerate(layers)}
        self._layers = nn.ModuleDict({self._keys[name]: layer for name, layer in layers.items()})

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of the first input, without the batch dimension."""
        return self.input_shapes[0]

    @property
    def layer_names(self) -> tuple[str, ...]:
        """Names of the layers in execution order; a layer that is called several times is named once."""
        return tuple(self._keys)

    def layer(self, name: str) -> FloatLayer:
        """Return the module of a layer; of a product of activations it has no weight."""
        return self._layers[self._keys[name]]  # type: ignore[return-value]

    def calls(self, name: str) -> tuple[Node, ...]:
        """Return the nodes that compute a layer, one for each call."""
        return tuple(node for node in self.nodes.values() if node.is_layer and node.layer_name == name)

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the nodes whose values are the results."""
        return self.nodes["output"].inputs

    @property
    def output(self) -> str:
        """Name of the node whose value is the first result."""
        return self.outputs[0]

    def example(self, batch: int = 1) -> tuple[torch.Tensor, ...]:
        """Return inputs of zeros."""
        return tuple(torch.zeros(batch, *shape) for shape in self.input_shapes)

    def forward(self, *inputs: torch.Tensor) -> Inputs:
        """Compute the model in float: one result, or a tuple of them."""
        values = self.run(inputs)
        results = tuple(values[name] for name in self.outputs)
        return results[0] if len(results) == 1 else results

    def run(self, x: Inputs, visit: Visit | None = None) -> dict[str, torch.Tensor]:
        """Compute every node.

        Args:
            x: batch of inputs; a tuple if there are several.
            visit: called with node, inputs and output of each node; values are dropped after their last use then.

        Returns:
            Name -> value; only the outputs if `visit` is given.
        """
        given = x if isinstance(x, tuple) else (x,)
        values: dict[str, torch.Tensor] = {}
        last = self._last_use()
        for node in self.nodes.values():
            if node.op == "output":
                continue
            inputs = tuple(values[i] for i in node.inputs)
            if node.op == "input":
                values[node.name] = given[node.attrs.get("index", 0)]
            else:
                values[node.name] = self.apply_node(node, inputs)
            if visit is not None:
                visit(node, inputs, values[node.name])
                for i in set(node.inputs):
                    if last[i] == node.name and i not in self.outputs:
                        del values[i]
        return values

    def _last_use(self) -> dict[str, str]:
        return {i: node.name for node in self.nodes.values() for i in node.inputs}

    def apply_node(self, node: Node, inputs: tuple[torch.Tensor, ...]) -> torch.Tensor:
        """Compute one node in float."""
        if node.is_layer:
            return self._layers[self._keys[node.layer_name]](*inputs)  # type: ignore[no-any-return]
        return apply_float(node, inputs)

    def consumers(self) -> dict[str, list[str]]:
        """Name -> names of the nodes that read it, in order."""
        table: dict[str, list[str]] = {name: [] for name in self.nodes}
        for node in self.nodes.values():
            for i in node.inputs:
                table[i].append(node.name)
        return table

    def rebuilt(self, nodes: Iterable[Node], layers: Mapping[str, FloatLayer | FloatProduct]) -> CapturedModel:
        """Return a graph with other nodes and layers, same origin."""
        return CapturedModel(nodes, layers, self.captured_by, self.input_shapes)


def apply_float(node: Node, inputs: tuple[torch.Tensor, ...]) -> torch.Tensor:
    """Compute an operator other than a layer in float."""
    a, x = node.attrs, inputs[0]
    rules: dict[str, Callable[[], torch.Tensor]] = {
        "clamp": lambda: torch.clamp(x, a["min"], a["max"]),
        "add": lambda: x + inputs[1],
        "max_pool2d": lambda: functional.max_pool2d(
            x, a["kernel"], a["stride"], a["padding"], a["dilation"], a["ceil_mode"]
        ),
        "avg_pool2d": lambda: pool_sum(x, a) / pool_count(x, a),
        "reshape": lambda: a["apply"](x),
        "unary": lambda: a["apply"](x),
        "function": lambda: a["apply"](*inputs),
        "cat": lambda: torch.cat(inputs, a["dim"]),
        "stack": lambda: torch.stack(inputs, a["dim"]),
        "pad": lambda: functional.pad(x, a["sizes"]),
        "batch_norm": lambda: x * _per_channel(a["scale"], x) + _per_channel(a["shift"], x),
        "constant": lambda: constant_value(node, len(x)),
    }
    return rules[node.op]()


def constant_value(node: Node, batch: int) -> torch.Tensor:
    """Return the value of a stored tensor for a batch of that size: `(.., batch, ..)` at its axis `dim`."""
    value, dim = node.attrs["value"], node.attrs["dim"]
    sizes = list(value.shape)
    return value.unsqueeze(dim).expand(*sizes[:dim], batch, *sizes[dim:])  # type: ignore[no-any-return]


def pool_sum(x: torch.Tensor, attrs: dict[str, Any]) -> torch.Tensor:
    """Sum over the pooling window (of float values, or of integers stored as floats)."""
    if attrs.get("whole"):
        return x.sum(dim=(2, 3), keepdim=attrs["keepdim"])
    kernel, stride, padding = attrs["kernel"], attrs["stride"], attrs["padding"]
    return functional.avg_pool2d(x, kernel, stride, padding, divisor_override=1)


def pool_count(x: torch.Tensor, attrs: dict[str, Any]) -> int:
    """Return how many values a pooling window averages."""
    if attrs.get("whole"):
        return int(x.shape[2] * x.shape[3])
    return int(attrs["kernel"][0] * attrs["kernel"][1])


def _per_channel(vector: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    return vector.view(1, -1, *([1] * (like.dim() - 2)))


def renamed(node: Node, mapping: dict[str, str]) -> Node:
    """Return the node with producers renamed."""
    return replace(node, inputs=tuple(mapping.get(i, i) for i in node.inputs))
