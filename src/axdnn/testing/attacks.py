"""The laws of attacks as tests: subclass `AttackLaws` and say how an attack is made."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import numpy as np
import pytest
import torch
from torch import nn

from axdnn.layers import approximate
from axdnn.records import AxdnnError
from axdnn.robustness import NORMS, Attack, Ball, Victim, float_victim, integer_victim, look, run_attack
from axdnn.robustness.attack import check_norm
from axdnn.testing.scorers import LawNet

CIRCUIT = "mul8s_1L2H"


class Stubborn(nn.Module):
    """A classifier whose logits do not depend on the image: nothing can be broken, and every gradient is 0."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map `(n, 1, 6, 6)` to `(n, 4)`: always class 2."""
        fixed = torch.tensor([0.0, 0.5, 3.0, -1.0]).expand(len(x), 4)
        return fixed + 0.0 * x.flatten(1).sum(1, keepdim=True)


def law_images(count: int = 24) -> torch.Tensor:
    """Return pictures `(n, 1, 6, 6)`, black and white pixels among them."""
    generator = torch.Generator().manual_seed(5)
    return (torch.rand(count, 1, 6, 6, generator=generator) * 1.4 - 0.2).clamp(0.0, 1.0)


@cache
def law_victims() -> tuple[Victim, Victim]:
    """Return the same small network as a float and as an approximate integer network, made once."""
    model, images = LawNet(3).eval(), law_images(40)
    return float_victim(model), integer_victim(approximate(model, CIRCUIT, images), model)


class AttackLaws:
    """Subclass as `TestMyAttack` and define `make_attack`; pytest collects the checks.

    Attributes:
        breaks: share of the images that it must break at least within a ball that holds all images; 0 for attacks
            whose success depends on others.
    """

    breaks = 0.5

    def make_attack(self) -> Attack:
        """Return the attack under test with few steps."""
        raise NotImplementedError

    def balls(self) -> list[Ball]:
        """Return balls of every norm of the attack, from tiny to all images."""
        sizes = {"linf": (1e-4, 0.1, 0.6), "l2": (1e-3, 0.5, 3.5)}
        return [Ball(norm, eps) for norm in self.make_attack().norms for eps in sizes[norm]]  # type: ignore[arg-type]

    def test_it_says_what_it_is(self) -> None:
        """Name, kind, norms and settings are there, and the settings are the same for equal attacks."""
        attack = self.make_attack()
        assert isinstance(attack, Attack)
        assert attack.name.isidentifier()
        assert attack.kind in ("white_box", "black_box")
        assert attack.norms
        assert set(attack.norms) <= set(NORMS)
        assert attack.settings == self.make_attack().settings
        assert attack.name in attack.settings
        for norm in set(NORMS) - set(attack.norms):
            with pytest.raises(AxdnnError, match="has no norm"):
                check_norm(attack, norm)

    def test_images_stay_within_the_ball_and_the_range(self) -> None:
        """Also where the image is black or white, and the images given are left alone."""
        images = law_images()
        for victim in law_victims():
            labels = victim(images).argmax(1)
            for ball in self.balls():
                given = images.clone()
                moved = self.make_attack().perturb(victim, given, labels, ball, 1)
                assert not ball.fault(moved.detach(), images), ball
                assert torch.equal(given, images)
                assert moved.dtype == torch.float32

    def test_an_image_that_resists_is_never_reported_as_broken(self) -> None:
        """What cannot be broken is not, and what is reported as broken is classified wrong."""
        images = law_images()
        stubborn = float_victim(Stubborn())
        for ball in self.balls():
            pictures = look(stubborn, images, torch.full((len(images),), 2))
            assert not run_attack(self.make_attack(), stubborn, pictures, ball).broken.any()
        for victim in law_victims():
            labels = victim(images).argmax(1)
            labels[:5] = (labels[:5] + 1) % 4
            pictures = look(victim, images, labels)
            found = run_attack(self.make_attack(), victim, pictures, self.balls()[-1])
            assert not found.broken[:5].any(), "an image that was wrong without an attack was not broken by it"

    def test_it_breaks_what_can_be_broken(self) -> None:
        """Within a ball that holds every image."""
        images = law_images()
        for victim in law_victims():
            pictures = look(victim, images, victim(images).argmax(1))
            found = run_attack(self.make_attack(), victim, pictures, self.balls()[-1])
            assert found.broken.mean() >= self.breaks

    def test_same_seed_same_images(self) -> None:
        """Neither the global random state nor an earlier call matters, and the state is left alone."""
        images = law_images()
        victim = law_victims()[1]
        labels = victim(images).argmax(1)
        for ball in self.balls():
            torch.manual_seed(1)
            first = self.make_attack().perturb(victim, images, labels, ball, 3)
            torch.manual_seed(2)
            before = torch.get_rng_state(), np.random.get_state()[1].copy()
            attack = self.make_attack()
            assert torch.equal(attack.perturb(victim, images, labels, ball, 3), first)
            assert torch.equal(attack.perturb(victim, images, labels, ball, 3), first)
            assert torch.equal(before[0], torch.get_rng_state())
            assert np.array_equal(before[1], np.random.get_state()[1])

    def test_queries_are_counted(self) -> None:
        """Every image that goes through the network is counted, and a black box takes no gradient."""
        images = law_images()
        for victim in law_victims():
            pictures = look(victim, images, victim(images).argmax(1))
            for ball in self.balls():
                with _counted(victim) as seen:
                    found = run_attack(self.make_attack(), victim, pictures, ball)
                own = sum(seen)
                assert own >= len(images), "who is broken is asked of the network"
                if not hasattr(self.make_attack(), "source"):
                    assert found.passes.forward == own
                    assert found.passes.backward == 0 or self.make_attack().kind == "white_box"


@contextmanager
def _counted(victim: Victim) -> Iterator[list[int]]:
    """Record the batch sizes of both networks of a victim."""
    seen: list[int] = []
    networks = {id(network): network for network in (victim.decide, victim.slopes)}.values()
    hooks = [network.register_forward_hook(lambda _, given, __: seen.append(len(given[0]))) for network in networks]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()
