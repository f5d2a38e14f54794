"""Memories of published designs, each a family of its own points: energies hold for that design and are never mixed.

A family gives energy per byte at the sizes its source names, interpolated between them along logarithms and refused
outside. Families of one size (`vmem_7`, `cmem_7`) answer for that size only.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from axdnn.hardware.technology.nodes import node_energy_factor
from axdnn.hardware.technology.rows import Floats, checked, log_interpolate, pick, sets
from axdnn.hardware.technology.sram import cacti_sram
from axdnn.records import InvalidInputError

_PER_BIT = ("pJ/64bit", "pJ/bit")


class SramFamily(NamedTuple):
    """The points of one design, by rising size.

    Attributes:
        name: of the family.
        node_nm: of the design.
        sizes_bytes: shape (n,).
        read_j_b, write_j_b: energy per byte at those sizes; writes are as reads where the source lists none apart.
        area_m2_b: area per byte, NaN where the source gives none.
        source: where it comes from.
    """

    name: str
    node_nm: float
    sizes_bytes: Floats
    read_j_b: Floats
    write_j_b: Floats
    area_m2_b: float
    source: str


def list_sram_families() -> list[str]:
    """Names of the families, sorted."""
    return sorted(name for name in sets("sram") if not name.startswith(("cacti_", "below_")))


@cache
def sram_family(name: str) -> SramFamily:
    """A family by name.

    Raises:
        UnknownNameError: no such family.
    """
    rows = sets("sram")[pick("SRAM family", name, list_sram_families())]

    def points(action: str) -> dict[int, float]:
        found = {}
        for key, row in rows.items():
            if key.startswith(f"{action}_"):
                size = 1024 * int(key.removeprefix(f"{action}_").removesuffix("kB"))
                found[size] = row.si * (8 if row.unit in _PER_BIT else 1)
        return dict(sorted(found.items()))

    reads = points("read")
    writes = points("write") or reads
    first = next(iter(rows.values()))
    area = rows["area"].si if "area" in rows else float("nan")
    return SramFamily(
        name,
        first.node_nm,
        np.array(list(reads), np.float64),
        np.array(list(reads.values())),
        np.array([writes[size] for size in reads]),
        area,
        first.source,
    )


def sram_family_j_b(family: str, size_bytes: npt.ArrayLike, write: bool = False) -> Floats:
    """Energy per byte of a memory of a family.

    Args:
        family: name of `list_sram_families`.
        size_bytes: of the macro, between the family's smallest and largest.
        write: energy of a write instead of a read.

    Raises:
        UnknownNameError: no such family.
        InvalidInputError: a size outside the family.
    """
    of = sram_family(family)
    low, high = of.sizes_bytes[0], of.sizes_bytes[-1]
    size = checked("size_bytes", size_bytes, low, high, f"bytes for {family!r}", "take a family that has this size")
    return log_interpolate(size, of.sizes_bytes, of.write_j_b if write else of.read_j_b)


class SramSpread(NamedTuple):
    """How far sources differ on reads of one size at one node: factor, and joules per byte by family."""

    factor: float
    read_j_b: dict[str, float]


def sram_disagreement(size_bytes: float, node_nm: float) -> SramSpread:
    """Reads of one size by every family that has it and by the CACTI fit (64-bit port), brought to one node.

    CACTI is taken at the node, extrapolated below 22 nm; families are scaled by `node_energy_factor` at 0.8 V, so part
    of the factor is scaling. A comparison only; no model should mix these.

    Raises:
        InvalidInputError: no source has the size at the node, or the node is outside 7..65 nm.
    """
    node = float(checked("node_nm", node_nm, 7, 65, "nm"))
    found = {}
    for name in list_sram_families():
        of = sram_family(name)
        if of.sizes_bytes[0] <= size_bytes <= of.sizes_bytes[-1]:
            factor = node_energy_factor(of.node_nm, node)
            found[name] = float(sram_family_j_b(name, size_bytes) * factor)
    try:
        found["cacti"] = float(cacti_sram(size_bytes, node, extrapolate=True).read_j_b)
    except InvalidInputError:
        if not found:
            raise
    return SramSpread(max(found.values()) / min(found.values()), found)
