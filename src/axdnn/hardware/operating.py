"""A systolic chip at another supply voltage or technology node: its numbers scaled, their sources told."""

from __future__ import annotations

import msgspec

from axdnn.hardware.accelerator import Accelerator
from axdnn.hardware.parameters import PARAMETERS
from axdnn.hardware.technology import (
    AREA_BY_NODE_NM,
    ENERGY_BY_NODE_NM,
    node_factor,
    operating_point,
    voltage_curve,
)

LOGIC_J = ("multiply_j", "add_j", "register_j_bit", "sign_magnitude_j", "interconnect_j_b", "vector_8bit_j",
           "vector_16bit_j", "vector_32bit_j", "vector_transcendental_j")  # fmt: skip
SRAM_J = ("buffer_read_j_b", "buffer_write_j_b", "accumulator_read_j_b", "accumulator_write_j_b", "backing_read_j_b",
          "backing_write_j_b")  # fmt: skip
CLOCKED = ("clock_hz", "buffer_bandwidth_b_s", "backing_bandwidth_b_s")
LEAKING = ("logic_leakage_w_m2", "memory_leakage_w_m2")
AREAS = (
    "multiplier_area_scale",
    "pe_rest_m2",
    "sign_magnitude_m2",
    "buffer_m2_b",
    "backing_m2_b",
    "interconnect_m2_bit",
)


def at_voltage(
    chip: Accelerator, voltage_v: float, curve: str = "alpha_power", nominal_v: float | None = None
) -> Accelerator:
    """Return the chip at a supply voltage: the core's rail, that of its memories included.

    Dynamic energies follow the curve's energy, the clock and the bandwidths on the chip its frequency, leakage its
    leakage. DRAM and its interface hang on another supply: energy, bandwidth and latency in seconds stay.

    Args:
        chip: at its nominal voltage.
        voltage_v: volts.
        curve: of `technology.list_voltage_curves`.
        nominal_v: voltage for which the chip's numbers hold; default: the curve's nominal one, an assumption.

    Raises:
        UnknownNameError: no such curve.
        InvalidInputError: a voltage outside the curve, or below what its memories need; says the range.
    """
    nominal = voltage_curve(curve).nominal_v if nominal_v is None else nominal_v
    now, before = (operating_point(v, curve, part="sram") for v in (voltage_v, nominal))
    energy, frequency, leakage = (
        float(getattr(now, name) / getattr(before, name))
        for name in ("energy_factor", "frequency_factor", "leakage_factor")
    )
    factors = {**dict.fromkeys((*LOGIC_J, *SRAM_J), energy), **dict.fromkeys(CLOCKED, frequency),
               **dict.fromkeys(LEAKING, leakage)}  # fmt: skip
    return _scaled(chip, factors, f"from {nominal:g} V to {voltage_v:g} V on the curve {curve}")


def at_node(chip: Accelerator, from_nm: float, to_nm: float) -> Accelerator:
    """Return the chip at another technology node: energies and areas of logic and memories scaled, clock kept.

    DRAM is another chip. Leakage of an area is kept, an assumption; scale a design by its sources where they are known.

    Args:
        chip: as designed.
        from_nm: node of its numbers, 7 to 45 nm.
        to_nm: node wanted, 7 to 45 nm.

    Raises:
        InvalidInputError: a node outside the tables (Stillmaker & Baas, Integration 2017).
    """
    energy = float(node_factor(ENERGY_BY_NODE_NM, from_nm, to_nm))
    area = float(node_factor(AREA_BY_NODE_NM, from_nm, to_nm))
    factors = {**dict.fromkeys((*LOGIC_J, *SRAM_J), energy), **dict.fromkeys(AREAS, area)}
    return _scaled(chip, factors, f"from {from_nm:g} to {to_nm:g} nm (Stillmaker & Baas 2017)")


def _scaled(chip: Accelerator, factors: dict[str, float], way: str) -> Accelerator:
    factors = {field: factor for field, factor in factors.items() if getattr(chip, field) is not None}
    paths = {p.field: p.path for p in PARAMETERS}
    told = {}
    for field, factor in factors.items():
        if (path := paths.get(field)) is not None:
            told[path] = f"{chip.sources.get(path, 'unknown')}; x {factor:.4g} {way}"
    changed = {field: getattr(chip, field) * factor for field, factor in factors.items()}
    return msgspec.structs.replace(chip, **changed, sources={**chip.sources, **told})
