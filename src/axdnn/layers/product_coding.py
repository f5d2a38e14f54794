"""Choosing operand codes of a product of two activations."""

from __future__ import annotations

from dataclasses import replace

import torch

from axdnn.layers.closed_forms import regress
from axdnn.layers.coding import CodeRule, CodingFit, LayerCoding, better
from axdnn.layers.product import multiply_codes, product_correction, second_form
from axdnn.quant import Encoding, range_encoding

OPERAND_CLIPS = (1.0, 0.9, 0.8, 0.6)


class ProductFit(CodingFit):
    """The search for the codes of a product: the range of the first operand, then that of the second."""

    def best(self) -> LayerCoding:
        """Return the coding that leaves the least noise."""
        found: LayerCoding | None = None
        for family in self._encodings():
            found = better(found, self._best_clip(family))
        assert found is not None
        if self.recipe.activation_range == "error":
            for ratio in OPERAND_CLIPS[1:]:
                found = better(found, self.attempt(found.encoding, ratio))
        return found

    def attempt(self, encoding: Encoding, ratio: float = 1.0, rule: CodeRule = "expected") -> LayerCoding:
        """Return the coding with a range of the first operand and a share of the range of the second."""
        second = self._second(ratio)
        unit = second.scale / (2 if self.multiplier.coding == "sign_magnitude" else 1)
        scale = torch.full((1, 1), unit, dtype=torch.float64)
        zero = second.zero_point if self.multiplier.coding == "unsigned" else 0
        nothing = torch.zeros(0, dtype=second.dtype)
        coding = LayerCoding(self.multiplier, encoding, nothing, scale, zero, 0.0, self.sample.terms, second)
        return replace(coding, noise=self._product_noise(coding))

    def _second(self, ratio: float) -> Encoding:
        low, high = (self.sample.w_low or 0.0) * ratio, (self.sample.w_high or 0.0) * ratio
        step = self.w_step
        if self.multiplier.coding == "unsigned":
            return range_encoding(low, high, signed=False, step_bits=step)
        if self.multiplier.coding == "signed":
            return range_encoding(low, high, signed=True, step_bits=step, symmetric=True)
        top = 127 >> step or 1
        size = max(-low, high) / top
        return Encoding((size if size > 1e-30 else 1.0) / (1 << step), 0, True, step)

    def _product_noise(self, coding: LayerCoding) -> float:
        a = coding.encoding.quantise(self.sample.rows)
        b = second_form(coding).emit(self.sample.weight)
        z, y = product_sums(a, b, coding) * float(coding.w_scale) * coding.encoding.scale, self.sample.target.double()
        z, y = z.reshape(1, -1, 1), y.reshape(1, -1, 1)
        if self.recipe.compensate:
            gain, offset = regress(z, y)
            z = z * gain + offset
        spread = float((y - y.mean()).square().mean()) or 1.0
        return float((y - z).square().mean()) / spread


def product_sums(a: torch.Tensor, b: torch.Tensor, coding: LayerCoding) -> torch.Tensor:
    """Return corrected sums, float64 `(g, r, n)`, of codes `(g, r, k)` and `(g, n, k)`."""
    sums = multiply_codes(a, b, coding.multiplier, "auto", coding.terms)
    return (sums + product_correction(a, b, coding)).double()
