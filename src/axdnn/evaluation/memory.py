"""Freed memory given back to the system."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache


def give_back() -> None:
    """Return freed memory to the system, where its C library keeps it (glibc); else nothing.

    Tensors of many sizes leave gaps among small objects that the library neither fills nor returns: a process that fits
    codings and simulates in turns would hold several times what it uses. Takes milliseconds.
    """
    trim = _trim()
    if trim is not None:
        trim(0)


@cache
def _trim() -> Callable[[int], int] | None:
    try:
        return getattr(ctypes.CDLL(None), "malloc_trim", None)
    except (OSError, TypeError):  # no C library to be had by this name, as on Windows
        return None
