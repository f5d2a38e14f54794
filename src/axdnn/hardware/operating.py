"""A systolic chip at another supply voltage: energies, clock and leakage scaled on a named curve."""

from __future__ import annotations

import msgspec

from axdnn.hardware.accelerator import Accelerator
from axdnn.hardware.parameters import PARAMETERS
from axdnn.hardware.technology import operating_point, voltage_curve

LOGIC_J = ("multiply_j", "add_j", "register_j_bit", "sign_magnitude_j", "interconnect_j_b", "vector_8bit_j",
           "vector_16bit_j", "vector_32bit_j", "vector_transcendental_j")  # fmt: skip
SRAM_J = ("buffer_read_j_b", "buffer_write_j_b", "accumulator_read_j_b", "accumulator_write_j_b", "backing_read_j_b",
          "backing_write_j_b")  # fmt: skip
CLOCKED = ("clock_hz", "buffer_bandwidth_b_s", "backing_bandwidth_b_s")
LEAKING = ("logic_leakage_w_m2", "memory_leakage_w_m2")


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
    factors = {field: factor for field, factor in factors.items() if getattr(chip, field) is not None}
    paths = {p.field: p.path for p in PARAMETERS}
    way = f"from {nominal:g} V to {voltage_v:g} V on the curve {curve}"
    told = {}
    for field, factor in factors.items():
        if (path := paths.get(field)) is not None:
            told[path] = f"{chip.sources.get(path, 'unknown')}; x {factor:.4g} {way}"
    changed = {field: getattr(chip, field) * factor for field, factor in factors.items()}
    return msgspec.structs.replace(chip, **changed, sources={**chip.sources, **told})
