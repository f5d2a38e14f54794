"""The real sets have the published counts and means, and split as promised."""

from __future__ import annotations

import hashlib
import sys

import numpy as np
import pytest
import torch

from axdnn.data import SPLITS, dataset_info, get_dataset, list_datasets, load_dataset
from axdnn.records import InvalidInputError, UnknownNameError

pytestmark = pytest.mark.data
MNIST_TRAIN = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
MNIST_TEST = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


def test_mnist_is_the_published_set(dataset):
    data = dataset("mnist")
    assert data.train_images.shape == (60_000, 1, 28, 28)
    assert data.test_images.shape == (10_000, 1, 28, 28)
    assert data.train_images.dtype == np.uint8
    assert data.train_labels.dtype == data.test_labels.dtype == np.int64
    assert np.bincount(data.train_labels).tolist() == MNIST_TRAIN
    assert np.bincount(data.test_labels).tolist() == MNIST_TEST
    raw = bytes.fromhex("00000803 0000ea60 0000001c 0000001c") + data.train_images.tobytes()
    assert hashlib.md5(raw).hexdigest() == "6bbc9ace898e44ae57da46a324031adb"
    assert data.train_images.mean() / 255 == pytest.approx(0.1307, abs=5e-5)
    assert data.train_images.std() / 255 == pytest.approx(0.3081, abs=5e-5)
    assert data.train_labels[:5].tolist() == [5, 0, 4, 1, 9]


def test_fashion_mnist_is_the_published_set(dataset):
    data = dataset("fashion-mnist")
    assert data.train_images.shape == (60_000, 1, 28, 28)
    assert np.bincount(data.train_labels).tolist() == [6000] * 10
    assert np.bincount(data.test_labels).tolist() == [1000] * 10
    assert data.train_images.mean() / 255 == pytest.approx(0.2860, abs=5e-5)
    assert data.train_images.std() / 255 == pytest.approx(0.3530, abs=5e-5)
    assert data.classes[9] == "ankle boot"
    assert data.train_labels[0] == 9


def test_cifar10_is_the_published_set_in_the_original_order(dataset):
    data = dataset("cifar10")
    assert data.train_images.shape == (50_000, 3, 32, 32)
    assert np.bincount(data.train_labels).tolist() == [5000] * 10
    assert np.bincount(data.test_labels).tolist() == [1000] * 10
    assert data.train_labels[:5].tolist() == [6, 9, 9, 4, 1]
    assert data.test_labels[:5].tolist() == [3, 8, 8, 0, 6]
    means = [data.train_images[:, c].mean() / 255 for c in range(3)]
    stds = [data.train_images[:, c].std() / 255 for c in range(3)]
    assert means == pytest.approx([0.4914, 0.4822, 0.4465], abs=5e-5)
    assert stds == pytest.approx([0.2470, 0.2435, 0.2616], abs=5e-5)


@pytest.mark.parametrize("name", list_datasets())
def test_splits_are_disjoint_and_fixed(dataset, name):
    data = dataset(name)
    parts = data.splits()
    total = len(data.train_images)
    assert set(parts) == set(SPLITS) - {"test"}
    assert [len(parts[key]) for key in ("fit", "calibration", "search", "accept")] == [total - 10_000, 2000, 5000, 5000]
    together = np.concatenate([parts["fit"], parts["search"], parts["accept"]])
    assert np.array_equal(np.sort(together), np.arange(total))
    assert min(parts["search"].min(), parts["accept"].min()) == total - 10_000
    assert len(np.unique(parts["calibration"])) == 2000
    assert np.isin(parts["calibration"], parts["fit"]).all()
    again = data.splits()
    assert all(np.array_equal(parts[key], again[key]) for key in parts)
    # each half is a fair sample: no class is off by more than a quarter
    for key in ("calibration", "search", "accept"):
        counts = np.bincount(data.train_labels[parts[key]], minlength=10)
        assert counts.min() > 0.75 * len(parts[key]) / 10 * (0.9 if name == "mnist" else 1.0)


def test_splits_never_change(dataset):
    parts = dataset("mnist").splits()
    assert parts["calibration"][:4].tolist() == [19924, 38588, 25920, 12613]
    assert parts["search"][:4].tolist() == [55268, 54702, 59164, 55513]
    assert parts["accept"][:4].tolist() == [50802, 56141, 56981, 58772]


def test_as_float_divides_by_255(dataset):
    data = dataset("mnist")
    images = data.as_float(data.test_images[:3])
    assert images.dtype == torch.float32
    assert images.shape == (3, 1, 28, 28)
    expected = data.test_images[:3].astype(np.float64) / 255
    assert np.abs(images.numpy() - expected).max() < 1e-7
    assert images.max() == 1.0
    with pytest.raises(InvalidInputError, match="uint8"):
        data.as_float(expected)


def test_tensors_of_a_split(dataset):
    data = dataset("mnist")
    images, labels = data.tensors("accept", 100)
    index = data.splits()["accept"][:100]
    assert labels.tolist() == data.train_labels[index].tolist()
    assert torch.equal(images, data.as_float(data.train_images[index]))
    assert len(data.tensors("test")[1]) == 10_000
    with pytest.raises(UnknownNameError, match="search"):
        data.tensors("serch")
    with pytest.raises(InvalidInputError, match="1 <= limit <= 5000"):
        data.tensors("search", 5001)


def test_arrays_are_read_only(dataset):
    data = dataset("mnist")
    with pytest.raises(ValueError, match="read-only"):
        data.train_images[0] = 0
    with pytest.raises(ValueError, match="read-only"):
        data.test_labels[0] = 0


def test_unknown_names_suggest_the_nearest():
    for call in (load_dataset, get_dataset, dataset_info):
        with pytest.raises(UnknownNameError, match="fashion-mnist"):
            call("fashion_mnist")


def test_importing_the_package_loads_no_torch(python):
    process = python("import sys, axdnn.data; print('torch' in sys.modules, 'PIL' in sys.modules)")
    out, error = process.communicate(timeout=60)
    assert process.returncode == 0, error
    assert out.split() == ["False", "False"]
    assert "torch" in sys.modules


def test_images_just_fetched_have_the_strides_of_cached_ones(monkeypatch, tmp_path, dataset):
    """An axis of one channel may carry any stride, and torch computes other last bits for some."""
    from axdnn.data import loading

    cached = dataset("mnist")
    odd = np.lib.stride_tricks.as_strided(cached.train_images, strides=(784, 0, 28, 1))
    plain = loading._plain_strides(odd)
    assert plain.strides == cached.train_images.strides == (784, 784, 28, 1)
    assert np.array_equal(plain[:100], cached.train_images[:100])
