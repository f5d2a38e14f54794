"""Energy and delay of in-memory macros against supply voltage: fits to four chips, and the alpha-power law.

Factors are relative to a reference voltage. Every fit holds in the range that `data/voltage_fits.csv` gives.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from axdnn.hardware.imc.constants import constants, values
from axdnn.hardware.imc.gates import Floats, Number, floats
from axdnn.records import InvalidInputError, unknown_name


class VoltageFit(NamedTuple):
    """Energy `(V/V0)^e`, delay `f + (1 - f) (V0/V)^d`; measured from `low_v` to `high_v`."""

    reference_v: float
    energy_exponent: float
    fixed_delay: float
    delay_exponent: float
    low_v: float
    high_v: float

    def energy(self, vdd_v: Number) -> Floats:
        """Energy / energy at the reference.

        Raises:
            InvalidInputError: a supply outside the measured range.
        """
        return floats((self._checked(vdd_v) / self.reference_v) ** self.energy_exponent)

    def delay(self, vdd_v: Number) -> Floats:
        """Delay / delay at the reference.

        Raises:
            InvalidInputError: a supply outside the measured range.
        """
        falling = (self.reference_v / self._checked(vdd_v)) ** self.delay_exponent
        return floats(self.fixed_delay + (1 - self.fixed_delay) * falling)

    def _checked(self, vdd_v: Number) -> Floats:
        v = floats(vdd_v)
        if not bool(np.all((v >= self.low_v) & (v <= self.high_v))):
            raise InvalidInputError(f"{self.low_v} <= vdd_v <= {self.high_v} must hold for this fit, but got {vdd_v!r}")
        return v


def voltage_fits() -> list[str]:
    """Names of the fits."""
    return sorted({name.split(".")[0] for name in constants("voltage_fits")})


def voltage_fit(name: str) -> VoltageFit:
    """A fit by name.

    Raises:
        UnknownNameError: no fit of that name.
    """
    if name not in voltage_fits():
        raise unknown_name("voltage fit", name, voltage_fits())
    rows = constants("voltage_fits")
    low, high = (float(v) for v in rows[f"{name}.reference"].voltage_v.split(" to "))
    return VoltageFit(
        reference_v=rows[f"{name}.reference"].value,
        energy_exponent=rows[f"{name}.energy_exponent"].value,
        fixed_delay=rows[f"{name}.fixed_delay"].value,
        delay_exponent=rows[f"{name}.delay_exponent"].value,
        low_v=low,
        high_v=high,
    )


def alpha_power_delay(vdd_v: Number, reference_v: float) -> Floats:
    """Delay relative to that at `reference_v`: `V / (V - Vt)^a` (Sakurai & Newton).

    Threshold and exponent are assumptions, see `data/gates_28nm.csv`; near the threshold the law is too hopeful.

    Raises:
        InvalidInputError: a supply not above the threshold.
    """
    g, v = values("gates_28nm"), floats(vdd_v)
    threshold, exponent = g["threshold_voltage"], g["velocity_exponent"]
    if not bool(np.all(v > threshold)):
        raise InvalidInputError(f"`vdd_v` must be above the threshold of {threshold} V, but got {vdd_v!r}")
    return floats((v / reference_v) * ((reference_v - threshold) / (v - threshold)) ** exponent)
