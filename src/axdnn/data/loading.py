"""Fetch a data set into the cache, and load it from there."""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

from axdnn.data.arrays import FormatError, content_sha256
from axdnn.data.cache import Stored, check, data_file, locked, read, store
from axdnn.data.catalogue import DatasetInfo, dataset_info
from axdnn.data.dataset import Dataset, UInt8Array
from axdnn.data.fetch import SourceError
from axdnn.data.sources import SOURCES, Source, users_folder
from axdnn.records import DataError

Progress = Callable[[str, int, int], None]
CacheFolder = str | os.PathLike[str] | None


def load_dataset(name: str, *, progress: Progress | None = None, cache: CacheFolder = None) -> Dataset:
    """Load a data set, fetching it first if it is not in the cache.

    Args:
        name: one of `list_datasets()`.
        progress: called with (message, steps done, steps in all).
        cache: cache folder; None for `$AXDNN_CACHE` or its defaults (see `cache_root`).

    Warns:
        UserWarning: only the small stand-in for MNIST (5,000 digits) could be had; `Dataset.source` says so too.

    Raises:
        UnknownNameError: no such data set.
        DataError: no source delivers, or the cache file is corrupt; the message says what to do.
    """
    info = dataset_info(name)
    path, stored = _ensure(info, force=False, progress=progress, cache=cache)
    stored = read(path, info) if stored is None else stored
    if not stored.complete:
        warnings.warn(f"data set {name!r} is not complete: {stored.source}", UserWarning, stacklevel=2)
    arrays = stored.arrays
    images = [_plain_strides(part) for part in (arrays.train_images, arrays.test_images)]
    labels = [codes.astype(np.int64) for codes in (arrays.train_labels, arrays.test_labels)]
    for part in (*images, *labels):
        part.flags.writeable = False
    return Dataset(
        name=name,
        train_images=images[0],
        train_labels=labels[0],
        test_images=images[1],
        test_labels=labels[1],
        classes=info.classes,
        source=stored.source,
        sha256=stored.sha256,
        complete=stored.complete,
    )


def _plain_strides(images: UInt8Array) -> UInt8Array:
    """Return images whose strides are those of a fresh array.

    An axis of length 1 may have any stride, and torch picks another memory format and with it other last bits for some:
    images just fetched would train other weights than the same images from the cache.
    """
    plain = np.empty(images.shape, dtype=images.dtype)
    if images.strides == plain.strides:
        return images
    plain[...] = images
    return plain


def get_dataset(name: str, *, force: bool = False, progress: Progress | None = None, cache: CacheFolder = None) -> Path:
    """Make sure that a data set is in the cache, whole.

    Args:
        name: one of `list_datasets()`.
        force: fetch it again even if it is there; the old file stays until the new one is complete.
        progress: called with (message, steps done, steps in all).
        cache: cache folder; None for `$AXDNN_CACHE` or its defaults.

    Returns:
        The cache file.

    Raises:
        UnknownNameError: no such data set.
        DataError: no source delivers, or (without `force`) the cache file is corrupt.
    """
    info = dataset_info(name)
    path, stored = _ensure(info, force=force, progress=progress, cache=cache)
    if stored is None:
        read(path, info)
    return path


def _ensure(
    info: DatasetInfo, *, force: bool, progress: Progress | None, cache: CacheFolder
) -> tuple[Path, Stored | None]:
    """Return the cache file, and its contents if they were fetched just now."""
    path, tell = data_file(info.name, cache), progress or _silent
    if path.exists() and not force:
        return path, None
    with locked(path, lambda: tell(f"waiting for another process to finish fetching {info.name}", 0, 3)):
        if path.exists() and not force:
            return path, None
        stored = _fetch(info, tell)
        tell(f"writing {info.name} to the cache", 2, 3)
        store(path, stored)
    tell(f"{info.name} is ready: {stored.source}", 3, 3)
    return path, stored


def _fetch(info: DatasetInfo, tell: Progress) -> Stored:
    failures: list[str] = []
    for source in SOURCES[info.name]:
        if not source.users_own or users_folder(info.name):
            tell(f"fetching {info.name}: {source.text}", 0, 3)
        try:
            stored = _try_source(source, info, tell)
        except (SourceError, FormatError) as error:
            if source.users_own:
                raise DataError(
                    f"cannot use {source.text} for data set {info.name!r}: {error}. Correct them or unset AXDNN_DATA"
                ) from error
            failures.append(f"{source.text}: {error}")
            continue
        if stored is None:
            continue
        if not stored.complete:
            why = f"{stored.source} (4,000 for training, 1,000 for testing), because the whole set could not be had: "
            how = f". To get it, {info.remedy}; then run `axdnn data get {info.name} --force`"
            stored = stored._replace(source=why + "; ".join(failures) + how)
        return stored
    raise DataError(
        f"data set {info.name!r} is not in the cache and no source delivers it. Tried: {'; '.join(failures)}. "
        f"To solve it, {info.remedy}"
    )


def _try_source(source: Source, info: DatasetInfo, tell: Progress) -> Stored | None:
    with tempfile.TemporaryDirectory(prefix="axdnn-") as folder:
        arrays = source.fetch(Path(folder))
    if arrays is None:
        return None
    tell(f"checking {info.name}", 1, 3)
    problem = check(arrays, info, complete=source.complete)
    if problem:
        raise SourceError(problem)
    return Stored(arrays, source.text, content_sha256(arrays), source.complete)


def _silent(message: str, done: int, total: int) -> None:
    """Report to nobody."""
