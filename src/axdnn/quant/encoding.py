"""How real activations become operand codes."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from axdnn.records import InvalidInputError

SMALLEST_LEVEL = 1e-30


@dataclass(frozen=True)
class Encoding:
    """An 8-bit code for activations: `value = scale * (code - zero_point)`.

    Attributes:
        scale: float, positive, per code step of one.
        zero_point: the code of zero.
        signed: int8 codes if true, else uint8.
        step_bits: codes move in steps of `2**step_bits` from the zero point; the low bits carry no information (a
            circuit that truncates its operand sees rounded values this way, not floored ones).
    """

    scale: float
    zero_point: int
    signed: bool
    step_bits: int = 0

    @property
    def code_min(self) -> int:
        """Smallest code."""
        return -128 if self.signed else 0

    @property
    def code_max(self) -> int:
        """Largest code."""
        return self.code_min + 255

    @property
    def level_bounds(self) -> tuple[int, int]:
        """Smallest and largest level, where `code = zero_point + level * 2**step_bits`."""
        step = 1 << self.step_bits
        return -((self.zero_point - self.code_min) // step), (self.code_max - self.zero_point) // step

    @property
    def level_scale(self) -> float:
        """Real size of one level."""
        return self.scale * (1 << self.step_bits)

    @property
    def dtype(self) -> torch.dtype:
        """Tensor type of the codes."""
        return torch.int8 if self.signed else torch.uint8

    def code_of(self, level: torch.Tensor) -> torch.Tensor:
        """Return codes of whole-numbered, clamped levels (a float tensor)."""
        code = level * (1 << self.step_bits) if self.step_bits else level
        return (code + self.zero_point if self.zero_point else code).to(self.dtype)

    def quantise(self, x: torch.Tensor) -> torch.Tensor:
        """Return codes of real values: divide by the level's size, round half to even, clamp."""
        low, high = self.level_bounds
        inverse = torch.tensor(1.0 / self.level_scale, dtype=torch.float32)
        return self.code_of(torch.clamp(torch.round(x * inverse), low, high))

    def dequantise(self, codes: torch.Tensor) -> torch.Tensor:
        """Return the real values of codes, float32."""
        return (codes.to(torch.float32) - self.zero_point) * self.scale

    def all_codes(self) -> torch.Tensor:
        """Return the 256 codes in ascending order."""
        return torch.arange(self.code_min, self.code_max + 1).to(self.dtype)


def range_encoding(low: float, high: float, signed: bool, step_bits: int = 0, symmetric: bool = False) -> Encoding:
    """Return the encoding that covers `[low, high]`, zero always exactly representable.

    Args:
        low: smallest value to represent; taken as at most 0.
        high: largest value; taken as at least 0.
        signed: int8 or uint8 codes.
        step_bits: see `Encoding`.
        symmetric: zero point 0 (signed) whatever the range; an unsigned symmetric code needs `low >= 0`.

    Raises:
        InvalidInputError: a bound is not finite, or negative values with an unsigned symmetric code.
    """
    low, high = min(float(low), 0.0), max(float(high), 0.0)
    if not (torch.isfinite(torch.tensor([low, high])).all()):
        raise InvalidInputError(f"an activation range must be finite, but got [{low}, {high}]")
    step = 1 << step_bits
    levels = 256 // step - 1
    if symmetric:
        if not signed and low < 0:
            raise InvalidInputError("negative activations need a zero point in an unsigned code")
        top = (levels // 2 if signed else levels) or 1
        below = (128 // step) if signed else 1
        size = _usable(max(high / top, -low / below if signed else 0.0))
        return Encoding(size / step, 0, signed, step_bits)
    size = _usable((high - low) / levels)
    code_min = -128 if signed else 0
    zero = code_min + step * int(min(max(round(-low / size), 0), levels))
    return Encoding(size / step, zero, signed, step_bits)


def _usable(size: float) -> float:
    """Return a level's size, 1 for a tensor that is zero or so small that float32 cannot hold the inverse."""
    return size if size > SMALLEST_LEVEL else 1.0
