"""From an `ApproxModel` to a `Program`: one rule an operator of the captured graph."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any

import torch

from axdnn.export.program import Array, Program, Step
from axdnn.kernels import ABSENT
from axdnn.layers import ApproxModel, IntegerLayer
from axdnn.layers.emission import Emission
from axdnn.quant import Encoding, Node, apply_float, pool_count
from axdnn.quant.float_layers import CONV_OPS
from axdnn.quant.moves import Permute, Reshape
from axdnn.records import Multiplier, UnsupportedOperatorError

FLOAT32_MIN = float(torch.finfo(torch.float32).min)


def lower(model: ApproxModel) -> Program:
    """Write a network down as plain steps.

    Args:
        model: approximate network, calibrated.

    Raises:
        UnsupportedOperatorError: operators without a rule; all of them are named.
    """
    return _Lowering(model).program()


class _Lowering:
    """State of one pass: the steps so far, and the name of each node's value in each form it is wanted in."""

    def __init__(self, model: ApproxModel) -> None:
        self.model = model
        self.steps: list[Step] = []
        self.tables: dict[str, Multiplier] = {}
        self.inputs: dict[str, tuple[int, ...]] = {}
        self.names: dict[tuple[str, Emission], str] = {}
        self.shapes: dict[str, tuple[int, ...]] = {}

    def program(self) -> Program:
        nodes = [node for node in self.model.nodes.values() if node.op != "output"]
        unknown = [f"{node.name!r} ({node.op})" for node in nodes if node.op not in RULES]
        if unknown:
            raise UnsupportedOperatorError(f"no export rule for {', '.join(unknown)}; known: {', '.join(RULES)}")
        self.shapes = _shapes(self.model)
        for node in nodes:
            RULES[node.op](self, node)
        outputs = tuple(self.names[i, Emission(None)] for i in self.model.nodes["output"].inputs)
        network = self.model.network
        about = {
            "axdnn": version("axdnn"), "network": network.name,
            "assignment": json.dumps(self.model.assignment.multipliers, sort_keys=True),
        }  # fmt: skip
        return Program(self.inputs, outputs, tuple(self.steps), self.tables, about)

    def step(
        self, node: Node, op: str, inputs: Sequence[str], dtype: str, *, shape: tuple[int, ...] | None = None,
        attrs: dict[str, Any] | None = None, arrays: dict[str, Array] | None = None,
    ) -> str:  # fmt: skip
        """Append a step and return the name of its result."""
        count = sum(1 for s in self.steps if s.node == node.name)
        output = f"{node.name}:{count}"
        shape = self.shapes[node.name] if shape is None else shape
        self.steps.append(Step(op, output, tuple(inputs), node.name, shape, dtype, attrs or {}, arrays or {}))
        return output

    def emit(self, node: Node, value: str, multiplier: torch.Tensor | None = None) -> None:
        """Hand a value on in every form that is wanted; see `Emission.emit`."""
        for form in self.model.requests[node.name]:
            unit, levels = {"unit": form.level_unit(multiplier).numpy()}, form.levels
            if levels is not None:
                attrs = {key: getattr(levels, key) for key in ("low", "high", "step", "zero")}
                dtype = "int8" if levels.signed else "uint8"
                self.names[node.name, form] = self.step(node, "quantise", [value], dtype, attrs=attrs, arrays=unit)
                continue
            name = value if multiplier is None else self.step(node, "scale", [value], "float32", arrays=unit)
            if form.low is not None or form.high is not None:
                name = self.step(node, "clamp", [name], "float32", attrs={"low": form.low, "high": form.high})
            self.names[node.name, form] = name

    def codes(self, node: Node, i: int = 0) -> tuple[str, Encoding]:
        """Return the codes that an operator reads as its input i."""
        encoding = self.model.operator_encodings[node.name, i]
        return self.names[node.inputs[i], Emission(encoding)], encoding

    def real(self, node: Node, i: int = 0) -> str:
        """Return the real value of input i."""
        codes, encoding = self.codes(node, i)
        scale = {"scale": torch.tensor(encoding.scale, dtype=torch.float32).numpy()}
        shape = self.shapes[node.inputs[i]]
        attrs = {"zero": encoding.zero_point}
        return self.step(node, "dequantise", [codes], "float32", shape=shape, attrs=attrs, arrays=scale)

    def pass_on(self, node: Node, op: str, attrs: dict[str, Any]) -> None:
        """Apply an operator that moves values to each form that is wanted."""
        for form in self.model.requests[node.name]:
            inputs = [self.names[i, form] for i in node.inputs]
            dtype = "float32" if form.encoding is None else "int8" if form.encoding.signed else "uint8"
            least = {"least": {"float32": FLOAT32_MIN, "int8": -128, "uint8": 0}[dtype]} if op == "max_pool" else {}
            self.names[node.name, form] = self.step(node, op, inputs, dtype, attrs={**attrs, **least})


