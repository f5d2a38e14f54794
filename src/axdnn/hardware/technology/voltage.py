"""Voltage: dynamic energy, leakage and frequency against a nominal point, on named curves; a multiplier's clock limit.

Energy goes with V^2 (or a measured exponent), frequency with the alpha-power law or a measured delay, leakage power
with V exp(k V). What does not hang on the core supply (DRAM, its interface, an ADC limited by thermal noise) keeps its
energy.
"""

from __future__ import annotations

from functools import cache
from typing import Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

from axdnn.hardware.technology.rows import Floats, checked, pick, sets
from axdnn.records import InvalidInputError

Part = Literal["logic", "sram", "adc_noise", "dram", "phy"]
_NO_CURVES = ("leakage", "sram")
_GRID = 513


class VoltageCurve(NamedTuple):
    """How a design answers to its supply.

    Attributes:
        name: for messages.
        nominal_v, low_v, high_v: where every factor is 1, and the limits.
        energy_exponent: dynamic energy goes with V to this power.
        threshold_v, alpha: of the alpha-power law, delay ~ V / (V - threshold)^alpha; NaN where not used.
        delay_fixed, delay_exponent: else delay = fixed + (1 - fixed) (nominal / V)^exponent.
        node_nm: of the silicon that was fitted, NaN for a law.
        source: where it comes from.
    """

    name: str
    nominal_v: float
    low_v: float
    high_v: float
    energy_exponent: float
    threshold_v: float
    alpha: float
    delay_fixed: float
    delay_exponent: float
    node_nm: float
    source: str

    def energy(self, voltage_v: npt.ArrayLike) -> Floats:
        """Dynamic energy relative to nominal."""
        return np.asarray((np.asarray(voltage_v) / self.nominal_v) ** self.energy_exponent)

    def delay(self, voltage_v: npt.ArrayLike) -> Floats:
        """Delay relative to nominal; voltages above the threshold."""
        volt = np.asarray(voltage_v, dtype=np.float64)
        if np.isnan(self.threshold_v):
            return np.asarray(
                self.delay_fixed + (1 - self.delay_fixed) * (self.nominal_v / volt) ** self.delay_exponent
            )
        drive = ((self.nominal_v - self.threshold_v) / (volt - self.threshold_v)) ** self.alpha
        return np.asarray(volt / self.nominal_v * drive)


class OperatingPoint(NamedTuple):
    """Factors against the nominal supply, arrays of the voltages' shape: energy per action, clock, leakage power."""

    voltage_v: Floats
    energy_factor: Floats
    frequency_factor: Floats
    leakage_factor: Floats


def list_voltage_curves() -> list[str]:
    """Names of the curves that `voltage_curve` knows, sorted."""
    return sorted(set(sets("voltage")) - set(_NO_CURVES))


@cache
def voltage_curve(name: str = "alpha_power") -> VoltageCurve:
    """A named curve: the alpha-power law, or a fit of measured silicon.

    Raises:
        UnknownNameError: no such curve; `list_voltage_curves` has all.
    """
    rows = sets("voltage")[pick("voltage curve", name, list_voltage_curves())]

    def value(key: str) -> float:
        return rows[key].si if key in rows else float("nan")

    return VoltageCurve(
        name=name,
        nominal_v=value("nominal"),
        low_v=value("low"),
        high_v=value("high"),
        energy_exponent=value("energy_exponent"),
        threshold_v=value("threshold"),
        alpha=value("alpha"),
        delay_fixed=value("delay_fixed"),
        delay_exponent=value("delay_exponent"),
        node_nm=rows["nominal"].node_nm,
        source=rows["energy_exponent"].source,
    )


def sram_low_v() -> float:
    """Lowest supply of SRAM, volts: below it a macro needs a rail of its own."""
    return sets("voltage")["sram"]["low"].si


def leakage_per_volt() -> float:
    """Default k of leakage power ~ V exp(k V), per volt."""
    return sets("voltage")["leakage"]["per_volt"].si


