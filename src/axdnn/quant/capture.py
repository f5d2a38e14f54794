"""Capture a trained `torch.nn.Module` as a graph whose convolutions and linear layers carry the user's names."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from axdnn.quant.graph import CapturedModel, FloatLayer, Node
from axdnn.quant.lower import (
    IDENTITY,
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
    same_padding,
)
from axdnn.records import InvalidInputError, UnsupportedOperatorError

RESHAPES = {"view", "reshape", "_unsafe_view", "flatten", "squeeze", "unsqueeze"}
CHECK_TOLERANCE = 1e-4


def capture(model: nn.Module, example: torch.Tensor) -> CapturedModel:
    """Capture a model in eval mode.

    Lowers through `torch.export` (batch size free); where that fails, through `make_fx`, which records one run. Both
    give ATen operators, so modules, functional calls and tensor methods are captured alike. The result is run against
    the original on a batch of another size before it is returned. The model itself is left as it was.

    Args:
        model: of 2-D convolutions, linear layers, batch norm, pooling, element-wise functions, additions, reshapes.
        example: a batch of at least one input, float, shape `(b, ...)`.

    Raises:
        InvalidInputError: `model` or `example` is not usable.
        UnsupportedOperatorError: an operator has no rule; all of them are listed.
    """
    if not isinstance(model, nn.Module):
        raise InvalidInputError(f"`model` must be a torch.nn.Module, but got {type(model).__name__}")
    if not isinstance(example, torch.Tensor) or example.dim() < 2 or example.shape[0] < 1:
        raise InvalidInputError("`example` must be a float tensor (batch, ...) with at least one input")
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            captured = _capture(model, example[:1].expand(3, *example.shape[1:]).contiguous().float())
            _check_same(model, captured, example.float())
    finally:
        model.train(was_training)
    return captured


def _capture(model: nn.Module, batch: torch.Tensor) -> CapturedModel:
    try:
        model(batch)
    except Exception as error:
        raise InvalidInputError(f"the model fails on an input of shape {tuple(batch.shape[1:])}: {error}") from error
    try:
        program = torch.export.export(model, (batch,), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},))
    except Exception as error:  # torch.export raises many kinds; the fallback decides whether the model is capturable
        return _Builder(_trace(model, batch, error), model, {}, "make_fx", tuple(batch.shape[1:])).build()
    signature = program.graph_signature
    names = {**signature.inputs_to_parameters, **signature.inputs_to_buffers, **signature.inputs_to_lifted_tensor_constants}
    tensors: dict[str, Any] = {**program.state_dict, **program.constants}
    parameters = {node: (name, tensors[name]) for node, name in names.items()}
    return _Builder(program.graph, model, parameters, "torch.export", tuple(batch.shape[1:])).build()


def _trace(model: nn.Module, batch: torch.Tensor, cause: Exception) -> torch.fx.Graph:
    from torch.fx.experimental.proxy_tensor import make_fx

    try:
        module = make_fx(model, pre_dispatch=True)(batch)
    except Exception as error:
        raise UnsupportedOperatorError(
            f"the model cannot be captured: torch.export says {_first_line(cause)}; make_fx says {_first_line(error)}"
        ) from error
    for node in module.graph.nodes:
        if node.op == "get_attr":
            node.meta["tensor"] = getattr(module, node.target)
        if node.op == "call_function" and "val" not in node.meta and "tensor_meta" in node.meta:
            node.meta["val"] = node.meta["tensor_meta"]
    return module.graph


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]


def _check_same(model: nn.Module, captured: CapturedModel, example: torch.Tensor) -> None:
    batch = torch.cat([example[:2], example[:2].flip(0), example[:1]])
    expected, got = model(batch), captured(batch)
    if expected.shape != got.shape or not torch.allclose(expected, got, rtol=CHECK_TOLERANCE, atol=CHECK_TOLERANCE):
        raise UnsupportedOperatorError(
            f"the captured graph ({captured.captured_by}) does not reproduce the model: the model may depend on the "
            "batch size or on values of its input"
        )


class _Builder:
    """Walks an ATen graph once and collects nodes, layers and faults."""

    def __init__(
        self,
        graph: torch.fx.Graph,
        model: nn.Module,
        parameters: dict[str, tuple[str, torch.Tensor]],
        captured_by: str,
        input_shape: tuple[int, ...],
    ) -> None:
        self.graph, self.captured_by, self.input_shape = graph, captured_by, input_shape
        self.tensors: dict[str, tuple[str, torch.Tensor]] = dict(parameters)
        named = [*model.named_parameters(remove_duplicate=False), *model.named_buffers(remove_duplicate=False)]
        self.tensor_names = {tensor.data_ptr(): name for name, tensor in reversed(named) if tensor.numel()}
        self.nodes: dict[str, Node] = {}
        self.layers: dict[str, FloatLayer] = {}
        self.alias: dict[str, str] = {}
        self.faults: list[str] = []

    def build(self) -> CapturedModel:
        for node in self.graph.nodes:
            if node.op == "placeholder" and node.name not in self.tensors:
                self._add(Node(node.name, "input", ()))
            elif node.op == "get_attr":
                tensor = node.meta["tensor"]
                self.tensors[node.name] = (self.tensor_names.get(tensor.data_ptr(), str(node.target)), tensor)
            elif node.op == "call_function":
                try:
                    self._call(node)
                except Rejected as fault:
                    self.faults.append(f"{_where(node)}: {fault}")
                    self.alias[node.name] = node.all_input_nodes[0].name if node.all_input_nodes else node.name
            elif node.op == "output":
                self._output(node)
        if self.faults:
            listed = "; ".join(dict.fromkeys(self.faults))
            raise UnsupportedOperatorError(
                f"the model uses operators that axdnn cannot make integer: {listed}. Supported: 2-D convolution, "
                "linear, batch norm, max and average pooling, add, cat, reshape, clamp-like and unary functions"
            )
        return CapturedModel(self.nodes.values(), self.layers, self.captured_by, self.input_shape)

    def _output(self, node: Any) -> None:
        results = node.args[0]
        results = [results] if isinstance(results, torch.fx.Node) else list(results)
        if len(results) != 1 or results[0].name not in {*self.nodes, *self.alias}:
            self.faults.append(f"the model must return one tensor, but returns {len(results)} values")
            return
        self._add(Node("output", "output", (self._value(results[0]),)))

    def _add(self, node: Node) -> None:
        self.nodes[node.name] = node

    def _value(self, node: Any) -> str:
        if not isinstance(node, torch.fx.Node):
            raise Rejected(f"an operand is the constant {node!r}")
        name = self.alias.get(node.name, node.name)
        if name in self.tensors:
            raise Rejected(f"a stored tensor ({self.tensors[name][0]}) is used as an activation")
        return name

    def _tensor(self, node: Any) -> torch.Tensor | None:
        if node is None:
            return None
        if not isinstance(node, torch.fx.Node) or node.name not in self.tensors:
            raise Rejected("weights are computed from activations")
        return self.tensors[node.name][1]

    def _call(self, node: Any) -> None:
        if not hasattr(node.target, "_schema"):
            if isinstance(node.meta.get("val"), torch.SymInt | int | bool):
                return
            raise Rejected(f"{node.target}")
        name = node.target._schema.name.removeprefix("aten::").removesuffix("_")
        a = arguments(node.target, node.args, node.kwargs)
        if name in ("sym_size", "_assert_scalar", "_assert_tensor_metadata", "sym_constrain_range_for_size"):
            return
        if name in IDENTITY:
            self.alias[node.name] = self._value(node.args[0])
        elif name in ("conv2d", "convolution", "linear"):
            self._layer(node, name, a)
        else:
            self._add(self._plain(node, name, a))

    def _layer(self, node: Any, name: str, a: dict[str, Any]) -> None:
        weight, bias = self._tensor(a["weight"]), self._tensor(a["bias"])
        assert weight is not None
        op = "linear" if name == "linear" else "conv2d"
        attrs: dict[str, Any] = {}
        if op == "conv2d":
            if weight.dim() != 4 or a.get("transposed"):
                raise Rejected(f"{weight.dim() - 2}-D or transposed convolution")
            if isinstance(a["padding"], str):
                kernel, dilation = (weight.shape[2], weight.shape[3]), a["dilation"]
                same = same_padding(kernel, (dilation[0], dilation[-1])) if a["padding"] == "same" else (0, 0)
                a = {**a, "padding": list(same)}
            attrs = conv_attrs(a)
        path = self._layer_name(node, a["weight"])
        self.alias[node.name] = path
        self.layers[path] = FloatLayer(op, weight, bias, attrs)
        self._add(Node(path, op, (self._value(a["input"]),), attrs))

    def _layer_name(self, node: Any, weight: Any) -> str:
        path = self.tensors[weight.name][0]
        path = path.removesuffix(".weight").removesuffix("weight") or node.name
        name, count = path, 2
        while name in self.nodes:
            name, count = f"{path}#{count}", count + 1
        return name

    def _plain(self, node: Any, name: str, a: dict[str, Any]) -> Node:
        shape = _shape(node.args[0])
        if name in ("relu", "relu6", "hardtanh", "clamp", "clamp_min"):
            bounds = clamp_attrs(name, {"max": None, **a})
            return Node(node.name, "clamp", (self._value(node.args[0]),), bounds)
        if name == "add":
            if a.get("alpha", 1) != 1:
                raise Rejected("add with alpha")
            return Node(node.name, "add", (self._value(a["self"]), self._value(a["other"])))
        if name == "cat":
            return Node(node.name, "cat", tuple(self._value(i) for i in a["tensors"]), {"dim": a["dim"]})
        if name == "batch_norm":
            return self._batch_norm(node, a)
        attrs = self._one_input(node, name, a, shape)
        op = attrs.pop("op")
        return Node(node.name, op, (self._value(node.args[0]),), attrs)

    def _batch_norm(self, node: Any, a: dict[str, Any]) -> Node:
        mean, var = self._tensor(a["running_mean"]), self._tensor(a["running_var"])
        if mean is None or var is None:
            raise Rejected("batch norm without running statistics")
        attrs = batch_norm_attrs(self._tensor(a["weight"]), self._tensor(a["bias"]), mean, var, a["eps"])
        return Node(node.name, "batch_norm", (self._value(a["input"]),), attrs)

    def _one_input(self, node: Any, name: str, a: dict[str, Any], shape: tuple[Any, ...]) -> dict[str, Any]:
        if name == "max_pool2d":
            return {"op": "max_pool2d", **max_pool_attrs(a)}
        if name == "avg_pool2d":
            return {"op": "avg_pool2d", **avg_pool_attrs(a)}
        if name == "adaptive_avg_pool2d":
            return {"op": "avg_pool2d", **adaptive_avg_attrs(a, (int(shape[2]), int(shape[3])))}
        if name == "mean":
            return {"op": "avg_pool2d", **mean_attrs(a, len(shape))}
        if name in RESHAPES:
            sizes = tuple(int(s) for s in _shape(node)[1:])
            return {"op": "reshape", "apply": _Reshape(sizes)}
        if name in UNARY:
            extra = {k: v for k, v in a.items() if k not in ("self", "input") and v is not None}
            return {"op": "unary", "function": name, "apply": _Unary(name, extra)}
        raise Rejected(f"aten.{name}")


class _Reshape:
    """Reshape everything but the batch dimension."""

    def __init__(self, sizes: tuple[int, ...]) -> None:
        self.sizes = sizes

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return x.reshape(x.shape[0], *self.sizes)


class _Unary:
    """A named function of one value with its extra arguments."""

    def __init__(self, name: str, extra: dict[str, Any]) -> None:
        self.name, self.extra = name, extra

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        names = {"alpha": "alpha", "negative_slope": "negative_slope", "approximate": "approximate", "beta": "beta",
                 "threshold": "threshold"}  # fmt: skip
        return UNARY[self.name](x, **{k: v for k, v in self.extra.items() if k in names})


def _shape(node: Any) -> tuple[Any, ...]:
    value = node.meta.get("val") if isinstance(node, torch.fx.Node) else None
    return tuple(value.shape) if value is not None and hasattr(value, "shape") else ()


def _where(node: Any) -> str:
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    path = stack[-1][0] if stack and not str(stack[-1][0]).startswith("_") else ""
    return f"{node.target} in {path!r}" if path else f"{node.target}"
