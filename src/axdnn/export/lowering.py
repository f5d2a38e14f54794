"""From an `ApproxModel` to a `Program`: one rule an operator of the captured graph."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any

import torch

from axdnn.export.lower_layers import lower_layer, lower_product, lower_transposed
from axdnn.export.lower_moves import lower_cat, lower_constant, lower_pad, lower_reshape, lower_stack
from axdnn.export.program import Array, Program, Step
from axdnn.export.shapes import Shape, batch_first, dtype_of, shapes_of, windows
from axdnn.layers import ApproxModel
from axdnn.layers.emission import Emission
from axdnn.quant import CONV_OPS, TRANSPOSED_OPS, Encoding, Node, pool_count
from axdnn.records import Multiplier, UnsupportedOperatorError

FLOAT32_MIN = float(torch.finfo(torch.float32).min)


def lower(model: ApproxModel) -> Program:
    """Write a network down as plain steps.

    Args:
        model: approximate network, calibrated.

    Raises:
        UnsupportedOperatorError: operators without a rule; all of them are named.
    """
    return Lowering(model).program()


class Lowering:
    """State of one pass: the steps so far, and the name of each node's value in each form it is wanted in."""

    def __init__(self, model: ApproxModel) -> None:
        self.model = model
        self.steps: list[Step] = []
        self.tables: dict[str, Multiplier] = {}
        self.inputs: dict[str, Shape] = {}
        self.names: dict[tuple[str, Emission], str] = {}
        self.shapes: dict[str, Shape] = {}
        self._counts: Counter[str] = Counter()
        self._stored: dict[str, dict[str, Array]] = {}

    def program(self) -> Program:
        """Write all nodes."""
        nodes = [node for node in self.model.nodes.values() if node.op != "output"]
        unknown = [f"{node.name!r} ({node.op})" for node in nodes if node.op not in RULES]
        if unknown:
            raise UnsupportedOperatorError(f"no export rule for {', '.join(unknown)}; known: {', '.join(RULES)}")
        self.shapes = shapes_of(self.model)
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
        self, node: Node, op: str, inputs: Sequence[str], dtype: str, *, shape: Shape | None = None,
        attrs: dict[str, Any] | None = None, arrays: dict[str, Array] | None = None,
    ) -> str:  # fmt: skip
        """Append a step and return the name of its result."""
        output = f"{node.name}:{self._counts[node.name]}"
        self._counts[node.name] += 1
        shape = self.shapes[node.name] if shape is None else shape
        self.steps.append(Step(op, output, tuple(inputs), node.name, shape, dtype, attrs or {}, arrays or {}))
        return output

    def emit(self, node: Node, value: str, multiplier: torch.Tensor | None = None) -> None:
        """Hand a value on in every form that is wanted; see `Emission.emit`."""
        for form in self.model.requests[node.name]:
            unit, levels = {"unit": form.level_unit(multiplier).numpy()}, form.levels
            if levels is not None:
                attrs = {key: getattr(levels, key) for key in ("low", "high", "step", "zero")}
                made = self.step(node, "quantise", [value], dtype_of(form), attrs=attrs, arrays=unit)
                self.names[node.name, form] = made
                continue
            name = value if multiplier is None else self.step(node, "scale", [value], "float32", arrays=unit)
            if form.low is not None or form.high is not None:
                name = self.step(node, "clamp", [name], "float32", attrs={"low": form.low, "high": form.high})
            self.names[node.name, form] = name

    def stored(self, key: str, make: Callable[[], dict[str, Array]]) -> dict[str, Array]:
        """Return the arrays of a layer, the same ones for each of its calls."""
        if key not in self._stored:
            self._stored[key] = make()
        return self._stored[key]

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
            dtype = dtype_of(form)
            least = {"least": {"float32": FLOAT32_MIN, "int8": -128, "uint8": 0}[dtype]} if op == "max_pool" else {}
            self.names[node.name, form] = self.step(node, op, inputs, dtype, attrs={**attrs, **least})


def _input(low: Lowering, node: Node) -> None:
    low.inputs[node.name] = low.shapes[node.name][1:]
    low.emit(node, node.name)


