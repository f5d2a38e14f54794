"""What the commands share: progress on standard error, output formats."""

from __future__ import annotations

import enum
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from axdnn.report import Table, print_table, table_json

Progress = Callable[[str, int, int], None]
PLAIN_EVERY_S = 5.0


class Format(enum.StrEnum):
    """Output format of a listing."""

    table = "table"
    json = "json"


@contextmanager
def progress(quiet: bool = False) -> Iterator[Progress]:
    """Yield a progress function that draws a bar on a terminal and a line now and then elsewhere.

    Args:
        quiet: show nothing.
    """
    if quiet:
        yield lambda message, done, total: None
        return
    if not sys.stderr.isatty():
        yield _plain()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description:<44}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Bar(*columns, console=Console(stderr=True), transient=False) as bar:
        task = bar.add_task("starting", total=1)

        def show(message: str, done: int, total: int) -> None:
            bar.update(task, description=message[:44], completed=done, total=max(total, 1))

        yield show


def _plain() -> Progress:
    began = time.monotonic()
    last: list[float] = [float("-inf")]

    def show(message: str, done: int, total: int) -> None:
        now = time.monotonic()
        if now - last[0] >= PLAIN_EVERY_S or done == total:
            last[0] = now
            print(f"[{now - began:6.1f} s] {message} {done}/{total}", file=sys.stderr, flush=True)

    return show


def show_table(table: Table, format: Format) -> None:
    """Print a table to standard output."""
    if format is Format.json:
        sys.stdout.write(table_json(table).rstrip("\n") + "\n")
    else:
        print_table(table)


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file atomically and say so."""
    from axdnn.records import write_atomic

    write_atomic(path, data)
    print(f"wrote {path}", file=sys.stderr)
