"""Layers from CSV files: matrix products by name, m, k, n, and SCALE-Sim's convolution topologies."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from axdnn.hardware.systolic import Ints
from axdnn.records.errors import InvalidInputError

SIZES = ("m", "k", "n", "groups")
TOPOLOGY = ("ifmap_h", "ifmap_w", "filt_h", "filt_w", "channels", "filters", "stride")
"""Columns of a topology after the layer's name, in SCALE-Sim's order."""
NAMED = {"layer": "name", "layer name": "name"}
"""Heads of SCALE-Sim's files for the names of layers."""
LARGEST = 2**31
MOST_FAULTS = 100


class GemmLayers(NamedTuple):
    """Layers as matrix products `(m x k) . (k x n)`, `groups` of them one after another; arrays of shape `(L,)`.

    `distinct_inputs` counts the different input values of one product, at most m * k.
    """

    names: tuple[str, ...]
    m: Ints
    k: Ints
    n: Ints
    groups: Ints
    distinct_inputs: Ints


def read_gemm_csv(path: str | os.PathLike[str]) -> GemmLayers:
    """Read matrix products from a CSV file with a head.

    Args:
        path: of a file with the columns name, m, k, n and, if wanted, groups (default 1), in any order and case.
            SCALE-Sim's files of products are read too: there the name's column is `Layer` and lines may end with a
            comma. Blank lines and lines that begin with `#` are passed over.

    Raises:
        InvalidInputError: the file cannot be read, or any line is wrong; all faults with their line numbers.
    """
    lines, faults = _lines(path)
    if not lines:
        raise _refusal(path, [*faults, "there must be a head `name,m,k,n[,groups]` and layers, but the file is empty"])
    (number, head), *rows = lines
    columns = [NAMED.get(cell.casefold(), cell.casefold()) for cell in _unended(head)]
    faults += [f"line {number}: {fault}" for fault in _head_faults(columns)]
    if faults:
        raise _refusal(path, faults)
    names: list[str] = []
    sizes: list[dict[str, int]] = []
    for number, written in rows:
        cells = _unended(written) if len(written) > len(columns) else written
        if len(cells) != len(columns):
            faults.append(f"line {number}: {','.join(columns)} must stand here, but got {len(cells)} cells")
            continue
        row = dict(zip(columns, cells, strict=True))
        names.append(_name(row["name"], number, faults))
        sizes.append({key: _size(row.get(key, "1"), key, number, faults) for key in SIZES})
    _require_rows(path, names, faults)
    m, k, n, groups = (np.array([row[key] for row in sizes], dtype=np.int64) for key in SIZES)
    return GemmLayers(tuple(names), m, k, n, groups, m * k)


def read_topology_csv(path: str | os.PathLike[str]) -> GemmLayers:
    """Read convolutions from a topology of SCALE-Sim, as that tool reads them: no padding, one stride.

    The output has `ceil((ifmap - filter + stride) / stride)` places an axis, the last of which may stick out. A layer
    whose name holds `DP` is one product for each channel; any other "depthwise" one is an ordinary convolution.

    Args:
        path: of a file with the columns name, ifmap height and width, filter height and width, channels, filters,
            stride and, if wanted, a sparsity that must be 1:1. A head, blank lines, lines that begin with `#` and a
            comma at the end are passed over.

    Raises:
        InvalidInputError: the file cannot be read, or any line is wrong; all faults with their line numbers.
    """
    lines, faults = _lines(path)
    if lines and not any(re.fullmatch(r"[+-]?[\d.]+", cell) for cell in lines[0][1][1:]):
        del lines[0]
    names: list[str] = []
    sizes: list[list[int]] = []
    for number, cells in lines:
        row = _unended(cells)
        if len(row) == len(TOPOLOGY) + 2 and row[-1] == "1:1":
            row = row[:-1]
        if len(row) != len(TOPOLOGY) + 1:
            wanted = ",".join(("name", *TOPOLOGY))
            faults.append(f"line {number}: {wanted} and no sparsity but 1:1 must stand here, got {len(row)} cells")
            continue
        names.append(_name(row[0], number, faults))
        sizes.append([_size(cell, key, number, faults) for key, cell in zip(TOPOLOGY, row[1:], strict=True)])
        height, width, high, wide = sizes[-1][:4]
        if high > height or wide > width:
            faults.append(f"line {number}: the filter {high}x{wide} must fit the ifmap {height}x{width}")
    _require_rows(path, names, faults)
    return _unfolded(tuple(names), np.array(sizes, dtype=np.int64).T)


