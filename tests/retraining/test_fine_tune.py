"""The loop: goes on from a checkpoint to the same result, refuses foreign ones, distils, and recovers accuracy."""

from __future__ import annotations

import pytest
import torch

from axdnn import approximate
from axdnn.records import CheckpointError, InvalidInputError
from axdnn.retraining import FineTuning, fine_tune, trainable


@pytest.fixture
def task(nets):
    net, images = nets.plain
    model = approximate(net, "mul8s_1L12", images)
    return lambda: trainable(model, net, images), net, images, net(images).argmax(1)


class Killed(Exception):
    pass


def test_a_run_killed_after_an_epoch_ends_as_if_nothing_had_happened(task, tmp_path):
    fresh, net, images, labels = task
    settings = FineTuning(epochs=3, batch_size=5, distillation=0.5, weight_decay=0.01)
    more = {"teacher": net, "augment": lambda x, generator: x + 0.01 * torch.randn(x.shape, generator=generator)}
    whole = fresh()
    losses = fine_tune(whole, images, labels, settings, **more)
    assert len(losses) == 3

    def kill(message, done, total):
        assert total == 12
        if done == 8:
            raise Killed

    file = tmp_path / "runs" / "tune.pt"
    with pytest.raises(Killed):
        fine_tune(fresh(), images, labels, settings, checkpoint=file, progress=kill, **more)
    seen = []
    second = fresh()
    again = fine_tune(
        second, images, labels, settings, checkpoint=file, progress=lambda m, d, t: seen.append(d), **more
    )
    assert again == losses
    assert min(seen) > 4, "the first epoch is not repeated"
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), second.parameters(), strict=True))
    assert [p.name for p in file.parent.iterdir()] == ["tune.pt"]
    with pytest.raises(CheckpointError, match=r"seed 0 \(now 1"):
        fine_tune(fresh(), images, labels, FineTuning(epochs=3, batch_size=5, seed=1), checkpoint=file)
    file.write_bytes(b"torn")
    with pytest.raises(CheckpointError, match="cannot be read"):
        fine_tune(fresh(), images, labels, settings, checkpoint=file, **more)


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_the_loss_falls_and_the_order_depends_on_the_seed_alone(task, optimizer):
    fresh, _, images, labels = task
    settings = FineTuning(epochs=6, batch_size=8, optimizer=optimizer, learning_rate=2e-3)
    losses = fine_tune(fresh(), images, labels, settings)
    torch.manual_seed(99)
    assert fine_tune(fresh(), images, labels, settings) == losses
    assert losses[-1] < losses[0]


def test_full_distillation_ignores_the_labels(task):
    fresh, net, images, labels = task
    settings = FineTuning(batch_size=8, distillation=1.0)
    right, wrong = (fine_tune(fresh(), images, y, settings, teacher=net) for y in (labels, (labels + 1) % 5))
    assert right == wrong


def test_bad_settings_are_refused(task):
    fresh, _, images, labels = task
    for wrong in ({"epochs": 0}, {"learning_rate": -1.0}, {"optimizer": "lion"}, {"distillation": 2.0}):
        with pytest.raises(InvalidInputError, match=next(iter(wrong))):
            FineTuning(**wrong)
    with pytest.raises(InvalidInputError, match="teacher"):
        fine_tune(fresh(), images, labels, FineTuning(distillation=0.5))
    with pytest.raises(InvalidInputError, match="label"):
        fine_tune(fresh(), images, labels[:3])
    broken = fresh()
    broken.layer("fc2").log_gain.data[0] = torch.nan
    with pytest.raises(InvalidInputError, match="finite"):
        fine_tune(broken, images, labels)
