"""The cache folder: one checked file per data set, written whole or not at all, by one process at a time."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from axdnn.data.arrays import Arrays, content_sha256
from axdnn.data.catalogue import DatasetInfo
from axdnn.records import DataError, cache_root

FORMAT = 1


class Stored(NamedTuple):
    """Contents of a cache file, verified."""

    arrays: Arrays
    source: str
    sha256: str
    complete: bool


def data_file(name: str, cache: str | os.PathLike[str] | None = None) -> Path:
    """Return where the data set is (or would be) cached."""
    return cache_root(cache) / "data" / f"{name}.npz"


@contextlib.contextmanager
def locked(path: Path, on_wait: Callable[[], None]) -> Iterator[None]:
    """Hold the lock that belongs to `path`; `on_wait` is called once if another process holds it.

    Raises:
        DataError: the folder cannot be written.
    """
    lock = path.with_suffix(".lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise cannot_write(path, error) from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            on_wait()
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)  # gives the lock back; the empty file stays, for removing it would race


def cannot_write(path: Path, error: OSError) -> DataError:
    """Build the error for a cache folder that cannot be written."""
    return DataError(
        f"the cache folder {path.parent} must be writable, but: {error.strerror or error}. "
        "Set AXDNN_CACHE to a folder that is, or free some space"
    )


def store(path: Path, stored: Stored) -> None:
    """Write a cache file; a reader sees the old file or the new one, never a part. The caller holds the lock.

    Raises:
        DataError: the folder cannot be written.
    """
    meta = {"format": FORMAT, "source": stored.source, "sha256": stored.sha256, "complete": stored.complete}
    name = ""
    try:
        for leftover in path.parent.glob(f".{path.name}.*"):  # of a process that was killed while writing
            leftover.unlink()
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as file:
            np.savez(file, meta=np.array(json.dumps(meta)), **stored.arrays._asdict())
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException as error:
        if name:
            Path(name).unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise cannot_write(path, error) from error
        raise


def read(path: Path, info: DatasetInfo) -> Stored:
    """Read and verify a cache file.

    Raises:
        DataError: it is corrupt, or holds something else than the data set.
    """
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            meta = json.loads(str(file["meta"]))
            stored = Stored(
                Arrays(*(file[field] for field in Arrays._fields)), meta["source"], meta["sha256"], meta["complete"]
            )
    except OSError as error:
        raise DataError(f"the cache file {path} must be readable, but: {error.strerror or error}") from error
    except Exception as error:  # NumPy and zipfile raise many kinds for a damaged file
        raise _corrupt(path, info, str(error) or type(error).__name__) from error
    problem = check(stored.arrays, info, complete=bool(stored.complete))
    if problem:
        raise _corrupt(path, info, problem)
    return stored


def check(arrays: Arrays, info: DatasetInfo, *, complete: bool) -> str:
    """Return what is wrong with the contents of a data set (counts first, then checksum), or an empty text."""
    if complete:
        train, test = (len(arrays.train_images), info.train_images), (len(arrays.test_images), info.test_images)
        for part, (got, wanted) in (("training", train), ("test", test)):
            if got != wanted:
                return f"there must be {wanted:,} {part} images, but got {got:,}"
    wanted_sha, got_sha = info.sha256 if complete else info.small_sha256, content_sha256(arrays)
    if got_sha != wanted_sha:
        return f"the contents must have checksum {wanted_sha}, but got {got_sha}"
    return ""


def _corrupt(path: Path, info: DatasetInfo, problem: str) -> DataError:
    return DataError(
        f"the cache file {path} of data set {info.name!r} is corrupt: {problem}. "
        f"Fetch it again with `axdnn data get {info.name} --force`, or delete the file"
    )
