"""How a trained weight becomes a stored code: a step function of one layer, frozen when training starts.

The float weight is the latent variable. Its code is what the recipe would store: the nearest code that the circuit can
tell apart, or the code whose products fit best under the histogram of the layer's activations (lower envelope of 256
lines), whichever rule gave the codes found in the layer. Under the latter a code's products are close to those of the
weight itself, which is what makes the straight-through gradient a good one. The histogram is that of the calibration
images; it is not taken again while training changes the activations.
"""

from __future__ import annotations

from typing import Any

import torch

from axdnn.kernels.codes import code_dtype, table_index
from axdnn.layers import IntegerLayer, LayerCoding, LayerSample, Recipe
from axdnn.layers.alwann import mapped
from axdnn.layers.closed_forms import Steps
from axdnn.layers.coding import MOST_STEP_BITS, joint_steps, optimal_codes
from axdnn.multipliers import classify


class StoreWeights(torch.autograd.Function):
    """`code = steps(weight * inverse)`, as float32; the gradient is that of the weight in units of its scale.

    What comes back is therefore per unit of the weight's value, not per code. Beyond `[low, high]` none passes.
    """

    @staticmethod
    def forward(  # noqa: D102
        ctx: Any, weight: torch.Tensor, inverse: torch.Tensor, steps: Steps, low: float, high: float
    ) -> torch.Tensor:
        ctx.save_for_backward(weight, inverse)
        ctx.bounds = low, high
        return Steps(steps.values.float(), steps.breaks.float()).at(weight * inverse)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:  # noqa: D102
        weight, inverse = ctx.saved_tensors
        value, (low, high) = weight * inverse, ctx.bounds
        inside = grads[0].masked_fill((value < low) | (value > high), 0)
        to_inverse = (inside * weight).sum_to_size(inverse.shape) if ctx.needs_input_grad[1] else None
        return inside * inverse, to_inverse, None, None, None


def code_steps(layer: IntegerLayer, sample: LayerSample, recipe: Recipe) -> Steps:
    """Return weight (in units of its scale) -> stored code, by the rule that gives most of the layer's codes.

    Args:
        layer: as it was approximated.
        sample: its float weights and sampled inputs.
        recipe: with which it was approximated.
    """
    if recipe.weight_codes == "alwann":
        multiplier, step_bits = layer.coding.multiplier, 8 - recipe.weight_bits
        nearest = _steps(layer.coding, step_bits)
        return Steps(mapped(nearest.values, multiplier, step_bits), nearest.breaks)
    rules = [_nearest(layer.coding, recipe)]
    if recipe.weight_codes != "nearest":
        rules += [optimal_codes(sample, layer.coding, recipe, centred) for centred in (False, True)]
    if recipe.weight_codes == "joint":  # which gives a weight another code than its own value would get
        rules.append(joint_steps(sample, layer.coding, recipe))
    target, stored = sample.weight.double() / layer.coding.w_scale.unsqueeze(-1), layer.coding.w_codes
    known = [int(torch.isin(stored, steps.values).sum()) for steps in rules]
    same = [int((steps.at(target) == stored).sum()) for steps in rules]
    return max(zip(known, same, rules, strict=True), key=lambda rule: rule[:2])[2]


def starting_values(layer: IntegerLayer, weight: torch.Tensor, steps: Steps, middle: bool = False) -> torch.Tensor:
    """Return the weight `(c_out, k)` in units of its scale, moved to just inside the cell of the code it is stored as.

    Where the stored code is none of the step function's, the weight stays as it is and starts with another code.

    Args:
        layer: as it was approximated.
        weight: float, as the layer has it.
        steps: of `code_steps`.
        middle: move to the middle of the cell instead: codes that were chosen together are many of them not those of
            their own weights, and at the edge of their cells the first steps of training would undo the choice.
    """
    value = weight.flatten(1).double() / layer.coding.w_scale.view(-1, 1)
    stored = layer.w_codes.flatten(1)
    outer = steps.breaks if len(steps.breaks) else torch.zeros(1, dtype=torch.float64)
    ends = torch.cat([outer[:1] - 1.0, steps.breaks, outer[-1:] + 1.0])
    by_code = torch.full((2, 256), float("nan"), dtype=torch.float64)
    rows = table_index(steps.values, layer.multiplier.w_signed).long()
    margin = (ends[1:] - ends[:-1]) * 1e-3
    by_code[0, rows], by_code[1, rows] = ends[:-1] + margin, ends[1:] - margin
    spot = table_index(stored, layer.multiplier.w_signed).long()
    middles = by_code[:, spot].mean(dim=0)
    by_code[0, rows[0]], by_code[1, rows[-1]] = -torch.inf, torch.inf
    low, high = by_code[:, spot]
    moved = torch.minimum(torch.maximum(value, low), high)
    if middle:
        moved = torch.where((value < low) | (value > high), middles, value)
    return torch.where(torch.isnan(moved), value, moved)


def effective_values(coding: LayerCoding, sample: LayerSample) -> torch.Tensor:
    """Return, for each column of the table, the weight whose exact products fit its products best, float64 `(256,)`."""
    multiplier, zero = coding.multiplier, coding.encoding.zero_point
    index = table_index(coding.encoding.quantise(sample.rows), multiplier.a_signed).flatten().long()
    share = torch.bincount(index, minlength=256).double() / index.numel()
    a = torch.from_numpy(multiplier.a_values).double()
    w = torch.from_numpy(multiplier.w_values).double() - coding.w_zero
    power = share @ (a - zero).square()
    if power == 0:
        return w
    products = torch.from_numpy(multiplier.table.copy()).double() - coding.w_zero * a[:, None] - zero * w[None, :]
    return (share * (a - zero)) @ products / power


def value_bounds(coding: LayerCoding) -> tuple[float, float]:
    """Return the weights, in units of the scale, that round to the smallest and largest value of a code.

    The largest weight of a channel often defines its scale and lies on the edge: half a unit keeps its gradient.
    """
    values = coding.multiplier.w_values - coding.w_zero
    return float(values.min()) - 0.5, float(values.max()) + 0.5


def _nearest(coding: LayerCoding, recipe: Recipe) -> Steps:
    return _steps(coding, min(classify(coding.multiplier).w_step_bits, MOST_STEP_BITS) if recipe.align else 0)


def _steps(coding: LayerCoding, step_bits: int) -> Steps:
    multiplier, zero, step = coding.multiplier, coding.w_zero, 1 << step_bits
    below = 127 if multiplier.coding == "sign_magnitude" else 128
    levels = torch.arange(-(below // step), 127 // step + 1) * step
    unit = 2 if multiplier.coding == "sign_magnitude" else 1
    middles = (levels[1:] + levels[:-1]).double() * unit / 2
    return Steps((levels + zero).to(code_dtype(multiplier.w_signed)), middles)
