"""Costs of the parts: node scaling, the processing element with a given multiplier, memories, interconnect.

Sums and ratios only; every constant comes from the accelerator file, which names its source.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from axdnn.hardware.accelerator import Accelerator
from axdnn.hardware.dataflows import MOVING_BITS
from axdnn.hardware.systolic import Ints
from axdnn.hardware.technology.nodes import AREA_BY_NODE_NM as AREA_BY_NODE_NM
from axdnn.hardware.technology.nodes import ENERGY_BY_NODE_NM as ENERGY_BY_NODE_NM
from axdnn.hardware.technology.nodes import node_factor as node_factor
from axdnn.hardware.technology.topology import hops
from axdnn.records import Coding, Figures, InvalidInputError, Multiplier

Floats = npt.NDArray[np.float64]

ACTIVATION_BITS = 8
ACCUMULATOR_BITS = 32
ACCUMULATOR_BYTES = 4


def exact_figures(given: Mapping[Coding, Figures] | None = None) -> dict[Coding, Figures]:
    """Figures of the exact circuits by coding, those of the shipped library where not given.

    `sign_magnitude` is an unsigned circuit with a wrapper, so its reference is the unsigned circuit.

    Raises:
        InvalidInputError: a given power is not above 0.
    """
    result: dict[Coding, Figures] = dict(given or {})
    for coding in ("signed", "unsigned"):
        if coding not in result:
            from axdnn.multipliers import exact_multiplier

            result[coding] = require_figures(exact_multiplier(coding))
        if not (math.isfinite(result[coding].power_w) and result[coding].power_w > 0):
            raise InvalidInputError(f"`power_w` of the exact {coding} circuit must be > 0, but got {result[coding]}")
    result["sign_magnitude"] = result["unsigned"]
    return result


def require_figures(multiplier: Multiplier) -> Figures:
    """Figures of a multiplier; `InvalidInputError` if it has none or they are not finite and >= 0."""
    figures = multiplier.figures
    if figures is None:
        raise InvalidInputError(
            f"multiplier {multiplier.name!r} has no figures (power, area, delay), so it cannot be priced; "
            "give `figures=Figures(power_w=..., area_m2=..., delay_s=..., source=...)`"
        )
    for label, value in (("power_w", figures.power_w), ("area_m2", figures.area_m2)):
        if not (math.isfinite(value) and value >= 0):
            raise InvalidInputError(f"`{label}` of multiplier {multiplier.name!r} must be >= 0, but got {value!r}")
    return figures


def power_ratio(multiplier: Multiplier, exact: Mapping[Coding, Figures]) -> float:
    """Power of the circuit / power of the exact circuit of the same signedness, without wrapper.

    Raises:
        InvalidInputError: no figures, or not finite.
    """
    return require_figures(multiplier).power_w / exact[multiplier.coding].power_w


def multiply_j(multiplier: Multiplier, chip: Accelerator, exact: Mapping[Coding, Figures]) -> float:
    """Joules per product: `energy.multiply` x power ratio (an array is clocked, so delay does not enter).

    On an exact row it is `energy.multiply` whatever the layer's multiplier: the row holds the exact circuit of the
    same coding, whose ratio is 1.
    """
    return chip.multiply_j * power_ratio(multiplier, exact)


def mac_rest_j(multiplier: Multiplier, chip: Accelerator) -> float:
    """Joules per MAC beside the product: 32-bit add, pipeline registers, sign-magnitude wrapper if there is one."""
    wrapper = chip.sign_magnitude_j if multiplier.coding == "sign_magnitude" else 0.0
    return chip.add_j + MOVING_BITS[chip.dataflow] * chip.register_j_bit + wrapper


def pe_area_m2(multiplier: Multiplier, chip: Accelerator) -> tuple[float, float]:
    """Area of one processing element: (multiplier scaled to the node, everything else), square metres."""
    wrapper = chip.sign_magnitude_m2 if multiplier.coding == "sign_magnitude" else 0.0
    return require_figures(multiplier).area_m2 * chip.multiplier_area_scale, chip.pe_rest_m2 + wrapper


def pod_area_parts_m2(
    multiplier: Multiplier, chip: Accelerator, exact: Mapping[Coding, Figures] | None = None
) -> tuple[float, float]:
    """Area of one pod that holds `multiplier`: (multipliers, everything else in its elements), without memories.

    Exact rows hold the exact circuit of the multiplier's coding, with the same wrapper.

    Args:
        multiplier: the pod's kind.
        chip: accelerator.
        exact: as `exact_figures` returns them; only read if there are exact rows.
    """
    product, rest = pe_area_m2(multiplier, chip)
    whole, kept = chip.rows * chip.columns, chip.exact_rows * chip.columns
    if not kept:
        return whole * product, whole * rest
    reference = exact_figures(exact)[multiplier.coding].area_m2 * chip.multiplier_area_scale
    return (whole - kept) * product + kept * reference, whole * rest


def pod_area_m2(multiplier: Multiplier, chip: Accelerator, exact: Mapping[Coding, Figures] | None = None) -> float:
    """Area of one pod that holds `multiplier`, without memories; arguments as of `pod_area_parts_m2`."""
    if not chip.exact_rows:
        return chip.rows * chip.columns * sum(pe_area_m2(multiplier, chip))
    return sum(pod_area_parts_m2(multiplier, chip, exact))


def pod_static_w(multiplier: Multiplier, chip: Accelerator, exact: Mapping[Coding, Figures] | None = None) -> float:
    """Power of one pod whether it works or not: leakage of its area, and the clock part of its registers."""
    element_w = chip.clock_fraction * MOVING_BITS[chip.dataflow] * chip.register_j_bit * chip.clock_hz
    return pod_area_m2(multiplier, chip, exact) * chip.logic_leakage_w_m2 + element_w * chip.rows * chip.columns


def shared_area_m2(chip: Accelerator, pods: int) -> dict[str, float]:
    """Area of what is not in a pod, for a chip of `pods` pods: memories and network; component -> square metres."""
    port_bits = 8 * (chip.rows + 5 * chip.columns)  # SOSA's r + 5c bytes a cycle
    buffers = chip.activation_buffer_bytes + chip.weight_buffer_bytes + pods * chip.accumulator_bytes
    return {
        "sram": buffers * chip.buffer_m2_b + chip.backing_bytes * chip.backing_m2_b,
        "interconnect": network_ports(chip, pods) * port_bits * chip.interconnect_m2_bit,
    }


def network_ports(chip: Accelerator, pods: npt.ArrayLike) -> Any:
    """Output ports of the network between buffers and pods, to which its area is proportional (an assumption).

    Bus P, mesh 5 P, butterfly k P log2 P, Benes 4 P log2 P (SOSA's copy network), crossbar P^2.
    """
    count = np.maximum(pods, 1)
    stages = np.log2(count)
    return {
        "bus": count, "mesh": 5 * count, "butterfly": chip.interconnect_expansion * count * stages,
        "benes": 4 * count * stages, "crossbar": count**2,
    }[chip.interconnect]  # fmt: skip


def shared_static_w(chip: Accelerator, pods: int) -> float:
    """Leakage of memories and interconnect, watts."""
    area = shared_area_m2(chip, pods)
    return area["sram"] * chip.memory_leakage_w_m2 + area["interconnect"] * chip.logic_leakage_w_m2


def interconnect_j_b(chip: Accelerator) -> Floats:
    """Joules per byte between buffers and pods: I0 times a factor of the kind of network.

    Butterfly k log2 P, Benes 4 log2 P, crossbar P, bus 1 (SOSA, run_design_space.py); mesh: its mean hops, each taken
    as a stage of the butterfly (an assumption).
    """
    pods = np.asarray(chip.pods, dtype=np.float64)
    factor = {
        "bus": np.ones_like(pods), "mesh": hops("mesh", pods), "crossbar": pods, "benes": 4 * np.log2(pods),
        "butterfly": chip.interconnect_expansion * np.log2(pods),
    }[chip.interconnect]  # fmt: skip
    return np.asarray(chip.interconnect_j_b * np.where(pods > 1, factor, 0.0))


def network_cycles(chip: Accelerator, pods: npt.ArrayLike) -> Ints:
    """Cycles that the network adds to a layer on some pods of a chip; none on one.

    A cycle for each stage or hop of request and data of the first read, and of the last write; the reads and writes in
    between run beside computation (SOSA). Pods of a layer lie side by side, and stages that lead to no others are
    bypassed: a layer on p pods sees the network of p pods, of whole stages.
    """
    count = np.asarray(pods)
    ports = 2 ** np.ceil(np.round(np.log2(count), 9)) if chip.interconnect in ("butterfly", "benes") else count
    stages = np.where(count > 1, hops(chip.interconnect, ports), 0.0)
    return np.ceil(np.round(3 * stages, 9)).astype(np.int64)


def port_sharing(chip: Accelerator, operations: npt.ArrayLike, rounds: npt.ArrayLike, pods: npt.ArrayLike) -> Floats:
    """Factor on a pod's port time by links that its transfers share with others in the same round, at least 1.

    Bus: everything passes one link. Mesh of P pods: a quarter of all bytes crosses its middle over sqrt(P) links
    (uniform traffic). Butterfly, Benes, crossbar: 1, for uniform traffic meets nowhere.

    Args:
        chip: its network.
        operations: of the layer.
        rounds: of the layer.
        pods: P, those the layer runs on.
    """
    if chip.interconnect not in ("bus", "mesh"):
        return np.asarray(1.0)
    together = np.asarray(operations, dtype=np.float64) / np.asarray(rounds)
    if chip.interconnect == "bus":
        return np.asarray(np.maximum(together, 1.0))
    return np.asarray(np.maximum(together / (4 * np.sqrt(np.asarray(pods, dtype=np.float64))), 1.0))
