"""A captured model: a flat graph of a small vocabulary of operators, run in float by a plain interpreter.

Convolution and linear nodes are modules of their own, so hooks (and Captum) find them; everything else is functional.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import nn
from torch.nn import functional

LAYER_OPS = ("conv2d", "linear")
# Operators that hand integer codes through unchanged (max is monotone in the codes; a clamp tightens the code range).
PASSING_OPS = ("clamp", "max_pool2d", "reshape", "cat")


@dataclass(frozen=True)
class Node:
    """One operator.

    Attributes:
        name: unique; for layers the path of the user's module.
        op: `input`, `conv2d`, `linear`, `batch_norm`, `clamp`, `unary`, `add`, `max_pool2d`, `avg_pool2d`,
            `reshape`, `cat` or `output`.
        inputs: names of producers.
        attrs: parameters of the operator.
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    attrs: dict[str, Any] = field(default_factory=dict)

    @property
    def is_layer(self) -> bool:
        """Whether the node multiplies activations with weights."""
        return self.op in LAYER_OPS


class FloatLayer(nn.Module):
    """A convolution or linear layer in float, as captured (batch norm may be folded in).

    Attributes:
        weight: `(c_out, c_in / groups, kh, kw)` or `(out, in)`.
        bias: `(c_out,)`, zeros if the layer has none.
        has_bias: whether it has one, its own or a folded batch norm's.
    """

    weight: torch.Tensor
    bias: torch.Tensor

    def __init__(self, op: str, weight: torch.Tensor, bias: torch.Tensor | None, attrs: dict[str, Any]) -> None:
        super().__init__()
        self.op, self.attrs, self.has_bias = op, attrs, bias is not None
        self.register_buffer("weight", weight.detach().clone().float())
        zero = torch.zeros(weight.shape[0])
        self.register_buffer("bias", bias.detach().clone().float() if bias is not None else zero)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply the layer in float."""
        if self.op == "linear":
            return functional.linear(x, self.weight, self.bias)
        a = self.attrs
        return functional.conv2d(x, self.weight, self.bias, a["stride"], a["padding"], a["dilation"], a["groups"])


class CapturedModel(nn.Module):
    """A model as a graph. Calling it computes what the original computes, in eval mode.

    Attributes:
        nodes: name -> Node, in execution order.
        captured_by: path taken, e.g. `torch.export`.
        input_shape: of one image, without the batch dimension.
    """

    def __init__(
        self, nodes: Iterable[Node], layers: dict[str, FloatLayer], captured_by: str, input_shape: tuple[int, ...]
    ) -> None:
        super().__init__()
        self.nodes: dict[str, Node] = {node.name: node for node in nodes}
        self.captured_by = captured_by
        self.input_shape = input_shape
        self._keys = {name: f"layer{i}" for i, name in enumerate(layers)}
        self._layers = nn.ModuleDict({self._keys[name]: layer for name, layer in layers.items()})

    @property
    def layer_names(self) -> tuple[str, ...]:
        """Names of the convolution and linear layers in execution order."""
        return tuple(self._keys)

    def layer(self, name: str) -> FloatLayer:
        """Return the module of a layer."""
        module = self._layers[self._keys[name]]
        assert isinstance(module, FloatLayer)
        return module

    @property
    def output(self) -> str:
        """Name of the node whose value is the result."""
        return self.nodes["output"].inputs[0]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Compute the model in float."""
        return self.run(x)[self.output]

    def run(
        self, x: torch.Tensor, visit: Callable[[Node, tuple[torch.Tensor, ...], torch.Tensor], None] | None = None
    ) -> dict[str, torch.Tensor]:
        """Compute every node.

        Args:
            x: batch of inputs.
            visit: called with node, inputs and output of each node; values are dropped after their last use then.

        Returns:
            Name -> value; only the output if `visit` is given.
        """
        values: dict[str, torch.Tensor] = {}
        last = self._last_use()
        for node in self.nodes.values():
            if node.op == "output":
                continue
            inputs = tuple(values[i] for i in node.inputs)
            values[node.name] = x if node.op == "input" else self.apply_node(node, inputs)
            if visit is not None:
                visit(node, inputs, values[node.name])
                for i in set(node.inputs):
                    if last[i] == node.name and i != self.output:
                        del values[i]
        return values

    def _last_use(self) -> dict[str, str]:
        return {i: node.name for node in self.nodes.values() for i in node.inputs}

    def apply_node(self, node: Node, inputs: tuple[torch.Tensor, ...]) -> torch.Tensor:
        """Compute one node in float."""
        if node.is_layer:
            return self._layers[self._keys[node.name]](inputs[0])  # type: ignore[no-any-return]
        return apply_float(node, inputs)

    def consumers(self) -> dict[str, list[str]]:
        """Name -> names of the nodes that read it, in order."""
        table: dict[str, list[str]] = {name: [] for name in self.nodes}
        for node in self.nodes.values():
            for i in node.inputs:
                table[i].append(node.name)
        return table

    def rebuilt(self, nodes: Iterable[Node], layers: dict[str, FloatLayer]) -> CapturedModel:
        """Return a graph with other nodes and layers, same origin."""
        return CapturedModel(nodes, layers, self.captured_by, self.input_shape)


def apply_float(node: Node, inputs: tuple[torch.Tensor, ...]) -> torch.Tensor:
    """Compute an operator other than a layer in float."""
    a, x = node.attrs, inputs[0]
    if node.op == "clamp":
        return torch.clamp(x, a["min"], a["max"])
    if node.op == "add":
        return x + inputs[1]
    if node.op == "max_pool2d":
        return functional.max_pool2d(x, a["kernel"], a["stride"], a["padding"], a["dilation"], a["ceil_mode"])
    if node.op == "avg_pool2d":
        return pool_sum(x, a) / pool_count(x, a)
    if node.op == "reshape":
        return a["apply"](x)
    if node.op == "cat":
        return torch.cat(inputs, a["dim"])
    if node.op == "unary":
        return a["apply"](x)
    if node.op == "batch_norm":
        return x * _per_channel(a["scale"], x) + _per_channel(a["shift"], x)
    raise AssertionError(f"no rule for operator {node.op}")


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
