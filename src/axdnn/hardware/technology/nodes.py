"""Energy, area and delay from one technology node to another (Stillmaker & Baas, Integration 58, 2017).

`ENERGY_BY_NODE_NM` is the short table that Accelergy and hwcomponents use, at 0.8 V. It takes low-power curves at 45
and 32 nm and high-performance ones below, so its step from 32 to 20 nm belongs to neither: 3.0 x, where high
performance has 2.3 x and low power 3.7 x. `node_energy_factor` keeps to one flavour and knows the voltage of both ends.
The published curves are not always ordered as nodes are: at 0.8 V the high-performance gate is 1.2 x slower at 20 than
at 32 nm, and the low-power gate at 45 nm is 3.5 x slower than the one curve at 65 nm.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from axdnn.hardware.technology.rows import Floats, checked, log_interpolate, pick, table
from axdnn.records import InvalidInputError

Flavour = Literal["hp", "lp"]
REFERENCE_V = 0.8
"""Voltage of the short table; every curve of both flavours reaches it."""


def _column(name: str) -> dict[int, float]:
    return {int(row.node_nm): row.si for row in table("nodes") if row.set == name}


ENERGY_BY_NODE_NM = _column("mixed")
"""Dynamic energy relative to 45 nm at 0.8 V, flavours mixed."""
FULL_AREA_BY_NODE_NM = _column("area")
"""Area relative to 45 nm, every node of the source."""
AREA_BY_NODE_NM = {node: FULL_AREA_BY_NODE_NM[node] for node in (45, 32, 16, 7)}
"""Area relative to 45 nm: the four nodes that the shipped accelerators were scaled with. At 28 nm it gives 5 % more
than the full table."""


def node_factor(by_node: Mapping[int, float], from_nm: npt.ArrayLike, to_nm: npt.ArrayLike) -> Floats:
    """Factor from one technology node to another: log-log interpolation in `by_node`.

    Args:
        by_node: node in nm -> value above 0.
        from_nm: node of the number to scale; a number or an array.
        to_nm: node wanted; broadcasts with `from_nm`.

    Raises:
        InvalidInputError: a node outside the table.
    """
    nodes = sorted(by_node)
    ends = np.broadcast_arrays(np.asarray(from_nm, np.float64), np.asarray(to_nm, np.float64))
    for end in ends:
        outside = ~((end >= nodes[0]) & (end <= nodes[-1]))
        if outside.any():
            first = np.atleast_1d(end)[np.atleast_1d(outside)][0]
            raise InvalidInputError(f"{nodes[0]} <= node <= {nodes[-1]} nm must hold, but got {first:g}")
    logs = [np.interp(np.log(end), np.log(nodes), np.log([by_node[n] for n in nodes])) for end in ends]
    return np.asarray(np.exp(logs[1] - logs[0]), dtype=np.float64)


class _Curves(NamedTuple):
    """Polynomials in volts of every node, highest power first, and the voltages between which they may be used."""

    nodes_nm: Floats
    energy: Floats
    delay: Floats
    low_v: Floats
    high_v: Floats


@cache
def _curves(flavour: str) -> _Curves:
    pick("flavour", flavour, ("hp", "lp"))
    values = {(row.name, row.node_nm): row.si for row in table("nodes") if row.set == flavour}
    nodes = sorted({node for _, node in values})

    def columns(*names: str) -> Floats:
        return np.array([[values[name, node] for node in nodes] for name in names])

    return _Curves(
        np.array(nodes),
        columns("energy_v2", "energy_v1", "energy_v0"),
        columns("delay_v3", "delay_v2", "delay_v1", "delay_v0"),
        columns("low_v")[0],
        columns("high_v")[0],
    )


def voltage_range_v(node_nm: npt.ArrayLike, flavour: Flavour = "hp") -> tuple[Floats, Floats]:
    """Lowest and highest voltage the curves may be asked for at a node, those of both neighbours between nodes.

    Raises:
        InvalidInputError: a node outside 7..130 nm.
        UnknownNameError: another flavour than `hp` (high performance) or `lp` (low power).
    """
    curves = _curves(flavour)
    node = checked("node_nm", node_nm, curves.nodes_nm[0], curves.nodes_nm[-1], "nm")
    right = np.clip(np.searchsorted(curves.nodes_nm, node), 0, curves.nodes_nm.size - 1)
    left = np.where(curves.nodes_nm[right] == node, right, right - 1)
    low = np.maximum(curves.low_v[left], curves.low_v[right])
    return np.asarray(low), np.asarray(np.minimum(curves.high_v[left], curves.high_v[right]))


def _at(coefficients: Floats, node_nm: npt.ArrayLike, voltage_v: npt.ArrayLike, flavour: Flavour) -> Floats:
    """Value of the polynomials at a node and voltage, interpolated between nodes; checks both."""
    node, volt = np.broadcast_arrays(np.asarray(node_nm, np.float64), np.asarray(voltage_v, np.float64))
    low, high = voltage_range_v(node, flavour)
    outside = (volt < low) | (volt > high)
    if outside.any():
        where = np.argwhere(np.atleast_1d(outside))[0]
        n, v, a, b = (np.atleast_1d(x)[tuple(where)] for x in (node, volt, low, high))
        raise InvalidInputError(
            f"the {flavour} curves at {n:g} nm hold for {a:g}..{b:g} V, but got {v:g} V; scale to a voltage inside and "
            "from there with `operating_point`"
        )
    nodes = _curves(flavour).nodes_nm
    powers = np.arange(len(coefficients) - 1, -1, -1)
    terms = coefficients * volt[..., None, None] ** powers[:, None]
    # Only the neighbours of a node are read, and the voltage is in their range; others may not be above 0 there.
    return log_interpolate(node, nodes, np.maximum(terms.sum(axis=-2), 1e-300))


def node_energy_factor(
    from_nm: npt.ArrayLike,
    to_nm: npt.ArrayLike,
    from_v: npt.ArrayLike = REFERENCE_V,
    to_v: npt.ArrayLike = REFERENCE_V,
    flavour: Flavour = "hp",
) -> Floats:
    """Dynamic energy of a circuit at the second node and voltage over that at the first.

    Args:
        from_nm: node of the known energy, 7..130 nm; all arguments broadcast.
        to_nm: node wanted.
        from_v: supply of the known energy; `voltage_range_v` says what is allowed.
        to_v: supply wanted.
        flavour: `hp` (high performance) or `lp` (low power); 65 nm and above have one curve.

    Raises:
        InvalidInputError: a node or voltage outside the curves.
    """
    curve = _curves(flavour).energy
    return np.asarray(_at(curve, to_nm, to_v, flavour) / _at(curve, from_nm, from_v, flavour))


def node_delay_factor(
    from_nm: npt.ArrayLike,
    to_nm: npt.ArrayLike,
    from_v: npt.ArrayLike = REFERENCE_V,
    to_v: npt.ArrayLike = REFERENCE_V,
    flavour: Flavour = "hp",
) -> Floats:
    """Gate delay at the second node and voltage over that at the first; arguments as of `node_energy_factor`.

    Gates only: wires do not shrink their delay with the node, so a real design gains less.
    """
    curve = _curves(flavour).delay
    return np.asarray(_at(curve, to_nm, to_v, flavour) / _at(curve, from_nm, from_v, flavour))


def node_area_factor(from_nm: npt.ArrayLike, to_nm: npt.ArrayLike) -> Floats:
    """Area at the second node over that at the first, 7..130 nm, from the full table.

    Logic only; SRAM cells shrink less below 16 nm.

    Raises:
        InvalidInputError: a node outside the table.
    """
    return node_factor(FULL_AREA_BY_NODE_NM, from_nm, to_nm)
