"""The figure that ships with the weights is true, and the recipe makes the weights again."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch

from axdnn.models import build_model, load_model, load_weights, measure_accuracy
from axdnn.models.machine import processor

pytestmark = pytest.mark.data
SHIPPED = [("lenet5", "mnist", 0.99), ("lenet5", "fashion-mnist", 0.9), ("cnn_small", "fashion-mnist", 0.9)]


@pytest.mark.parametrize(("model", "name", "least"), SHIPPED)
def test_the_recorded_accuracy_is_measured_again(dataset, model, name, least):
    data, shipped = dataset(name), load_model(model, name, allow_training=False)
    assert shipped.recipe["data_sha256"] == data.sha256
    images, labels = data.tensors("test")
    accuracy = measure_accuracy(shipped.model, images, labels)
    assert accuracy == pytest.approx(shipped.accuracy, abs=3e-4)  # three images: other processors round otherwise
    held_out = measure_accuracy(shipped.model, *data.tensors("search"))
    assert held_out == pytest.approx(shipped.recipe["held_out_accuracy"], abs=6e-4)
    assert shipped.accuracy >= least


AGAIN = """
import sys
from axdnn.models import Recipe, load_model, save_weights, train
model, data, file = sys.argv[1:]
shipped = load_model(model, data)
again = train(model, data, recipe=Recipe(**shipped.recipe["settings"]), seed=shipped.recipe["seed"])
save_weights(again.model, file, again.recipe)
print(again.accuracy)
"""


@pytest.mark.slow
@pytest.mark.parametrize(("model", "name"), [(model, name) for model, name, _ in SHIPPED])
def test_the_recipe_makes_the_weights_again(dataset, data_cache, tmp_path, model, name):
    """In a process of its own, as a user trains: what else a process has loaded may change the last bit of a sum."""
    channels, size, _ = dataset(name).image_shape
    shipped = load_model(model, name)
    file = tmp_path / "again.safetensors"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", AGAIN, model, name, str(file)],
        capture_output=True, text=True, check=True, env={**os.environ, "AXDNN_CACHE": str(data_cache)},
    )  # fmt: skip
    assert float(done.stdout) == pytest.approx(shipped.accuracy, abs=0.003)
    again = build_model(model, channels, 10, size)
    recipe = load_weights(again, file)
    if (recipe["torch"], processor()) == (shipped.recipe["torch"], shipped.recipe["processor"]):
        state = again.state_dict()
        assert all(torch.equal(state[key], value) for key, value in shipped.model.state_dict().items())
