"""An integer network that can be attacked: the very same bits, with a gradient to its input."""

from __future__ import annotations

from typing import cast

import torch
from torch import nn

from axdnn.layers import ApproxModel
from axdnn.layers.product import IntegerProduct
from axdnn.quant import CapturedModel, Inputs, capture, fold_batch_norm
from axdnn.records import InvalidInputError
from axdnn.retraining import Gradient, GradientRule, TrainableModel
from axdnn.retraining.parameters import TrainableSums
from axdnn.retraining.ranges import ActivationRange
from axdnn.robustness.frozen import FrozenLayer, FrozenRange, frozen_product


class DifferentiableNetwork(TrainableModel):
    """A frozen integer network with gradients to its inputs; nothing in it is learned.

    Calling it with real inputs `(b, ...)` returns what `approximate` returns, to the bit.
    """

    def __init__(self, approximate: ApproxModel, captured: CapturedModel, rule: GradientRule) -> None:
        layers: dict[str, TrainableSums] = {}
        for name in approximate.layer_names:
            layer = cast("nn.Module", approximate.layer(name))
            if isinstance(layer, IntegerProduct):
                layers[name] = frozen_product(layer, rule)
            else:
                layers[name] = FrozenLayer(approximate.layer(name), captured.layer(name).weight.detach(), rule)
        super().__init__(approximate, captured, layers, rule, ranges=False)
        frozen = {key: FrozenRange(of) for key, of in self._ranges.items() if isinstance(of, ActivationRange)}
        self._ranges = nn.ModuleDict(frozen)
        self.eval().requires_grad_(False)


def differentiable(
    approximate: ApproxModel, model: nn.Module, gradient: Gradient = "straight_through", *, width: int = 64,
    tolerance: float = 0.03,
) -> DifferentiableNetwork:  # fmt: skip
    """Return a network that computes what `approximate` computes, to the bit, with a gradient to its input.

    Args:
        approximate: the integer network; layers with skipped channels and exact or absent terms included.
        model: the float network it was made from, or its capture with batch norm folded.
        gradient: `straight_through` takes the float network's derivative at the approximate activations;
            `table_slope` takes the smoothed difference of each circuit's table.
        width: of the smoothed difference, in codes to either side, 1..127.
        tolerance: relative error allowed to its factors, 0..1.

    Raises:
        InvalidInputError: `model` is not the network of `approximate`, or an option is out of range.
        UnsupportedOperatorError: an operator without a gradient.
    """
    rule, captured = GradientRule(gradient, width, tolerance), model
    if not isinstance(captured, CapturedModel):
        captured = fold_batch_norm(capture(model, _example(approximate)))
    if list(captured.nodes) != list(approximate.nodes):
        raise InvalidInputError("`model` must be the network that was made approximate, but its operators differ")
    return DifferentiableNetwork(approximate, captured, rule)


def _example(approximate: ApproxModel) -> Inputs:
    generator = torch.Generator().manual_seed(0)
    found = tuple(torch.rand(2, *shape, generator=generator) for shape in approximate.input_shapes)
    return found if len(found) > 1 else found[0]
