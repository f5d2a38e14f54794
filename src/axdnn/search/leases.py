"""Leases of running trials: who runs it, until when that is believed, and how it is kept up while it runs.

A lease says `worker` and `expires` (seconds since 1970 on the worker's clock; clocks of machines should agree within a
third of a lease). It is believed until it expires, or until its worker is seen to be gone: a process of this machine
that no longer exists.
"""

from __future__ import annotations

import os
import socket
import threading
import time
import uuid
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from types import TracebackType

_ACTIVE: set[str] = set()  # workers of this process


@lru_cache(maxsize=1)
def _machine() -> str:
    """Digits that differ between machines, and between containers that do not see each other's processes."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot[:8]}{os.stat('/proc/self/ns/pid').st_ino:x}"
    except OSError:  # no such files on this system: a worker is gone when its lease is
        return ""


def _started(pid: int) -> str | None:
    """Clock ticks at which a process of this machine started, so that a number used again is not mistaken; or None."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return None


def new_worker() -> str:
    """Return a name for a worker of this process: host, machine, process, start and a random part."""
    pid = os.getpid()
    worker = "/".join((socket.gethostname(), _machine(), str(pid), _started(pid) or "", uuid.uuid4().hex[:8]))
    _ACTIVE.add(worker)
    return worker


def retire(worker: str) -> None:
    """Say that a worker of this process has ended."""
    _ACTIVE.discard(worker)


def gone(worker: str) -> bool:
    """Whether a worker is known to have ended; False if it lives or nothing can be known."""
    parts = worker.split("/")
    if len(parts) != 5 or not _machine() or parts[1] != _machine():
        return False
    pid, started = int(parts[2]), parts[3]
    if pid == os.getpid() and started == _started(pid):
        return worker not in _ACTIVE
    return _started(pid) != started


def expired(worker: str, expires: float, now: float | None = None) -> bool:
    """Whether a lease is no longer believed."""
    return (time.time() if now is None else now) > expires or gone(worker)


class Renewal:
    """A thread that renews a lease while a candidate is evaluated; use as a context manager.

    Args:
        renew: writes the new expiry; an exception is a storage that does not answer now, and is tried again.
        lease_s: length of a lease.
        most_s: seconds after which it is no longer renewed, so that a hanging evaluation gives its trial up; or None.
    """

    def __init__(self, renew: Callable[[float], None], lease_s: float, most_s: float | None = None) -> None:
        self.renew, self.lease_s, self.most_s = renew, lease_s, most_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="axdnn-lease", daemon=True)

    def __enter__(self) -> Renewal:
        """Start."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop; a renewal under way is waited for."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        began = time.monotonic()
        while not self._stop.wait(self.lease_s / 3):
            if self.most_s is not None and time.monotonic() - began > self.most_s:
                return
            try:
                self.renew(time.time() + self.lease_s)
            except Exception:  # down for a moment, or the trial was given to another worker: telling will show which
                continue
