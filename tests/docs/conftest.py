"""Real data for the documents' examples: the cache named by `AXDNN_CACHE`, else one of this session."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from axdnn.data import get_dataset


@pytest.fixture(scope="session")
def data_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shared cache folder, with CIFAR-10 in it."""
    given = os.environ.get("AXDNN_CACHE")
    cache = Path(given) if given else tmp_path_factory.mktemp("cache")
    get_dataset("cifar10", cache=cache)
    return cache


@pytest.fixture
def cache(data_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of this test that shares the data, so that nothing fitted earlier helps; `AXDNN_CACHE` points to it."""
    own = tmp_path / "cache"
    own.mkdir()
    (own / "data").symlink_to((data_cache / "data").absolute())
    monkeypatch.setenv("AXDNN_CACHE", str(own))
    return own
