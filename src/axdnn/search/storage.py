"""Opening a storage of studies: a journal file, or a database by URL, with errors that say what to do."""

from __future__ import annotations

import contextlib
import os
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from axdnn.records import InvalidInputError, MissingPackageError, StorageError
from axdnn.search.gate import DatabaseGate, FileGate, Gate, ThreadGate, lock_file

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

T = TypeVar("T")
DRIVERS = {"postgresql": ("postgresql", "postgresql+psycopg2"), "mysql": ("mysql", "mysql+pymysql")}
PATIENCE_S = 60.0  # for a storage that does not answer


@dataclass(frozen=True)
class Opened:
    """An open storage.

    Attributes:
        storage: of Optuna.
        place: path or URL, without a password, for messages.
        gate: makes the lock of a study.
    """

    storage: BaseStorage
    place: str
    gate: Callable[[str], Gate]


def open_storage(storage: str | os.PathLike[str] | None, create: bool = True) -> Opened:
    """Open a storage of studies.

    Args:
        storage: None for the memory of this process; a path for a journal file; `sqlite:///FILE`,
            `postgresql://USER@HOST/DATABASE` or `mysql://USER@HOST/DATABASE` for a database.
        create: make a journal or SQLite file that is absent; otherwise that is an error.

    Raises:
        StorageError: it cannot be reached, is no storage of studies, or is of a newer version.
        MissingPackageError: the driver of the database is not installed.
        InvalidInputError: the URL is none.
    """
    if storage is None:
        from optuna.storages import InMemoryStorage

        gate = ThreadGate()
        return Opened(InMemoryStorage(), "memory", lambda name: gate)
    text = os.fspath(storage)
    return _open_database(text, create) if "://" in text else _open_journal(Path(text), create)


def _open_journal(path: Path, create: bool) -> Opened:
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    if path.is_dir() or not path.parent.is_dir():
        raise StorageError(f"a journal of studies must be a file in a folder that exists, but got {path}")
    if not create and not path.exists():
        raise StorageError(f"there must be a journal of studies at {path}, but there is none")
    lock = _JournalLock(path)
    try:
        storage = JournalStorage(JournalFileBackend(str(path), lock_obj=lock))  # type: ignore[arg-type]
    except (ValueError, KeyError, TypeError, UnicodeDecodeError) as error:
        raise StorageError(f"{path} must be a journal of studies, but cannot be read: {error}") from error
    except AssertionError as error:
        raise StorageError(
            f"{path} was written by a newer version of optuna; upgrade it to read the journal"
        ) from error
    except OSError as error:
        raise StorageError(f"{path} must be readable and writable, but: {error.strerror or error}") from error
    beside = path.resolve()
    return Opened(storage, str(path), lambda name: FileGate(beside.with_name(f"{beside.name}.gate")))


class _JournalLock:
    """The lock of one append to a journal: unlike Optuna's it dies with its holder, and it mends a torn last line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._local = threading.local()

    def acquire(self) -> bool:
        """Wait for the lock."""
        handle = lock_file(self.path.with_name(f"{self.path.name}.append"))
        self._local.handle = handle
        with contextlib.suppress(FileNotFoundError):
            _cut_torn_line(self.path)
        return True

    def release(self) -> None:
        """Free the lock."""
        os.close(self._local.handle)

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["path"])  # type: ignore[misc]


def _cut_torn_line(path: Path) -> None:
    """Cut what a writer that was killed within a line left: the next line would be glued to it."""
    with path.open("rb+") as file:
        size = file.seek(0, os.SEEK_END)
        if size == 0:
            return
        file.seek(size - 1)
        if file.read(1) == b"\n":
            return
        file.seek(0)
        whole = file.read()
        file.truncate(whole.rfind(b"\n") + 1)


def _open_database(url: str, create: bool) -> Opened:
    import optuna.storages
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise InvalidInputError(f"a storage must be a path or a URL of a database, but got {url!r}") from error
    place = parsed.render_as_string(hide_password=True)
    extra, driver = DRIVERS.get(parsed.drivername, ("", parsed.drivername))
    file = Path(parsed.database) if parsed.drivername.startswith("sqlite") and parsed.database else None
    if not create and file is not None and not file.exists():
        raise StorageError(f"there must be a database of studies at {file}, but there is none")
    options: dict[str, Any] = {"pool_pre_ping": True}
    if parsed.drivername.startswith("sqlite"):
        options = {"connect_args": {"timeout": PATIENCE_S}}
    try:
        database = optuna.storages.RDBStorage(
            parsed.set(drivername=driver).render_as_string(hide_password=False), engine_kwargs=options
        )
    except ImportError as error:
        hint = f"pip install 'axdnn[{extra}]'" if extra else f"install the driver of {parsed.drivername}"
        raise MissingPackageError(f"the driver of {place} must be installed: {hint}") from error
    except NoSuchModuleError as error:
        raise InvalidInputError(f"{parsed.drivername!r} must be a kind of database that SQLAlchemy knows") from error
    except RuntimeError as error:  # Optuna's word for tables of another version
        raise StorageError(f"{place} is of another version: {error}") from error
    except SQLAlchemyError as error:
        why = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        raise StorageError(f"{place} must be a database that answers, but: {why}") from error
    storage = optuna.storages.get_storage(database)
    if file is not None:
        return Opened(storage, place, lambda name: FileGate(file.resolve().with_name(f"{file.name}.gate")))
    if parsed.drivername.startswith("sqlite"):
        gate = ThreadGate()
        return Opened(storage, place, lambda name: gate)
    return Opened(storage, place, lambda name: DatabaseGate(database.engine, name))


def patiently(action: Callable[[], T], place: str, patience_s: float = PATIENCE_S) -> T:
    """Do something with a storage, again while it does not answer.

    Raises:
        StorageError: it still does not answer after `patience_s`.
    """
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import SQLAlchemyError

    began, pause = time.monotonic(), 0.2
    while True:
        try:
            return action()
        except (StorageInternalError, SQLAlchemyError, OSError) as error:
            if time.monotonic() - began + pause > patience_s:
                cause = error.__cause__ or error
                why = str(getattr(cause, "orig", None) or cause).strip().splitlines()[0]
                raise StorageError(
                    f"the storage {place} must answer, but did not for {patience_s:.0f} s: {why}; "
                    "the study is unharmed, run again to resume"
                ) from error
            time.sleep(pause)
            pause = min(2 * pause, 5.0)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep Optuna from saying that it made a study, and that names of objectives are experimental."""
    import optuna
    from optuna.exceptions import ExperimentalWarning

    told = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(told)
