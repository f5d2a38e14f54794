"""A program as a module of plain torch operators, which `torch.export` writes so that it loads without axdnn.

Sums of products are float64 convolutions and matrix products of integers, exact up to 2^53 on every device: no setting
lowers the precision of float64, as TF32 and bfloat16 do that of float32. A table without small factors is summed by
`embedding_bag`, whose rows are the table's columns of the weights.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from axdnn.export.aten_layers import padded, sums_of_conv, sums_of_linear, sums_of_matmul, windows
from axdnn.export.planes import Planes, ProductPlanes, planes_of, product_planes_of
from axdnn.export.program import Array, Program, Step
from axdnn.kernels.bounds import FLOAT64_EXACT
from axdnn.quant.functions import Function
from axdnn.records import UnsupportedOperatorError

EXACT = FLOAT64_EXACT // 2  # half, for the bounds are float64 themselves
EXAMPLE_BATCH = 2
_MAX_POOL = {1: functional.max_pool1d, 2: functional.max_pool2d, 3: functional.max_pool3d}
_TYPES = {"float32": torch.float32, "int8": torch.int8, "uint8": torch.uint8, "int64": torch.int64}


class AtenProgram(nn.Module):
    """The network in plain torch operators: real inputs to real outputs, the same bits as the `ApproxModel`.

    Args:
        program: of a network.

    Raises:
        UnsupportedOperatorError: a step without a rule.
    """

    def __init__(self, program: Program) -> None:
        super().__init__()
        self.program = program
        self.planes: dict[str, Planes] = {}
        self.products: dict[str, ProductPlanes] = {}
        self._names: dict[tuple[str, str], str] = {}  # calls of a layer share theirs
        self._known_tensors: dict[object, str] = {}
        self._known_planes: dict[tuple[object, ...], Planes] = {}
        for step in program.steps:
            if step.op not in RULES:
                known = ", ".join(RULES)
                raise UnsupportedOperatorError(f"no torch rule for {step.op!r} of {step.node!r}; known: {known}")
            for key, array in step.arrays.items():
                if step.op not in ("conv", "linear", "matmul") or key == "constant":
                    self._hold(step, key, array)
            if step.op in ("conv", "linear"):
                self._hold_layer(step)
            elif step.op == "matmul":
                self._hold_product(step)

    def _hold_layer(self, step: Step) -> None:
        key = (step.attrs["table"], step.attrs["w_zero"], *map(id, step.arrays.values()))
        planes = self._known_planes.get(key) or planes_of(step, self.program.tables[step.attrs["table"]], EXACT)
        self.planes[step.output] = self._known_planes[key] = planes
        if planes.f.size:
            self._hold(step, "f", planes.f.T.astype(np.float64), planes)
            self._hold(step, "g", np.moveaxis(planes.g, 0, 1).astype(np.float64), planes)
        if planes.columns is not None:
            self._hold(step, "columns", planes.columns.astype(np.int16), planes)
            self._hold_table(step)

    def _hold_product(self, step: Step) -> None:
        shapes = {s.output: s.shape for s in self.program.steps}
        terms, multiplier = shapes[step.inputs[0]][-1], self.program.tables[step.attrs["table"]]
        planes = self.products[step.output] = product_planes_of(step, multiplier, terms, EXACT)
        self._hold(step, "f", planes.f.T.astype(np.float64), planes)
        self._hold(step, "g", planes.g.T.astype(np.float64), planes)
        self._hold(step, "terms", planes.terms.astype(np.float64), planes)
        if planes.looked_up is not None:
            self._hold(step, "left_out", ~planes.looked_up[:, None], planes)
            self._hold_table(step)

    def _hold_table(self, step: Step) -> None:
        key = step.attrs["table"]
        entries = np.pad(self.program.tables[key].table, ((0, 0), (0, 1)))  # column `NOTHING` holds zeros
        self.register_buffer(f"table_{key}", torch.from_numpy(entries.astype(np.float64)))

    def _hold(self, step: Step, key: str, array: Array, source: object = None) -> None:
        name = self._known_tensors.setdefault(
            (key, id(array if source is None else source)), f"tensor{len(self._known_tensors)}_{key}"
        )
        self._names[step.output, key] = name
        if not hasattr(self, name):
            self.register_buffer(name, torch.from_numpy(np.array(array, order="C")))

    def held(self, step: Step, key: str) -> torch.Tensor:
        """Return a tensor of a step."""
        return self.get_buffer(self._names[step.output, key])

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, ...]:
        """Compute the network."""
        values = dict(zip(self.program.inputs, inputs, strict=True))
        for step in self.program.steps:
            read = [values[name] for name in step.inputs]
            values[step.output] = RULES[step.op](self, step, *read).to(_TYPES[step.dtype])
        results = tuple(values[name] for name in self.program.outputs)
        return results[0] if len(results) == 1 else results


def pt2_bytes(program: Program) -> bytes:
    """Return a program as a saved `torch.export` program, batch size free; `torch.export.load` needs no axdnn."""
    module = AtenProgram(program).eval()
    example = tuple(torch.zeros(EXAMPLE_BATCH, *shape) for shape in program.inputs.values())
    batch = torch.export.Dim("batch")
    with torch.no_grad():
        exported = torch.export.export(module, example, dynamic_shapes={"inputs": tuple({0: batch} for _ in example)})
    buffer = io.BytesIO()
    torch.export.save(exported, buffer, extra_files={"axdnn.json": json.dumps(program.about)})
    return buffer.getvalue()


def _function(m: AtenProgram, s: Step, *values: torch.Tensor) -> torch.Tensor:
    numbers = {key: value for key, value in s.attrs.items() if key != "function"}
    tensors = {key: m.held(s, key) for key in s.arrays}
    return Function(s.attrs["function"], {**numbers, **tensors})(*(x.double() for x in values))


def _pad(m: AtenProgram, s: Step, x: torch.Tensor) -> torch.Tensor:
    sides = zip(reversed(s.attrs["before"]), reversed(s.attrs["after"]), strict=True)
    return functional.pad(x, [size for side in sides for size in side], value=s.attrs["value"])


def _constant(m: AtenProgram, s: Step, x: torch.Tensor) -> torch.Tensor:
    sizes = list(m.held(s, "value").shape)
    sizes[s.attrs["axis"]] = x.shape[0]
    return m.held(s, "value").expand(sizes)


def _quantise(m: AtenProgram, s: Step, x: torch.Tensor) -> torch.Tensor:
    level = (x.to(torch.float32) * m.held(s, "unit")).round().clamp(s.attrs["low"], s.attrs["high"])
    code: torch.Tensor = level * s.attrs["step"] + s.attrs["zero"]
    return code


def _max_pool(m: AtenProgram, s: Step, x: torch.Tensor) -> torch.Tensor:
    a = s.attrs
    bordered = padded(s, x.to(torch.float32), a["least"])
    pool: Callable[..., torch.Tensor] = _MAX_POOL[len(a["kernel"])]
    return pool(bordered, a["kernel"], a["stride"], 0, a["dilation"])


def _pool_sum(m: AtenProgram, s: Step, x: torch.Tensor) -> torch.Tensor:
    level = padded(s, x.to(torch.int64) - s.attrs["zero"], 0)
    return windows(s, level).flatten(-len(s.attrs["kernel"])).sum(-1)


RULES: dict[str, Callable[..., torch.Tensor]] = {
    "conv": sums_of_conv, "linear": sums_of_linear, "matmul": sums_of_matmul,
    "function": _function, "pad": _pad, "constant": _constant,
    "quantise": _quantise, "max_pool": _max_pool, "pool_sum": _pool_sum,
    "scale": lambda m, s, x: x.to(torch.float32) * m.held(s, "unit"),
    "clamp": lambda m, s, x: torch.clamp(x, s.attrs["low"], s.attrs["high"]),
    "dequantise": lambda m, s, x: (x.to(torch.float32) - s.attrs["zero"]) * m.held(s, "scale"),
    "add": lambda m, s, x, y: x + y,
    "affine": lambda m, s, x: x * m.held(s, "scale") + m.held(s, "shift"),
    "lookup": lambda m, s, x: m.held(s, "table")[x.to(torch.int64) - s.attrs["first"]],
    "reshape": lambda m, s, x: x.reshape(s.attrs["sizes"]),
    "transpose": lambda m, s, x: x.permute(s.attrs["order"]),
    "take": lambda m, s, x: x.index_select(s.attrs["axis"], m.held(s, "index")),
    "concat": lambda m, s, *x: torch.cat(x, s.attrs["axis"]),
}  # fmt: skip