def _clamp(low: Lowering, node: Node) -> None:
    for form in low.model.requests[node.name]:
        source = form.clamped(node.attrs["min"], node.attrs["max"])
        low.names[node.name, form] = low.names[node.inputs[0], source]


def _add(low: Lowering, node: Node) -> None:
    low.emit(node, low.step(node, "add", [low.real(node, 0), low.real(node, 1)], "float32"))


def _batch_norm(low: Lowering, node: Node) -> None:
    across = (-1, *([1] * (len(low.shapes[node.name]) - 2)))
    vectors = {key: node.attrs[key].view(across).numpy() for key in ("scale", "shift")}
    low.emit(node, low.step(node, "affine", [low.real(node)], "float32", arrays=vectors))


def _avg_pool(low: Lowering, node: Node) -> None:
    codes, encoding = low.codes(node)
    a, shape = node.attrs, low.shapes[node.inputs[0]]
    sizes = batch_first(node, shape)
    ones, none = [1] * len(sizes), [0] * len(sizes)
    window = {"kernel": list(sizes), "stride": ones, "padding": none} if a.get("whole") else a
    kernel, stride, padding = (list(window[key]) for key in ("kernel", "stride", "padding"))
    attrs = {"kernel": kernel, "stride": stride, "dilation": ones, "pads": 2 * padding, "zero": encoding.zero_point}
    pooled = (*shape[:2], *windows(sizes, kernel, window))
    sums = low.step(node, "pool_sum", [codes], "int64", attrs=attrs, shape=pooled)
    if pooled != low.shapes[node.name]:  # a mean that drops its axes
        sums = low.step(node, "reshape", [sums], "int64", attrs={"sizes": list(low.shapes[node.name])})
    count = pool_count(torch.zeros(1, *shape[1:]), a)
    low.emit(node, sums, torch.tensor(encoding.scale / count, dtype=torch.float64))


def _max_pool(low: Lowering, node: Node) -> None:
    """Write the border out for both ends, so that no reader needs a rule for windows that stick out."""
    a, before, after = node.attrs, batch_first(node, low.shapes[node.inputs[0]]), low.shapes[node.name][2:]
    ends = [
        max(0, (out - 1) * s + d * (k - 1) + 1 - size - p)
        for size, out, k, s, d, p in zip(
            before, after, a["kernel"], a["stride"], a["dilation"], a["padding"], strict=True
        )
    ]
    attrs = {key: list(a[key]) for key in ("kernel", "stride", "dilation")} | {"pads": [*a["padding"], *ends]}
    low.pass_on(node, "max_pool", attrs)


def _unary(low: Lowering, node: Node) -> None:
    codes, encoding = low.codes(node)
    table = node.attrs["apply"](encoding.dequantise(encoding.all_codes()).double()).float()
    for form in low.model.requests[node.name]:
        arrays = {"table": form.emit(table.clone()).numpy()}
        attrs = {"first": encoding.code_min}
        low.names[node.name, form] = low.step(node, "lookup", [codes], dtype_of(form), attrs=attrs, arrays=arrays)


def _function(low: Lowering, node: Node) -> None:
    apply = node.attrs["apply"]
    attrs: dict[str, Any] = {"function": apply.name}
    arrays: dict[str, Array] = {}
    for key, value in apply.constants.items():
        if isinstance(value, torch.Tensor):
            arrays[key] = value.detach().cpu().contiguous().numpy()
        else:
            attrs[key] = list(value) if isinstance(value, tuple) else value
    values = [low.names[i, Emission(None)] for i in node.inputs]
    low.emit(node, low.step(node, "function", values, "float32", attrs=attrs, arrays=arrays))


RULES: dict[str, Callable[[Lowering, Node], None]] = {
    "input": _input, **dict.fromkeys((*CONV_OPS, "linear"), lower_layer),
    **dict.fromkeys(TRANSPOSED_OPS, lower_transposed), "matmul": lower_product, "clamp": _clamp, "add": _add,
    "batch_norm": _batch_norm, "avg_pool2d": _avg_pool, "max_pool2d": _max_pool, "unary": _unary,
    "function": _function, "reshape": lower_reshape, "cat": lower_cat, "stack": lower_stack, "pad": lower_pad,
    "constant": lower_constant,
}  # fmt: skip
