"""Weights come from the file, the package, the cache or a training, in that order, and are checked."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
import safetensors.torch
import torch

from axdnn.data import dataset_info
from axdnn.models import Recipe, build_model, load_model, load_weights, save_weights
from axdnn.models import loading as loading_module
from axdnn.models.loading import PACKAGE_WEIGHTS
from axdnn.records import CheckpointError, UnknownNameError


@pytest.fixture
def lenet() -> torch.nn.Module:
    return build_model("lenet5", 1, 10, 28, generator=torch.Generator().manual_seed(1))


def same(first: torch.nn.Module, second: torch.nn.Module) -> bool:
    a, b = first.state_dict(), second.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def test_shipped_weights_need_no_data_and_no_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("AXDNN_CACHE", str(tmp_path / "none"))
    monkeypatch.setenv("PATH", str(tmp_path))
    trained = load_model("lenet5", "mnist", allow_training=False)
    assert trained.source == "package"
    assert not trained.model.training
    assert trained.accuracy >= 0.99
    assert trained.accuracy_images == 10_000
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("wrap", [None, "state_dict", "model"])
def test_a_users_torch_file(tmp_path, lenet, wrap):
    path = tmp_path / "mine.pt"
    torch.save({wrap: lenet.state_dict(), "epoch": 3} if wrap else lenet.state_dict(), path)
    trained = load_model("lenet5", "mnist", weights=path)
    assert trained.source == "file"
    assert trained.accuracy is None
    assert trained.accuracy_images == 0
    assert same(trained.model, lenet)


def test_a_users_safetensors_file(tmp_path, lenet):
    path = tmp_path / "mine.safetensors"
    safetensors.torch.save_file(lenet.state_dict(), path)
    trained = load_model("lenet5", "fashion-mnist", weights=str(path))
    assert same(trained.model, lenet)
    assert trained.recipe == {}
    assert trained.data == "fashion-mnist"


def _without_fc2(state):
    return {key: value for key, value in state.items() if not key.startswith("fc2")}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_without_fc2, r"2 expected tensors are missing \(fc2.weight, fc2.bias\)"),
        (lambda s: {**s, "fc9.bias": torch.zeros(1)}, r"1 tensors were not expected \(fc9.bias\)"),
        (lambda s: {**s, "fc2.bias": torch.zeros(7)}, r"fc2.bias must have shape \(10,\) but has \(7,\)"),
        (lambda s: {**s, "fc2.bias": torch.full((10,), torch.nan)}, "fc2.bias holds numbers that are not finite"),
        (lambda s: [1, 2], "must hold a state dict"),
        (lambda s: {"weights": 3}, "must hold a state dict"),
    ],
)
def test_weights_that_do_not_fit_are_refused(tmp_path, lenet, change, message):
    path = tmp_path / "wrong.pt"
    torch.save(change(lenet.state_dict()), path)
    with pytest.raises(CheckpointError, match=message) as caught:
        load_model("lenet5", "mnist", weights=path)
    assert str(path) in str(caught.value)
    before = {key: value.clone() for key, value in lenet.state_dict().items()}
    with pytest.raises(CheckpointError):
        load_weights(lenet, path)
    assert all(torch.equal(before[key], value) for key, value in lenet.state_dict().items())


class Evil:
    """Pickled, it would make a file when loaded."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize("damage", ["truncate", "garbage", "empty", "missing", "folder"])
def test_damaged_files_are_refused(tmp_path, lenet, suffix, damage):
    path = tmp_path / f"weights{suffix}"
    if damage == "folder":
        path.mkdir()
    elif damage != "missing":
        save_weights(lenet, path, {}) if suffix == ".safetensors" else torch.save(lenet.state_dict(), path)
        content = path.read_bytes()
        path.write_bytes({"truncate": content[: len(content) // 2], "garbage": b"what is this?", "empty": b""}[damage])
    with pytest.raises(CheckpointError, match="weights") as caught:
        load_model("lenet5", "mnist", weights=path)
    assert str(path) in str(caught.value)


def test_no_code_runs_from_a_weights_file(tmp_path):
    torch.save({"conv1.weight": Evil(str(tmp_path / "pwned"))}, tmp_path / "evil.pt")
    with pytest.raises(CheckpointError):
        load_model("lenet5", "mnist", weights=tmp_path / "evil.pt")
    assert not (tmp_path / "pwned").exists()


def test_save_writes_the_recipe_inside_and_beside(tmp_path, lenet):
    path = save_weights(lenet, tmp_path / "new" / "a.safetensors", {"seed": 4, "model": "lenet5"})
    other = build_model("lenet5", 1, 10, 28)
    assert load_weights(other, path) == {"seed": 4, "model": "lenet5"}
    assert same(other, lenet)
    assert json.loads(path.with_suffix(".json").read_text()) == {"seed": 4, "model": "lenet5"}


@pytest.mark.data
def test_training_is_the_last_resort_and_is_cached(model_cache, monkeypatch):
    monkeypatch.setattr(loading_module, "default_recipe", lambda name, data: Recipe(epochs=1, images=256))
    monkeypatch.setattr("axdnn.models.plan.default_recipe", lambda name, data: Recipe(epochs=1, images=256))
    with pytest.raises(CheckpointError, match="allow training"):
        load_model("lenet5", "mnist", seed=9, allow_training=False)
    messages: list[str] = []
    first = load_model("lenet5", "mnist", seed=9, progress=lambda message, done, total: messages.append(message))
    assert first.source == "trained now"
    assert messages[-1].startswith("training lenet5 on mnist, epoch 1 of 1: loss")
    (weights,) = (model_cache / "models").glob("*.safetensors")
    assert sorted(path.suffix for path in (model_cache / "models").iterdir()) == [".json", ".lock", ".safetensors"]
    second = load_model("lenet5", "mnist", seed=9, allow_training=False)
    assert second.source == "cache"
    assert same(first.model, second.model)
    assert second.accuracy == first.accuracy
    assert second.recipe == first.recipe
    with pytest.raises(CheckpointError):
        load_model("lenet5", "mnist", seed=10, allow_training=False)
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match="Delete the file; the network is then trained again"):
        load_model("lenet5", "mnist", seed=9)


@pytest.mark.data
def test_two_processes_train_once(model_cache):
    code = (
        "from axdnn.models import Recipe, loading, plan\n"
        "tiny = lambda name, data: Recipe(epochs=6, images=2560)\n"
        "loading.default_recipe = plan.default_recipe = tiny\n"
        "print(loading.load_model('lenet5', 'mnist', seed=9).source)"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    processes = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environment)
        for _ in range(2)
    ]
    sources = sorted(process.communicate(timeout=120)[0].strip() for process in processes)
    assert sources == ["cache", "trained now"]


def test_unknown_names():
    with pytest.raises(UnknownNameError, match="resnet8"):
        load_model("resnet", "mnist")
    with pytest.raises(UnknownNameError, match="cifar10"):
        load_model("lenet5", "cifar")


def test_shipped_weights_are_small_and_described():
    for path in PACKAGE_WEIGHTS.glob("*.safetensors"):
        assert path.stat().st_size < 2_000_000
        recipe = json.loads(path.with_suffix(".json").read_text())
        assert {"seed", "settings", "split", "images", "test_accuracy", "test_images", "torch"} <= recipe.keys()
        assert recipe["split"] == "fit"
        channels, size, _ = dataset_info(recipe["data"]).image_shape
        model = build_model(recipe["model"], channels, 10, size)
        assert load_weights(model, path) == recipe
        assert path.stem == f"{recipe['model']}-{recipe['data']}"
