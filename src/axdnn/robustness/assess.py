"""Robustness of networks under a suite of attacks: the worst case, the laws, and all that led to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from axdnn.records import AttackOutcome, InvalidInputError, Law, RobustnessReport, WorstCase
from axdnn.robustness.attack import Attack
from axdnn.robustness.gradient_attacks import PGD
from axdnn.robustness.laws import MaskedGradientError, broken_laws, check_laws
from axdnn.robustness.measure import AttackCache, Attacked, Pictures, Progress, look
from axdnn.robustness.statistics import wilson
from axdnn.robustness.suite import LEVELS, make_attacks, parse_attacks
from axdnn.robustness.threat import Ball, Norm, check_epsilons, unbounded
from axdnn.robustness.victim import Passes, Victim

UNBOUNDED_IMAGES = 100
"""Images on which the attack without bounds is tried."""


@dataclass(frozen=True)
class Request:
    """What is measured.

    Attributes:
        eps: radii.
        norm: of the balls.
        attacks: a level (`inner`, `full`) or a list, see `parse_attacks`.
        seed: of everything random.
        unbounded: whether PGD is also tried without bounds, which must break everything.
    """

    eps: tuple[float, ...]
    norm: Norm = "linf"
    attacks: str = "full"
    seed: int = 0
    unbounded: bool = True

    def __post_init__(self) -> None:
        """Check every value, before anything is computed."""
        object.__setattr__(self, "eps", check_epsilons(self.eps))
        parse_attacks(self.attacks, self.norm)
        if not 0 <= self.seed < 2**63:
            raise InvalidInputError(f"0 <= seed < 2**63 must hold, but got seed={self.seed}")

    @property
    def level(self) -> str:
        """`inner`, `full` or `custom`."""
        return self.attacks.strip() if self.attacks.strip() in LEVELS else "custom"


def assess(
    victims: Sequence[Victim],
    images: torch.Tensor,
    labels: torch.Tensor,
    request: Request,
    *,
    sources: Mapping[str, Victim] | None = None,
    cache: Path | None = None,
    strict: bool = True,
    progress: Progress | None = None,
) -> RobustnessReport:
    """Measure the robustness of networks on the same images.

    Args:
        victims: the networks; their names must differ.
        images: float32 `(n, ...)` within [0, 1].
        labels: int64 `(n,)`.
        request: attacks, epsilons, norm, seed.
        sources: label -> network on which transferred images are made; none is used against itself.
        cache: folder of finished attacks, each saved when it is done; a rerun computes only what is missing.
        strict: raise if a law is broken; else the report says so.
        progress: called with (message, images done, images in all).

    Returns:
        Report with empty `model`, `data`, `split` and `gradient`, which the caller knows.

    Raises:
        InvalidInputError: images and labels that do not fit, or two networks of one name.
        MaskedGradientError: a law is broken; its `report` has everything.
        AttackError: an attack broke its rules.
    """
    if len({victim.name for victim in victims}) < len(victims) or not victims:
        raise InvalidInputError(f"networks must have different names, but got {[v.name for v in victims]}")
    runs = [_Run(victim, images, labels, request, sources or {}, AttackCache(cache), progress) for victim in victims]
    for run in runs:
        run.go()
    spent = [a for run in runs for a in run.all_found]
    report = RobustnessReport(
        model="", data="", split="", images=len(images), norm=request.norm, epsilons=request.eps, gradient="",
        level=request.level, attacks=tuple(dict.fromkeys(a.name for run in runs for a in run.attacks)),
        seed=request.seed, worst=tuple(w for run in runs for w in run.worst()),
        outcomes=tuple(o for run in runs for o in run.outcomes()), laws=tuple(w for run in runs for w in run.laws()),
        forward_images=sum(a.passes.forward for a in spent) + len(images) * len(runs),
        backward_images=sum(a.passes.backward for a in spent), wall_s=sum(a.wall_s for a in spent),
    )  # fmt: skip
    fault = broken_laws(report.laws)
    if fault and strict:
        raise MaskedGradientError(fault, report)
    return report


def inner_robustness(
    victim: Victim, images: torch.Tensor, labels: torch.Tensor, eps: Sequence[float], norm: Norm = "linf", seed: int = 0
) -> tuple[float, dict[float, float], Passes]:
    """Return clean accuracy, epsilon -> robust accuracy under PGD-10, and the passes taken: for search loops.

    No law is checked; what a search chooses is measured again by `assess` at level `full`.

    Args:
        victim: the network.
        images: float32 `(n, ...)` within [0, 1].
        labels: int64 `(n,)`.
        eps: radii.
        norm: of the balls.
        seed: of the random starts.
    """
    request = Request(tuple(eps), norm, "inner", seed, unbounded=False)
    report = assess([victim], images, labels, request, strict=False)
    found = {worst.eps: worst.robust_accuracy for worst in report.worst}
    return report.worst[0].clean_accuracy, found, Passes(report.forward_images, report.backward_images)


class _Run:
    """All attacks on one network."""

    def __init__(
        self, victim: Victim, images: torch.Tensor, labels: torch.Tensor, request: Request,
        sources: Mapping[str, Victim], cache: AttackCache, progress: Progress | None,
    ) -> None:  # fmt: skip
        self.victim, self.request, self.cache, self.progress = victim, request, cache, progress
        self.pictures = look(victim, images, labels)
        others = {label: source for label, source in sources.items() if source is not victim}
        self.attacks: tuple[Attack, ...] = make_attacks(parse_attacks(request.attacks, request.norm), others)
        with torch.no_grad():
            self.classes = int(victim.decide(images[:1]).shape[1])
        self.found: dict[tuple[str, float], Attacked] = {}
        self.unbounded: tuple[Pictures, Attacked] | None = None

    @property
    def all_found(self) -> list[Attacked]:
        return [*self.found.values(), *([self.unbounded[1]] if self.unbounded else [])]

    def go(self) -> None:
        r = self.request
        for eps in r.eps:
            for attack in self.attacks:
                found = self.cache.get(attack, self.victim, self.pictures, Ball(r.norm, eps), r.seed, self.progress)
                self.found[attack.name, eps] = found
        if r.unbounded and any(a.kind == "white_box" for a in self.attacks):
            p = self.pictures
            few = replace(p, images=p.images[:UNBOUNDED_IMAGES], labels=p.labels[:UNBOUNDED_IMAGES],
                          right=p.right[:UNBOUNDED_IMAGES])  # fmt: skip
            ball = unbounded(r.norm, p.images.shape[1:])
            found = self.cache.get(PGD(steps=40, restarts=2), self.victim, few, ball, r.seed, self.progress)
            self.unbounded = few, found

    def worst(self) -> list[WorstCase]:
        """An image broken within a ball is broken within any larger one: what is found at one epsilon is carried on."""
        lost, found, total = ~self.pictures.right, [], len(self.pictures.images)
        for eps in self.request.eps:
            each = {a.name: self.found[a.name, eps].broken for a in self.attacks}
            lost = lost | np.any(list(each.values()), axis=0)
            robust = int((~lost).sum())
            low, high = wilson(robust, total)
            found.append(WorstCase(
                network=self.victim.name, eps=eps, images=total, clean_accuracy=int(self.pictures.right.sum()) / total,
                robust_accuracy=robust / total, low=low, high=high,
                strongest=max(each, key=lambda name: int(each[name].sum())),
            ))  # fmt: skip
        return found

    def outcomes(self) -> list[AttackOutcome]:
        right, found = int(self.pictures.right.sum()), []
        for eps in self.request.eps:
            for attack in self.attacks:
                done = self.found[attack.name, eps]
                broken = int(done.broken.sum())
                found.append(AttackOutcome(
                    network=self.victim.name, attack=attack.name, settings=attack.settings, kind=attack.kind, eps=eps,
                    images=len(done.broken), attacked=right, broken=broken,
                    robust_accuracy=(right - broken) / len(done.broken), forward_images=done.passes.forward,
                    backward_images=done.passes.backward, wall_s=done.wall_s,
                ))  # fmt: skip
        return found

    def laws(self) -> tuple[Law, ...]:
        laws = check_laws(
            self.victim.name, self.attacks, self.request.eps, self.found, self.pictures.right, self.classes, None
        )
        if self.unbounded is None:
            return laws
        few, found = self.unbounded
        return (*laws, *check_laws(self.victim.name, (), (), {}, few.right, self.classes, found))
