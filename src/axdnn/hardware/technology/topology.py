"""Networks between memory banks and pods: hops, latency of a round, and the bound that contention sets on a transfer.

Five kinds with P ports on either side: `bus` (one transfer at a time), `mesh` (sqrt(P) x sqrt(P), dimension-ordered),
`butterfly` (log2 P stages of 2 x 2 switches, one path a pair), `benes` (non-blocking by rearrangement) and `crossbar`.
Everything broadcasts over pods and bytes; nothing is simulated, so bounds are bounds.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

from axdnn.hardware.technology.rows import Floats, checked, pick
from axdnn.records import InvalidInputError

Topology = Literal["bus", "mesh", "butterfly", "benes", "crossbar"]
Pattern = Literal["uniform", "permutation"]
MOST_PODS = 1 << 20


def _pods(pods: npt.ArrayLike) -> Floats:
    count = checked("pods", pods, 1, MOST_PODS, "pods")
    if (count != np.floor(count)).any():
        raise InvalidInputError(f"`pods` must be whole numbers, but got {count}")
    return count


def hops(kind: Topology, pods: npt.ArrayLike, near_memory: bool = False) -> Floats:
    """Stages or links that a byte passes on average.

    Bus and crossbar 1; butterfly log2 P and Benes 2 log2 P - 1 (log2 as a real number, as SOSA prices it; a single pod
    needs none); mesh (2/3) (sqrt P - 1/sqrt P), the mean Manhattan distance of uniform traffic, which the textbook
    rounds to (2/3) sqrt P.

    Args:
        kind: of network.
        pods: P, whole numbers from 1.
        near_memory: mesh only: each pod reads the nearest memory at the edge, (1/2) sqrt P.

    Raises:
        UnknownNameError: another kind.
        InvalidInputError: pods not whole or below 1, or `near_memory` without a mesh.
    """
    pick("interconnect", kind, get_args(Topology))
    count = _pods(pods)
    if near_memory:
        if kind != "mesh":
            raise InvalidInputError(f"`near_memory` is of the mesh only, but `kind` is {kind!r}")
        return np.asarray(np.sqrt(count) / 2)
    if kind == "mesh":
        return np.asarray(2 / 3 * (np.sqrt(count) - 1 / np.sqrt(count)))
    if kind == "butterfly":
        return np.asarray(np.log2(count))
    if kind == "benes":
        return np.asarray(np.maximum(2 * np.log2(count) - 1, 0))
    return np.ones_like(count)


class RoundLatency(NamedTuple):
    """Cycles that the network adds to a round of a pod, arrays.

    Attributes:
        read_cycles: request out and data back.
        write_cycles: one way; results leave while the next round runs.
        hidden: the read is shorter than a round, so it runs beside the round before.
        exposed_cycles: read cycles where not hidden, else 0.
    """

    read_cycles: Floats
    write_cycles: Floats
    hidden: npt.NDArray[np.bool_]
    exposed_cycles: Floats


def round_latency(
    kind: Topology, pods: npt.ArrayLike, round_cycles: npt.ArrayLike, cycles_per_hop: float = 1.0
) -> RoundLatency:
    """Latency of one round: a cycle for each stage, twice for a read (SOSA).

    Args:
        kind: of network.
        pods: P, as of `hops`; broadcasts with `round_cycles`.
        round_cycles: cycles a pod computes in a round, at least 0.
        cycles_per_hop: of a stage or router, above 0.
    """
    length = checked("round_cycles", round_cycles, 0, math.inf, "cycles")
    per_hop = float(checked("cycles_per_hop", cycles_per_hop, 1e-3, 1e6, "cycles"))
    # log2(8) and the like may miss a whole number by the last bit.
    write = np.ceil(np.round(hops(kind, pods) * per_hop, 9))
    read, length, write = np.broadcast_arrays(2 * write, length, write)
    hidden = length > read
    return RoundLatency(np.asarray(read), np.asarray(write), np.asarray(hidden), np.where(hidden, 0.0, read))


def path_sharing(kind: Topology, pods: npt.ArrayLike, expansion: npt.ArrayLike = 1) -> Floats:
    """Most transfers of one permutation that meet on a link of a multistage network, at worst, at least 1.

    A butterfly has one path a pair: after stage i, 2^min(i, n - i) of a permutation's P = 2^n paths can meet, so
    2^(n/2) rounded down in the exponent; k planes share them. Benes and crossbar route every permutation without
    meeting.

    Raises:
        InvalidInputError: bus or mesh, whose bounds `transfer_cycles` has.
    """
    pick("interconnect", kind, get_args(Topology))
    count, planes = np.broadcast_arrays(_pods(pods), checked("expansion", expansion, 1, 64, "planes"))
    if kind in ("benes", "crossbar"):
        return np.ones_like(count)
    if kind != "butterfly":
        raise InvalidInputError(f"`path_sharing` is of butterfly, benes and crossbar, but `kind` is {kind!r}")
    stages = np.ceil(np.round(np.log2(count), 9))
    return np.asarray(np.maximum(2 ** np.floor(stages / 2) / planes, 1))


def transfer_cycles(
    kind: Topology,
    pods: npt.ArrayLike,
    total_bytes: npt.ArrayLike,
    port_bytes: npt.ArrayLike,
    pattern: Pattern = "uniform",
    expansion: npt.ArrayLike = 1,
) -> Floats:
    """Least cycles to move bytes spread evenly over all ports: the tighter of port, bisection and shared-link bound.

    Bus: all bytes pass one link. Others: every port moves its P-th part. Mesh, uniform: a quarter of all bytes crosses
    the middle each way over sqrt(P) links; permutation: at worst half does. Butterfly, permutation: times
    `path_sharing`. Whole cycles, and at least the port bound, so a crossbar is never slower than another kind.

    Args:
        kind: of network.
        pods: P, whole numbers from 1; all arguments broadcast.
        total_bytes: of all ports together, at least 0.
        port_bytes: width of a port and of a link, bytes a cycle, above 0.
        pattern: `uniform` (all pairs alike, the usual case) or the worst `permutation` (each source one target).
        expansion: planes of a butterfly, SOSA's k.

    Raises:
        UnknownNameError: another kind or pattern.
        InvalidInputError: an argument out of range.
    """
    pick("interconnect", kind, get_args(Topology))
    pick("traffic pattern", pattern, get_args(Pattern))
    count, data = _pods(pods), checked("total_bytes", total_bytes, 0, math.inf, "bytes")
    width = checked("port_bytes", port_bytes, 1e-9, math.inf, "bytes a cycle")
    share = checked("expansion", expansion, 1, 64, "planes")
    port_bound = data / (count * width)
    if kind == "bus":
        bound = data / width
    elif kind == "mesh":
        crossing = 0.25 if pattern == "uniform" else 0.5
        # A single pod has no middle to cross.
        bound = np.where(count > 1, np.maximum(port_bound, crossing * data / (np.sqrt(count) * width)), port_bound)
    elif pattern == "permutation":
        bound = port_bound * path_sharing(kind, count, share)
    else:
        bound = port_bound
    return np.ceil(np.round(np.broadcast_arrays(bound, share)[0], 9))
