"""Real data for the tests: the cache named by `AXDNN_CACHE`, else one of this session; models get a private cache."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from axdnn.data import Dataset, load_dataset


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def data_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shared cache folder."""
    given = os.environ.get("AXDNN_CACHE")
    return Path(given) if given else tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def dataset(data_cache: Path) -> Callable[[str], Dataset]:
    """A function that loads a whole data set once, or skips where there is neither a cached copy nor npm."""
    loaded: dict[str, Dataset] = {}

    def load(name: str) -> Dataset:
        if not (data_cache / "data" / f"{name}.npz").exists() and shutil.which("npm") is None:
            pytest.skip(f"{name} is not in the cache and npm is not installed")
        if name not in loaded:
            loaded[name] = load_dataset(name, cache=data_cache)
        return loaded[name]

    return load


@pytest.fixture
def model_cache(
    data_cache: Path, dataset: Callable[[str], Dataset], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A cache without models that shares the data; `AXDNN_CACHE` points to it."""
    dataset("mnist")
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / "data").symlink_to((data_cache / "data").absolute())
    monkeypatch.setenv("AXDNN_CACHE", str(cache))
    return cache
