"""The output folder of a run: belongs to one set of settings, resumable, never half written."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO

import msgspec

from axdnn.records import (
    Evaluation,
    GenerationResult,
    OutputFolderError,
    RecordError,
    Study,
    load_record,
    remove_leftovers,
    save_record,
    write_atomic,
)

RUN_FILE, STUDY_FILE, RESULT_FILE, LOCK_FILE = "run.json", "study.json", "result.json", ".lock"


class RunFolder:
    """A folder for the results of one run; use as a context manager.

    Args:
        path: created on entry if it does not exist.
        settings: what the run was asked; a folder made with other settings is refused.

    Raises:
        OutputFolderError: on entry, if the folder holds another run or other files, or is in use.
    """

    def __init__(self, path: str | Path, settings: Mapping[str, str]) -> None:
        self.path, self.settings = Path(path), dict(settings)
        self._lock: IO[str] | None = None
        self._began = time.monotonic()
        self._saved: Study | None = None
        self._spent_before = 0.0

    def check(self, partial: bool = False) -> None:
        """Refuse a folder that is not ours, before anything is created.

        Args:
            partial: compare the settings given here alone; the folder may know more (checksums found later).
        """
        for place in (self.path, *self.path.parents):
            if place.exists():
                break
        if not place.is_dir():
            raise OutputFolderError(f"the output folder must be a folder, but {place} is a file")
        if place != self.path or not any(not _ours(file) for file in self.path.iterdir()):
            if not os.access(place, os.W_OK):
                raise OutputFolderError(f"{place} must be writable to hold the output; choose another --out")
            return
        file = self.path / RUN_FILE
        if not file.exists():
            raise OutputFolderError(
                f"{self.path} holds files that are not of a run (no {RUN_FILE}); choose a new or empty folder"
            )
        try:
            found = json.loads(file.read_text())
            if not isinstance(found, dict):
                raise ValueError("not a mapping of settings")
        except (OSError, ValueError) as error:
            raise OutputFolderError(f"{file} cannot be read ({error}); choose another --out or delete it") from error
        names = sorted(self.settings if partial else {*found, *self.settings})
        if any(found.get(n) != self.settings.get(n) for n in names):
            changed = [f"{n}: {found.get(n)!r} there, {self.settings.get(n)!r} asked" for n in names
                       if found.get(n) != self.settings.get(n)]  # fmt: skip
            raise OutputFolderError(
                f"{self.path} holds the results of another run ({'; '.join(changed)}); choose another --out"
            )

    def __enter__(self) -> RunFolder:
        """Create or reopen the folder and lock it."""
        self.check()
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputFolderError(f"cannot make the output folder {self.path}: {error.strerror or error}") from error
        self._acquire()
        for folder in (self.path, *(self.path / name for name in ("cache", "checkpoints", "figures"))):
            remove_leftovers(folder, older_than_s=0.0)  # of killed runs: here only the holder of the lock writes
        if not (self.path / RUN_FILE).exists():
            write_atomic(self.path / RUN_FILE, json.dumps(self.settings, indent=1, sort_keys=True) + "\n")
        self._saved = self.study()
        self._spent_before = self._saved.wall_s if self._saved else 0.0
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Release the lock; its empty file stays, for removing it would race."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _acquire(self) -> None:
        try:
            import fcntl
        except ImportError:  # no advisory locks on this system: two runs in one folder are the user's care
            return
        self._lock = (self.path / LOCK_FILE).open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._lock.close()
            self._lock = None
            raise OutputFolderError(
                f"another process is writing to {self.path}; wait for it or choose another --out"
            ) from error

    @property
    def wall_s(self) -> float:
        """Seconds spent on this run, earlier sessions included."""
        return self._spent_before + time.monotonic() - self._began

    def checkpoint(self, study: Study, best: Evaluation | None) -> None:
        """Save the history so far; while a resumed run replays what is saved already, only its time changes."""
        saved = self._saved
        if saved is not None and not study.finished and study.full_evaluations < saved.full_evaluations:
            study, best = saved, saved.best
        save_record(self.path / STUDY_FILE, msgspec.structs.replace(study, best=best, wall_s=self.wall_s))

    def study(self) -> Study | None:
        """Return the saved history, or None; a damaged file is as good as none, evaluations are kept beside it."""
        try:
            return load_record(Study, self.path / STUDY_FILE)
        except RecordError:
            return None

    def result(self) -> GenerationResult | None:
        """Return the finished result, or None.

        Raises:
            RecordError: the file is damaged.
        """
        file = self.path / RESULT_FILE
        if not file.exists():
            return None
        try:
            return load_record(GenerationResult, file)
        except RecordError as error:
            raise RecordError(f"{error}. Delete the file to have it made again") from error

    def drawn(self) -> list[Path]:
        """Return the report and its figures if the report is there, else nothing."""
        report = self.path / "report.html"
        return [report, *sorted((self.path / "figures").glob("*"))] if report.exists() else []

    def finish(self, result: GenerationResult) -> GenerationResult:
        """Save the result with the time of all sessions."""
        result = self.timed(result)
        save_record(self.path / RESULT_FILE, result)
        return result

    def timed(self, result: GenerationResult) -> GenerationResult:
        """Return a result with the time of all sessions so far."""
        return msgspec.structs.replace(result, wall_s=self.wall_s)


def _ours(file: Path) -> bool:
    """Whether a file is what a run killed at its very start may leave: the lock, or a part of the settings."""
    return file.name == LOCK_FILE or file.name.startswith(f".{RUN_FILE}.")
