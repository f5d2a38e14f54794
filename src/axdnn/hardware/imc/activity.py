"""Activity of operands: what share of lines and cells really switches, measured on integer codes.

Ignoring the values of operands costs fixed-energy models of in-memory chips 28 % on average (CiMLoop's comparison
with NeuroSim); the codes of a quantised network give these shares for nothing.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

from axdnn.hardware.imc.gates import Floats, Number, floats
from axdnn.records import InvalidInputError

Codes = npt.NDArray[np.integer[Any]]
Encoding = Literal["magnitude", "twos_complement", "offset"]


class Activity(NamedTuple):
    """Shares between 0 and 1, numbers or arrays over layers; 1, the default, is what the closed forms assume.

    Attributes:
        activation_mean: mean |activation| / largest; drives cells whose rows get several bits at once.
        activation_ones: share of ones among activation bits; drives resistive cells whose rows get one bit.
        activation_toggles: share of activation bits that differ from those before; switches SRAM cells and adders.
        weight_mean: mean |weight| / largest; conductance of resistive cells.
        weight_ones: share of ones among weight bits; SRAM cells and adders.
    """

    activation_mean: Number = 1.0
    activation_ones: Number = 1.0
    activation_toggles: Number = 1.0
    weight_mean: Number = 1.0
    weight_ones: Number = 1.0

    def checked(self) -> Activity:
        """The same with arrays.

        Raises:
            InvalidInputError: a share outside 0..1.
        """
        for name, value in self._asdict().items():
            if not bool(np.all((floats(value) >= 0) & (floats(value) <= 1))):
                raise InvalidInputError(f"0 <= activity.{name} <= 1 must hold, but got {value!r}")
        return Activity(*(floats(value) for value in self))


def measure_activity(
    activation_codes: Codes,
    weight_codes: Codes,
    activation_bits: int = 8,
    weight_bits: int = 8,
    *,
    encoding: Encoding = "twos_complement",
) -> Activity:
    """Measure the activity of one layer.

    Args:
        activation_codes: `(m, k)`, rows in the order in which they are streamed; or any shape with time first.
        weight_codes: any shape.
        activation_bits: width of the words that are streamed.
        weight_bits: width of the words that are stored.
        encoding: how negative codes look on the lines: `magnitude` (sign kept elsewhere), `twos_complement`, `offset`
            (half the range added to all codes if any is negative).

    Returns:
        Shares; toggles are those between neighbouring rows, 0 if there is one row.

    Raises:
        InvalidInputError: codes that are not integers, none, or too large for their width.
    """
    if encoding not in get_args(Encoding):
        raise InvalidInputError(f"`encoding` must be one of {', '.join(get_args(Encoding))}, but got {encoding!r}")
    x = _words("activation_codes", activation_codes, activation_bits, encoding)
    w = _words("weight_codes", weight_codes, weight_bits, encoding)
    toggles = _ones(x[1:] ^ x[:-1], activation_bits) if len(x) > 1 else 0.0
    return Activity(
        activation_mean=_mean(activation_codes, activation_bits),
        activation_ones=_ones(x, activation_bits),
        activation_toggles=toggles,
        weight_mean=_mean(weight_codes, weight_bits),
        weight_ones=_ones(w, weight_bits),
    )


def _words(name: str, codes: Codes, bits: int, encoding: Encoding) -> npt.NDArray[np.uint64]:
    """Codes as they lie on the lines."""
    array = np.asarray(codes)
    if array.dtype.kind not in "iu" or not array.size:
        raise InvalidInputError(f"`{name}` must hold integers, at least one, but got {array.dtype} {array.shape}")
    signed = bool(array.min() < 0)
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    if array.min() < low or array.max() > high:
        raise InvalidInputError(
            f"`{name}` must lie in {low}..{high} for {bits} bits, but got {array.min()}..{array.max()}"
        )
    wide = array.astype(np.int64)
    if encoding == "magnitude":
        wide = np.abs(wide)
    elif signed:
        wide = wide + 2 ** (bits - 1) if encoding == "offset" else wide % 2**bits
    return wide.astype(np.uint64)


def _ones(words: npt.NDArray[np.uint64], bits: int) -> float:
    """Share of ones among the bits of words."""
    return float(np.mean([np.mean((words >> np.uint64(i)) & np.uint64(1)) for i in range(bits)]))


def _mean(codes: Codes, bits: int) -> float:
    """Mean magnitude relative to the largest one of the width."""
    wide = np.asarray(codes).astype(np.int64)
    largest = 2 ** (bits - 1) if bool(wide.min() < 0) else 2**bits - 1
    return float(np.mean(np.abs(wide)) / largest)


def analogue_share(activity: Activity, input_bits: Number, off_over_on: Number) -> Floats:
    """Energy of a resistive cell relative to one that is on under a fully driven row.

    One input bit: ones count. Several: the mean input stands for the mean square, which is an assumption that errs
    to the high side. A cell of weight 0 still conducts `off_over_on`.
    """
    drive = np.where(floats(input_bits) > 1, activity.activation_mean, activity.activation_ones)
    conductance = floats(off_over_on) + (1 - floats(off_over_on)) * floats(activity.weight_mean)
    return floats(drive * conductance)
