"""Workers as processes of this machine."""

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

from axdnn.records import AxdnnError, InvalidInputError
from axdnn.search.crew import LEAVE_S, LOOK_S, Crew, Member, Word
from axdnn.search.loop import work
from axdnn.search.storage import open_storage
from axdnn.search.task import Task

ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class _Child(NamedTuple):
    process: BaseProcess
    words: Connection


class ProcessCrew(Crew):
    """Processes of this machine, spawned, with one thread each.

    Args:
        storage: path or URL.
        name: of the study.
        task: of the study.
        until: `time.monotonic()` after which no candidate is begun; None for no limit.

    Raises:
        InvalidInputError: a function of the task cannot be sent to a process.
    """

    def __init__(self, storage: str, name: str, task: Task, until: float | None) -> None:
        super().__init__()
        try:
            load = pickle.dumps(task)
        except Exception as error:
            raise InvalidInputError(
                f"with several workers, what evaluates must be functions of a module or `Named`, but: {error}"
            ) from error
        self._arguments = (load, storage, name)
        self._until = until

    def launch(self) -> _Child:
        """Start one worker."""
        context = multiprocessing.get_context("spawn")
        here, there = context.Pipe(duplex=False)
        left = None if self._until is None else max(self._until - time.monotonic(), 0.0)
        process = context.Process(target=_serve, args=(*self._arguments, left, there), name="axdnn-worker")
        with _one_thread():
            process.start()
        there.close()
        return _Child(process, here)

    def ended(self) -> list[tuple[Member, Word]]:
        """Wait a moment and return those that ended."""
        multiprocessing.connection.wait([m.handle.process.sentinel for m in self.members], timeout=LOOK_S)
        return [(m, _last_word(m.handle)) for m in self.members if not m.handle.process.is_alive()]

    def leave(self) -> None:
        """End all workers: ask, as Ctrl-C does, then insist."""
        self._gone(1.0)  # Ctrl-C in a terminal reached them too
        for insist, patience_s in ((signal.SIGINT, LEAVE_S), (signal.SIGTERM, 1.0), (signal.SIGKILL, 1.0)):
            for member in self.members:
                process = member.handle.process
                with contextlib.suppress(ProcessLookupError):
                    if process.is_alive() and process.pid:
                        os.kill(process.pid, insist)
            if self._gone(patience_s):
                return

    def _gone(self, patience_s: float) -> bool:
        deadline = time.monotonic() + patience_s
        for member in self.members:
            member.handle.process.join(max(deadline - time.monotonic(), 0.0))
        return not any(member.handle.process.is_alive() for member in self.members)


def _serve(load: bytes, storage: str, name: str, time_s: float | None, words: Connection) -> None:
    """Be a worker: the main function of its process."""
    leader = multiprocessing.parent_process()
    signal.signal(signal.SIGINT, interrupt_once)
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


def interrupt_once(*_: object) -> None:
    """Raise KeyboardInterrupt at the first signal and ignore those that follow."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # nothing may disturb the giving back
    raise KeyboardInterrupt


def _say(words: Connection, text: str) -> None:
    with contextlib.suppress(OSError):  # the leader is gone
        words.send(text)


def _last_word(child: _Child) -> Word:
    child.process.join()
    try:
        told = str(child.words.recv()) if child.words.poll() else ""
    except (EOFError, OSError):
        told = ""
    finally:
        child.words.close()
    if told.startswith("error: "):
        return Word(error=told.removeprefix("error: "))
    code = child.process.exitcode
    return Word(reason=told) if code == 0 else Word(fault=f"with exit code {code}")


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
