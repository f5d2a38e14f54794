"""A ResNet-18 that nobody here trained, on CIFAR-10: the robust accuracies that are known of it."""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path

import pytest
import torch

from axdnn import approximate
from axdnn.robustness import Request, assess, float_victim, integer_victim

pytestmark = [pytest.mark.data, pytest.mark.slow]


@pytest.fixture(scope="module")
def resnet18():
    """The example network of pyautoattack, calibration images, test images and labels."""
    from axdnn.data import cache_root, load_dataset

    cached = (Path(os.environ.get("AXDNN_CACHE", cache_root())) / "data" / "cifar10.npz").exists()
    if not cached and not shutil.which("npm"):
        pytest.skip("cifar10 is not in the cache and npm is not installed")
    import pyautoattack

    folder = Path(pyautoattack.__file__).parent / "examples"
    spec = importlib.util.spec_from_file_location("foreign_resnet", folder / "resnet.py")
    code = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(code)
    network = code.ResNet18()
    network.load_state_dict(torch.load(folder / "model_test.pt", weights_only=True, map_location="cpu"))
    data = load_dataset("cifar10")
    return network.eval(), data.tensors("calibration", 64)[0], *data.tensors("test", 60)


def test_known_robust_accuracies_and_those_of_an_approximate_network(resnet18):
    """PGD is known to leave 42 % and 7 %; 60 images say 30 to 55 % and 3 to 16 % of that, 95 % intervals."""
    network, calibration, images, labels = resnet18
    victim = float_victim(network)
    attacks = Request((1 / 255, 2 / 255), attacks="fgsm,pgd:steps=10:restarts=1", unbounded=False)
    report = assess([victim], images, labels, attacks)
    for eps, known in zip(report.epsilons, (0.42, 0.07), strict=True):
        worst = report.at("float", eps)
        print(f"{255 * eps:.0f}/255: {worst.robust_accuracy:.3f}, {worst.low:.3f} to {worst.high:.3f}")
        assert worst.low <= known <= worst.high
    integer = approximate(network, "mul8u_R36", calibration)
    request = Request((1 / 255, 2 / 255), attacks="fgsm,pgd:steps=10:restarts=1,transfer:steps=10", unbounded=False)
    found = assess([integer_victim(integer, network)], images[:30], labels[:30], request, sources={"float": victim})
    assert found.sound
    assert found.at("approximate", 2 / 255).robust_accuracy < found.at("approximate", 1 / 255).robust_accuracy < 0.75
