"""Attacks that look for the nearest image that fools the network: DeepFool, and that of Carlini and Wagner.

They go on until the image lies within the ball; one found farther away is pulled back to the ball, where it may fail.

References:
    S.-M. Moosavi-Dezfooli, A. Fawzi, P. Frossard, "DeepFool: a simple and accurate method to fool deep neural
    networks", CVPR 2016.
    N. Carlini, D. Wagner, "Towards evaluating the robustness of neural networks", IEEE S&P 2017.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from axdnn.robustness.attack import Settings
from axdnn.robustness.gradient_attacks import PGD
from axdnn.robustness.threat import Ball
from axdnn.robustness.victim import Victim, margin

INSIDE = 1.0 - 1e-6
"""Pixels are kept this much within (-1, 1) where the inverse hyperbolic tangent is taken."""


@dataclass(frozen=True)
class DeepFool(Settings):
    """Steps to the nearest boundary of the network made linear at the present image.

    Attributes:
        steps: at most so many.
        overshoot: how far beyond the boundary, as a share of the way.
        classes: boundaries to so many of the likeliest classes are looked at, that of the label included.
    """

    name: ClassVar[str] = "deepfool"
    steps: int = 50
    overshoot: float = 0.02
    classes: int = 10

    def perturb(
        self, victim: Victim, images: torch.Tensor, labels: torch.Tensor, ball: Ball, seed: int
    ) -> torch.Tensor:
        """See `Attack`."""
        found, way, left = images.clone(), torch.zeros_like(images), torch.arange(len(images))
        for step in range(self.steps + 1):
            gaps, slopes, fooled = self._linear(victim, found[left], labels[left])
            left, gaps, slopes = left[~fooled], gaps[~fooled], slopes[~fooled]
            if not len(left) or step == self.steps:
                break
            way[left] += _to_boundary(gaps, slopes, ball.norm)
            found[left] = (images[left] + (1 + self.overshoot) * way[left]).clamp(0.0, 1.0)
        return ball.project(found, images)

    def _linear(
        self, victim: Victim, images: torch.Tensor, labels: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return how far the label leads each other class `(b, k)`, the slopes of that `(k, b, ...)`, who is fooled."""
        x = images.detach().requires_grad_()
        with torch.enable_grad():
            logits = victim(x)
            values = logits.detach()
            fooled = margin(values, labels) > 0
            count = min(self.classes, logits.shape[1])
            others = values.scatter(1, labels[:, None], float("-inf")).topk(count - 1).indices
            own = logits.gather(1, labels[:, None])
            ahead = own - logits.gather(1, others)
            grads = [torch.autograd.grad(ahead[:, k].sum(), x, retain_graph=k + 2 < count)[0] for k in range(count - 1)]
        return ahead.detach(), torch.stack(grads, 1), fooled


def _to_boundary(gaps: torch.Tensor, slopes: torch.Tensor, norm: str) -> torch.Tensor:
    """Return the shortest way to any boundary `(b, ...)`, from gaps `(b, k)` and slopes `(b, k, ...)`."""
    flat = slopes.flatten(2)
    size = (flat.abs().sum(2) if norm == "linf" else flat.norm(dim=2)).clamp_min(1e-12)
    length = gaps.abs() / size
    nearest = length.argmin(1)
    rows = torch.arange(len(gaps))
    slope = slopes[rows, nearest]
    shape = (-1, *([1] * (slope.dim() - 1)))
    reach = (length[rows, nearest] + 1e-4).view(shape)  # a little more, for boundaries that are met exactly
    direction = slope.sign() if norm == "linf" else slope / size[rows, nearest].view(shape)
    return -reach * direction


@dataclass(frozen=True)
class CarliniWagner(Settings):
    """The attack of Carlini and Wagner on the margin of logits.

    For L2 their own: the size of the perturbation squared plus a weight times the margin, pixels as hyperbolic
    tangents, minimised by Adam; the weight is found by bisection for each image. For L-infinity PGD on the margin, as
    in Madry et al.

    Attributes:
        steps: of Adam or of PGD, each time.
        searches: values of the weight that are tried, or starts of PGD.
        rate: of Adam.
        weight: the first one.
    """

    name: ClassVar[str] = "cw"
    steps: int = 60
    searches: int = 3
    rate: float = 0.05
    weight: float = 1.0

    def perturb(
        self, victim: Victim, images: torch.Tensor, labels: torch.Tensor, ball: Ball, seed: int
    ) -> torch.Tensor:
        """See `Attack`."""
        if ball.norm == "linf":
            pgd = PGD(steps=self.steps, restarts=self.searches, loss="margin")
            return pgd.perturb(victim, images, labels, ball, seed)
        best, size = images.clone(), torch.full((len(images),), float("inf"), dtype=torch.float64)
        low, high = torch.zeros(len(images)), torch.full((len(images),), float("inf"))
        weight, left = torch.full((len(images),), self.weight), torch.arange(len(images))
        for _ in range(self.searches):
            found, length = self._minimise(victim, images[left], labels[left], weight[left], ball)
            nearer = length < size[left]
            best[left[nearer]], size[left[nearer]] = found[nearer], length[nearer]
            fooled = torch.isfinite(length)
            high[left[fooled]], low[left[~fooled]] = weight[left[fooled]], weight[left[~fooled]]
            weight = torch.where(torch.isfinite(high), (low + high) / 2, weight * 10)
            left = left[size[left] > ball.eps]
            if not len(left):
                break
        return ball.project(best, images)

    def _minimise(
        self, victim: Victim, images: torch.Tensor, labels: torch.Tensor, weight: torch.Tensor, ball: Ball
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the nearest images that fool the network and how far they are; infinity where there is none."""
        start = torch.atanh((images * 2 - 1) * INSIDE)
        w = start.clone().requires_grad_()
        adam = torch.optim.Adam([w], lr=self.rate)
        best, size = images.clone(), torch.full((len(images),), float("inf"), dtype=torch.float64)
        for step in range(self.steps + 1):
            with torch.enable_grad():
                x = ((torch.tanh(w) / INSIDE + 1) / 2).clamp(0.0, 1.0)
                lead = -margin(victim(x), labels)
                delta = (x - images).flatten(1).square().sum(1)
                loss = (delta + weight * lead.clamp_min(0)).sum()
            length = ball.distance(x.detach(), images)
            nearer = (lead.detach() < 0) & (length < size)
            best[nearer], size[nearer] = x.detach()[nearer], length[nearer]
            if step == self.steps or bool((size <= ball.eps).all()):
                break
            (w.grad,) = torch.autograd.grad(loss, w)
            adam.step()
        return best, size
