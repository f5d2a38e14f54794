"""The published power and utilisation formulas of SOSA (Yuzuguler et al., ACM TACO 2023; sosa-compiler, MIT)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from axdnn.hardware.systolic import ceil_div

MAC_J = 0.4e-12
BANK_J_B = {64: 1.1e-12, 128: 1.6e-12, 256: 2.7e-12, 512: 4.1e-12}
"""Bank size in kB -> joules per byte (28 nm)."""
INTERCONNECT_J_B = 28.75e-6 / 1e9
"""I0: 28.75 uW per byte per cycle at 1 GHz."""


class SosaPoint(NamedTuple):
    """One operating point: powers in watts, throughputs in operations per second, cycles of the workload."""

    sram_w: float
    mac_w: float
    interconnect_w: float
    peak_ops: float
    utilisation: float
    cycles: int

    @property
    def power_w(self) -> float:
        """Total power."""
        return self.sram_w + self.mac_w + self.interconnect_w

    @property
    def effective_ops(self) -> float:
        """Operations per second at this utilisation."""
        return self.peak_ops * self.utilisation


def sosa_point(
    layers: Sequence[tuple[int, int, int]],
    rows: int,
    columns: int,
    pods: int,
    clock_hz: float = 1e9,
    bank_kb: int = 256,
    expansion: int = 2,
) -> SosaPoint:
    """Evaluate SOSA's formulas for a list of products (rows m, reduction n, columns k, in SOSA's letters).

    `cycles = sum ceil(tile operations / P) * r`, activations cut into r-row pieces, weights double-buffered;
    buffers move r + 5c bytes per pod and cycle; butterfly of expansion k costs I0 * k * P * log2(P) * (r + 5c).
    """
    m, n, k = np.asarray(layers, dtype=np.int64).T
    operations = ceil_div(m, rows) * ceil_div(n, rows) * ceil_div(k, columns)
    total = int((ceil_div(operations, pods) * rows).sum())
    ports = rows + 5 * columns
    return SosaPoint(
        sram_w=ports * pods * BANK_J_B[bank_kb] * clock_hz,
        mac_w=rows * columns * pods * MAC_J * clock_hz,
        interconnect_w=INTERCONNECT_J_B * clock_hz * expansion * pods * math.log2(pods) * ports,
        peak_ops=2 * rows * columns * pods * clock_hz,
        utilisation=float((m * n * k).sum() / (total * rows * columns * pods)),
        cycles=total,
    )
