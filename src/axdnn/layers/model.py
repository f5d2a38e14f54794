"""The approximate network: an integer network with one law for every path and every export.

Operands are codes; products are summed exactly together with an int32 bias; one float32 scale per output channel turns
the sum into the next tensor; rounding is half to even; additions and pooling requantise by the same rule.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import torch
from torch import nn
from torch.nn import functional

from axdnn.kernels import Path
from axdnn.kernels.requantise import Codes
from axdnn.layers.at_once import codes_at_once
from axdnn.layers.emission import Emission, requests_of, sums_of
from axdnn.layers.integer import IntegerLayer, ScaledSums
from axdnn.layers.prefix import Forms, Recall
from axdnn.quant import (
    PASSING_OPS,
    CapturedModel,
    Encoding,
    Inputs,
    Node,
    constant_value,
    pool_count,
    pool_sum,
)
from axdnn.records import Assignment, ExactOperator, InvalidInputError, Network

AtLayer = Callable[[ScaledSums, tuple[torch.Tensor, ...]], None]
Values = dict[str, Forms]


class ApproxModel(nn.Module):
    """A network whose layers multiply with chosen circuits.

    Calling it with real inputs `(b, ...)` returns real outputs, float32 (a tuple if there are several), the same to
    the last bit for every kernel path, batch split and thread count.

    Attributes:
        network: shapes, edges and what stays exact.
        assignment: layer -> multiplier name.
        exact_layers: layers that use an exact multiplier, with the reason.
        path: kernel path of every layer; `reference` is the literal one.
        operator_encodings: (operator, input index) -> codes of that input, for operators that are not layers.
    """

    def __init__(
        self,
        captured: CapturedModel,
        layers: Mapping[str, ScaledSums],
        other_encodings: Mapping[tuple[str, int], Encoding],
        network: Network,
        exact_layers: tuple[ExactOperator, ...] = (),
    ) -> None:
        super().__init__()
        self.nodes, self.input_shapes = captured.nodes, captured.input_shapes
        self.network, self.exact_layers = network, exact_layers
        self.path: Path = "auto"
        self._keys = {name: f"layer{i}" for i, name in enumerate(layers)}
        self._layers = nn.ModuleDict({self._keys[name]: layer for name, layer in layers.items()})
        self.outputs = captured.outputs
        self.operator_encodings = dict(other_encodings)
        self._wanted = requests_of(captured, {n: layer.forms for n, layer in layers.items()}, other_encodings)
        self._last = {i: node.name for node in self.nodes.values() for i in node.inputs}

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of the first input, without the batch dimension."""
        return self.input_shapes[0]

    @property
    def assignment(self) -> Assignment:
        """Layer -> multiplier name."""
        return Assignment(multipliers={name: self.layer(name).multiplier.name for name in self._keys})

    @property
    def exact_operators(self) -> tuple[ExactOperator, ...]:
        """Everything that stays exact, with its reason."""
        return (*self.exact_layers, *self.network.exact_operators)

    @property
    def requests(self) -> Mapping[str, tuple[Emission, ...]]:
        """Node -> the forms in which its value is handed on."""
        return self._wanted

    def layer(self, name: str) -> IntegerLayer:
        """Return the integer layer of that name; a product of activations is an `IntegerProduct`."""
        return self._layers[self._keys[name]]  # type: ignore[return-value]

    @property
    def layer_names(self) -> tuple[str, ...]:
        """Names of the layers in execution order."""
        return tuple(self._keys)

    @property
    def forms(self) -> tuple[tuple[str, Emission], ...]:
        """Each form in which a node hands on its value, as (node, form)."""
        return tuple((name, form) for name, forms in self._wanted.items() for form in forms)

    @torch.no_grad()
    def forward(self, *inputs: torch.Tensor) -> Inputs:
        """Compute real outputs from real inputs `(b, ...)`."""
        if torch.compiler.is_dynamo_compiling():
            from axdnn.layers.compiling import run_uncompiled  # loads torch's compiler

            return run_uncompiled(self, *inputs)
        return self.run(inputs)

    @torch.no_grad()
    def run(self, x: Inputs, at_layer: AtLayer | None = None, recall: Recall | None = None) -> Inputs:
        """Compute the network.

        Args:
            x: real inputs.
            at_layer: called with each layer and its input codes before the layer runs (calibration sets the layer's
                scale and bias there).
            recall: what is known from other networks: only the rest is computed. The result must not be changed then.
        """
        given = x if isinstance(x, tuple) else (x,)
        if len(given) != len(self.input_shapes):
            raise InvalidInputError(f"the network takes {len(self.input_shapes)} inputs, but got {len(given)}")
        values: Values = {}
        compute = partial(self._compute, given=given, values=values, at_layer=at_layer)
        for node in self.nodes.values():
            if node.op == "output":
                break
            if recall is None:
                values[node.name] = compute(node, self._wanted[node.name])
            else:
                values[node.name] = recall.complete(node, compute)
            for i in set(node.inputs):
                if self._last[i] == node.name:
                    values.pop(i, None)
        results = tuple(values[name][Emission(None)] for name in self.outputs)
        return results[0] if len(results) == 1 else results

    def _compute(
        self,
        node: Node,
        wanted: Sequence[Emission],
        given: tuple[torch.Tensor, ...],
        values: Values,
        at_layer: AtLayer | None,
    ) -> Forms:
        if node.op == "input":
            index = node.attrs.get("index", 0)
            return {e: e.emit(_checked(given[index], self.input_shapes[index])) for e in wanted}
        if node.op == "constant":
            value = constant_value(node, len(given[0]))
            return {e: e.emit(value) for e in wanted}
        if node.is_layer:
            layer = self.layer(node.layer_name)
            codes = tuple(values[i][e] for i, e in zip(node.inputs, layer.forms, strict=True))
            if at_layer is not None:
                at_layer(layer, codes)
            if len(wanted) == 1 and self.path != "reference":
                made = codes_at_once(layer, codes[0], wanted[0], self.path)
                if made is not None:
                    return {wanted[0]: made}
            sums, constant = layer.open_sums(*codes, path=self.path)
            literal = self.path == "reference"
            return {e: e.emit_sums(sums, constant, layer.scale.double(), node.channel_dim, literal) for e in wanted}
        if node.op in PASSING_OPS:
            return {e: self._pass(node, e, values) for e in wanted}
        if node.op == "add" and self.path != "reference":
            pair = [Codes(c, e.zero_point, e.scale) for c, e in (self._codes(node, i, values) for i in range(2))]
            if (summed := sums_of(*pair, wanted)) is not None:
                return summed
        value, unit_or_none = self._exact(node, values)
        return {e: e.emit(value, unit_or_none) for e in wanted}

    def _pass(self, node: Node, e: Emission, values: Values) -> torch.Tensor:
        a = node.attrs
        if node.op == "clamp":
            return values[node.inputs[0]][e.clamped(a["min"], a["max"])]
        inputs = [values[i][e] for i in node.inputs]
        if node.op == "cat":
            return torch.cat(inputs, a["dim"])
        if node.op == "stack":
            return torch.stack(inputs, a["dim"])
        if node.op == "reshape":
            return a["apply"](inputs[0])  # type: ignore[no-any-return]
        if node.op == "pad":
            return functional.pad(inputs[0], a["sizes"], value=float(e.emit(torch.zeros(()))))
        pooled = functional.max_pool2d(
            inputs[0].float(), a["kernel"], a["stride"], a["padding"], a["dilation"], a["ceil_mode"]
        )
        return pooled.to(inputs[0].dtype)

    def _codes(self, node: Node, i: int, values: Values) -> tuple[torch.Tensor, Encoding]:
        encoding = self.operator_encodings[node.name, i]
        return values[node.inputs[i]][Emission(encoding)], encoding

    def _exact(self, node: Node, values: Values) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Compute an operator without products; returns float32 values and the real value of one unit."""
        if node.op == "function":  # float64, so that its bits do not depend on how a batch was split
            return node.attrs["apply"](*[values[i][Emission(None)].double() for i in node.inputs]).float(), None
        codes, encoding = self._codes(node, 0, values)
        if node.op == "add":
            other, other_encoding = self._codes(node, 1, values)
            return encoding.dequantise(codes) + other_encoding.dequantise(other), None
        if node.op == "avg_pool2d":
            levels = codes.double() - encoding.zero_point  # float64 holds every sum
            unit = torch.tensor(encoding.scale / pool_count(codes, node.attrs), dtype=torch.float64)
            return pool_sum(levels, node.attrs).float(), unit
        if node.op == "batch_norm":
            shape = (-1, *([1] * (codes.dim() - 2)))
            scale, shift = node.attrs["scale"].view(shape), node.attrs["shift"].view(shape)
            return encoding.dequantise(codes) * scale + shift, None
        # A 256-entry table of codes, from float64 so that it is the same on every machine.
        table = node.attrs["apply"](encoding.dequantise(encoding.all_codes()).double()).float()
        return table.to(codes.device)[codes.long() - encoding.code_min], None


def _checked(x: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    if not isinstance(x, torch.Tensor) or tuple(x.shape[1:]) != shape:
        got = tuple(x.shape) if isinstance(x, torch.Tensor) else type(x).__name__
        raise InvalidInputError(f"the input must have shape (b, {', '.join(map(str, shape))}), but got {got}")
    x = x.float()
    if torch.isnan(x).any():
        raise InvalidInputError("the input must hold numbers, but some values are NaN")
    return x
