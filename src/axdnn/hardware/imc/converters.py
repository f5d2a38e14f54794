"""Converters of resistive crossbars: three models of an ADC, and the bits that lose nothing.

All functions broadcast over NumPy arrays.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from axdnn.hardware.imc.constants import values
from axdnn.hardware.imc.gates import Floats, Number, at_least, floats
from axdnn.records import InvalidInputError

AdcModel = Literal["sar_table", "survey", "per_bit"]
SAR_BITS = (4, 10)
SURVEY_BITS = (4, 16)
"""Below 4 bits the regression would make a better converter cheaper."""


class Adc(NamedTuple):
    """Energy of a conversion and area of a converter."""

    energy_j: Floats
    area_m2: Floats


def sar_adc(bits: Number, node_nm: Number = 32) -> Adc:
    """ISAAC's successive-approximation converter and its scaled relatives: a table at 32 nm.

    Between whole numbers of bits the logarithms are interpolated. Other nodes are reached with the exponents of the
    survey (`energy_per_log_nm`, `area_per_log_nm`).

    Raises:
        InvalidInputError: bits outside the table.
    """
    b = _within("sar_table", bits, *SAR_BITS)
    table, survey = values("sar_adc"), values("adc_survey")
    known = np.arange(SAR_BITS[0], SAR_BITS[1] + 1)
    shrink = floats(node_nm) / 32
    energy, area = (np.exp(np.interp(b, known, np.log([table[f"{what}.{n}"] for n in known]))) for what in _WHAT)
    return Adc(
        floats(energy * shrink ** survey["energy_per_log_nm"]), floats(area * shrink ** survey["area_per_log_nm"])
    )


_WHAT = ("energy", "area")


def survey_adc(bits: Number, node_nm: Number, rate_hz: Number) -> Adc:
    """A good converter of Murmann's survey, by regression.

    The Schreier figure of merit falls with the sampling rate and is capped by resolution; energy follows from it and
    is corrected for node and bits.

    Raises:
        InvalidInputError: bits outside 4..16, a node or a rate below 1.
    """
    b, nm, hz = _within("survey", bits, *SURVEY_BITS), at_least("node_nm", node_nm, 1), at_least("rate_hz", rate_hz, 1)
    s = values("adc_survey")
    cap = s["fom_cap_intercept"] + s["fom_cap_per_bit"] * np.ceil(b)
    fom_db = np.minimum(s["fom_intercept"] + s["fom_per_log_hz"] * np.log(hz), cap)
    signal_db = 6.02 * b + 1.76
    exponent = s["energy_intercept"] + s["energy_per_log_nm"] * np.log(nm) + s["energy_per_log_bit"] * np.log(b)
    energy_pj = 0.5 * 10.0 ** ((signal_db - fom_db) / 10) * np.exp(exponent)
    logs = s["area_intercept"] + s["area_per_log_nm"] * np.log(nm) + s["area_per_log_hz"] * np.log(hz)
    area_um2 = np.exp(logs + s["area_per_log_pj"] * np.log(energy_pj))
    return Adc(floats(energy_pj * 1e-12), floats(area_um2 * 1e-12))


def _within(model: str, bits: Number, low: int, high: int) -> Floats:
    """Refuse bits that a model does not know."""
    b = floats(bits)
    if not bool(np.all((b >= low) & (b <= high))):
        raise InvalidInputError(f"{low} <= adc_bits <= {high} must hold for the ADC model `{model}`, but got {bits!r}")
    return b


def largest_sum(rows: Number, input_bits: Number, cell_bits: Number) -> Floats:
    """Largest sum of a bit line: all rows driven fully onto cells that are all full."""
    return floats(floats(rows) * (2.0 ** floats(input_bits) - 1) * (2.0 ** floats(cell_bits) - 1))


def lossless_adc_bits(
    rows: Number, input_bits: Number, cell_bits: Number, flipped: Number = 0
) -> npt.NDArray[np.int64]:
    """ADC bits by which no sum of a bit line is lost.

    `ceil(log2 rows) + input_bits + cell_bits`, one less if inputs or cells have one bit. It is never too few and can
    be one too many; `largest_sum` is exact.

    Args:
        rows: that add onto one bit line.
        input_bits: of a row in one step.
        cell_bits: of one cell.
        flipped: 1 = columns of large sums hold inverted weights (ISAAC), which saves a bit.
    """
    a, w = at_least("input_bits", input_bits, 1), at_least("cell_bits", cell_bits, 1)
    binary = (a == 1) | (w == 1)
    bits = np.ceil(np.log2(at_least("rows", rows, 1))) + a + w - binary - floats(flipped)
    return np.asarray(bits, dtype=np.int64)
