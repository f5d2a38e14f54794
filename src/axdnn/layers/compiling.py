"""Approximate networks under `torch.compile`: run as they are, with one warning.

A compiler is free to fuse a multiplication with the addition after it and to round once where the network rounds twice;
then codes are no longer the same to the last bit. The products are compiled kernels anyway. Functions that call
`approx_matmul` and `approx_conv2d` do compile, through their operators.
"""

from __future__ import annotations

import warnings
from functools import cache
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from axdnn.layers.model import ApproxModel
    from axdnn.quant import Inputs


@torch.compiler.disable(reason="an ApproxModel runs uncompiled, so that its results stay the same to the last bit")
def run_uncompiled(model: ApproxModel, *inputs: torch.Tensor) -> Inputs:
    """Compute the network outside of the compiled program around it; the first time, say so."""
    _say_so()
    return model.run(inputs)


@cache
def _say_so() -> None:
    warnings.warn(
        "torch.compile leaves an ApproxModel as it is: it runs uncompiled, on axdnn's own kernels, so that its results "
        "stay the same to the last bit",
        RuntimeWarning,
        stacklevel=3,
    )
