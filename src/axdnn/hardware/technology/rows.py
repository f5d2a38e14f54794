"""The tables behind every model: one row a number, with unit, node, voltage, source and how far it is trusted."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable
from functools import cache
from importlib import resources
from typing import Literal, NamedTuple, cast, get_args

import numpy as np
import numpy.typing as npt

from axdnn.records import InvalidInputError, unknown_name

Floats = npt.NDArray[np.float64]
Trust = Literal["run", "source", "memory", "assumption"]
TABLES = ("nodes", "voltage", "sram", "dram", "arithmetic", "interconnect")
"""Files of `data/`, one for each model."""

_PJ, _FJ = 1e-12, 1e-15
UNITS = {
    "1": 1.0,
    "relative": 1.0,
    "V": 1.0,
    "1/V": 1.0,
    "ns": 1e-9,
    "GB/s": 1e9,
    "uW": 1e-6,
    "mW": 1e-3,
    "pJ": _PJ,
    "pJ/B": _PJ,
    "pJ/bit": _PJ,
    "pJ/64bit": _PJ / 64,
    "pJ/128bit": _PJ / 128,
    "pJ/256bit": _PJ / 256,
    "fJ/bit": _FJ,
    "fJ/bit/mm": _FJ / 1e-3,
    "uW/(B/cycle) at 1 GHz": 1e-6 / 1e9,
    "um2": 1e-12,
    "um2/bit": 1e-12,
    "mm2": 1e-6,
    "mm2/MiB": 1e-6 / 2**20,
}
"""Unit of a row -> factor to SI; `pJ/64bit` and its like become joules per bit, `.../B` joules per byte."""


class Row(NamedTuple):
    """One number of the library.

    Attributes:
        set: the design, tool or law that the number belongs to; numbers of different sets are never mixed silently.
        name: what it is, unique within set and node.
        value: as the source prints it, in `unit`.
        unit: key of `UNITS`.
        node_nm: technology node, NaN where it has none or the source states none.
        voltage_v: supply at which it holds, NaN where the source states none.
        source: where it comes from.
        trust: `run`: computed by us from data we hold. `source`: read in the named file or page. `memory`: a textbook
            or paper value that was not looked up. `assumption`: ours.
    """

    set: str
    name: str
    value: float
    unit: str
    node_nm: float
    voltage_v: float
    source: str
    trust: Trust

    @property
    def si(self) -> float:
        """The value in SI units."""
        return self.value * UNITS[self.unit]


def _read_row(entry: dict[str, str], at: str) -> Row:
    """Check one line of a table."""
    try:
        value, node, volt = (float(entry[key] or "nan") for key in ("value", "node_nm", "voltage_v"))
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidInputError(f"{at}: value, node_nm and voltage_v must be numbers, but got {entry}") from error
    if not math.isfinite(value):
        raise InvalidInputError(f"{at}: `value` must be a finite number, but got {entry['value']!r}")
    for key, allowed in (("unit", tuple(UNITS)), ("trust", get_args(Trust))):
        if entry[key] not in allowed:
            raise InvalidInputError(f"{at}: `{key}` must be one of {', '.join(allowed)}, but got {entry[key]!r}")
    if not (entry["source"] or "").strip():
        raise InvalidInputError(f"{at}: `source` must say where the value comes from, but it is empty")
    trust = cast(Trust, entry["trust"])
    return Row(entry["set"], entry["name"], value, entry["unit"], node, volt, entry["source"], trust)


def read_rows(lines: Iterable[str], where: str) -> tuple[Row, ...]:
    """Read the lines of a table; `where` names it in errors.

    Raises:
        InvalidInputError: a value that is no number, an unknown unit or trust, no source, or a row given twice.
    """
    rows: dict[tuple[str, str, str], Row] = {}
    for number, entry in enumerate(csv.DictReader(lines), start=2):
        row = _read_row(entry, f"{where}, line {number}")
        key = (row.set, row.name, entry["node_nm"])
        if key in rows:
            raise InvalidInputError(
                f"{where}, line {number}: {key} stands in the table twice; give each number one row"
            )
        rows[key] = row
    return tuple(rows.values())


@cache
def table(name: str) -> tuple[Row, ...]:
    """Rows of one table in the order of its file.

    Raises:
        UnknownNameError: not one of `TABLES`.
    """
    if name not in TABLES:
        raise unknown_name("table", name, TABLES)
    text = (resources.files("axdnn.hardware.technology") / "data" / f"{name}.csv").read_text(encoding="utf-8")
    return read_rows(text.splitlines(), f"{name}.csv")


def parameters() -> tuple[Row, ...]:
    """Every row of every table: set, name, value, unit, node, voltage, source and trust."""
    return tuple(row for name in TABLES for row in table(name))


@cache
def sets(name: str) -> dict[str, dict[str, Row]]:
    """Rows of a table by set and name; of a set with several nodes, the last one of each name."""
    found: dict[str, dict[str, Row]] = {}
    for row in table(name):
        found.setdefault(row.set, {})[row.name] = row
    return found


def pick(kind: str, name: str, known: Iterable[str]) -> str:
    """Return `name` if it is among the known ones.

    Raises:
        UnknownNameError: it is not; the message names the kind and the nearest.
    """
    names = list(known)
    if name not in names:
        raise unknown_name(kind, name, names, "`axdnn.hardware.technology.parameters()` lists every set")
    return name


def checked(label: str, values: npt.ArrayLike, low: float, high: float, unit: str, what_to_do: str = "") -> Floats:
    """Values as an array of floats, all finite and in `low..high`.

    Args:
        label: of the argument, in errors.
        values: a number or an array of any shape.
        low: least value allowed.
        high: greatest value allowed.
        unit: of the values, in errors.
        what_to_do: end of the message.

    Raises:
        InvalidInputError: a value outside or not finite; names the range and the first such value.
    """
    array = np.asarray(values, dtype=np.float64)
    # Ends may come out of a logarithm or a sum: one part in 10^12 is no violation.
    fine = np.isfinite(array) & (array >= low - 1e-12 * abs(low)) & (array <= high + 1e-12 * abs(high))
    if not fine.all():
        first = np.atleast_1d(array)[~np.atleast_1d(fine)][0]
        tail = f"; {what_to_do}" if what_to_do else ""
        raise InvalidInputError(f"`{label}` must be in {low:g}..{high:g} {unit}, but got {first:g}{tail}")
    return array


def log_interpolate(x: Floats, points_x: Floats, points_y: Floats) -> Floats:
    """Interpolate along the last axis of `points_y`, straight lines between logarithms.

    Args:
        x: shape S, within the points.
        points_x: shape (n,), increasing.
        points_y: shape S + (n,) or (n,), above 0.

    Returns:
        Shape S.
    """
    logs, at = np.log(points_x), np.log(x)
    values = np.broadcast_to(np.log(points_y), (*x.shape, points_x.size))
    if points_x.size == 1:
        return np.asarray(np.exp(values[..., 0]))
    left = np.clip(np.searchsorted(logs, at, side="right") - 1, 0, points_x.size - 2)
    share = (at - logs[left]) / (logs[left + 1] - logs[left])
    low = np.take_along_axis(values, left[..., None], -1)[..., 0]
    high = np.take_along_axis(values, left[..., None] + 1, -1)[..., 0]
    return np.asarray(np.exp(low + share * (high - low)))
