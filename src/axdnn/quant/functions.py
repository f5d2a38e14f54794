"""Operators that stay exact and read real values: softmax, normalisations, gates, means.

The integer network computes them in float64 and rounds once to float32, so that the bits do not depend on how a batch
was split; the float network computes them in its own type.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional


class Function:
    """A named function of one or more tensors with its constants.

    Args:
        name: key of `FUNCTIONS`.
        constants: further arguments by name; tensors take the type of the values.
    """

    def __init__(self, name: str, constants: dict[str, Any]) -> None:
        self.name, self.constants = name, constants

    def __call__(self, *values: torch.Tensor) -> torch.Tensor:
        """Apply the function."""
        constants = {k: _like(v, values[0]) for k, v in self.constants.items()}
        return FUNCTIONS[self.name](*values, **constants)


def _like(value: Any, x: torch.Tensor) -> Any:
    if not isinstance(value, torch.Tensor):
        return value
    same = value.is_floating_point() and x.is_floating_point()
    return value.to(x.device, x.dtype if same else value.dtype)


def attention_weights(
    scores: torch.Tensor, scale: float, causal: bool, mask: torch.Tensor | None = None
) -> torch.Tensor:
    """Softmax of scaled scores `(..., queries, keys)`; a mask is added, or False leaves a key out."""
    scores = scores * scale
    if causal:
        later = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).triu(1)
        scores = scores.masked_fill(later, float("-inf"))
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf")) if mask.dtype == torch.bool else scores + mask
    return torch.softmax(scores, -1)


def lstm_cell(inputs: torch.Tensor, recurrent: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
    """Return the next h and c, stacked `(2, b, hidden)`, from pre-activations `(b, 4 hidden)` of i, f, g and o."""
    i, f, g, o = (inputs + recurrent).chunk(4, -1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.stack([torch.sigmoid(o) * torch.tanh(c), c])


def gru_cell(inputs: torch.Tensor, recurrent: torch.Tensor, h: torch.Tensor) -> torch.Tensor:
    """Return the next h, from pre-activations `(b, 3 hidden)` of r, z and n."""
    (r, z, n), (r_h, z_h, n_h) = inputs.chunk(3, -1), recurrent.chunk(3, -1)
    r, z = torch.sigmoid(r + r_h), torch.sigmoid(z + z_h)
    return (1 - z) * torch.tanh(n + r * n_h) + z * h


def _affine(x: torch.Tensor, scale: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
    return x * scale + shift


def _combine(x: torch.Tensor, y: torch.Tensor, first: float, second: float) -> torch.Tensor:
    return first * x + second * y


FUNCTIONS: dict[str, Callable[..., torch.Tensor]] = {
    "affine": _affine,
    "attention_weights": attention_weights,
    "avg_pool3d": functional.avg_pool3d,
    "combine": _combine,
    "div": torch.div,
    "embedding": lambda x, weight: weight[x.long()],
    "group_norm": functional.group_norm,
    "gru_cell": gru_cell,
    "layer_norm": functional.layer_norm,
    "log_softmax": torch.log_softmax,
    "lstm_cell": lstm_cell,
    "maximum": torch.maximum,
    "mean": torch.mean,
    "minimum": torch.minimum,
    "mul": torch.mul,
    "rms_norm": functional.rms_norm,
    "rnn_relu_cell": lambda x, y: torch.relu(x + y),
    "rnn_tanh_cell": lambda x, y: torch.tanh(x + y),
    "softmax": torch.softmax,
    "sum": torch.sum,
    "amax": torch.amax,
}
# Reductions and normalisations: the axes they run over must not be the batch.
OVER_AXES = {"softmax", "_softmax", "log_softmax", "_log_softmax", "mean", "sum", "amax"}
PAIRWISE = {"mul", "div", "sub", "add", "maximum", "minimum"}


def function_attrs(name: str, **constants: Any) -> dict[str, Any]:
    """Return the attributes of a `function` node."""
    return {"function": name, "apply": Function(name, {k: v for k, v in constants.items() if v is not None})}
