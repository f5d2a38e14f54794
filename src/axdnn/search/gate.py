"""A lock that all workers of a study share: at most one of them asks for a candidate at a time.

A lock that dies with its holder: a killed worker, or one that lost its connection, holds nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import threading
import time
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from axdnn.records import StorageError

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection, Engine


class Gate(ABC):
    """A context manager that one worker at a time is in. Not to be entered twice by one holder."""

    @abstractmethod
    def _enter(self) -> None: ...

    @abstractmethod
    def _leave(self) -> None: ...

    def __enter__(self) -> None:
        """Wait until it is free."""
        self._enter()

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let the next one in."""
        self._leave()


class ThreadGate(Gate):
    """For a storage in the memory of this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def _enter(self) -> None:
        self._lock.acquire()

    def _leave(self) -> None:
        self._lock.release()


class FileGate(Gate):
    """For a file that all workers see: an advisory lock of a file beside it, which the system frees with the process.

    Args:
        path: of the lock file; it stays, for removing it would race.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._held: int | None = None

    def _enter(self) -> None:
        self._held = lock_file(self.path)

    def _leave(self) -> None:
        if self._held is not None:
            os.close(self._held)
            self._held = None


def lock_file(path: Path) -> int:
    """Lock a file, made if it is absent, and return its descriptor; closing that unlocks it.

    Raises:
        StorageError: the file cannot be locked here.
    """
    try:
        import fcntl
    except ImportError as error:
        raise StorageError("studies in files need a system with advisory locks; use a database here") from error
    handle = -1
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        fcntl.flock(handle, fcntl.LOCK_EX)
    except OSError as error:
        if handle >= 0:
            os.close(handle)
        raise StorageError(f"{path} must be a file that can be locked, but: {error.strerror or error}") from error
    except BaseException:  # Ctrl-C while it waits
        if handle >= 0:
            os.close(handle)
        raise
    return handle


class DatabaseGate(Gate):
    """For a database server: its advisory lock, on a connection of its own, which the server frees with it.

    Args:
        engine: of SQLAlchemy, PostgreSQL or MySQL.
        name: of the study.
    """

    def __init__(self, engine: Engine, name: str) -> None:
        from sqlalchemy import text

        self.engine = engine
        number = int.from_bytes(hashlib.sha256(f"axdnn {name}".encode()).digest()[:8], "big", signed=True)
        if engine.dialect.name == "postgresql":
            self._key: dict[str, Any] = {"key": number}
            self._take, self._free = text("SELECT pg_try_advisory_lock(:key)"), text("SELECT pg_advisory_unlock(:key)")
        else:
            self._key = {"key": f"axdnn {number}"}
            self._take, self._free = text("SELECT GET_LOCK(:key, 0)"), text("SELECT RELEASE_LOCK(:key)")
        self._connection: Connection | None = None

    def _enter(self) -> None:
        pause = 0.002
        while True:  # asking again instead of waiting on the server keeps Ctrl-C alive
            if self._connection is None:
                self._connection = self.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            try:
                if self._connection.execute(self._take, self._key).scalar() in (1, True):
                    return
            except BaseException:
                self._drop()
                raise
            time.sleep(pause * (0.5 + random.random()))
            pause = min(2 * pause, 0.1)

    def _leave(self) -> None:
        try:
            if self._connection is not None:
                self._connection.execute(self._free, self._key)
        except Exception:  # the connection is gone, and the lock with it
            self._drop()

    def _drop(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(Exception):
                self._connection.invalidate()
                self._connection.close()
            self._connection = None
