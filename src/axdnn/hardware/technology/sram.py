"""SRAM macros from a CACTI 7 sweep: power laws of size for every node and port width, and what their fit misses.

Every quantity is `a (size / 32 kB)^beta`, fitted to logarithms over 2 kB to 4 MB at 22, 32, 45 and 65 nm with ports of
64 and 256 bits (one bank, low-standby-power cells, 300 K). Between nodes and ports values are interpolated along
logarithms. Measured and published memories of other designs are in `sram_families`; the two are never mixed.
"""

from __future__ import annotations

from functools import cache
from typing import Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

from axdnn.hardware.technology.rows import Floats, checked, log_interpolate, pick, sets, table
from axdnn.records import InvalidInputError

Quantity = Literal["read", "write", "area", "access", "leakage"]
REFERENCE_BYTES = 32 * 1024
LEAST_BYTES, MOST_BYTES = 2 * 1024, 4096 * 1024
NODES_NM = (22, 32, 45, 65)
PORTS_BITS = (64, 256)


class Sram(NamedTuple):
    """One macro, arrays of the arguments' shape.

    Attributes:
        read_j_b, write_j_b: energy of a byte, in accesses of the whole port.
        area_m2: of the macro.
        access_s: time of a read.
    """

    read_j_b: Floats
    write_j_b: Floats
    area_m2: Floats
    access_s: Floats


@cache
def _fits(quantity: str) -> tuple[Floats, Floats, Floats]:
    """Coefficient a (SI), exponent, and worst deviation, each of shape (ports, nodes)."""
    pick("SRAM quantity", quantity, get_args(Quantity))
    value = {(row.set, row.name, row.node_nm): row.si for row in table("sram")}

    def columns(name: str) -> Floats:
        key = f"{quantity}_{name}"
        return np.array([[value[f"cacti_{port}b", key, float(node)] for node in NODES_NM] for port in PORTS_BITS])

    return columns("a"), columns("beta"), columns("worst")


def sram_fit_deviation(quantity: Quantity, node_nm: int, port_bits: int = 64) -> float:
    """Relative deviation of a fit at its worst point of the sweep, with its sign; 0.37 = the fit is 37 % above.

    Args:
        quantity: `read`, `write` (energy), `area`, `access` (time) or `leakage`.
        node_nm: 22, 32, 45 or 65.
        port_bits: 64 or 256.

    Raises:
        InvalidInputError: a node or port that was not swept.
    """
    worst = _fits(quantity)[2]
    for label, given, known in (("node_nm", node_nm, NODES_NM), ("port_bits", port_bits, PORTS_BITS)):
        if given not in known:
            raise InvalidInputError(f"`{label}` must be one of {', '.join(map(str, known))}, but got {given}")
    return float(worst[PORTS_BITS.index(port_bits), NODES_NM.index(node_nm)])


def _evaluate(quantity: Quantity, size: Floats, node: Floats, port: Floats) -> Floats:
    """A quantity at sizes, nodes and ports within the sweep, all of one shape."""
    a, beta, _ = _fits(quantity)
    by_port_node = a * (size[..., None, None] / REFERENCE_BYTES) ** beta
    nodes, ports = np.array(NODES_NM, np.float64), np.array(PORTS_BITS, np.float64)
    by_port = [log_interpolate(node, nodes, by_port_node[..., i, :]) for i in range(ports.size)]
    return log_interpolate(port, ports, np.stack(by_port, axis=-1))


def _inside(
    size_bytes: npt.ArrayLike, node_nm: npt.ArrayLike, port_bits: npt.ArrayLike, least_nm: float
) -> tuple[Floats, Floats, Floats]:
    advice = "join or split banks, or take a memory of `sram_families`"
    nodes = "take a family of `sram_families`, or `extrapolate=True` for a node below 22 nm"
    size = checked("size_bytes", size_bytes, LEAST_BYTES, MOST_BYTES, "bytes", advice)
    node = checked("node_nm", node_nm, least_nm, NODES_NM[-1], "nm", nodes)
    port = checked("port_bits", port_bits, PORTS_BITS[0], PORTS_BITS[-1], "bits")
    size, node, port = (np.asarray(x) for x in np.broadcast_arrays(size, node, port))
    return size, node, port


def cacti_sram(
    size_bytes: npt.ArrayLike, node_nm: npt.ArrayLike, port_bits: npt.ArrayLike = 64, extrapolate: bool = False
) -> Sram:
    """Energy, area and access time of a macro; all arguments broadcast.

    Args:
        size_bytes: of the macro, 2 kB to 4 MB (kB = 1024 bytes).
        node_nm: 22..65, with `extrapolate` 5..65.
        port_bits: 64..256.
        extrapolate: below 22 nm, energy goes on with the square root of the node, area and time linearly
            (hwcomponents' rule). Not checked against silicon: published 7 nm memories take about 4 x this energy.

    Raises:
        InvalidInputError: an argument outside the sweep.
    """
    size, node, port = _inside(size_bytes, node_nm, port_bits, 5 if extrapolate else NODES_NM[0])
    swept = np.maximum(node, NODES_NM[0])
    below = sets("sram")["below_22"]

    def value(quantity: Quantity, rule: str) -> Floats:
        return np.asarray(_evaluate(quantity, size, swept, port) * (node / swept) ** below[f"{rule}_exponent"].si)

    return Sram(value("read", "energy"), value("write", "energy"), value("area", "area"), value("access", "access"))


def sram_leakage_w(
    size_bytes: npt.ArrayLike, leakage_w_b: npt.ArrayLike, leakage_factor: npt.ArrayLike = 1.0
) -> Floats:
    """Leakage power of memories: bytes x watts per byte x the factor of an `OperatingPoint`.

    Cells and temperature decide leakage over orders of magnitude, so the density is the caller's to give and has no
    default; `lstp_leakage_w` is the lower end.

    Raises:
        InvalidInputError: a negative argument.
    """
    size, density, factor = (
        checked(label, values, 0, np.inf, unit)
        for label, values, unit in (
            ("size_bytes", size_bytes, "bytes"),
            ("leakage_w_b", leakage_w_b, "W/B"),
            ("leakage_factor", leakage_factor, "times nominal"),
        )
    )
    return np.asarray(size * density * factor)


def lstp_leakage_w(size_bytes: npt.ArrayLike, node_nm: npt.ArrayLike, port_bits: npt.ArrayLike = 64) -> Floats:
    """Leakage of the swept macros: low-standby-power cells at 300 K, watts. A lower end, not monotone in the node.

    High-performance cells at 360 K leak orders of magnitude more. Arguments as of `cacti_sram`.
    """
    return _evaluate("leakage", *_inside(size_bytes, node_nm, port_bits, NODES_NM[0]))
