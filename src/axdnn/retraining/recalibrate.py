"""Fit gains and offsets anew: a regression per channel, or the statistics of batch norm under approximation."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import nn

from axdnn.layers import ApproxModel, ScaledSums, regress
from axdnn.quant import CapturedModel, Inputs, Node, capture, fold_batch_norm
from axdnn.records import InvalidInputError
from axdnn.retraining.requests import few

Statistics = Literal["regression", "moments"]


@torch.no_grad()
def recalibrate(approximate: ApproxModel, model: nn.Module, images: Inputs, rule: Statistics = "regression") -> None:
    """Set the gain and offset of every channel anew, layers in order, each on the already approximate input.

    `moments` is batch norm whose running mean and variance are taken from the approximate sums: after folding, a
    channel of the float network has the mean and deviation that its batch norm learned, and the approximate channel is
    given the same. It serves layers without batch norm alike. `regression` also knows which image each value
    belongs to, so what is noise is not amplified.

    Args:
        approximate: changed in place.
        model: the float network whose channels are the target.
        images: float `(n, ...)`, all at once; some hundreds; a tuple for several inputs.
        rule: `regression` or `moments`.

    Raises:
        InvalidInputError: unknown rule, or images of another shape.
    """
    if rule not in get_args(Statistics):
        raise InvalidInputError(f"`rule` must be one of {', '.join(get_args(Statistics))}, but got {rule!r}")
    captured = fold_batch_norm(model if isinstance(model, CapturedModel) else capture(model, few(images)))
    targets: dict[str, torch.Tensor] = {}

    def keep(node: Node, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        if node.is_layer:
            targets[node.name] = output

    def fit(layer: ScaledSums, codes: tuple[torch.Tensor, ...]) -> None:
        if len(captured.calls(layer.node.name)) > 1:  # one gain and offset for all its calls stays
            return
        z = layer.by_channel(layer.raw_sums(*codes, path=approximate.path)).double() * layer.real_unit
        y = layer.by_channel(targets.pop(layer.node.name)).double()
        gain, offset = (t.flatten() for t in regress(z[None], y[None])) if rule == "regression" else _moments(z, y)
        layer.set_affine(gain, offset)

    captured.run(images, keep)
    approximate.run(images, fit)


def _moments(z: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the gain and offset that give `z` `(rows, c)` the mean and deviation of `y`; gain 1 without spread."""
    spread = z.std(0, correction=0)
    gain = torch.where(spread > 0, y.std(0, correction=0) / spread.clamp(min=1e-300), 1.0)
    gain = torch.where(gain > 0, gain, 1.0)
    return gain, y.mean(0) - gain * z.mean(0)
