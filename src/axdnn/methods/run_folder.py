"""The output folder of a run: belongs to one set of settings, resumable, never half written."""

from __future__ import annotations

import json
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
    save_record,
    write_atomic,
)

RUN_FILE, STUDY_FILE, RESULT_FILE = "run.json", "study.json", "result.json"


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
        self._spent_before = 0.0

    def check(self) -> None:
        """Refuse a folder that is not ours, before anything is created."""
        if self.path.exists() and not self.path.is_dir():
            raise OutputFolderError(f"the output folder must be a folder, but {self.path} is a file")
        if not self.path.exists() or not any(self.path.iterdir()):
            return
        file = self.path / RUN_FILE
        if not file.exists():
            raise OutputFolderError(
                f"{self.path} holds files that are not of a run (no {RUN_FILE}); choose a new or empty folder"
            )
        try:
            found = json.loads(file.read_text())
        except (OSError, ValueError) as error:
            raise OutputFolderError(f"{file} cannot be read ({error}); choose another folder or delete it") from error
        if found != self.settings:
            names = sorted({*found, *self.settings})
            changed = [f"{n}: {found.get(n)!r} there, {self.settings.get(n)!r} asked" for n in names
                       if found.get(n) != self.settings.get(n)]  # fmt: skip
            raise OutputFolderError(
                f"{self.path} holds the results of another run ({'; '.join(changed)}); choose another --out"
            )

    def __enter__(self) -> RunFolder:
        """Create or reopen the folder and lock it."""
        self.check()
        self.path.mkdir(parents=True, exist_ok=True)
        self._acquire()
        if not (self.path / RUN_FILE).exists():
            write_atomic(self.path / RUN_FILE, json.dumps(self.settings, indent=1, sort_keys=True) + "\n")
        study = self.study()
        self._spent_before = study.wall_s if study else 0.0
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Release the lock."""
        if self._lock is not None:
            self._lock.close()
            (self.path / ".lock").unlink(missing_ok=True)

    def _acquire(self) -> None:
        try:
            import fcntl
        except ImportError:  # no advisory locks on this system: two runs in one folder are the user's care
            return
        self._lock = (self.path / ".lock").open("w")
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
        """Save the history so far."""
        save_record(self.path / STUDY_FILE, msgspec.structs.replace(study, best=best, wall_s=self.wall_s))

    def study(self) -> Study | None:
        """Return the saved history, or None; a damaged file is as good as none, evaluations are kept beside it."""
        try:
            return load_record(Study, self.path / STUDY_FILE)
        except RecordError:
            return None

    def result(self) -> GenerationResult | None:
        """Return the finished result, or None."""
        file = self.path / RESULT_FILE
        return load_record(GenerationResult, file) if file.exists() else None

    def finish(self, result: GenerationResult) -> GenerationResult:
        """Save the result with the time of all sessions."""
        result = msgspec.structs.replace(result, wall_s=self.wall_s)
        save_record(self.path / RESULT_FILE, result)
        return result
