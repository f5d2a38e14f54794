"""The figure that ships with the weights is true, and the recipe makes the weights again."""

from __future__ import annotations

import pytest
import torch

from axdnn.models import Recipe, load_model, measure_accuracy, train
from axdnn.models.machine import processor

pytestmark = pytest.mark.data


def test_the_recorded_accuracy_is_measured_again(dataset):
    data, shipped = dataset("mnist"), load_model("lenet5", "mnist")
    assert shipped.recipe["data_sha256"] == data.sha256
    images, labels = data.tensors("test")
    accuracy = measure_accuracy(shipped.model, images, labels)
    assert accuracy == pytest.approx(shipped.accuracy, abs=3e-4)  # three images: other processors round otherwise
    held_out = measure_accuracy(shipped.model, *data.tensors("search"))
    assert held_out == pytest.approx(shipped.recipe["held_out_accuracy"], abs=6e-4)
    assert shipped.accuracy >= 0.99


@pytest.mark.slow
def test_the_recipe_makes_the_weights_again(dataset):
    shipped = load_model("lenet5", "mnist")
    recipe = Recipe(**shipped.recipe["settings"])
    again = train("lenet5", dataset("mnist"), recipe=recipe, seed=shipped.recipe["seed"])
    assert again.accuracy == pytest.approx(shipped.accuracy, abs=0.003)
    if (again.recipe["torch"], processor()) == (shipped.recipe["torch"], shipped.recipe["processor"]):
        state = again.model.state_dict()
        assert all(torch.equal(state[key], value) for key, value in shipped.model.state_dict().items())
