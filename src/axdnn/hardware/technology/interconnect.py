"""Energy and area of the network between memories and pods.

Two forms of energy. SOSA's: I0 joules for each byte and stage, fitted at 28 nm, a single number for everything in a
stage. Router and wire: each hop costs a router, and each byte the wire it drives; the numbers come from other designs.
Area is proportional to output-port bits, and its constant is an assumption: no public one was found.
"""

from __future__ import annotations

import math
from typing import get_args

import numpy as np
import numpy.typing as npt

from axdnn.hardware.technology.nodes import node_area_factor
from axdnn.hardware.technology.rows import Floats, checked, pick, sets
from axdnn.hardware.technology.topology import Topology, hops
from axdnn.records import InvalidInputError

_AREA_SET = "area_40"


def _sets_with(name: str) -> list[str]:
    return sorted(key for key, rows in sets("interconnect").items() if name in rows)


def list_wires() -> list[str]:
    """Sets that `wire_j_bit_m` knows, sorted."""
    return _sets_with("wire")


def wire_j_bit_m(name: str) -> float:
    """Joules for a bit and metre of wire.

    Raises:
        UnknownNameError: no such set.
    """
    return sets("interconnect")[pick("wire", name, list_wires())]["wire"].si


def router_j_bit(name: str = "isaac_32") -> float:
    """Joules for a bit and hop. `isaac_32` is a router with the link of its tile, so add no wire for that link.

    Raises:
        UnknownNameError: no such set.
    """
    return sets("interconnect")[pick("router", name, _sets_with("hop"))]["hop"].si


def shared_bus_j_bit(name: str = "isaac_32") -> float:
    """Joules for a bit on the bus between a tile's memory and its arrays.

    Raises:
        UnknownNameError: no such set.
    """
    return sets("interconnect")[pick("bus", name, _sets_with("bus"))]["bus"].si


def chip_link_j_bit(name: str) -> float:
    """Joules for a bit from chip to chip: `simba` (dies of a package) or `isaac_65` (boards).

    Raises:
        UnknownNameError: no such set.
    """
    return sets("interconnect")[pick("chip link", name, _sets_with("chip_link"))]["chip_link"].si


def sosa_stage_j_b() -> float:
    """I0 of SOSA: joules for a byte and stage at 28 nm."""
    return sets("interconnect")["sosa_28"]["stage"].si


def butterfly_factor(planes_log2: int) -> float:
    """Factor k of SOSA's Banyan network of expansion 0..3.

    Raises:
        UnknownNameError: another expansion.
    """
    known = [name for name in sets("interconnect")["sosa_28"] if name.startswith("butterfly_")]
    return sets("interconnect")["sosa_28"][pick("butterfly expansion", f"butterfly_{planes_log2}", known)].si


def sosa_energy_j_b(kind: Topology, pods: npt.ArrayLike, planes_log2: int = 1) -> Floats:
    """Joules for a byte through the network, SOSA's form at 28 nm.

    Butterfly k log2(P), Benes with copy network 4 log2(P), crossbar P, bus 1, all times I0. SOSA's powers are this
    times the bytes a cycle of all ports and the clock; its bus carries one port's bytes a cycle.

    Args:
        kind: of network; SOSA has no mesh.
        pods: P, whole numbers from 1, any shape.
        planes_log2: expansion of the butterfly, 0..3 (k = 1, 2, 4, 8); SOSA's designs take 1.

    Raises:
        UnknownNameError: another kind or expansion.
        InvalidInputError: a mesh, or pods below 1.
    """
    stages = hops("butterfly", pods)  # log2(P), and checks the pods
    if kind == "butterfly":
        factor = butterfly_factor(planes_log2) * stages
    elif kind == "benes":
        factor = sets("interconnect")["sosa_28"]["benes"].si * stages
    elif kind == "crossbar":
        factor = np.asarray(pods, dtype=np.float64)
    elif kind == "bus":
        factor = np.ones_like(stages)
    else:
        pick("interconnect", kind, get_args(Topology))
        raise InvalidInputError("SOSA prices no mesh; use `router_wire_energy_j_b`")
    return np.asarray(sosa_stage_j_b() * factor)


