"""A trainable form of an approximate network: the same integers, with gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import nn
from torch.nn import functional

from axdnn.kernels import Path
from axdnn.layers import ApproxModel, Calibration, IntegerLayer, Recipe
from axdnn.layers.emission import Emission
from axdnn.quant import PASSING_OPS, CapturedModel, Node, capture, fold_batch_norm, pool_count, pool_sum
from axdnn.records import InvalidInputError, UnsupportedOperatorError
from axdnn.retraining.functions import LookUp
from axdnn.retraining.parameters import ActivationRange, TrainableLayer
from axdnn.retraining.slopes import Gradient, GradientRule

Key = tuple[str, int]  # an operator and which of its inputs
Request = tuple[Key | None, Emission]  # for whom (None: the output, real values), and bounds of clamps on the way
Values = dict[str, dict[Request, torch.Tensor]]
Real = tuple[torch.Tensor, torch.Tensor | None]  # float32 values and, unless 1, the real value of one unit


def trainable(
    approximate: ApproxModel,
    model: nn.Module,
    calibration: torch.Tensor,
    *,
    recipe: Recipe | None = None,
    gradient: Gradient = "straight_through",
    ranges: bool = True,
    weight_scales: bool = False,
    width: int = 64,
    tolerance: float = 0.03,
) -> TrainableModel:
    """Return a network that computes what `approximate` computes, to the bit, and can be trained.

    Args:
        approximate: as `axdnn.approximate` returns it.
        model: the float network it was made from (or its capture); where the latent weights start.
        calibration: the images it was made with, `(n, ...)`: their activations say which code fits a weight best.
        recipe: with which it was made.
        gradient: of the products: `straight_through` as if they were exact, or `table_slope`, the smoothed
            difference of the circuit's table.
        ranges: whether the scales of activations are learned.
        weight_scales: whether the scales of weights are learned.
        width: of the smoothed difference, in codes to either side.
        tolerance: relative error allowed to its factors.

    Raises:
        InvalidInputError: `model` is not the network of `approximate`; layers with skipped channels or exact terms.
        UnsupportedOperatorError: an operator that cannot be trained through.
    """
    captured = model if isinstance(model, CapturedModel) else capture(model, torch.zeros(1, *approximate.input_shape))
    captured = fold_batch_norm(captured)
    _check_same_network(approximate, captured)
    rule, recipe = GradientRule(gradient, width, tolerance), recipe or Recipe()
    data = Calibration(captured, calibration, recipe.fit_rows, recipe.seed, recipe.activation_range)
    layers = {}
    for name in approximate.layer_names:
        layer = approximate.layer(name)
        if len(layer.skipped) or layer.terms is not None:
            raise InvalidInputError(
                f"layer {name!r} must compute every term with its circuit to be trained, but it has "
                f"{'skipped channels' if len(layer.skipped) else 'exact or absent terms'}; train before skipping"
            )
        layers[name] = TrainableLayer(layer, data.samples[name], recipe, rule, ranges, weight_scales)
    return TrainableModel(approximate, captured, layers, rule, ranges)


class TrainableModel(nn.Module):
    """An approximate network under training. Calling it computes the same in training and evaluation mode.

    Parameters are float weights (batch norm folded), biases, gains, and the scales that are learned.

    Attributes:
        path: kernel path of every layer.
        rule: the gradient of the products.
    """

    def __init__(
        self, approximate: ApproxModel, captured: CapturedModel, layers: dict[str, TrainableLayer], rule: GradientRule,
        ranges: bool,
    ) -> None:  # fmt: skip
        super().__init__()
        self.path: Path = approximate.path
        self.rule = rule
        self._graph = (captured.rebuilt(captured.nodes.values(), {}),)  # no weights, and not a submodule
        self._origin = approximate.network, approximate.exact_layers
        self._keys = {name: f"layer{i}" for i, name in enumerate(layers)}
        self._layers = nn.ModuleDict({self._keys[name]: layer for name, layer in layers.items()})
        self._range_keys = {key: f"range{i}" for i, key in enumerate(approximate.operator_encodings)}
        encodings = approximate.operator_encodings.items()
        self._ranges = nn.ModuleDict({self._range_keys[k]: ActivationRange(e, ranges) for k, e in encodings})
        self._wanted = _requests(self.graph)
        self._last = {i: node.name for node in self.graph.nodes.values() for i in node.inputs}

    @property
    def graph(self) -> CapturedModel:
        """The operators, without weights."""
        return self._graph[0]

    def layer(self, name: str) -> TrainableLayer:
        """Return the layer of that name."""
        module = self._layers[self._keys[name]]
        assert isinstance(module, TrainableLayer)
        return module

    @property
    def layer_names(self) -> tuple[str, ...]:
        """Names of the layers in execution order."""
        return tuple(self._keys)

    def range_of(self, name: str, i: int = 0) -> ActivationRange:
        """Return the range of input `i` of a layer or operator."""
        module = self.layer(name).range if name in self._keys else self._ranges[self._range_keys[name, i]]
        assert isinstance(module, ActivationRange)
        return module

    def scale_parameters(self) -> Iterator[nn.Parameter]:
        """Yield the parameters that are logarithms (gains and learned scales): they want a step of their own."""
        yield from (p for name, p in self.named_parameters() if name.rpartition(".")[2].startswith("log_"))

    def finish(self) -> ApproxModel:
        """Return the integer network; its outputs are those of this module, to the bit."""
        layers: dict[str, IntegerLayer] = {name: self.layer(name).finished() for name in self._keys}
        encodings = {key: self.range_of(*key).encoding() for key in self._range_keys}
        network, exact_layers = self._origin
        return ApproxModel(self.graph, layers, encodings, network, exact_layers).eval()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Compute real outputs, float32, from real inputs `(b, ...)`."""
        if tuple(x.shape[1:]) != self.graph.input_shape:
            raise InvalidInputError(f"the input must have shape (b, *{self.graph.input_shape}), got {tuple(x.shape)}")
        values: Values = {}
        for node in self.graph.nodes.values():
            if node.op == "output":
                break
            values[node.name] = self._compute(node, x, values)
            for i in set(node.inputs):
                if self._last[i] == node.name:
                    del values[i]
        return values[self.graph.output][None, Emission(None)]

    def _compute(self, node: Node, x: torch.Tensor, values: Values) -> dict[Request, torch.Tensor]:
        wanted = self._wanted[node.name]
        if node.op in PASSING_OPS:
            return {r: _PASSING[node.op](node, [values[i][_before(node, r)] for i in node.inputs]) for r in wanted}
        dim = 1 if node.op == "conv2d" else -1
        if node.op == "input":
            value, unit = x.float(), None
        elif node.is_layer:
            layer = self.layer(node.name)
            value = layer(values[node.inputs[0]][(node.name, 0), Emission(None)], self.path)
            unit = layer.scale.double()
        else:
            inputs = [(values[name][(node.name, i), Emission(None)], self.range_of(node.name, i))
                      for i, name in enumerate(node.inputs)]  # fmt: skip
            value, unit = _EXACT[node.op](node, inputs)
        return {(key, bounds): self._emit(value, unit, dim, key, bounds) for key, bounds in wanted}

    def _emit(
        self, value: torch.Tensor, unit: torch.Tensor | None, dim: int, key: Key | None, bounds: Emission
    ) -> torch.Tensor:
        if key is not None:
            return self.range_of(*key).emit(value, unit, dim, bounds)
        scale = torch.ones((), device=value.device) if unit is None else unit.float()
        real = value * (scale.view(-1, 1, 1) if dim == 1 and scale.dim() else scale)
        return real if bounds.low is None and bounds.high is None else torch.clamp(real, bounds.low, bounds.high)


