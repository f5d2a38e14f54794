"""A weights file is trained by one process at a time, once, and what belongs to another training is spared."""

from __future__ import annotations

import fcntl
import os

import pytest

from axdnn.models import checkpoints_of, train_to_file
from axdnn.records import InvalidInputError, OutputFolderError

FEW = {"epochs": 2, "images": 64}

pytestmark = pytest.mark.data


class Stop:
    def __init__(self, at: int) -> None:
        self.at = at

    def __call__(self, message: str, done: int, total: int) -> None:
        if done >= self.at and "loss" in message:
            raise KeyboardInterrupt


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_one_process_at_a_time(model_cache, tmp_path):
    out = tmp_path / "to" / "a.safetensors"
    checkpoints_of(out).mkdir(parents=True)
    handle = os.open(checkpoints_of(out) / "lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(handle, fcntl.LOCK_EX)
    with pytest.raises(OutputFolderError, match="another process"):
        train_to_file("lenet5", "mnist", out, **FEW)
    assert names(out.parent) == ["a.checkpoints"]
    os.close(handle)
    trained, before = train_to_file("lenet5", "mnist", out, **FEW)
    assert not before
    assert names(out.parent) == ["a.json", "a.safetensors"]
    again, before = train_to_file("lenet5", "mnist", out, **FEW)
    assert before
    assert again.accuracy == trained.accuracy
    assert again.recipe == trained.recipe
    out.with_suffix(".json").unlink()
    train_to_file("lenet5", "mnist", out, **FEW)
    assert names(out.parent) == ["a.json", "a.safetensors"]


def test_the_checkpoint_of_another_training_is_spared(model_cache, tmp_path):
    out = tmp_path / "to" / "a.safetensors"
    train_to_file("lenet5", "mnist", out, **FEW)
    with pytest.raises(KeyboardInterrupt):
        train_to_file("lenet5", "mnist", out, seed=5, restart=True, progress=Stop(1), **FEW)
    assert train_to_file("lenet5", "mnist", out, **FEW)[1]
    assert names(checkpoints_of(out)) == ["checkpoint.pt", "lock"]
    seen = []
    _, before = train_to_file("lenet5", "mnist", out, seed=5, progress=lambda m, d, t: seen.append(d), **FEW)
    assert not before
    assert seen == [1, 2]
    assert names(out.parent) == ["a.json", "a.safetensors"]


def test_nothing_is_made_of_wrong_settings(model_cache, tmp_path):
    with pytest.raises(InvalidInputError, match="images <="):
        train_to_file("lenet5", "mnist", tmp_path / "to" / "a.safetensors", images=10**6)
    assert not (tmp_path / "to").exists()


def test_an_interruption_before_the_first_checkpoint_leaves_nothing(model_cache, tmp_path):
    def stop(message, done, total):
        if message.endswith("steps"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_to_file("lenet5", "mnist", tmp_path / "to" / "a.safetensors", progress=stop, **FEW)
    assert names(tmp_path / "to") == []
