"""Constants of in-memory computing, read from `data/*.csv`: one number a row, with unit, node, voltage and source."""

from __future__ import annotations

import csv
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import NamedTuple

from axdnn.records import unknown_name

TABLES = ("adc_survey", "gates_28nm", "sar_adc", "voltage_fits")
"""Names of the tables."""


class Constant(NamedTuple):
    """A number and where it comes from; `node_nm` and `voltage_v` are empty where they do not matter."""

    name: str
    value: float
    unit: str
    node_nm: str
    voltage_v: str
    source: str


@cache
def constants(table: str) -> MappingProxyType[str, Constant]:
    """Rows of a table by name, in the order of the file.

    Raises:
        UnknownNameError: no such table.
    """
    if table not in TABLES:
        raise unknown_name("table of constants", table, TABLES)
    path = resources.files("axdnn.hardware.imc") / "data" / f"{table}.csv"
    rows = csv.DictReader(path.read_text(encoding="utf-8").splitlines())
    read = [Constant(r["name"], float(r["value"]), r["unit"], r["node_nm"], r["voltage_v"], r["source"]) for r in rows]
    return MappingProxyType({row.name: row for row in read})


@cache
def values(table: str) -> MappingProxyType[str, float]:
    """Values of a table by name."""
    return MappingProxyType({name: row.value for name, row in constants(table).items()})