Inputs = list[tuple[torch.Tensor, ActivationRange]]


def _add(node: Node, inputs: Inputs) -> Real:
    (a, range_a), (b, range_b) = inputs
    return range_a.dequantise(a) + range_b.dequantise(b), None


def _average(node: Node, inputs: Inputs) -> Real:
    codes, of = inputs[0]
    levels = codes.double() - of.start.zero_point  # float64 holds every sum
    return pool_sum(levels, node.attrs).float(), of.scale / pool_count(codes, node.attrs)


def _affine(node: Node, inputs: Inputs) -> Real:
    codes, of = inputs[0]
    shape = (-1, *([1] * (codes.dim() - 2)))
    scale, shift = (node.attrs[name].to(codes.device).view(shape) for name in ("scale", "shift"))
    return of.dequantise(codes) * scale + shift, None


def _unary(node: Node, inputs: Inputs) -> Real:
    codes, of = inputs[0]
    every = of.start.all_codes().to(codes.device, torch.float32)
    with torch.enable_grad():
        at = of.dequantise(every).double()
        point = at.detach().requires_grad_()
        slope = torch.autograd.grad(node.attrs["apply"](point).sum(), point)[0] * of.scale.detach()
    table = node.attrs["apply"](at).float()
    return LookUp.apply(codes, table, slope.float(), of.start.code_min), None


