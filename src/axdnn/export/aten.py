"""A program as a module of plain torch operators, which `torch.export` writes so that it loads without axdnn.

Sums of products are float64 convolutions and matrix products of integers, exact up to 2^53 on every device: no setting
lowers the precision of float64, as TF32 and bfloat16 do that of float32. A table without small factors is summed by
`embedding_bag`, whose rows are the table's columns of the weights.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from axdnn.export.planes import NOTHING, Planes, ProductPlanes, planes_of, product_planes_of
from axdnn.export.program import Array, Program, Step
from axdnn.kernels.bounds import FLOAT64_EXACT
from axdnn.quant.functions import Function
from axdnn.records import UnsupportedOperatorError

EXACT = FLOAT64_EXACT // 2  # half, for the bounds are float64 themselves
LOOKUP_VALUES = 1 << 24  # entries of a table of columns that are held at once
LOOKUP_TERMS = 16  # terms of a product of activations whose entries are held at once
EXAMPLE_BATCH = 2
_CONV = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}
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


def _rows(s: Step, x: torch.Tensor) -> torch.Tensor:
    return x.to(torch.int64) + (128 if x.dtype == torch.int8 else 0)


def _padded(s: Step, x: torch.Tensor, fill: float) -> torch.Tensor:
    pads, dims = s.attrs["pads"], len(s.attrs["kernel"])
    if not any(pads):
        return x
    return functional.pad(x, [pads[i + side] for i in reversed(range(dims)) for side in (0, dims)], value=fill)


def _windows(s: Step, x: torch.Tensor) -> torch.Tensor:
    """Return `(b, ..., *sizes)` as `(b, ..., *out_sizes, *kernel)`."""
    dims = len(s.attrs["kernel"])
    first = x.dim() - dims
    for i, (k, step, d) in enumerate(zip(s.attrs["kernel"], s.attrs["stride"], s.attrs["dilation"], strict=True)):
        x = x.unfold(first + i, d * (k - 1) + 1, step)[..., ::d]
    return x


def _conv(m: AtenProgram, s: Step, x: torch.Tensor) -> torch.Tensor:
    a, planes, groups = s.attrs, m.planes[s.output], s.attrs["groups"]
    rows = _padded(s, _rows(s, x), a["zero"] + (128 if x.dtype == torch.int8 else 0))
    channels, sizes = s.arrays["w"].shape[1], rows.shape[2:]
    rows = rows.reshape(-1, groups, channels, *sizes)
    total = m.held(s, "constant")
    for begin, end in _parts(planes):
        looked = m.held(s, "f")[:, rows[:, :, begin:end]].movedim(0, 2)  # (b, groups, r, channels, *sizes)
        flat = looked.reshape(-1, groups * len(planes.f[0]) * (end - begin), *sizes)
        kernel = m.held(s, "g")[:, :, begin:end].flatten(1, 2)
        sums = _CONV[len(sizes)](flat, kernel, None, a["stride"], 0, a["dilation"], groups)
        total = total + sums.to(torch.int64)
    if planes.columns is not None:
        views = _windows(s, rows).movedim((1, 2), (-2 - len(sizes), -1 - len(sizes)))
        sums = _table_sums(m, s, views.reshape(-1, groups, math.prod(s.arrays["w"].shape[1:])), groups)
        total = total + sums.reshape(-1, *s.shape[2:], s.shape[1]).movedim(-1, 1)
    return total if planes.f.size or planes.columns is not None else total.expand(x.shape[0], *s.shape[1:])


def _linear(m: AtenProgram, s: Step, x: torch.Tensor) -> torch.Tensor:
    rows, planes, total = _rows(s, x), m.planes[s.output], m.held(s, "constant")
    for begin, end in _parts(planes):
        looked = m.held(s, "f")[:, rows[..., begin:end]].movedim(0, -2)
        weights = m.held(s, "g")[:, :, begin:end].flatten(1)
        total = total + torch.matmul(looked.flatten(-2), weights.T).to(torch.int64)
    if planes.columns is not None:
        sums = _table_sums(m, s, rows.reshape(-1, 1, x.shape[-1]), 1)
        total = total + sums.reshape(*x.shape[:-1], s.shape[-1])
    return total if planes.f.size or planes.columns is not None else total.expand(*x.shape[:-1], s.shape[-1])


def _matmul(m: AtenProgram, s: Step, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    rows, columns, planes, total = _rows(s, a), _rows(s, b), m.products[s.output], m.held(s, "constant")
    f, g, terms = (m.held(s, key) for key in ("f", "g", "terms"))
    for begin, end in _parts(planes):
        left = f[:, rows[..., begin:end]].movedim(0, -2).flatten(-2)
        each = g[:, columns[..., begin:end, :]].movedim(0, -3) * terms[:, begin:end, None]
        total = total + torch.matmul(left, each.flatten(-3, -2)).to(torch.int64)
    if planes.looked_up is None:
        return total
    table, columns = m.get_buffer(f"table_{s.attrs['table']}"), columns.masked_fill(m.held(s, "left_out"), NOTHING)
    for begin in range(0, len(planes.looked_up), LOOKUP_TERMS):
        part = slice(begin, begin + LOOKUP_TERMS)
        entries = table[rows[..., part].unsqueeze(-1), columns[..., part, :].unsqueeze(-3)]
        total = total + entries.sum(-2).to(torch.int64)
    return total


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


def _parts(planes: Planes | ProductPlanes) -> list[tuple[int, int]]:
    return list(zip((0, *planes.ends[:-1]), planes.ends, strict=True)) if planes.f.shape[1] else []


def _table_sums(m: AtenProgram, s: Step, rows: torch.Tensor, groups: int) -> torch.Tensor:
    """Sum table entries over rows `(p, groups, k)`: int64 `(p, groups * n)`."""
    terms = rows.shape[2]
    table = m.get_buffer(f"table_{s.attrs['table']}")
    columns = m.held(s, "columns").to(torch.int64).reshape(groups, -1, terms)
    channels = columns.shape[1]
    width = max(1, LOOKUP_VALUES // (256 * groups * channels))
    total = torch.zeros((), dtype=torch.int64)
    for begin in range(0, terms, width):
        part = columns[:, :, begin : begin + width]
        entries = table[:, part]  # (256, groups, n, k)
        entries = entries.permute(1, 3, 0, 2).reshape(-1, channels)
        at = torch.arange(groups * part.shape[2]).reshape(groups, -1) * 256
        index = (rows[:, :, begin : begin + width] + at).reshape(-1, part.shape[2])
        total = total + functional.embedding_bag(index, entries, mode="sum").to(torch.int64)
    return total.reshape(-1, groups * channels)


def _quantise(m: AtenProgram, s: Step, x: torch.Tensor) -> torch.Tensor:
    level = (x.to(torch.float32) * m.held(s, "unit")).round().clamp(s.attrs["low"], s.attrs["high"])
    code: torch.Tensor = level * s.attrs["step"] + s.attrs["zero"]
    return code


def _max_pool(m: AtenProgram, s: Step, x: torch.Tensor) -> torch.Tensor:
    a = s.attrs
    padded = _padded(s, x.to(torch.float32), a["least"])
    pool: Callable[..., torch.Tensor] = _MAX_POOL[len(a["kernel"])]
    return pool(padded, a["kernel"], a["stride"], 0, a["dilation"])


def _pool_sum(m: AtenProgram, s: Step, x: torch.Tensor) -> torch.Tensor:
    level = _padded(s, x.to(torch.int64) - s.attrs["zero"], 0)
    return _windows(s, level).flatten(-len(s.attrs["kernel"])).sum(-1)


RULES: dict[str, Callable[..., torch.Tensor]] = {
    "conv": _conv, "linear": _linear, "matmul": _matmul, "function": _function, "pad": _pad, "constant": _constant,
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
