"""What an attacker may do: change an image by at most epsilon in a norm, every pixel staying within [0, 1]."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch

from axdnn.records import InvalidInputError, require_finite, unknown_name

Norm = Literal["linf", "l2"]
NORMS: tuple[str, ...] = get_args(Norm)
EPSILONS: dict[tuple[str, str], tuple[float, ...]] = {
    ("mnist", "linf"): (0.1, 0.2),
    ("cifar10", "linf"): (1 / 255, 2 / 255),
}
"""(data set, norm) -> the epsilons that are reported. A plainly trained ResNet-18 keeps 42 % and 7 % of CIFAR-10 under
PGD at these two and nothing at 8/255, which tells networks apart only after adversarial training."""

SLACK = 1e-6
"""Rounding of float32 that a perturbation may exceed its bound by; for L2, times the size of the bound and one."""


@dataclass(frozen=True)
class Ball:
    """All images within `eps` of an image that are images.

    Attributes:
        norm: `linf` or `l2`, over all values of one image.
        eps: radius, in units of pixels within [0, 1].
    """

    norm: Norm
    eps: float

    def __post_init__(self) -> None:
        """Check the values."""
        if self.norm not in NORMS:
            raise unknown_name("norm", str(self.norm), NORMS)
        require_finite("eps", self.eps, 0.0)

    def distance(self, x: torch.Tensor, start: torch.Tensor) -> torch.Tensor:
        """Return the size of each perturbation, float64 `(b,)`."""
        delta = (x.double() - start.double()).flatten(1)
        return delta.abs().amax(1) if self.norm == "linf" else delta.norm(dim=1)

    def project(self, x: torch.Tensor, start: torch.Tensor) -> torch.Tensor:
        """Return the nearest points of the ball (of `linf` exactly), within [0, 1]."""
        delta = x - start
        if self.norm == "linf":
            delta = delta.clamp(-self.eps, self.eps)
        else:
            size = _each(delta.flatten(1).norm(dim=1), delta).clamp_min(1e-12)
            delta = delta * (self.eps / size).clamp(max=1.0)
        return (start + delta).clamp(0.0, 1.0)

    def step(self, gradient: torch.Tensor, size: float) -> torch.Tensor:
        """Return the step of that size that follows the gradient most; 0 where the gradient is 0."""
        if self.norm == "linf":
            return gradient.sign() * size
        length = _each(gradient.flatten(1).norm(dim=1), gradient)
        return torch.where(length > 0, gradient / length.clamp_min(1e-30), 0.0) * size

    def random(self, start: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return points drawn uniformly from the ball, then cut to [0, 1]."""
        if self.norm == "linf":
            delta = (torch.rand(start.shape, generator=generator) * 2 - 1) * self.eps
        else:
            normal = torch.randn(start.shape, generator=generator)
            count = start[0].numel()
            radius = torch.rand(len(start), generator=generator) ** (1.0 / count) * self.eps
            delta = normal * _each(radius / normal.flatten(1).norm(dim=1), normal)
        return self.project(start + delta, start)

    def fault(self, x: torch.Tensor, start: torch.Tensor) -> str:
        """Say how images break the rules of the ball, or nothing.

        Args:
            x: attacked images `(b, ...)`.
            start: the images they come from.
        """
        if x.shape != start.shape:
            return f"images of shape {tuple(x.shape)} became {tuple(x.shape)}"
        if not bool(torch.isfinite(x).all()):
            return "some values are not finite"
        low, high = float(x.min()), float(x.max())
        if low < 0.0 or high > 1.0:
            return f"values lie within [{low:g}, {high:g}], not [0, 1]"
        most = float(self.distance(x, start).max())
        slack = SLACK if self.norm == "linf" else SLACK * (1.0 + self.eps)
        return (
            f"the {self.norm} size of a perturbation is {most:g}, above eps={self.eps:g}"
            if most > self.eps + slack
            else ""
        )


def default_epsilons(data: str, norm: str) -> tuple[float, ...]:
    """Return the epsilons that are reported on a data set.

    Raises:
        InvalidInputError: none are set for it.
    """
    if (data, norm) not in EPSILONS:
        known = ", ".join(f"{name} ({kind})" for name, kind in EPSILONS)
        raise InvalidInputError(f"eps must be given for {data!r} and {norm}: defaults exist for {known} alone")
    return EPSILONS[data, norm]


def check_epsilons(eps: Sequence[float]) -> tuple[float, ...]:
    """Return epsilons in rising order, each once.

    Raises:
        InvalidInputError: none, or one that is not above 0.
    """
    if not eps or any(not (isinstance(e, int | float) and 0 < e < float("inf")) for e in eps):
        raise InvalidInputError(f"eps must be finite numbers above 0, at least one, but got {list(eps)}")
    return tuple(sorted({float(e) for e in eps}))


def unbounded(norm: Norm, shape: Sequence[int]) -> Ball:
    """Return a ball around any image that holds one and the same grey image, so that no classifier can be right there.

    Args:
        norm: of the ball.
        shape: of an image.
    """
    return Ball(norm, 0.5 if norm == "linf" else 0.5 * float(torch.Size(shape).numel()) ** 0.5)


def _each(values: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    return values.view(-1, *([1] * (like.dim() - 1)))
