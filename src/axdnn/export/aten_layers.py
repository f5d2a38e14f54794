"""Layers in plain torch operators: sums of table entries as float64 products of looked-up operands."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from axdnn.export.planes import NOTHING, Planes, ProductPlanes
from axdnn.export.program import Step

if TYPE_CHECKING:
    from axdnn.export.aten import AtenProgram

LOOKUP_VALUES = 1 << 24  # entries of a table of columns that are held at once
LOOKUP_TERMS = 16  # terms of a product of activations whose entries are held at once
_CONV = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}


def _rows(s: Step, x: torch.Tensor) -> torch.Tensor:
    return x.to(torch.int64) + (128 if x.dtype == torch.int8 else 0)


def padded(s: Step, x: torch.Tensor, fill: float) -> torch.Tensor:
    """Return a value with the border of a window around it."""
    pads, dims = s.attrs["pads"], len(s.attrs["kernel"])
    if not any(pads):
        return x
    return functional.pad(x, [pads[i + side] for i in reversed(range(dims)) for side in (0, dims)], value=fill)


def windows(s: Step, x: torch.Tensor) -> torch.Tensor:
    """Return `(b, ..., *sizes)` as `(b, ..., *out_sizes, *kernel)`."""
    dims = len(s.attrs["kernel"])
    first = x.dim() - dims
    for i, (k, step, d) in enumerate(zip(s.attrs["kernel"], s.attrs["stride"], s.attrs["dilation"], strict=True)):
        x = x.unfold(first + i, d * (k - 1) + 1, step)[..., ::d]
    return x


def sums_of_conv(m: AtenProgram, s: Step, x: torch.Tensor) -> torch.Tensor:
    """Return the sums of a convolution of codes."""
    a, planes, groups = s.attrs, m.planes[s.output], s.attrs["groups"]
    rows = padded(s, _rows(s, x), a["zero"] + (128 if x.dtype == torch.int8 else 0))
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
        views = windows(s, rows).movedim((1, 2), (-2 - len(sizes), -1 - len(sizes)))
        sums = _table_sums(m, s, views.reshape(-1, groups, math.prod(s.arrays["w"].shape[1:])), groups)
        total = total + sums.reshape(-1, *s.shape[2:], s.shape[1]).movedim(-1, 1)
    return total if planes.f.size or planes.columns is not None else total.expand(x.shape[0], *s.shape[1:])


def sums_of_linear(m: AtenProgram, s: Step, x: torch.Tensor) -> torch.Tensor:
    """Return the sums of a linear layer on codes."""
    rows, planes, total = _rows(s, x), m.planes[s.output], m.held(s, "constant")
    for begin, end in _parts(planes):
        looked = m.held(s, "f")[:, rows[..., begin:end]].movedim(0, -2)
        weights = m.held(s, "g")[:, :, begin:end].flatten(1)
        total = total + torch.matmul(looked.flatten(-2), weights.T).to(torch.int64)
    if planes.columns is not None:
        sums = _table_sums(m, s, rows.reshape(-1, 1, x.shape[-1]), 1)
        total = total + sums.reshape(*x.shape[:-1], s.shape[-1])
    return total if planes.f.size or planes.columns is not None else total.expand(*x.shape[:-1], s.shape[-1])


def sums_of_matmul(m: AtenProgram, s: Step, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Return the sums of a product of two activations; both are looked up."""
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
