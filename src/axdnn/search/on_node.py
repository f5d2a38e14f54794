"""What a worker does on a node of a Ray cluster: join the study, as `axdnn worker` does, and end when asked to."""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
import time
from collections.abc import Iterator

from axdnn.records import AxdnnError
from axdnn.search.processes import interrupt_once
from axdnn.search.studies import join


def serve(storage: str, name: str, ends: float | None) -> tuple[str, str]:
    """Evaluate candidates of a study until its budget is used.

    Args:
        storage: path or URL, the same on every node.
        name: of the study.
        ends: seconds since 1970 after which no candidate is begun; None for no limit.

    Returns:
        `reason` and why it ended, or `error` and what it gave up for.

    Raises:
        KeyboardInterrupt: the leader cancelled it; its candidate is given back.
    """
    left = None if ends is None else max(ends - time.time(), 0.0)
    with _interrupted_at_once():
        try:
            return "reason", join(storage, name, left).reason
        except AxdnnError as error:
            return "error", f"{error} (on the node {socket.gethostname()})"


@contextlib.contextmanager
def _interrupted_at_once() -> Iterator[None]:
    """Let Ray's cancelling end calls that wait, like a sleep or a read.

    Ray only leaves a note for Python, which looks at it between its own steps, and blocks the signal in its workers.
    Here the note wakes a thread, which sends the signal to the main thread.
    """
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    main = threading.get_ident()

    def listen() -> None:
        with contextlib.suppress(OSError):
            while (note := ours.recv(1)) and note[0] != signal.SIGINT:
                continue
            if note:
                signal.pthread_kill(main, signal.SIGINT)

    before = signal.signal(signal.SIGINT, interrupt_once)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    descriptor = signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
    listener = threading.Thread(target=listen, name="axdnn-interrupt", daemon=True)
    listener.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(descriptor)
        theirs.close()  # the thread reads the end
        listener.join()
        ours.close()
        signal.signal(signal.SIGINT, before)
