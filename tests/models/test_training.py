"""Training is a function of its seed: across processes, interruptions and the state of torch's global generator."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys

import pytest
import torch

from axdnn.models import Recipe, default_recipe, train
from axdnn.models.batches import Batches
from axdnn.records import CheckpointError, InvalidInputError, UnknownNameError

SMALL = Recipe(epochs=3, batch_size=64, learning_rate=0.05, shift=1, images=320)
SMALL_CIFAR = Recipe(epochs=3, batch_size=64, learning_rate=0.1, shift=4, flip=True, bf16=True, images=192)
RESNET = pytest.param("resnet8", "cifar10", SMALL_CIFAR, marks=pytest.mark.slow)


def digest(model: torch.nn.Module) -> str:
    return hashlib.sha256(b"".join(t.numpy().tobytes() for t in model.state_dict().values())).hexdigest()


class StopAt:
    """Progress that interrupts the training when a number of steps is reached."""

    def __init__(self, step: int) -> None:
        self.step = step

    def __call__(self, message: str, done: int, total: int) -> None:
        if done >= self.step:
            raise KeyboardInterrupt


@pytest.mark.data
def test_same_seed_same_weights_in_another_process(dataset, data_cache):
    code = (
        "import sys, torch\n"
        f"sys.path.insert(0, {os.path.dirname(__file__)!r})\n"
        "from test_training import SMALL, digest\n"
        "from axdnn.models import train\n"
        "torch.manual_seed(99)\n"
        "print(digest(train('lenet5', 'mnist', recipe=SMALL, seed=3, final_test=False).model))"
    )
    data = dataset("mnist")
    environment = {**os.environ, "AXDNN_CACHE": str(data_cache), "OMP_NUM_THREADS": "2"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    mine = train("lenet5", data, recipe=SMALL, seed=3, final_test=False)
    assert done.stdout.strip() == digest(mine.model)
    assert digest(train("lenet5", data, recipe=SMALL, seed=4, final_test=False).model) != digest(mine.model)


@pytest.mark.data
@pytest.mark.parametrize(("model", "data", "recipe"), [("lenet5", "mnist", SMALL), RESNET])
def test_interrupted_and_resumed_equals_uninterrupted(dataset, tmp_path, model, data, recipe):
    images = dataset(data)
    whole = train(model, images, recipe=recipe, seed=1, final_test=False)
    steps = -(-recipe.images // recipe.batch_size)
    with pytest.raises(KeyboardInterrupt):
        train(model, images, recipe=recipe, seed=1, checkpoint_dir=tmp_path, progress=StopAt(2 * steps))
    assert os.listdir(tmp_path) == ["checkpoint.pt"]
    seen: list[int] = []
    resumed = train(
        model,
        images,
        recipe=recipe,
        seed=1,
        checkpoint_dir=tmp_path,
        progress=lambda message, done, total: seen.append(done),
        final_test=False,
    )
    assert seen == [2 * steps, 3 * steps]  # at its start and its end: finished epochs are not run again
    assert digest(resumed.model) == digest(whole.model)
    assert resumed.recipe == whole.recipe
    again = train(model, images, recipe=recipe, seed=1, checkpoint_dir=tmp_path, final_test=False)
    assert digest(again.model) == digest(whole.model)


@pytest.mark.data
def test_a_checkpoint_of_another_run_is_refused(dataset, tmp_path):
    data, recipe = dataset("mnist"), Recipe(epochs=1, images=64)
    train("lenet5", data, recipe=recipe, seed=1, checkpoint_dir=tmp_path, final_test=False)
    with pytest.raises(CheckpointError, match=r"seed 1 \(now 2\)") as caught:
        train("lenet5", data, recipe=recipe, seed=2, checkpoint_dir=tmp_path, final_test=False)
    assert str(tmp_path / "checkpoint.pt") in str(caught.value)
    train("lenet5", data, recipe=recipe, seed=2, checkpoint_dir=tmp_path, resume=False, final_test=False)
    path = tmp_path / "checkpoint.pt"
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(CheckpointError, match="resume=False"):
        train("lenet5", data, recipe=recipe, seed=2, checkpoint_dir=tmp_path, final_test=False)


@pytest.mark.data
def test_a_folder_that_cannot_be_written(dataset, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(CheckpointError, match="must be writable"):
        train("lenet5", dataset("mnist"), recipe=Recipe(epochs=1, images=64), checkpoint_dir=tmp_path / "file")


@pytest.mark.data
def test_the_result_says_how_it_was_made(dataset):
    data = dataset("mnist")
    trained = train("lenet5", data, recipe=SMALL, epochs=1, images=128, seed=7)
    assert trained.source == "trained now"
    assert not trained.model.training
    assert trained.accuracy_images == trained.recipe["test_images"] == 10_000
    assert trained.recipe["images"] == 128
    assert trained.recipe["settings"]["epochs"] == 1
    assert trained.recipe["seed"] == 7
    assert trained.recipe["data_sha256"] == data.sha256
    assert trained.accuracy == trained.recipe["test_accuracy"]


@pytest.mark.data
@pytest.mark.slow
def test_resnet8_learns_cifar10(dataset):
    recipe = Recipe(epochs=1, batch_size=64, learning_rate=0.1, shift=4, flip=True, bf16=True, images=2000)
    trained = train("resnet8", dataset("cifar10"), recipe=recipe, final_test=False)
    assert trained.recipe["held_out_accuracy"] > 0.2  # chance is 0.1
    assert all(p.is_contiguous() and p.dtype == torch.float32 for p in trained.model.parameters())


@pytest.mark.data
def test_divergence_is_an_error(dataset):
    recipe = Recipe(epochs=2, batch_size=32, learning_rate=100.0, weight_decay=1.0, momentum=0.99, images=640)
    with pytest.raises(InvalidInputError, match="lower learning_rate"):
        train("lenet5", dataset("mnist"), recipe=recipe, final_test=False)


@pytest.mark.data
def test_bad_settings_are_refused(dataset):
    data = dataset("mnist")
    with pytest.raises(InvalidInputError, match="1 <= epochs <= 1000"):
        train("lenet5", data, epochs=0)
    with pytest.raises(InvalidInputError, match="images <= 50000"):
        train("lenet5", data, images=50_001)
    with pytest.raises(InvalidInputError, match="seed=-1"):
        train("lenet5", data, seed=-1)
    with pytest.raises(InvalidInputError, match="learning_rate"):
        Recipe(epochs=1, learning_rate=float("nan"))
    with pytest.raises(UnknownNameError, match="lenet5"):
        train("lenet", data)


def test_batches_hold_every_image_once_shifted_and_mirrored():
    images = torch.zeros(50, 1, 8, 8, dtype=torch.uint8)
    images[:, 0, 3, 2] = torch.arange(50, dtype=torch.uint8) + 1
    labels = torch.arange(50)
    batches = Batches(images, labels, 16, shift=2, flip=True, generator=torch.Generator().manual_seed(0))
    assert len(batches) == 4
    seen, places = [], set()
    for _ in range(20):
        for batch, label in batches.epoch():
            seen += label.tolist()
            for image, number in zip(batch, label, strict=True):
                (place,) = image[0].nonzero().tolist()
                assert image.max() == torch.tensor((int(number) + 1) / 255.0)
                places.add(tuple(place))
    assert sorted(seen) == sorted(list(range(50)) * 20)
    rows, columns = range(1, 6), range(5)
    assert places == {(r, c) for r in rows for c in columns} | {(r, 7 - c) for r in rows for c in columns}
    plain = Batches(images, labels, 50, shift=0, flip=False, generator=torch.Generator().manual_seed(0))
    batch, label = next(plain.epoch())
    assert torch.equal(batch, images[label].float() / 255.0)
    assert label.tolist() != labels.tolist()


def test_default_recipes():
    assert default_recipe("lenet5", "mnist").epochs == 8
    assert not default_recipe("lenet5", "mnist").bf16
    assert default_recipe("resnet20", "cifar10").flip
    assert default_recipe("resnet8", "cifar10").key(0) != default_recipe("resnet8", "cifar10").key(1)


@pytest.mark.data
@pytest.mark.parametrize(("model", "data", "recipe"), [("lenet5", "mnist", SMALL), RESNET])
def test_a_checkpoint_within_an_epoch_changes_nothing(dataset, tmp_path, monkeypatch, model, data, recipe):
    """After every single step: stop, forget everything but the checkpoint, go on."""
    monkeypatch.setattr("axdnn.models.training.REPORT_EVERY", 1)
    images, steps, begun = dataset(data), 3 * -(-recipe.images // recipe.batch_size), []
    how = {"recipe": recipe, "seed": 1, "checkpoint_dir": tmp_path, "checkpoint_every_s": 0.0, "final_test": False}

    class StopAfterOne:
        """Let one more step be saved, then interrupt at the report of the next."""

        def __init__(self) -> None:
            self.first = None

        def __call__(self, message: str, done: int, total: int) -> None:
            if self.first is None:
                self.first = done
                begun.append(done)
            elif done >= self.first + 2:
                raise KeyboardInterrupt

    while len(begun) <= steps:
        try:
            resumed = train(model, images, progress=StopAfterOne(), **how)
            break
        except KeyboardInterrupt:
            pass
    assert begun == list(range(steps)), "each session goes on one step further"
    assert digest(resumed.model) == digest(train(model, images, recipe=recipe, seed=1, final_test=False).model)


@pytest.mark.data
def test_progress_says_how_much_and_how_long(dataset, monkeypatch):
    monkeypatch.setattr("axdnn.models.training.REPORT_EVERY", 2)
    shown: list[tuple[str, int, int]] = []
    train("lenet5", dataset("mnist"), recipe=SMALL, final_test=False, progress=lambda *what: shown.append(what))
    assert shown[0] == ("training lenet5 on mnist: 15 steps", 0, 15)
    assert shown[1] == ("training lenet5 on mnist, under 1 min left, epoch 1 of 3", 2, 15)
    ticks = iter(range(0, 100_000, 100))  # each look at the clock is 100 s later
    monkeypatch.setattr("axdnn.models.training.time.monotonic", lambda: float(next(ticks)))
    shown.clear()
    train("lenet5", dataset("mnist"), recipe=SMALL, final_test=False, progress=lambda *what: shown.append(what))
    assert "about" in shown[1][0]
    assert "min left" in shown[1][0]
