"""`Sweep`: a network on many variants of an accelerator, and the roofline of one."""

from __future__ import annotations

from axdnn.records.codec import Record


class SweepPoint(Record, frozen=True, kw_only=True):
    """A variant of the accelerator and what a batch costs on it.

    Attributes:
        values: key of the accelerator file -> its value in the file's unit.
        latency_s, energy_j, area_m2: totals.
        energy_breakdown_j: component -> joules.
        stall_fraction: cycles in which pods wait for memory / all cycles, 0..1.
        best: no other point is at least as good in latency, energy and area and better in one.
    """

    values: dict[str, float | str]
    latency_s: float
    energy_j: float
    area_m2: float
    energy_breakdown_j: dict[str, float] = {}
    stall_fraction: float = 0.0
    best: bool = False


class RooflineLayer(Record, frozen=True, kw_only=True):
    """A layer on the unchanged accelerator: MACs per byte of DRAM, and MACs per second that it gets."""

    layer: str
    macs_per_byte: float
    macs_per_s: float


class Sweep(Record, frozen=True, kw_only=True):
    """A network on many variants of an accelerator, every pod with one multiplier.

    Attributes:
        network, accelerator, multiplier: labels.
        axes: key of the accelerator file -> values tried, in the file's unit.
        units: key -> unit.
        points: all combinations, the last key fastest.
        peak_macs_per_s, dram_bandwidth_b_s: roofs of the unchanged accelerator.
        roofline: its layers.
        batch: inferences computed together.
    """

    network: str
    accelerator: str
    multiplier: str
    axes: dict[str, tuple[float | str, ...]]
    units: dict[str, str]
    points: tuple[SweepPoint, ...]
    peak_macs_per_s: float
    dram_bandwidth_b_s: float
    roofline: tuple[RooflineLayer, ...] = ()
    batch: int = 1
