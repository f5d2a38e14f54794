"""A masked gradient is caught: networks whose gradient tells nothing fail loudly, with the numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from axdnn.robustness import MaskedGradientError, Request, Victim, assess, float_victim, integer_victim
from axdnn.robustness.laws import ITERATED, MASKED, MONOTONE, UNBOUNDED, broken_laws, check_laws
from axdnn.robustness.measure import Attacked
from axdnn.robustness.suite import make_attacks
from axdnn.robustness.victim import Passes


class Staircase(nn.Module):
    """The network behind a quantiser without a gradient: as robust as ever, but PGD does not see it."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, x):
        return self.network(torch.round(x * 15) / 15)


def test_a_masked_gradient_fails_loudly(lenet):
    victim = float_victim(Staircase(lenet.model), "staircase")
    request = Request((0.2,), attacks="fgsm,pgd:steps=5:restarts=1,transfer:steps=20")
    with pytest.raises(
        MaskedGradientError, match=r"gradient is masked.*transfer_float breaks \d\d of 40 images"
    ) as error:
        assess([victim], lenet.images[:40], lenet.labels[:40], request, sources={"float": float_victim(lenet.model)})
    report = error.value.report
    wrong = {law.name for law in report.laws if law.holds is False}
    assert wrong == {MASKED, UNBOUNDED}
    assert not report.sound
    assert report.at("staircase", 0.2).robust_accuracy < 0.5, "the worst case holds the black box nevertheless"


def test_the_command_shows_a_broken_law_and_fails(lenet, capsys):
    import typer

    from axdnn.cli.attack import _fail_if_masked, _show
    from axdnn.cli.console import Format

    victim = float_victim(Staircase(lenet.model), "staircase")
    request = Request((0.2,), attacks="pgd:steps=3:restarts=1,transfer:steps=15")
    sources = {"float": float_victim(lenet.model)}
    report = assess([victim], lenet.images[:40], lenet.labels[:40], request, sources=sources, strict=False)
    _show(report, Format.table)
    with pytest.raises(typer.Exit) as end:
        _fail_if_masked(report)
    out, err = capsys.readouterr()
    assert end.value.exit_code == 1
    assert "LAWS BROKEN" in out
    assert "black box not stronger than white box" in out
    assert "the gradient is masked" in err


def test_the_same_network_with_a_gradient_is_sound(lenet):
    """Straight through the quantiser the attack sees the network, and every law holds."""
    victim = Victim(Staircase(lenet.model), lenet.model, "staircase", "one")
    request = Request((0.1, 0.2), attacks="fgsm,pgd:steps=10:restarts=1,square:queries=60,transfer:steps=20")
    report = assess(
        [victim], lenet.images[:60], lenet.labels[:60], request, sources={"float": float_victim(lenet.model)}
    )  # fmt: skip
    assert report.sound
    assert {law.name for law in report.laws if law.holds} == {MONOTONE, ITERATED, MASKED, UNBOUNDED}


@pytest.mark.parametrize("gradient", ["straight_through", "table_slope"])
@pytest.mark.parametrize("circuit", ["mul8u_13QR", "mul8s_1L12"])
def test_coarse_circuits_do_not_mask_either_gradient(lenet, circuit, gradient):
    images, labels = lenet.images[:40], lenet.labels[:40]
    exact = integer_victim(lenet.approximate("exact"), lenet.captured, name="exact")
    victim = integer_victim(lenet.approximate(circuit), lenet.captured, gradient)
    request = Request((0.1, 0.2), attacks="fgsm,pgd:steps=8:restarts=1,transfer:steps=10")
    report = assess([victim], images, labels, request, sources={"int8": exact})
    assert report.sound
    assert report.at("approximate", 0.2).robust_accuracy < 0.35
    assert report.at("approximate", 0.1).low <= report.at("approximate", 0.1).robust_accuracy <= 1.0


def attacked(*broken):
    mask = np.zeros(100, dtype=bool)
    mask[list(broken)] = True
    return Attacked(mask, Passes(1, 1), 0.0)


def test_each_law_breaks_on_its_own():
    attacks = make_attacks(("fgsm", "pgd", "square"), {})
    right = np.ones(100, dtype=bool)
    sound = {
        ("fgsm", 0.1): attacked(*range(5)), ("pgd", 0.1): attacked(*range(8)), ("square", 0.1): attacked(*range(4)),
        ("fgsm", 0.2): attacked(*range(20)), ("pgd", 0.2): attacked(*range(40)), ("square", 0.2): attacked(*range(9)),
    }  # fmt: skip

    def broken(changes, unbounded=None):
        laws = check_laws("n", attacks, (0.1, 0.2), {**sound, **changes}, right, 10, unbounded)
        assert (broken_laws(laws) == "") == all(law.holds is not False for law in laws)
        return [(law.name, law.eps) for law in laws if law.holds is False]

    assert broken({}, attacked(*range(95))) == []
    assert broken({("fgsm", 0.2): attacked(*range(60))}) == [(ITERATED, 0.2)]
    assert broken({("fgsm", 0.2): attacked(*range(44))}) == [], "four images alone may be chance"
    assert broken({("square", 0.1): attacked(*range(30))}) == [(MONOTONE, 0.0), (MASKED, 0.1)]
    assert broken({}, attacked(*range(50))) == [(UNBOUNDED, 0.0)]
    few = check_laws("n", attacks[:1], (0.1,), sound, right, 10, None)
    assert [(law.name, law.holds) for law in few] == [(MASKED, None)]
    assert "no black-box" in few[0].text
