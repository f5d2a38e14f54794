"""Costs of the parts: node scaling, the processing element with a given multiplier, memories, interconnect.

Sums and ratios only; every constant comes from the accelerator file, which names its source.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from axdnn.hardware.accelerator import Accelerator
from axdnn.hardware.technology.nodes import AREA_BY_NODE_NM as AREA_BY_NODE_NM
from axdnn.hardware.technology.nodes import ENERGY_BY_NODE_NM as ENERGY_BY_NODE_NM
from axdnn.hardware.technology.nodes import node_factor as node_factor
from axdnn.records import Coding, Figures, InvalidInputError, Multiplier

Floats = npt.NDArray[np.float64]

ACTIVATION_BITS = 8
ACCUMULATOR_BITS = 32
ACCUMULATOR_BYTES = 4
PIPELINE_BITS = ACTIVATION_BITS + ACCUMULATOR_BITS
"""Register bits that change each cycle in a weight-stationary element: activation to the right, sum downwards."""


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
    return chip.add_j + PIPELINE_BITS * chip.register_j_bit + wrapper


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
    clock = chip.clock_fraction * PIPELINE_BITS * chip.register_j_bit * chip.clock_hz * chip.rows * chip.columns
    return pod_area_m2(multiplier, chip, exact) * chip.logic_leakage_w_m2 + clock


def shared_area_m2(chip: Accelerator, pods: int) -> dict[str, float]:
    """Area of what is not in a pod, for a chip of `pods` pods: memories and butterfly; component -> square metres."""
    ports = 8 * (chip.rows + 5 * chip.columns)  # bits: SOSA's r + 5c bytes a cycle
    switches = chip.interconnect_expansion * pods * math.log2(max(pods, 1))
    buffers = chip.activation_buffer_bytes + chip.weight_buffer_bytes + pods * chip.accumulator_bytes
    return {
        "sram": buffers * chip.buffer_m2_b + chip.backing_bytes * chip.backing_m2_b,
        "interconnect": switches * ports * chip.interconnect_m2_bit,
    }


def shared_static_w(chip: Accelerator, pods: int) -> float:
    """Leakage of memories and interconnect, watts."""
    area = shared_area_m2(chip, pods)
    return area["sram"] * chip.memory_leakage_w_m2 + area["interconnect"] * chip.logic_leakage_w_m2


def interconnect_j_b(chip: Accelerator) -> float:
    """Joules per byte between buffers and pods: I0 x k x log2(pods) (SOSA, run_design_space.py)."""
    return chip.interconnect_j_b * chip.interconnect_expansion * math.log2(chip.pods)
