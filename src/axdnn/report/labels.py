"""Names cut to the room there is, still told apart."""

from __future__ import annotations

import re
from collections.abc import Sequence


def shorten(name: str, limit: int) -> str:
    """Return `name`, with its middle left out if it is longer than `limit` characters."""
    name = " ".join(name.split())
    if len(name) <= limit:
        return name
    tail = (limit - 1) // 2
    return f"{name[: limit - 1 - tail]}…{name[len(name) - tail :]}"


def shorten_all(names: Sequence[str], limit: int) -> tuple[str, ...]:
    """Return every name within `limit` characters, different names by different labels.

    What all names share at either end goes first; names that still look alike are numbered.
    """
    different = list(dict.fromkeys(names))
    for labels in (_plain(different, limit), _core(different, limit), _numbered(different, limit)):
        if len(set(labels)) == len(different):
            break
    known = dict(zip(different, labels, strict=True))
    return tuple(known[name] for name in names)


def _plain(names: Sequence[str], limit: int) -> list[str]:
    return [shorten(name, limit) for name in names]


def _core(names: Sequence[str], limit: int) -> list[str]:
    """Names without the parts at either end (up to a dot, dash, slash or underscore) that all of them share."""
    head = re.sub(r"[^._/-]*$", "", _common_start(names))
    tail = re.sub(r"[^._/-]*$", "", _common_start([name[len(head) :][::-1] for name in names]))
    cut = [f"{'…' if head else ''}{name[len(head) : len(name) - len(tail)]}{'…' if tail else ''}" for name in names]
    return [shorten(name, limit) for name in cut]


def _common_start(names: Sequence[str]) -> str:
    first, last = min(names), max(names)
    same = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))
    return first[:same]


def _numbered(names: Sequence[str], limit: int) -> list[str]:
    width = len(str(len(names)))
    return [f"{i:>{width}} {shorten(name, limit - width - 1)}" for i, name in enumerate(names, start=1)]
