"""A matrix product of two activations in integers, as attention has two of."""

from __future__ import annotations

import torch

from axdnn.kernels import Path, approx_matmul
from axdnn.kernels.codes import table_index
from axdnn.layers.coding import LayerCoding
from axdnn.layers.emission import Emission
from axdnn.layers.integer import ScaledSums
from axdnn.quant import Node
from axdnn.records import Multiplier


class IntegerProduct(ScaledSums):
    """A product of activations `(..., m, k)` and `(..., k, n)` with its multiplier; one scale for all of it.

    The first is operand a of the circuit. The second is coded as weights are, with one scale, and is operand b.

    Args:
        node: in the captured graph.
        coding: with `w_encoding`, the code of the second operand.
    """

    def __init__(self, node: Node, coding: LayerCoding) -> None:
        super().__init__(node, coding, 1)

    @property
    def forms(self) -> tuple[Emission, ...]:
        """The form in which each operand is read."""
        return (Emission(self.coding.encoding), second_form(self.coding))

    def raw_sums(self, *codes: torch.Tensor, path: Path = "auto") -> torch.Tensor:
        """Return exact sums with zero-point corrections, int32 where nothing is corrected and they fit."""
        a, b = codes[0], codes[1].transpose(-1, -2)
        sums = multiply_codes(a, b, self.multiplier, path, self.terms)
        return sums + product_correction(a, b, self.coding)

    def open_sums(self, *codes: torch.Tensor, path: Path = "auto") -> tuple[torch.Tensor, torch.Tensor]:
        """Return sums and the constant still to be added, both int64."""
        return self.raw_sums(*codes, path=path).to(torch.int64), self.bias.to(torch.int64)


def second_form(coding: LayerCoding) -> Emission:
    """Return the form of the second operand; stored code -128 of sign and magnitude is minus zero and not used."""
    encoding = coding.w_encoding
    assert encoding is not None
    if coding.multiplier.coding != "sign_magnitude":
        return Emission(encoding)
    steps = 127 >> encoding.step_bits
    return Emission(encoding, low=-steps * encoding.level_scale)


def multiply_codes(
    a: torch.Tensor, b: torch.Tensor, multiplier: Multiplier, path: Path, terms: torch.Tensor | None
) -> torch.Tensor:
    """Return sums of products of codes `(..., m, k)` and `(..., n, k)`, nothing corrected; `terms` as for a layer."""
    if terms is None or multiplier.is_exact:
        return approx_matmul(a, b, multiplier, path=path)
    lead = torch.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    pairs = zip(a.expand(*lead, *a.shape[-2:]).flatten(0, -3), b.expand(*lead, *b.shape[-2:]).flatten(0, -3),
                strict=True)  # fmt: skip
    each = [approx_matmul(x, w, multiplier, path=path, terms=terms) for x, w in pairs]
    return torch.stack(each).unflatten(0, lead)


def product_correction(a: torch.Tensor, b: torch.Tensor, coding: LayerCoding) -> torch.Tensor | int:
    """Return what zero points add to the sums, int64: `sum (x - zx)(w - zw) = sum x w - zw sum x - zx sum w + k zx zw`.

    Args:
        a: codes `(..., m, k)`.
        b: codes `(..., n, k)`.
        coding: of the product.
    """
    zx, zw, circuit = coding.encoding.zero_point, coding.w_zero, coding.multiplier
    total: torch.Tensor | int = 0
    if zw:
        values = torch.from_numpy(circuit.a_values).long()[table_index(a, circuit.a_signed).long()]
        total = total - zw * values.sum(-1, keepdim=True)
    if zx:
        values = torch.from_numpy(circuit.w_values).long()[table_index(b, circuit.w_signed).long()]
        total = total - zx * values.sum(-1).unsqueeze(-2)
    return total + a.shape[-1] * zx * zw
