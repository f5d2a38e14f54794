"""Keep a solver's own prints out of standard output."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def silent_output() -> Iterator[None]:
    """Keep what the solver writes to standard output by itself, which nobody asked for, out of ours.

    HiGHS prints a line now and then whatever its options say (scipy 1.17); a result as JSON would be no JSON with it.
    """
    sys.stdout.flush()
    try:
        kept, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    except OSError:  # there is no standard output
        yield
        return
    try:
        os.dup2(nowhere, 1)
        yield
    finally:
        with contextlib.suppress(OSError, AttributeError, TypeError):
            ctypes.CDLL(None).fflush(None)  # what the C library holds back, where it can be asked
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)
