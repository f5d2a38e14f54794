"""A trainable form of an approximate network: the same integers, with gradients."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn
from torch.nn import functional

from axdnn.kernels import Path
from axdnn.layers import ApproxModel, Calibration, Recipe, ScaledSums
from axdnn.layers.emission import Emission
from axdnn.layers.product import IntegerProduct
from axdnn.quant import PASSING_OPS, CapturedModel, Inputs, Node, capture, constant_value, fold_batch_norm
from axdnn.records import InvalidInputError
from axdnn.retraining.functions import RealFunction
from axdnn.retraining.operators import EXACT, PASSING, Real
from axdnn.retraining.parameters import Ready, TrainableLayer, TrainableProduct, TrainableSums
from axdnn.retraining.ranges import ActivationRange, by_channel
from axdnn.retraining.requests import REAL, Key, Request, before, few, requests
from axdnn.retraining.slopes import Gradient, GradientRule

Values = dict[str, dict[Request, torch.Tensor]]


def trainable(
    approximate: ApproxModel,
    model: nn.Module,
    calibration: Inputs,
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
        calibration: the images it was made with, `(n, ...)`, a tuple for several inputs: their activations say which
            code fits a weight best.
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
    captured = fold_batch_norm(model if isinstance(model, CapturedModel) else capture(model, few(calibration)))
    _check_same_network(approximate, captured)
    rule, recipe = GradientRule(gradient, width, tolerance), recipe or Recipe()
    data = Calibration(captured, calibration, recipe.fit_rows, recipe.seed, recipe.activation_range)
    layers: dict[str, TrainableSums] = {}
    for name in approximate.layer_names:
        layer = approximate.layer(name)
        _check_whole(layer)
        if isinstance(layer, IntegerProduct):
            layers[name] = TrainableProduct(layer, rule, ranges)
        else:
            layers[name] = TrainableLayer(layer, data.samples[name], recipe, rule, ranges, weight_scales)
    return TrainableModel(approximate, captured, layers, rule, ranges)


class TrainableModel(nn.Module):
    """An approximate network under training. Calling it computes the same in training and evaluation mode.

    Parameters are float weights (batch norm folded), biases, gains, and the scales that are learned. Constants stay
    as they are: stored tensors, and what functions multiply or add (scale and shift of a layer norm).

    Attributes:
        path: kernel path of every layer.
        rule: the gradient of the products.
    """

    def __init__(
        self, approximate: ApproxModel, captured: CapturedModel, layers: dict[str, TrainableSums], rule: GradientRule,
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
        self._wanted = requests(self.graph)
        self._last = {i: node.name for node in self.graph.nodes.values() for i in node.inputs}

    @property
    def graph(self) -> CapturedModel:
        """The operators, without weights."""
        return self._graph[0]

    def layer(self, name: str) -> TrainableLayer:
        """Return the layer of that name; a product of activations is a `TrainableProduct`."""
        return self._layers[self._keys[name]]  # type: ignore[return-value]

    @property
    def layer_names(self) -> tuple[str, ...]:
        """Names of the layers in execution order."""
        return tuple(self._keys)

    def range_of(self, name: str, i: int = 0) -> ActivationRange:
        """Return the range of input `i` of a layer or operator."""
        module = self.layer(name).ranges[i] if name in self._keys else self._ranges[self._range_keys[name, i]]
        assert isinstance(module, ActivationRange)
        return module

    def scale_parameters(self) -> Iterator[nn.Parameter]:
        """Yield the parameters that are logarithms (gains and learned scales): they want a step of their own."""
        yield from (p for name, p in self.named_parameters() if name.rpartition(".")[2].startswith("log_"))

    def finish(self) -> ApproxModel:
        """Return the integer network; its outputs are those of this module, to the bit."""
        layers: dict[str, ScaledSums] = {name: self.layer(name).finished() for name in self._keys}
        encodings = {key: self.range_of(*key).encoding() for key in self._range_keys}
        network, exact_layers = self._origin
        return ApproxModel(self.graph, layers, encodings, network, exact_layers).eval()

    def forward(self, *inputs: torch.Tensor) -> Inputs:
        """Compute real outputs, float32 (a tuple if there are several), from real inputs `(b, ...)`."""
        shapes, got = self.graph.input_shapes, tuple(tuple(x.shape[1:]) for x in inputs)
        if got != shapes:
            wanted = " and ".join(f"(b, {', '.join(map(str, shape))})" for shape in shapes)
            raise InvalidInputError(f"the inputs must have shape {wanted}, but got {[tuple(x.shape) for x in inputs]}")
        values: Values = {}
        ready: dict[str, Ready] = {}
        for node in self.graph.nodes.values():
            if node.op == "output":
                break
            if node.is_layer and node.layer_name not in ready:
                ready[node.layer_name] = self.layer(node.layer_name).ready()
            values[node.name] = self._compute(node, inputs, values, ready)
            for i in set(node.inputs):
                if self._last[i] == node.name:
                    del values[i]
        results = tuple(values[name][REAL] for name in self.graph.outputs)
        return results[0] if len(results) == 1 else results

    def _compute(
        self, node: Node, given: tuple[torch.Tensor, ...], values: Values, ready: dict[str, Ready]
    ) -> dict[Request, torch.Tensor]:
        wanted = self._wanted[node.name]
        if node.op in PASSING_OPS:
            return {r: self._pass(node, r, [values[i][before(node, r)] for i in node.inputs]) for r in wanted}
        value, unit = self._real(node, given, values, ready)
        return {(key, bounds): self._emit(value, unit, node.channel_dim, key, bounds) for key, bounds in wanted}

    def _real(self, node: Node, given: tuple[torch.Tensor, ...], values: Values, ready: dict[str, Ready]) -> Real:
        """Compute an operator that hands on new values."""
        if node.op == "input":
            return given[node.attrs.get("index", 0)].float(), None
        if node.op == "constant":
            return constant_value(node, len(given[0])).to(given[0].device), None
        if node.op == "function":
            return RealFunction.apply(node.attrs["apply"], *[values[i][REAL] for i in node.inputs]), None
        codes = [values[name][(node.layer_name, i), Emission(None)] for i, name in enumerate(node.inputs)]
        if node.is_layer:
            layer = self.layer(node.layer_name)
            return layer(tuple(codes), ready[node.layer_name], self.path), layer.scale.double()
        return EXACT[node.op](node, [(c, self.range_of(node.name, i)) for i, c in enumerate(codes)])

    def _pass(self, node: Node, request: Request, inputs: list[torch.Tensor]) -> torch.Tensor:
        if node.op != "pad":
            return PASSING[node.op](node, inputs)
        zero = self._emit(torch.zeros((), device=inputs[0].device), None, -1, *request)
        return functional.pad(inputs[0], node.attrs["sizes"], value=float(zero))

    def _emit(
        self, value: torch.Tensor, unit: torch.Tensor | None, dim: int, key: Key | None, bounds: Emission
    ) -> torch.Tensor:
        if key is not None:
            return self.range_of(*key).emit(value, unit, dim, bounds)
        real = value if unit is None else value * by_channel(unit.float(), value, dim)
        return real if bounds.low is None and bounds.high is None else torch.clamp(real, bounds.low, bounds.high)


def _check_whole(layer: ScaledSums) -> None:
    skipped, terms = (getattr(layer, key, layer.coding.terms) for key in ("skipped", "terms"))
    if (skipped is not None and len(skipped)) or terms is not None:
        raise InvalidInputError(
            f"layer {layer.node.name!r} must compute every term with its circuit to be trained, but it has "
            f"{'skipped channels' if terms is None else 'exact or absent terms'}; train before skipping"
        )


def _check_same_network(approximate: ApproxModel, captured: CapturedModel) -> None:
    """Compare weights first, because their names tell more than those of operators."""
    for name in approximate.layer_names:
        layer = approximate.layer(name)
        if isinstance(layer, IntegerProduct):
            continue
        shape, found = tuple(layer.w_codes.shape), None
        if name in captured.layer_names and captured.nodes[name].op != "matmul":
            found = tuple(captured.layer(name).weight.shape)
        if found != shape:
            raise InvalidInputError(
                f"`model` must be the network that was made approximate: layer {name!r} must have weights of shape "
                f"{shape}, but got {found or 'no such layer'}"
            )
    if list(captured.nodes) != list(approximate.nodes):
        raise InvalidInputError("`model` must be the network that was made approximate, but its operators differ")