def _max_pool(node: Node, inputs: list[torch.Tensor]) -> torch.Tensor:
    a = node.attrs
    return functional.max_pool2d(inputs[0], a["kernel"], a["stride"], a["padding"], a["dilation"], a["ceil_mode"])


# One entry an operator: those that only move codes, and those that compute real values between dequantised tensors.
_PASSING: dict[str, Callable[[Node, list[torch.Tensor]], torch.Tensor]] = {
    "clamp": lambda node, inputs: inputs[0],
    "cat": lambda node, inputs: torch.cat(inputs, node.attrs["dim"]),
    "reshape": lambda node, inputs: node.attrs["apply"](inputs[0]),
    "max_pool2d": _max_pool,
}
_EXACT: dict[str, Callable[[Node, Inputs], Real]] = {
    "add": _add, "avg_pool2d": _average, "batch_norm": _affine, "unary": _unary,
}  # fmt: skip
SUPPORTED = {"input", "output", "conv2d", "linear", *_PASSING, *_EXACT}


def _before(node: Node, request: Request) -> Request:
    """Return what a passing operator asks of its producer so that it can hand on `request`."""
    key, bounds = request
    return (key, bounds.clamped(node.attrs["min"], node.attrs["max"])) if node.op == "clamp" else request


def _requests(graph: CapturedModel) -> dict[str, tuple[Request, ...]]:
    """Return what is wanted of each node's value: as `requests_of`, but every consumer has a range of its own."""
    wanted: dict[str, dict[Request, None]] = {name: {} for name in graph.nodes}
    for node in reversed(list(graph.nodes.values())):
        if node.op not in SUPPORTED:
            raise UnsupportedOperatorError(
                f"operator {node.name!r} ({node.op}) cannot be trained through; "
                f"supported: {', '.join(sorted(SUPPORTED))}"
            )
        if node.layer:
            raise UnsupportedOperatorError(f"layer {node.layer!r} is called several times and cannot be trained yet")
        for i, source in enumerate(node.inputs):
            if node.op == "output":
                new: list[Request] = [(None, Emission(None))]
            elif node.op in PASSING_OPS:
                new = [_before(node, request) for request in wanted[node.name]]
            else:
                new = [((node.name, i), Emission(None))]
            wanted[source].update(dict.fromkeys(new))
    return {name: tuple(requests) for name, requests in wanted.items()}


def _check_same_network(approximate: ApproxModel, captured: CapturedModel) -> None:
    for name in approximate.layer_names:
        shape = tuple(approximate.layer(name).w_codes.shape)
        found = tuple(captured.layer(name).weight.shape) if name in captured.layer_names else None
        if found != shape:
            raise InvalidInputError(
                f"`model` must be the network that was made approximate: layer {name!r} must have weights of shape "
                f"{shape}, but got {found or 'no such layer'}"
            )
    if list(captured.nodes) != list(approximate.nodes):
        raise InvalidInputError("`model` must be the network that was made approximate, but its operators differ")
