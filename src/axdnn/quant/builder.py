"""Walk an ATen graph once: nodes, layers named by the user's paths, stored tensors, and a list of everything faulty."""

from __future__ import annotations

import operator
from typing import Any

import torch
from torch import nn

from axdnn.quant.attention import add_attention
from axdnn.quant.float_layers import FloatLayer, FloatProduct
from axdnn.quant.fx_nodes import attribute, dims_of, layer_path, place_of
from axdnn.quant.graph import CapturedModel, Node
from axdnn.quant.layer_rules import CONVOLUTIONS, PRODUCTS, add_convolution, add_linear, add_product_call
from axdnn.quant.lower import IDENTITY, SILENT, arguments, reject_identity
from axdnn.quant.moves import PARTS, is_fixed
from axdnn.quant.plain_rules import add_plain, select_attrs
from axdnn.quant.recurrent import CELLS, add_recurrent
from axdnn.quant.rejected import Rejected
from axdnn.records import UnsupportedOperatorError

RESERVED = ("input", "output")
FILLED = {"zeros": 0.0, "ones": 1.0, "full": None, "zeros_like": 0.0, "new_zeros": 0.0}


class Builder:
    """Turns an ATen graph into a `CapturedModel`.

    Args:
        module: graph and its stored tensors.
        model: the user's model, whose tensor names become layer names.
        parameters: placeholder name -> (name in the model, tensor).
        captured_by: path taken.
        input_shapes: without the batch dimension.

    Attributes:
        batch: size of the batch, a symbol or a `BatchSize`.
        alias: node of the torch graph -> name of our node.
        lists: node of the torch graph -> names of its several results.
    """

    def __init__(
        self,
        module: torch.fx.GraphModule,
        model: nn.Module,
        parameters: dict[str, tuple[str, torch.Tensor]],
        captured_by: str,
        input_shapes: tuple[tuple[int, ...], ...],
    ) -> None:
        self.module, self.captured_by, self.input_shapes = module, captured_by, input_shapes
        self.tensors: dict[str, tuple[str, torch.Tensor]] = dict(parameters)
        named = [*model.named_parameters(remove_duplicate=False), *model.named_buffers(remove_duplicate=False)]
        self.tensor_names = {tensor.data_ptr(): name for name, tensor in reversed(named) if tensor.numel()}
        self.reserved = {layer_path(name) for name, _ in named} | set(RESERVED)
        self.batch: Any = None
        self.nodes: dict[str, Node] = {}
        self.layers: dict[str, FloatLayer | FloatProduct] = {}
        self.tensor_layers: dict[str, list[str]] = {}
        self.alias: dict[str, str] = {}
        self.lists: dict[str, list[str]] = {}
        self._stored_lists: dict[str, tuple[str, tuple[torch.Tensor, ...]]] = {}
        self._parts: set[str] = set()
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
                f"the model uses operators that axdnn cannot make integer: {listed}. Supported: convolutions, linear "
                "layers, matrix products, attention, LSTM, GRU, normalisations, pooling, element-wise functions, "
                "softmax, means and sums, cat, stack, reshapes, permutations and selections that keep the batch whole"
            )
        return CapturedModel(self.nodes.values(), self.layers, self.captured_by, self.input_shapes)

    def _visit(self, node: Any) -> None:
        if node.op == "placeholder" and node.name not in self.tensors:
            self.batch = dims_of(node)[0] if self.batch is None else self.batch
            index = sum(n.op == "input" for n in self.nodes.values())
            self.result(node, "input", (), {"index": index})
        elif node.op == "get_attr":
            tensor = attribute(self.module, node.target)
            if not isinstance(tensor, torch.Tensor):
                raise Rejected(f"a stored {type(tensor).__name__}")
            self.tensors[node.name] = (self.tensor_names.get(tensor.data_ptr(), str(node.target)), tensor)
        elif node.op == "call_function" and not self._computed(node):
            self._call(node)
        elif node.op == "output":
            self._output(node)

    def _output(self, node: Any) -> None:
        results = node.args[0]
        results = [results] if isinstance(results, torch.fx.Node) else list(results)
        if not results or not all(isinstance(r, torch.fx.Node) for r in results):
            raise Rejected("the model must return tensors")
        names = tuple(self.value(r) for r in results)
        if str(dims_of(results[0])[:1]) != str((self.batch,)):
            raise Rejected("the first result moves the batch dimension away from the front")
        self.nodes["output"] = Node("output", "output", names)

    def add(self, wish: str, op: str, inputs: tuple[str, ...], attrs: dict[str, Any]) -> str:
        """Add an operator; return its name, the wished one or that with a number."""
        name, count = wish, 2
        while name in self.reserved or name in self.nodes:
            name, count = f"{wish}_{count}", count + 1
        self.nodes[name] = Node(name, op, inputs, attrs)
        return name

    def result(self, node: Any, op: str, inputs: tuple[str, ...], attrs: dict[str, Any]) -> None:
        """Add the operator whose value is that of a node of the torch graph."""
        self.alias[node.name] = self.add(node.name, op, inputs, attrs)

    def layer_name(self, path: str) -> str:
        """Return a name for a layer or a further call of it; the ends of the network's edges keep their names."""
        path = f"{path}#layer" if path in RESERVED else path
        name, count = path, 2
        while name in self.nodes:
            name, count = f"{path}#{count}", count + 1
        return name

    def is_stored(self, node: Any) -> bool:
        """Whether an operand is a tensor of the model, not an activation."""
        return isinstance(node, torch.fx.Node) and node.name in self.tensors

    def is_constant(self, operand: Any) -> bool:
        """Whether an operand is a number or a tensor of the model."""
        return not isinstance(operand, torch.fx.Node) or self.is_stored(operand)

    def value(self, node: Any) -> str:
        """Return the name of the node that computes an operand."""
        if not isinstance(node, torch.fx.Node):
            raise Rejected(f"an operand is the constant {node!r}")
        if node.name in self.tensors:
            raise Rejected(f"a stored tensor ({self.tensors[node.name][0]}) is used as an activation")
        if node.name not in self.alias:
            raise Rejected("an operand is not a tensor of the network")
        return self.alias[node.name]

    def tensor(self, node: Any) -> torch.Tensor | None:
        """Return a stored tensor."""
        if node is None:
            return None
        if not isinstance(node, torch.fx.Node) or node.name not in self.tensors:
            raise Rejected("weights are computed from activations")
        return self.tensors[node.name][1]

    def _computed(self, node: Any) -> bool:
        """Compute an operator whose inputs are all stored tensors (a parametrised weight, a reshaped mean, a mask)."""
        if node.target is operator.getitem and node.args[0].name in self._stored_lists:
            name, parts = self._stored_lists[node.args[0].name]
            self.tensors[node.name] = (name, parts[node.args[1]])
            return True
        sources = node.all_input_nodes
        if not hasattr(node.target, "_schema") or not all(source.name in self.tensors for source in sources):
            return False
        name = _name_of(node)
        if name in (*FILLED, "expand", "repeat") and not all(map(is_fixed, dims_of(node))):
            return False  # one for each example
        stored = {source: self.tensors[source.name][1] for source in sources}
        args, kwargs = torch.fx.node.map_arg((node.args, node.kwargs), lambda source: stored[source])
        result = node.target(*args, **kwargs)
        name = self.tensors[sources[0].name][0] if sources else node.name
        if isinstance(result, list | tuple) and all(isinstance(part, torch.Tensor) for part in result):
            self._stored_lists[node.name] = (name, tuple(result))
        elif isinstance(result, torch.Tensor):
            self.tensors[node.name] = (name, result)
        elif sources:
            raise Rejected("a value computed from stored tensors is not a tensor")
        return True

    def _call(self, node: Any) -> None:
        if node.target is operator.getitem:
            self._part(node)
            return
        if not hasattr(node.target, "_schema"):
            if isinstance(node.meta.get("val"), torch.SymInt | int | bool):
                return
            raise Rejected(f"{node.target}")
        name = _name_of(node)
        a = arguments(node.target, node.args, node.kwargs)
        if name in SILENT:
            return
        if name in IDENTITY:
            reject_identity(name, a)
            self.alias[node.name] = self.value(node.args[0])
        elif name in CONVOLUTIONS:
            add_convolution(self, node, name, a)
        elif name == "linear":
            add_linear(self, node, self.value(a["input"]), a["weight"], a["bias"])
        elif name in PRODUCTS:
            add_product_call(self, node, name, a)
        elif name == "scaled_dot_product_attention":
            add_attention(self, node, a)
        elif name in CELLS:
            add_recurrent(self, node, name, a)
        elif name in PARTS:
            self._parts.add(node.name)
        elif name in FILLED or (name in ("expand", "repeat") and self.is_stored(node.args[0])):
            self._constant(node, name, a)
        else:
            add_plain(self, node, name, a)

    def _part(self, node: Any) -> None:
        """One of several results."""
        source, index = node.args
        if source.name in self.lists:
            self.alias[node.name] = self.lists[source.name][index]
        elif source.name in self._parts:
            a = arguments(source.target, source.args, source.kwargs)
            self.result(node, "reshape", (self.value(source.args[0]),), select_attrs(source, a, index))
        else:
            raise Rejected(f"one of the results of {source.target}")

    def _constant(self, node: Any, name: str, a: dict[str, Any]) -> None:
        """A stored tensor, or one of equal numbers, for each example of the batch."""
        sizes = dims_of(node)
        places = [i for i, size in enumerate(sizes) if not is_fixed(size)]
        if len(places) != 1:
            raise Rejected("a stored tensor whose sizes do not follow from the batch size")
        fixed = [size for size in sizes if is_fixed(size)]
        if name in FILLED:
            fill = FILLED[name]
            value = torch.full(fixed, float(a["fill_value"] if fill is None else fill))
        else:
            stored = self.tensor(node.args[0])
            assert stored is not None
            stored = stored.reshape(*([1] * (len(sizes) - stored.dim())), *stored.shape)
            if any(size not in (1, want) for size, want in zip(stored.shape, sizes, strict=True)):
                raise Rejected("a stored tensor that is repeated along an axis it fills")
            value = stored.select(places[0], 0).expand(fixed)
        first = next(n.name for n in self.nodes.values() if n.op == "input")
        self.result(node, "constant", (first,), {"value": value.detach().clone().float(), "dim": places[0]})


def _name_of(node: Any) -> str:
    """Return an operator's name; tracing renames those that change their input in place."""
    return str(node.target._schema.name).removeprefix("aten::").removesuffix("_")
