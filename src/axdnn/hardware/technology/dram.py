"""Main memories by name: energy per bit and, where known, bandwidth."""

from __future__ import annotations

import math
from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from axdnn.hardware.technology.rows import Floats, checked, pick, sets
from axdnn.records import InvalidInputError


class DramType(NamedTuple):
    """One memory of one source.

    Attributes:
        name: of the type.
        read_j_bit, write_j_bit: typical energy, interface included where the source includes it.
        low_j_bit, high_j_bit: range of the source; both are the typical value where it gives none.
        bandwidth_b_s: of the chip's whole memory, NaN where the source gives none.
        source: where the energy comes from.
    """

    name: str
    read_j_bit: float
    write_j_bit: float
    low_j_bit: float
    high_j_bit: float
    bandwidth_b_s: float
    source: str


class DramTraffic(NamedTuple):
    """Energy of a transfer, and its time at full bandwidth without latency."""

    energy_j: Floats
    time_s: Floats


def list_dram_types() -> list[str]:
    """Names of the memories, sorted."""
    return sorted(sets("dram"))


@cache
def dram_type(name: str) -> DramType:
    """A memory by name. A source that gives only a range is represented by its geometric middle.

    Raises:
        UnknownNameError: no such memory.
    """
    rows = sets("dram")[pick("DRAM type", name, list_dram_types())]
    value = {key: row.si for key, row in rows.items()}
    if "low" in value:
        middle = math.sqrt(value["low"] * value["high"])
        read, write, low, high = middle, middle, value["low"], value["high"]
    else:
        read = value.get("read", value.get("access", math.nan))
        write = value.get("write", read)
        low, high = min(read, write), max(read, write)
    energy = next(row for key, row in rows.items() if key != "bandwidth")
    return DramType(name, read, write, low, high, value.get("bandwidth", math.nan), energy.source)


def dram_traffic(
    name: str,
    read_bytes: npt.ArrayLike,
    write_bytes: npt.ArrayLike = 0.0,
    bandwidth_b_s: npt.ArrayLike | None = None,
) -> DramTraffic:
    """Energy and least time of moving bytes; the arguments broadcast. Core voltage does not matter to it.

    Args:
        name: of `list_dram_types`.
        read_bytes: at least 0.
        write_bytes: at least 0.
        bandwidth_b_s: bytes per second, above 0; none = that of the type.

    Raises:
        UnknownNameError: no such memory.
        InvalidInputError: a negative number, or the type has no bandwidth and none was given.
    """
    of = dram_type(name)
    read, write = (
        checked(label, values, 0, math.inf, "bytes")
        for label, values in (("read_bytes", read_bytes), ("write_bytes", write_bytes))
    )
    bandwidth = np.asarray(of.bandwidth_b_s if bandwidth_b_s is None else bandwidth_b_s, dtype=np.float64)
    if np.isnan(bandwidth).any():
        raise InvalidInputError(f"the source of {name!r} states no bandwidth; give `bandwidth_b_s`")
    if not (bandwidth > 0).all():
        raise InvalidInputError(f"`bandwidth_b_s` must be above 0, but got {bandwidth}")
    energy = 8 * (read * of.read_j_bit + write * of.write_j_bit)
    return DramTraffic(np.asarray(energy), np.asarray((read + write) / bandwidth))
