"""Workers as processes of this machine, and the leader that watches over them."""

from __future__ import annotations

import contextlib
import multiprocessing
import multiprocessing.connection
import os
import pickle
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, NamedTuple

from axdnn.records import AxdnnError, InvalidInputError, SearchHistory, StorageError
from axdnn.search.loop import Show, seen, work
from axdnn.search.storage import Opened, open_storage, patiently, quiet
from axdnn.search.task import Task

ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
LOOK_S = 0.2
LEAVE_S = 10.0  # after Ctrl-C, to give candidates back
FUTILE = 3  # workers that end in a row while nothing is evaluated or lost


class _Child(NamedTuple):
    process: BaseProcess
    words: Connection


def lead(
    opened: Opened,
    storage: str | os.PathLike[str] | None,
    name: str,
    task: Task,
    workers: int,
    until: float | None,
    progress: Show | None,
) -> SearchHistory:
    """Start workers, start new ones for those that are killed, and wait until the budget is used.

    Raises:
        InvalidInputError: a function of the task cannot be sent to a process.
        StorageError: workers end as soon as they start.
        KeyboardInterrupt: after the workers have given back what they ran.
    """
    import optuna

    from axdnn.search.history import history
    from axdnn.search.ledger import Ledger

    try:
        load = pickle.dumps(task)
    except Exception as error:
        raise InvalidInputError(
            f"with several workers, what evaluates must be functions of a module or `Named`, but: {error}"
        ) from error
    with quiet():
        ledger = Ledger(optuna.load_study(study_name=name, storage=opened.storage), task)
    crew = _Crew(load, os.fspath(storage or ""), name, until)
    shown = -1
    try:
        for _ in range(workers):
            crew.start()
        while crew.children:
            patiently(ledger.refresh, opened.place)
            if progress is not None and ledger.evaluations != shown:
                shown = ledger.evaluations
                progress(seen(ledger, int(ledger.study.user_attrs.get("axdnn:trials", 0))))
            crew.look(ledger.evaluations + ledger.lost + len(ledger.running))
    except BaseException:
        crew.leave()
        raise
    return history(ledger.study, task, crew.reason)


class _Crew:
    """The processes of a leader."""

    def __init__(self, load: bytes, storage: str, name: str, until: float | None) -> None:
        self.children: list[_Child] = []
        self.reason = ""
        self._arguments = (load, storage, name)
        self._until = until
        self._futile, self._seen = 0, -1

    def start(self) -> None:
        """Start one worker."""
        context = multiprocessing.get_context("spawn")
        here, there = context.Pipe(duplex=False)
        left = None if self._until is None else max(self._until - time.monotonic(), 0.0)
        process = context.Process(target=_serve, args=(*self._arguments, left, there), name="axdnn-worker")
        with _one_thread():
            process.start()
        there.close()
        self.children.append(_Child(process, here))

    def look(self, done: int) -> None:
        """Wait a moment and see who has ended; `done` grows while there is progress."""
        multiprocessing.connection.wait([c.process.sentinel for c in self.children], timeout=LOOK_S)
        for child in [c for c in self.children if not c.process.is_alive()]:
            self.children.remove(child)
            child.process.join()
            told = _last_word(child.words)
            code = child.process.exitcode
            if told.startswith("error: "):
                raise StorageError(f"a worker gave up: {told.removeprefix('error: ')}")
            if code == 0:
                self.reason = told or self.reason
                continue
            self._futile = self._futile + 1 if done == self._seen else 1
            self._seen = done
            if self._futile > FUTILE:
                raise StorageError(f"workers end as soon as they start, with exit code {code}; see what they printed")
            self.start()

    def leave(self) -> None:
        """End all workers: ask, as Ctrl-C does, then insist."""
        self._ended(1.0)  # Ctrl-C in a terminal reached them too
        for insist, patience_s in ((signal.SIGINT, LEAVE_S), (signal.SIGTERM, 1.0), (signal.SIGKILL, 1.0)):
            for child in self.children:
                with contextlib.suppress(ProcessLookupError):
                    if child.process.is_alive() and child.process.pid:
                        os.kill(child.process.pid, insist)
            if self._ended(patience_s):
                return

    def _ended(self, patience_s: float) -> bool:
        deadline = time.monotonic() + patience_s
        for child in self.children:
            child.process.join(max(deadline - time.monotonic(), 0.0))
        return not any(child.process.is_alive() for child in self.children)


def _serve(load: bytes, storage: str, name: str, time_s: float | None, words: Connection) -> None:
    """Be a worker: the main function of its process."""
    leader = multiprocessing.parent_process()
    signal.signal(signal.SIGINT, _interrupt_once)
    until = None if time_s is None else time.monotonic() + time_s
    try:
        task: Task = pickle.loads(load)
        found = work(open_storage(storage), name, task, until, alive=lambda: leader is None or leader.is_alive())
        words.send(found.reason)
    except KeyboardInterrupt:
        sys.exit(130)
    except AxdnnError as error:
        _say(words, f"error: {error}")
        sys.exit(1)
    except Exception:
        traceback.print_exc()
        sys.exit(1)


def _interrupt_once(*_: object) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # nothing may disturb the giving back
    raise KeyboardInterrupt


def _say(words: Connection, text: str) -> None:
    with contextlib.suppress(OSError):  # the leader is gone
        words.send(text)


def _last_word(words: Connection) -> str:
    try:
        return str(words.recv()) if words.poll() else ""
    except (EOFError, OSError):
        return ""
    finally:
        words.close()


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Let processes started within have one thread each: spinning threads make a busy machine many times slower."""
    before: dict[str, Any] = {name: os.environ.get(name) for name in ONE_THREAD}
    os.environ.update(dict.fromkeys(ONE_THREAD, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
