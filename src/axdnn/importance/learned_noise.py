"""Learned noise: how much noise each layer bears when all of them are noisy at once.

After "AGN": each layer's outputs get Gaussian noise, and its standard deviation `sigma`, as a share of the spread of
these outputs, is learned together for all layers: the loss of the network against a reward for noise,

    KL(p_exact || p_noisy) - balance * sum_l w_l * min(log sigma_l, log cap),      weights w_l of sum 1.

Here the network's weights stay frozen, the loss is the divergence from the exact outputs (no labels), and the reward is
logarithmic, which makes the optimum plain: for little noise the divergence is `sum_l sigma_l^2 F_l` with the curvature
`F_l` of score `fisher`, so `2 sigma_l^2 F_l = balance * w_l`, and the divergence at the optimum is half of `balance`.
So `balance` chooses how far from little noise the layers are looked at: where all together cost what a budget allows.
Each step moves every sigma to where its slope, if the divergence were quadratic in it, would balance the reward.

The weights are alike by default. AGN's are shares in the products, so that a layer with more of them gets more noise:
right where sigma itself picks the circuits, but as an importance it would count twice what a strategy's prices say.

References:
    E. Trommer, B. Waschneck, A. Kumar, "Combining Gradients and Probabilities for Heterogeneous Approximation of Neural
    Networks", ICCAD 2022, arXiv:2208.07265 (the weights are trained too, by the task's loss; the reward is linear in
    the capped sigma).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from axdnn.importance.all_layers import images_at_once
from axdnn.importance.base import Context, Scorer
from axdnn.importance.divergence import clean_run, divergence
from axdnn.importance.layer_hooks import changed_outputs
from axdnn.quant import CapturedModel, Node
from axdnn.records import InvalidInputError, LayerScores, Network, require_finite

FIRST_SIGMA = 0.1
FORGETTING = 0.25  # share of the latest step in the curvature, which is measured with noise and depends on sigma
LONGEST_STEP = 1.0  # of the logarithm of sigma
WEIGHTS = ("equal", "products")


@dataclass(frozen=True)
class LearnedNoise(Scorer):
    """One over the share of a layer's output variance that may be noise: `1 / sigma^2` at the optimum.

    Attributes:
        balance: nats; the optimum costs half of it.
        cap: largest sigma.
        weights: of the reward, `equal`, or `products` as AGN has them.
        steps: of the optimisation.
        images: how many images of the context are looked at, all of them in each step.
        seed: of the noise.
    """

    name: ClassVar[str] = "learned_noise"
    balance: float = 0.05
    cap: float = 1.0
    weights: str = "equal"
    steps: int = 24
    images: int = 64
    seed: int = 0

    def score(self, context: Context) -> LayerScores:
        """Learn on the first images of the context."""
        for field, low in (("balance", 1e-9), ("cap", FIRST_SIGMA), ("steps", 2), ("images", 1)):
            require_finite(field, getattr(self, field), low)
        if self.weights not in WEIGHTS:
            raise InvalidInputError(f"`weights` must be one of {', '.join(WEIGHTS)}, but got {self.weights!r}")
        images, layers = context.images[: self.images], context.model.layer_names
        sigmas = self._learned(context, images)
        return LayerScores(
            score=self.name, values={n: float(s) ** -2 for n, s in zip(layers, sigmas, strict=True)},
            settings={
                "balance": f"{self.balance:g}", "cap": f"{self.cap:g}", "weights": self.weights,
                "steps": str(self.steps), "seed": str(self.seed),
            },
            images=len(images), network_images=len(images) * (1 + self.steps), unit="1 / share of variance",
        )  # fmt: skip

    def _learned(self, context: Context, images: torch.Tensor) -> torch.Tensor:
        """Return sigma of each layer, float64 `(layers,)`, by the mean curvature over the second half of the steps."""
        model, generator = context.model, torch.Generator().manual_seed(self.seed)
        at_once = images_at_once(model, images[:1], 1)
        reference, variances = clean_run(model, images, at_once)
        sizes = torch.tensor([variances[n] ** 0.5 for n in model.layer_names], dtype=torch.float64)
        wanted = self.balance * weights_of(context.network, self.weights)
        logs = torch.full_like(sizes, FIRST_SIGMA).log()
        ceiling = torch.tensor(self.cap, dtype=torch.float64).log()
        known, total = torch.zeros_like(logs), torch.zeros_like(logs)
        for step in range(self.steps):
            slopes = torch.zeros_like(logs)
            for part, clean in zip(images.split(at_once), reference.split(at_once), strict=True):
                slopes += slopes_of(model, part, clean, logs, sizes, generator) / len(images)
            curvature = slopes / (2 * (2 * logs).exp())  # does not depend on sigma where the divergence is quadratic
            known = torch.lerp(known, curvature, max(1 / (step + 1), FORGETTING))
            total += curvature if step >= self.steps // 2 else 0.0
            way = balanced(wanted, known) - logs
            logs = torch.minimum(logs + way.clamp(-LONGEST_STEP, LONGEST_STEP), ceiling)
            if context.progress is not None:
                context.progress("learned noise", step + 1, self.steps)
        return torch.minimum(balanced(wanted, total / (self.steps - self.steps // 2)), ceiling).exp()


def balanced(wanted: torch.Tensor, curvature: torch.Tensor) -> torch.Tensor:
    """Return the logarithm of sigma with `2 sigma^2 curvature = wanted`; very large where nothing curves."""
    return 0.5 * (wanted / (2 * curvature.clamp(min=1e-300))).log()


def slopes_of(
    model: CapturedModel, images: torch.Tensor, reference: torch.Tensor, logs: torch.Tensor, sizes: torch.Tensor,
    generator: torch.Generator,
) -> torch.Tensor:  # fmt: skip
    """Return the derivative of the divergence, summed over images, by the logarithm of each sigma, float64 `(layers,)`.

    Args:
        model: captured float network.
        images: `(n, ...)`.
        reference: logarithms of the exact probabilities.
        logs: logarithms of sigma.
        sizes: standard deviation of each layer's outputs.
        generator: of the noise.
    """
    place = {name: i for i, name in enumerate(model.layer_names)}
    learned = logs.clone().requires_grad_()

    def change(node: Node, _: tuple[torch.Tensor, ...], output: torch.Tensor) -> torch.Tensor:
        return output + amplitudes[place[node.layer_name]] * torch.randn(output.shape, generator=generator)

    with torch.enable_grad():
        amplitudes = (learned.exp() * sizes).to(images.dtype)
        with changed_outputs(model, change):
            loss = divergence(reference, model(images.detach())).sum()
    return torch.autograd.grad(loss, learned)[0]


def weights_of(network: Network, kind: str) -> torch.Tensor:
    """Return the weight of each layer in the reward, sum 1, float64 `(layers,)`."""
    products = torch.tensor([float(layer.macs) for layer in network.layers], dtype=torch.float64)
    return products / products.sum() if kind == "products" else torch.full_like(products, 1 / len(products))