def operating_point(
    voltage_v: npt.ArrayLike,
    curve: str | VoltageCurve = "alpha_power",
    part: Part = "logic",
    leakage_per_v: float | None = None,
) -> OperatingPoint:
    """Factors of one part of a chip at a supply voltage, relative to the curve's nominal voltage.

    Args:
        voltage_v: of the core, volts, any shape.
        curve: a name of `list_voltage_curves`, or a curve.
        part: `logic` and `sram` scale with the supply, and SRAM has a lowest voltage of its own. `adc_noise`: an ADC
            limited by thermal noise, whose energy stays while its clock follows. `dram` and `phy`: other supplies,
            every factor is 1.
        leakage_per_v: k of leakage power ~ V exp(k V); default `leakage_per_volt`.

    Raises:
        InvalidInputError: a voltage outside the curve, or below what SRAM needs; the message says the range.
        UnknownNameError: no such curve or part.
    """
    of = voltage_curve(curve) if isinstance(curve, str) else curve
    pick("part", part, get_args(Part))
    low = max(of.low_v, sram_low_v()) if part == "sram" else of.low_v
    advice = "give the SRAM a rail of its own at or above this" if part == "sram" else "take a curve that reaches it"
    volt = checked("voltage_v", voltage_v, low, of.high_v, f"V on the curve {of.name!r} for {part}", advice)
    ones = np.ones_like(volt)
    if part in ("dram", "phy"):
        return OperatingPoint(volt, ones, ones, ones)
    k = leakage_per_volt() if leakage_per_v is None else leakage_per_v
    leakage = volt / of.nominal_v * np.exp(k * (volt - of.nominal_v))
    energy = ones if part == "adc_noise" else of.energy(volt)
    return OperatingPoint(volt, energy, np.asarray(1 / of.delay(volt)), np.asarray(leakage))


def total_energy_factor(point: OperatingPoint, leakage_share: npt.ArrayLike) -> Floats:
    """Energy of a task, leakage included, relative to nominal: leakage power lasts as long as the task takes.

    Args:
        point: shape S.
        leakage_share: part of the energy at the nominal point that is leakage, 0..1; broadcasts with S.
    """
    share = checked("leakage_share", leakage_share, 0, 1, "of the energy")
    return np.asarray((1 - share) * point.energy_factor + share * point.leakage_factor / point.frequency_factor)


def optimal_voltage_v(
    leakage_share: npt.ArrayLike = 0.0, curve: str | VoltageCurve = "alpha_power", delay_weight: float = 1.0
) -> Floats:
    """Voltage of least energy x delay^weight, to about 1e-6 V.

    A limit of the curve is returned where energy and delay trade nothing inside, as on curves whose delay falls faster
    than their energy grows.

    Args:
        leakage_share: as of `total_energy_factor`, any shape.
        curve: as of `operating_point`.
        delay_weight: 0: least energy; 1: energy-delay; 2: energy-delay^2.
    """
    of = voltage_curve(curve) if isinstance(curve, str) else curve
    share = np.asarray(leakage_share, dtype=np.float64)[..., None]
    low, high = np.full(share.shape, of.low_v), np.full(share.shape, of.high_v)
    for _ in range(3):  # each round narrows the interval 256-fold
        volts = low + (high - low) * np.linspace(0, 1, _GRID)
        point = operating_point(volts, of)
        cost = total_energy_factor(point, share) / point.frequency_factor**delay_weight
        best = cost.argmin(axis=-1)[..., None]
        low = np.take_along_axis(volts, np.maximum(best - 1, 0), -1)
        high = np.take_along_axis(volts, np.minimum(best + 1, _GRID - 1), -1)
    return np.asarray(np.take_along_axis(volts, best, -1)[..., 0])


def clock_limit_hz(
    delay_ratio: npt.ArrayLike,
    nominal_hz: npt.ArrayLike,
    multiplier_share: npt.ArrayLike = 1.0,
    other_paths: npt.ArrayLike = 1.0,
    voltage_v: npt.ArrayLike | None = None,
    curve: str | VoltageCurve = "alpha_power",
) -> Floats:
    """Highest clock with a multiplier of another delay than the exact one; all arguments broadcast.

    At `nominal_hz` and the nominal supply the exact multiplier's path just meets the period. With another circuit the
    period is the longer of the new path and the longest path without a multiplier.

    Args:
        delay_ratio: delay of the multiplier / delay of the exact one of the same library, above 0.
        nominal_hz: clock with the exact multiplier, above 0.
        multiplier_share: part of the period the exact multiplier itself takes, 0..1; the rest is adder and register.
        other_paths: longest other path as part of the nominal period, 0..1. At 1, the cautious default, a faster
            multiplier does not raise the clock.
        voltage_v: supply; none = the curve's nominal.
        curve: as of `operating_point`.

    Raises:
        InvalidInputError: an argument out of range.
    """
    ratio, nominal = np.asarray(delay_ratio, dtype=np.float64), np.asarray(nominal_hz, dtype=np.float64)
    for label, values in (("delay_ratio", ratio), ("nominal_hz", nominal)):
        if not (np.isfinite(values) & (values > 0)).all():
            raise InvalidInputError(f"`{label}` must be above 0 and finite, but got {values}")
    share = checked("multiplier_share", multiplier_share, 0, 1, "of the period")
    others = checked("other_paths", other_paths, 0, 1, "of the period")
    period = np.maximum(1 - share + share * ratio, others)
    faster = 1.0 if voltage_v is None else operating_point(voltage_v, curve).frequency_factor
    return np.asarray(nominal * faster / period)
