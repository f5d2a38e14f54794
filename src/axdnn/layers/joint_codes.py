"""Weight codes of a layer chosen together, so that what one term of a sum gets wrong its neighbours make up for.

A code of an approximate circuit acts, under the layer's activations, as a weight (its `slope`) and some noise. The
error of a sum is then `delta' C delta` plus the noise, with `delta` the errors of the weights and C the covariance of
the layer's inputs: coordinate descent over the terms, exact in each step.

References:
    M. Nagel et al., "Up or Down? Adaptive Rounding for Post-Training Quantization", ICML 2020 (the objective).
    E. Frantar et al., "GPTQ: Accurate Post-Training Quantization for Generative Pre-trained Transformers", ICLR 2023
    (term by term under the covariance). Circuits that are not exact are ours.
"""

from __future__ import annotations

from typing import NamedTuple

import torch

from axdnn.layers.closed_forms import Steps, lowest_lines

BLOCK = 576
"""Most terms that are seen together: cost grows with it, gain hardly."""
MOMENT_ROWS = 4096
"""Rows of a layer's input that its covariance is taken from."""
DAMPING = 0.01
SWEEPS = 4

Covariance = tuple[torch.Tensor, ...]


def block_covariance(rows: torch.Tensor) -> Covariance:
    """Covariance of the terms in blocks of nearly equal size along the sums, each float64 `(groups, b, b)`.

    Float64, for the last bits of a product hang on threads and memory, and the choice of one code decides those of all
    terms after it: with float32 a run might now and then end with other codes than the same run before.
    Shrunk towards its diagonal by `b / (b + r)`: b terms need many more than b rows to show how they vary together.

    Args:
        rows: of a layer's input, `(groups, r, k)`.
    """
    count, terms = rows.shape[1:]
    size = -(-terms // -(-terms // BLOCK))
    blocks = []
    for part in rows.split(size, dim=2):
        part = part.double()
        centred = part - part.mean(dim=1, keepdim=True)
        found = centred.transpose(1, 2) @ centred / count
        alone = found.diagonal(dim1=1, dim2=2)
        floor = DAMPING * alone.mean(dim=1, keepdim=True) + 1e-12
        found = found * (count / (count + part.shape[2]))
        found.diagonal(dim1=1, dim2=2).copy_(alone + floor)
        blocks.append(found)
    return tuple(blocks)


class Responses(NamedTuple):
    """What the codes of a circuit do under a layer's activations.

    Attributes:
        slope: weight that each code acts as, of all 256, float64.
        steps: wanted weight -> code that leaves the least error, its noise included.
    """

    slope: torch.Tensor
    steps: Steps


def responses(share: torch.Tensor, a: torch.Tensor, products: torch.Tensor, codes: torch.Tensor) -> Responses:
    """Regress the products of each code on the activation; both centred, as compensation takes the mean error.

    Args:
        share: of each activation code, `(256,)`, sum 1.
        a: values of the activation codes, zero point subtracted, `(256,)`.
        products: what the circuit and its corrections give, `(256 activations, 256 codes)`.
        codes: legal ones, those of small values first: they win ties.
    """
    spread = (share @ (a - share @ a).square()).clamp(min=1e-30)
    slope = (share * (a - share @ a)) @ products / spread
    noise = (share @ (products - share @ products).square() / spread - slope.square()).clamp(min=0)
    line, breaks = lowest_lines(-2 * slope[codes], slope[codes].square() + noise[codes])
    return Responses(slope, Steps(codes[line], breaks))


def joint_codes(
    target: torch.Tensor, start: torch.Tensor, found: Responses, covariance: Covariance, fixed: torch.Tensor | None
) -> torch.Tensor:
    """Return the column of the table for each weight, `(groups, n, k)` int64, by coordinate descent from `start`.

    Args:
        target: weights in units of their scale, float64 `(groups, n, k)`.
        start: columns of the codes to start from, likewise.
        found: what the codes do.
        covariance: of the terms.
        fixed: terms whose codes stay (those that multiply exactly), bool `(k,)`; None = none.
    """
    chosen = start.clone()
    slopes = found.slope[found.steps.values]
    for g in range(len(target)):
        first = 0
        for block in covariance:
            last = first + block.shape[-1]
            left = range(last - first) if fixed is None else torch.nonzero(~fixed[first:last]).flatten().tolist()
            wanted, c = target[g, :, first:last].T.contiguous(), block[g]
            columns = chosen[g, :, first:last].T.contiguous()
            delta = found.slope[columns] - wanted
            for _ in range(SWEEPS):
                pull = c @ delta
                for j in left:
                    at = wanted[j] - pull[j] / c[j, j] + delta[j]
                    i = torch.bucketize(at, found.steps.breaks)
                    error = slopes[i] - wanted[j]
                    pull.addr_(c[j], error - delta[j])
                    delta[j], columns[j] = error, found.steps.values[i]
            chosen[g, :, first:last] = columns.T
            first = last
    return chosen
