"""The whole measurement on real digits: worst case, counts, and results that are kept."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from axdnn.records import InvalidInputError, RobustnessReport, from_json, to_json
from axdnn.robustness import (
    LEVELS,
    PGD,
    Ball,
    Request,
    assess,
    float_victim,
    inner_robustness,
    integer_victim,
    look,
    run_attack,
)
from axdnn.testing import counted_images

pytestmark = pytest.mark.data
FEW = "fgsm,pgd:steps=8:restarts=1,square:queries=40,transfer:steps=10"


def victims(lenet):
    exact = integer_victim(lenet.approximate("exact"), lenet.captured, name="exact")
    approximate = integer_victim(lenet.approximate("mul8u_R36"), lenet.captured)
    return [exact, approximate], {"int8": exact, "float": float_victim(lenet.captured)}


@pytest.fixture(scope="module")
def measured(lenet, tmp_path_factory):
    folder = tmp_path_factory.mktemp("attacks")
    networks, sources = victims(lenet)
    request = Request((0.2, 0.1), attacks=FEW)
    report = assess(networks, lenet.images[:60], lenet.labels[:60], request, sources=sources, cache=folder)
    return report, folder, request


def test_the_worst_case_is_that_of_all_attacks_and_smaller_epsilons(lenet, measured):
    report, *_ = measured
    assert report.epsilons == (0.1, 0.2)
    assert report.networks == ("exact", "approximate")
    assert report.attacks == ("fgsm", "pgd", "square", "transfer_float", "transfer_int8")
    for worst in report.worst:
        outcomes = [o for o in report.outcomes if (o.network, o.eps) == (worst.network, worst.eps)]
        assert worst.robust_accuracy <= min(o.robust_accuracy for o in outcomes)
        assert worst.low <= worst.robust_accuracy <= worst.high
        assert all(o.attacked == round(worst.clean_accuracy * 60) for o in outcomes)
        assert max(outcomes, key=lambda o: o.broken).broken == next(
            o.broken for o in outcomes if o.attack == worst.strongest
        )
    for network in report.networks:
        assert report.at(network, 0.2).robust_accuracy <= report.at(network, 0.1).robust_accuracy
    assert "transfer_int8" not in {o.attack for o in report.outcomes if o.network == "exact"}
    assert report.sound
    assert from_json(RobustnessReport, to_json(report)) == report


def test_the_counts_are_those_of_an_independent_counter(lenet):
    networks, _ = victims(lenet)
    victim = networks[1]
    with counted_images() as seen:
        report = assess([victim], lenet.images[:40], lenet.labels[:40], Request((0.1,), attacks="square:queries=30"))
    assert report.forward_images == sum(seen) - 1  # one image, to count the classes
    assert report.backward_images == 0
    pictures = look(victim, lenet.images[:40], lenet.labels[:40])
    found = run_attack(PGD(steps=6, restarts=1, step=0.01), victim, pictures, Ball("linf", 1e-4))
    assert found.passes.backward == 6 * 40
    assert found.passes.forward == 6 * 40 + 2 * 40


def test_a_rerun_repeats_nothing_and_a_damaged_file_is_done_again(lenet, measured):
    report, folder, request = measured
    networks, sources = victims(lenet)
    images, labels = lenet.images[:60], lenet.labels[:60]
    files = {file: file.read_bytes() for file in folder.iterdir()}
    assert len(files) == 2 * (4 + 5) + 2
    with counted_images() as seen:
        again = assess(networks, images, labels, request, sources=sources, cache=folder)
    assert again == report
    assert sum(seen) == 2 * 61, "images are classified without an attack, nothing else"
    damaged, lost = sorted(files)[:2]
    damaged.write_bytes(files[damaged][:20])
    lost.unlink()
    again = assess(networks, images, labels, request, sources=sources, cache=folder)
    assert again.worst == report.worst
    for file in (damaged, lost):
        found, before = (json.loads(data) for data in (file.read_bytes(), files[file]))
        assert {**found, "wall_s": 0} == {**before, "wall_s": 0}
    more = Request((0.1, 0.2), attacks=FEW, seed=1)
    assess(networks[:1], images, labels, more, sources=sources, cache=folder)
    assert len(list(folder.iterdir())) == len(files) + 4 * 2 + 1, "another seed is another attack"


def test_what_a_search_asks_for(lenet):
    networks, _ = victims(lenet)
    clean, robust, passes = inner_robustness(networks[1], lenet.images[:60], lenet.labels[:60], (0.1, 0.2))
    assert clean > 0.95
    assert robust[0.2] < robust[0.1] < clean
    assert 0 < passes.backward <= 2 * 60 * 10
    assert inner_robustness(networks[1], lenet.images[:60], lenet.labels[:60], (0.1, 0.2))[:2] == (clean, robust)
    assert "steps=10" in LEVELS["inner"]


def test_l2_and_images_that_are_wrong_already(lenet):
    labels = lenet.labels[:40].clone()
    labels[:10] = (labels[:10] + 1) % 10
    victim = float_victim(lenet.captured)
    attacks = "fgsm,pgd:steps=10:restarts=1,deepfool:steps=5:classes=3,cw:steps=10,square:queries=40"
    request = Request((1.0, 2.5), "l2", attacks)
    report = assess([victim], lenet.images[:40], labels, request)
    assert report.sound
    assert report.at("float", 1.0).clean_accuracy <= 0.75
    assert all(o.attacked <= 30 for o in report.outcomes)
    assert report.at("float", 2.5).robust_accuracy < report.at("float", 1.0).robust_accuracy


def test_wrong_requests_and_images(lenet):
    victim = float_victim(lenet.captured)
    for images, labels, says in (
        (lenet.images[:0], lenet.labels[:0], "there must be images"),
        (lenet.images[:3], lenet.labels[:2], "a label for each"),
        (lenet.images[:3] * 2 - 1, lenet.labels[:3], r"within \[0, 1\]"),
    ):
        with pytest.raises(InvalidInputError, match=says):
            assess([victim], images, labels, Request((0.1,), attacks="fgsm"))
    with pytest.raises(InvalidInputError, match="different names"):
        assess([victim, victim], lenet.images[:3], lenet.labels[:3], Request((0.1,), attacks="fgsm"))
    with pytest.raises(InvalidInputError, match="seed"):
        Request((0.1,), seed=-1)


def test_batches_do_not_decide(lenet, monkeypatch):
    """Deterministic attacks break the same images however they are split."""
    from axdnn.robustness import BIM, measure

    victim = victims(lenet)[0][1]
    pictures = look(victim, lenet.images[:30], lenet.labels[:30])
    whole = run_attack(BIM(), victim, pictures, Ball("linf", 0.1)).broken
    monkeypatch.setattr(measure, "BATCH", 7)
    assert np.array_equal(run_attack(BIM(), victim, pictures, Ball("linf", 0.1)).broken, whole)
    assert torch.equal(victim.decide(lenet.images[:30]), victim.slopes(lenet.images[:30]))