def _shapes(model: ApproxModel) -> dict[str, tuple[int, ...]]:
    """Node -> shape of its value without the batch dimension."""
    shapes: dict[str, tuple[int, ...]] = {}
    for node in model.nodes.values():
        before = [shapes[i] for i in node.inputs]
        if node.op == "input":
            shapes[node.name] = tuple(model.input_shapes[node.attrs.get("index", 0)])
        elif node.op == "linear":
            shapes[node.name] = (*before[0][:-1], len(model.layer(node.layer_name).w_codes))
        elif node.is_layer:
            weight = model.layer(node.layer_name).w_codes
            shapes[node.name] = (len(weight), *_windows(before[0][1:], weight.shape[2:], node.attrs))
        elif node.op != "output":
            values = tuple(torch.zeros(1, *shape) for shape in before)
            shapes[node.name] = tuple(apply_float(node, values).shape[1:])
    return shapes


def _windows(sizes: Sequence[int], kernel: Sequence[int], a: dict[str, Any]) -> tuple[int, ...]:
    """Return how many windows fit along each axis."""
    steps = zip(sizes, kernel, a["stride"], a["padding"], a.get("dilation", [1] * len(kernel)), strict=True)
    return tuple((size + 2 * p - d * (k - 1) - 1) // s + 1 for size, k, s, p, d in steps)


def _input(low: _Lowering, node: Node) -> None:
    low.inputs[node.name] = low.shapes[node.name]
    low.emit(node, node.name)


def _layer(low: _Lowering, node: Node) -> None:
    layer = low.model.layer(node.layer_name)
    coding = layer.coding
    groups, dims = node.attrs.get("groups", 1), layer.w_codes.dim() - 2
    across = (-1, *([1] * dims))  # from a vector to the channels of the result
    constant = (layer.shift + layer.bias).index_fill(0, layer.skipped, 0)
    arrays = {"w": layer.w_codes.numpy(), "constant": constant.view(across).numpy()}
    if layer.terms is not None or len(layer.skipped):
        arrays["terms"] = _terms(layer, groups).numpy()
    attrs: dict[str, Any] = {
        "table": layer.multiplier.id, "zero": coding.encoding.zero_point, "w_zero": coding.w_zero,
    }  # fmt: skip
    low.tables[layer.multiplier.id] = layer.multiplier
    op = "linear" if node.op == "linear" else "conv"
    if op == "conv":
        attrs |= {"kernel": list(layer.w_codes.shape[2:]), "pads": 2 * list(node.attrs["padding"]), "groups": groups}
        attrs |= {key: list(node.attrs[key]) for key in ("stride", "dilation")}
    codes = low.names[node.inputs[0], Emission(coding.encoding)]
    sums = low.step(node, op, [codes], "int64", attrs=attrs, arrays=arrays)
    low.emit(node, sums, layer.scale.double().view(across))


def _terms(layer: IntegerLayer, groups: int) -> torch.Tensor:
    """Return what each weight's term is, shaped as the weights; those of skipped channels are left out."""
    kinds = torch.zeros(1, 1, dtype=torch.uint8) if layer.terms is None else layer.terms
    kinds = kinds.reshape(-1, 1, kinds.shape[-1])
    flat = kinds.expand(groups, len(layer.w_codes) // groups, layer.w_codes[0].numel())
    return flat.reshape(layer.w_codes.shape).index_fill(0, layer.skipped, ABSENT)


def _clamp(low: _Lowering, node: Node) -> None:
    for form in low.model.requests[node.name]:
        source = form.clamped(node.attrs["min"], node.attrs["max"])
        low.names[node.name, form] = low.names[node.inputs[0], source]


def _add(low: _Lowering, node: Node) -> None:
    low.emit(node, low.step(node, "add", [low.real(node, 0), low.real(node, 1)], "float32"))


def _batch_norm(low: _Lowering, node: Node) -> None:
    across = (-1, *([1] * (len(low.shapes[node.name]) - 1)))
    vectors = {key: node.attrs[key].view(across).numpy() for key in ("scale", "shift")}
    low.emit(node, low.step(node, "affine", [low.real(node)], "float32", arrays=vectors))


def _avg_pool(low: _Lowering, node: Node) -> None:
    codes, encoding = low.codes(node)
    a, shape = node.attrs, low.shapes[node.inputs[0]]
    ones, none = [1] * (len(shape) - 1), [0] * (len(shape) - 1)
    window = {"kernel": list(shape[1:]), "stride": ones, "padding": none} if a.get("whole") else a
    kernel, stride, padding = (list(window[key]) for key in ("kernel", "stride", "padding"))
    attrs = {"kernel": kernel, "stride": stride, "dilation": ones, "pads": 2 * padding, "zero": encoding.zero_point}
    pooled = (shape[0], *_windows(shape[1:], kernel, window))
    sums = low.step(node, "pool_sum", [codes], "int64", attrs=attrs, shape=pooled)
    if pooled != low.shapes[node.name]:  # a mean that drops its axes
        sums = low.step(node, "reshape", [sums], "int64", attrs={"sizes": list(low.shapes[node.name])})
    count = pool_count(torch.zeros(1, *shape), a)
    low.emit(node, sums, torch.tensor(encoding.scale / count, dtype=torch.float64))


def _max_pool(low: _Lowering, node: Node) -> None:
    """Write the border out for both ends, so that no reader needs a rule for windows that stick out."""
    a, before, after = node.attrs, low.shapes[node.inputs[0]][1:], low.shapes[node.name][1:]
    ends = [
        max(0, (out - 1) * s + d * (k - 1) + 1 - size - p)
        for size, out, k, s, d, p in zip(
            before, after, a["kernel"], a["stride"], a["dilation"], a["padding"], strict=True
        )
    ]
    attrs = {key: list(a[key]) for key in ("kernel", "stride", "dilation")} | {"pads": [*a["padding"], *ends]}
    low.pass_on(node, "max_pool", attrs)


def _unary(low: _Lowering, node: Node) -> None:
    codes, encoding = low.codes(node)
    table = node.attrs["apply"](encoding.dequantise(encoding.all_codes()).double()).float()
    for form in low.model.requests[node.name]:
        dtype = "float32" if form.encoding is None else "int8" if form.encoding.signed else "uint8"
        arrays = {"table": form.emit(table.clone()).numpy()}
        attrs = {"first": encoding.code_min}
        low.names[node.name, form] = low.step(node, "lookup", [codes], dtype, attrs=attrs, arrays=arrays)


def _reshape(low: _Lowering, node: Node) -> None:
    apply = node.attrs["apply"]
    if isinstance(apply, Permute) and apply.order[0] == 0:
        low.pass_on(node, "transpose", {"order": list(apply.order)})
    elif isinstance(apply, Reshape) and apply.sizes[0] == -1:
        low.pass_on(node, "reshape", {"sizes": list(low.shapes[node.name])})
    else:
        raise UnsupportedOperatorError(f"no export rule for {node.name!r} ({type(apply).__name__}, or the batch moves)")


def _cat(low: _Lowering, node: Node) -> None:
    low.pass_on(node, "concat", {"axis": node.attrs["dim"] % (len(low.shapes[node.name]) + 1)})


RULES: dict[str, Callable[[_Lowering, Node], None]] = {
    "input": _input, **dict.fromkeys((*CONV_OPS, "linear"), _layer), "clamp": _clamp, "add": _add,
    "batch_norm": _batch_norm, "avg_pool2d": _avg_pool, "max_pool2d": _max_pool, "unary": _unary, "reshape": _reshape,
    "cat": _cat,
}  # fmt: skip
