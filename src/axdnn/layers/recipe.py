"""Switches of the conversion to approximate integer layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from axdnn.quant import RANGE_RULES, RangeRule
from axdnn.records import InvalidInputError

WeightCodes = Literal["joint", "optimal", "nearest", "alwann"]
UnsignedCoding = Literal["sign_magnitude", "unsigned"]
ActivationCodes = Literal["affine", "symmetric"]
WeightScales = Literal["channel", "tensor"]


@dataclass(frozen=True)
class Recipe:
    """How operands are coded and errors compensated; every step can be switched off to measure it alone.

    Attributes:
        align: match scale, clipping and rounding to the operand codes the circuit can tell apart.
        activation_range: `error` (least output error), `percentile` (99.9 %) or `minmax`.
        weight_codes: `optimal` stores the code whose products fit best under the layer's activation histogram,
            or the code of the nearest value where that leaves less output error; `nearest` always takes the latter,
            at the weight scale that leaves least output error; `alwann` maps each nearest code to the one whose
            products are closest over all activations alike, as ALWANN (arXiv 1907.07229) does;
            `joint` starts from `optimal` and chooses the codes of a sum together, so that their errors cancel
            (`joint_codes`).
        compensate: fold a gain and an offset per output channel, regressed on calibration images, into scale and bias.
        in_order: calibrate layers in order, each on the already approximate input; otherwise each on exact input.
        unsigned_coding: around unsigned circuits, `sign_magnitude` weights or `unsigned` weights with a zero point.
        activation_codes: `affine` (a zero point where it leaves less error) or `symmetric` (zero is code 0).
        activation_bits: 2..8, of layers' inputs: with fewer than 8 the upper bits of the circuit's operand.
        weight_scales: one scale per output `channel` or per `tensor`.
        weight_bits: 2..8, likewise.
        fit_rows: rows (output positions) sampled per layer to choose codes.
        seed: of that sample.
    """

    align: bool = True
    activation_range: RangeRule = "error"
    weight_codes: WeightCodes = "joint"
    compensate: bool = True
    in_order: bool = True
    unsigned_coding: UnsignedCoding = "sign_magnitude"
    activation_codes: ActivationCodes = "affine"
    activation_bits: int = 8
    weight_scales: WeightScales = "channel"
    weight_bits: int = 8
    fit_rows: int = 512
    seed: int = 0

    def __post_init__(self) -> None:
        """Check every switch."""
        allowed = {
            "activation_range": RANGE_RULES,
            "weight_codes": get_args(WeightCodes),
            "unsigned_coding": ("sign_magnitude", "unsigned"),
            "activation_codes": ("affine", "symmetric"),
            "weight_scales": ("channel", "tensor"),
        }
        for field, values in allowed.items():
            got = getattr(self, field)
            if got not in values:
                raise InvalidInputError(f"`{field}` must be one of {', '.join(values)}, but got {got!r}")
        for field in ("activation_bits", "weight_bits"):
            got = getattr(self, field)
            if isinstance(got, bool) or got not in range(2, 9):
                raise InvalidInputError(f"2 <= {field} <= 8 must hold, but got {field}={got!r}")
        if self.fit_rows < 16:
            raise InvalidInputError(f"fit_rows >= 16 must hold, but got fit_rows={self.fit_rows}")