def _unfolded(names: tuple[str, ...], shapes: Ints) -> GemmLayers:
    """Matrix products of convolutions; `shapes` has a row for each of `TOPOLOGY`."""
    height, width, high, wide, channels, filters, stride = shapes
    depthwise = np.array(["DP" in name for name in names])
    groups, channels = np.where(depthwise, channels, 1), np.where(depthwise, 1, channels)
    down, across = (-(-(size - window + stride) // stride) for size, window in ((height, high), (width, wide)))
    touched = _touched(height, high, stride, down) * _touched(width, wide, stride, across)
    return GemmLayers(names, down * across, high * wide * channels, filters, groups, touched * channels)


def _touched(size: Ints, window: Ints, stride: Ints, places: Ints) -> Ints:
    """Values along an axis that any window covers; the last window may stick out."""
    last = (places - 1) * stride
    apart = (places - 1) * window + np.clip(size - last, 0, window)
    return np.asarray(np.where(stride < window, np.minimum(size, last + window), apart))


def _lines(path: str | os.PathLike[str]) -> tuple[list[tuple[int, list[str]]], list[str]]:
    """Line numbers with stripped cells, without comments and blank lines, and the faults of lines that are no CSV."""
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"cannot read the layers in {os.fspath(path)}: {error}") from error
    found: list[tuple[int, list[str]]] = []
    faults: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip(" \t,") or line.lstrip().startswith("#"):
            continue
        try:
            found += [(number, [cell.strip() for cell in row]) for row in _parsed(line)]
        except csv.Error as error:
            faults.append(f"line {number}: {error}")
    return found, faults


def _unended(cells: list[str]) -> list[str]:
    """Cells of a line without the empty one after a comma at its end."""
    return cells[:-1] if cells[-1] == "" else cells


def _parsed(line: str) -> Iterator[list[str]]:
    yield from csv.reader([line], strict=True, skipinitialspace=True)


def _head_faults(columns: Sequence[str]) -> list[str]:
    allowed = ("name", *SIZES)
    unknown = [name for name in columns if name not in allowed]
    missing = [name for name in allowed[:-1] if name not in columns]
    twice = sorted({name for name in columns if columns.count(name) > 1 and name in allowed})
    faults = []
    if unknown:
        faults.append(f"unknown columns {', '.join(map(repr, unknown))}; allowed: {', '.join(allowed)}")
    if missing:
        faults.append(f"columns {', '.join(missing)} are missing; required: name, m, k, n")
    if twice:
        faults.append(f"columns {', '.join(twice)} must stand once")
    return faults


def _name(cell: str, line: int, faults: list[str]) -> str:
    if not cell:
        faults.append(f"line {line}: `name` must not be empty")
    return cell


def _size(cell: str, key: str, line: int, faults: list[str]) -> int:
    """Return a size; where it is none, note the fault and return 1."""
    if re.fullmatch(r"\+?[0-9]{1,20}", cell) and 1 <= int(cell) <= LARGEST:
        return int(cell)
    shown = cell if len(cell) <= 24 else f"{cell[:20]}..."
    faults.append(f"line {line}: `{key}` must be a whole number in 1..2^31, but got {shown!r}")
    return 1


def _require_rows(path: str | os.PathLike[str], names: Sequence[str], faults: list[str]) -> None:
    if faults or not names:
        raise _refusal(path, faults or ["there must be at least one layer, but there is none"])


def _refusal(path: str | os.PathLike[str], faults: Sequence[str]) -> InvalidInputError:
    more = f"; and {len(faults) - MOST_FAULTS} more" if len(faults) > MOST_FAULTS else ""
    return InvalidInputError(f"{os.fspath(path)}: {'; '.join(faults[:MOST_FAULTS])}{more}")