def wire_length_m(kind: Topology, pods: npt.ArrayLike, pitch_m: npt.ArrayLike) -> Floats:
    """Wire that a byte drives on a square floorplan of pods, metres. Assumptions, but for the mesh.

    Mesh: hops x pitch. Butterfly: the mean distance between two pods, the least any wiring can do; Benes twice that,
    once each way of its two halves. Crossbar: a row and a column in full, 2 sqrt(P) pitches. Bus: past every pod, P
    pitches.

    Args:
        kind: of network.
        pods: P, whole numbers from 1.
        pitch_m: distance of neighbouring pods, at least 0.
    """
    pick("interconnect", kind, get_args(Topology))
    mean = hops("mesh", pods)
    pitch = checked("pitch_m", pitch_m, 0, 1, "m")
    count = np.asarray(pods, dtype=np.float64)
    pitches = {
        "bus": count,
        "mesh": mean,
        "butterfly": mean,
        "benes": 2 * mean,
        "crossbar": 2 * np.sqrt(count),
    }[kind]
    return np.asarray(pitches * pitch)


def router_wire_energy_j_b(
    kind: Topology,
    pods: npt.ArrayLike,
    pitch_m: npt.ArrayLike,
    router_j_bit: npt.ArrayLike,
    wire_j_bit_m: npt.ArrayLike,
) -> Floats:
    """Joules for a byte through the network: 8 bits x (hops x router + wire length x wire); all arguments broadcast.

    Args:
        kind: of network.
        pods: P, whole numbers from 1.
        pitch_m: distance of neighbouring pods, at least 0.
        router_j_bit: of a hop, as `router_j_bit()`, at least 0.
        wire_j_bit_m: of a wire, as `wire_j_bit_m(name)`, at least 0; 0 if the router's number holds its link.

    Raises:
        UnknownNameError: another kind.
        InvalidInputError: an argument out of range.
    """
    router = checked("router_j_bit", router_j_bit, 0, math.inf, "J/bit")
    wire = checked("wire_j_bit_m", wire_j_bit_m, 0, math.inf, "J/(bit m)")
    return np.asarray(8 * (hops(kind, pods) * router + wire_length_m(kind, pods, pitch_m) * wire))


def network_area_m2(
    kind: Topology, pods: npt.ArrayLike, port_bits: npt.ArrayLike, node_nm: npt.ArrayLike, planes_log2: int = 1
) -> Floats:
    """Area of the switches, square metres, without wires: output ports x bits x one register and multiplexer each.

    Ports: bus P, mesh 5 P, butterfly k P log2(P), Benes 4 P log2(P), crossbar P^2 (one for each crossing). Proportional
    forms with an assumed constant (8 um2 at 40 nm, range 0.3 to 10 x): fit for comparing sizes, not kinds.

    Args:
        kind: of network.
        pods: P, whole numbers from 1; all arguments broadcast.
        port_bits: width of a port, above 0.
        node_nm: 7..130.
        planes_log2: expansion of the butterfly, 0..3.
    """
    pick("interconnect", kind, get_args(Topology))
    stages, rows = hops("butterfly", pods), sets("interconnect")
    count = np.asarray(pods, dtype=np.float64)
    ports = {
        "bus": count,
        "mesh": rows["mesh"]["ports"].si * count,
        "butterfly": butterfly_factor(planes_log2) * count * stages,
        "benes": rows["sosa_28"]["benes"].si * count * stages,
        "crossbar": count**2,
    }[kind]
    bits = checked("port_bits", port_bits, 1, math.inf, "bits")
    constant = rows[_AREA_SET]["port_bit"]
    return np.asarray(ports * bits * constant.si * node_area_factor(constant.node_nm, node_nm))
