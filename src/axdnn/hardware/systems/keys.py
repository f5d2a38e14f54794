"""Keys of a system's file: where they stand, their fields, dimensions and ranges in SI."""

from __future__ import annotations

from axdnn.hardware.parameters import Parameter

KEYS = (
    Parameter("link.bandwidth", "link_bandwidth_b_s", "bandwidth", 1, 1e18),
    Parameter("link.latency", "link_latency_s", "time", 0, 1),
    Parameter("link.energy", "link_j_b", "energy per byte", 0, 1e-6),
    Parameter("memory.buffer", "buffer_bytes", "bytes", 0, 1e15),
    Parameter("memory.dram_bandwidth", "dram_bandwidth_b_s", "bandwidth", 1, 1e18),
    Parameter("memory.dram", "dram_j_b", "energy per byte", 0, 1e-6),
    Parameter("static.shared", "shared_static_w", "power", 0, 1e6),
    Parameter("static.idle_fraction", "idle_fraction", "fraction", 0, 1),
    Parameter("area.buffer", "buffer_m2", "area", 0, 1),
    Parameter("area.links", "link_m2", "area", 0, 1),
)
"""Required keys."""
