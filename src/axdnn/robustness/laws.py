"""Laws that a sound measurement of robustness keeps. Approximate layers may mask the gradient: then one breaks.

After N. Carlini et al., "On evaluating adversarial robustness", 2019, and A. Athalye et al., "Obfuscated gradients give
a false sense of security", ICML 2018.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from axdnn.records import AxdnnError, Law, RobustnessReport
from axdnn.robustness.attack import Attack
from axdnn.robustness.measure import Attacked
from axdnn.robustness.statistics import above_chance, chance_of_lead, stronger

Mask = npt.NDArray[np.bool_]
Found = Mapping[tuple[str, float], Attacked]  # (attack, epsilon)
MONOTONE, ITERATED, UNBOUNDED, MASKED = (
    "larger epsilon, fewer robust", "PGD at least as strong as FGSM", "nothing is robust at a huge epsilon",
    "black box not stronger than white box",
)  # fmt: skip


class MaskedGradientError(AxdnnError, RuntimeError):
    """A law of robustness is broken: the gradient is masked, or an attack does not work. The numbers mean nothing.

    Attributes:
        report: what was measured nevertheless.
    """

    def __init__(self, message: str, report: RobustnessReport) -> None:
        super().__init__(message)
        self.report = report


def check_laws(
    network: str, attacks: Sequence[Attack], epsilons: Sequence[float], found: Found, right: Mask, classes: int,
    unbounded: Attacked | None,
) -> tuple[Law, ...]:  # fmt: skip
    """Check all laws on one network.

    Args:
        network: its label.
        attacks: what ran.
        epsilons: rising.
        found: what each attack did at each epsilon.
        right: images that were right without an attack.
        classes: of the network.
        unbounded: PGD in a ball that holds one grey image for all, or None.
    """
    laws = [_monotone(network, attack.name, epsilons, found) for attack in attacks if len(epsilons) > 1]
    for eps in epsilons:
        names = {attack.name for attack in attacks}
        if {"pgd", "fgsm"} <= names:
            laws.append(_not_stronger(ITERATED, network, eps, found, ["fgsm"], ["pgd"]))
        white = [a.name for a in attacks if a.kind == "white_box" and a.iterative]
        black = [a.name for a in attacks if a.kind == "black_box"]
        laws.append(_not_stronger(MASKED, network, eps, found, black, white))
    if unbounded is not None:
        laws.append(_unbounded(network, unbounded, right, classes))
    return tuple(laws)


def _monotone(network: str, attack: str, epsilons: Sequence[float], found: Found) -> Law:
    """An image broken within a small ball is broken within a larger one, unless the attack misses it by chance."""
    holds, counts = True, []
    for small, large in itertools.pairwise(epsilons):
        holds &= not stronger(found[attack, small].broken, found[attack, large].broken)
    for eps in epsilons:
        counts.append(f"{int(found[attack, eps].broken.sum())} at {eps:.4g}")
    return Law(name=MONOTONE, network=network, eps=0.0, holds=holds, text=f"{attack} breaks {', '.join(counts)}")


def _not_stronger(name: str, network: str, eps: float, found: Found, weak: Sequence[str], strong: Sequence[str]) -> Law:
    """Attacks that know less do not break more images than chance allows."""
    if not weak or not strong:
        missing = "black-box" if not weak else "iterated white-box"
        return Law(name=name, network=network, eps=eps, holds=None, text=f"not checked: no {missing} attack ran")
    first, second = (np.any([found[n, eps].broken for n in names], axis=0) for names in (weak, strong))
    alone, other = int((first & ~second).sum()), int((second & ~first).sum())
    text = (
        f"{' + '.join(weak)} breaks {int(first.sum())} of {len(first)} images, {alone} of them alone; "
        f"{' + '.join(strong)} breaks {int(second.sum())}, {other} alone"
    )
    holds = not stronger(first, second)
    if not holds:
        text += f" (by chance with p = {chance_of_lead(alone, other):.2g})"
    return Law(name=name, network=network, eps=eps, holds=holds, text=text)


def _unbounded(network: str, attacked: Attacked, right: Mask, classes: int) -> Law:
    left, total = int((right & ~attacked.broken).sum()), len(right)
    text = f"{left} of {total} images survive PGD where every image can become the same grey"
    holds = not above_chance(left, total, 1.0 / classes)
    return Law(name=UNBOUNDED, network=network, eps=0.0, holds=holds, text=text)


def broken_laws(laws: Sequence[Law]) -> str:
    """Return what broke, as one message; empty if nothing did."""
    wrong = [law for law in laws if law.holds is False]
    if not wrong:
        return ""
    masked = any(law.name in (MASKED, UNBOUNDED, ITERATED) for law in wrong)
    told = "; ".join(f"{w.network}{f' at eps {w.eps:.4g}' if w.eps else ''}, {w.name}: {w.text}" for w in wrong)
    return (
        f"{'the gradient is masked' if masked else 'the attacks are unreliable'}, so the robustness measured is not to "
        f"be trusted: {told}. Try the other gradient or more steps"
    )
