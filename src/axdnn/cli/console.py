"""What the commands share: progress on standard error, output formats, finding a result."""

from __future__ import annotations

import enum
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from axdnn.report import Column, Table

Progress = Callable[[str, int, int], None]
PLAIN_EVERY_S = 5.0
Part = TypeVar("Part", str, int, float)


class Format(enum.StrEnum):
    """Output format."""

    table = "table"
    json = "json"


@contextmanager
def progress(quiet: bool = False) -> Iterator[Progress]:
    """Yield a function (message, done, total) that shows a bar on a terminal and a line now and then elsewhere.

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

    columns = (TextColumn("{task.description:<52}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Bar(*columns, console=Console(stderr=True), transient=False) as bar:
        task = bar.add_task("starting", total=1)

        def show(message: str, done: int, total: int) -> None:
            bar.update(task, description=message[:52], completed=done, total=max(total, 1))

        yield show


def _plain() -> Progress:
    began = time.monotonic()
    last = -PLAIN_EVERY_S

    def show(message: str, done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic() - began
        if now - last >= PLAIN_EVERY_S:
            last = now
            print(f"[{now:6.1f} s] {message} {done}/{total}", file=sys.stderr, flush=True)

    return show


def show_table(table: Table, format: Format) -> None:
    """Print a table to standard output."""
    from axdnn.report import print_table, table_json

    if format is Format.json:
        sys.stdout.write(table_json(table).rstrip("\n") + "\n")
    else:
        print_table(table)


def show_json(data: Any) -> None:
    """Print plain data as JSON to standard output."""
    sys.stdout.write(json.dumps(data, indent=1, allow_nan=False, ensure_ascii=False) + "\n")


def show_listing(
    title: str,
    columns: Sequence[Column],
    rows: Sequence[Mapping[str, Any]],
    format: Format,
    notes: tuple[str, ...] = (),
) -> None:
    """Print a listing: a table of some keys, or in JSON a list of objects with all of them.

    Args:
        title: of the table.
        columns: what the table shows, by key.
        rows: plain data, keys with units, SI.
        format: table or JSON.
        notes: below the table.
    """
    from axdnn.report import Table

    if format is Format.json:
        show_json([dict(row) for row in rows])
        return

    def cell(value: Any) -> Any:
        if not isinstance(value, list):
            return value
        return ("x" if value and isinstance(value[0], int) else ", ").join(map(str, value))

    cells = tuple(tuple(cell(row[column.key]) for column in columns) for row in rows)
    show_table(Table(title, tuple(columns), cells, notes), format)


def result_file(path: Path) -> Path:
    """Return the result file of a run, given its folder or the file itself.

    Raises:
        RecordError: there is none; says so if the run was interrupted.
    """
    from axdnn.records import RecordError

    file = path / "result.json" if path.is_dir() else path
    if not file.exists():
        if (file.parent / "study.json").exists():
            raise RecordError(f"the run in {file.parent} is not finished; rerun its `axdnn generate` to resume it")
        raise RecordError(f"there must be a finished run in {path} (a result.json), but there is none")
    return file


def require_seed(seed: int) -> None:
    """Check a seed.

    Raises:
        InvalidInputError: it is negative or needs more than 63 bits.
    """
    from axdnn.records import InvalidInputError

    if not 0 <= seed < 2**63:
        raise InvalidInputError(f"0 <= seed < 2**63 must hold, but got seed={seed}")


def require_file_place(path: Path, suffix: str = "") -> None:
    """Check that a file can be written there, before work is spent on its contents.

    Raises:
        InvalidInputError: it is a folder, lies below a file, or has another suffix.
    """
    from axdnn.records import InvalidInputError

    if suffix and path.suffix != suffix:
        raise InvalidInputError(f"the file must end in {suffix}, but got {path}")
    if path.is_dir():
        raise InvalidInputError(f"{path} must be a file to write, but it is a folder")
    require_folder_place(path.parent)


def require_folder_place(path: Path) -> None:
    """Check that a folder is there or can be made.

    Raises:
        InvalidInputError: something on the way is a file.
    """
    from axdnn.records import InvalidInputError

    for place in (path, *path.parents):
        if place.is_dir():
            return
        if place.exists():
            raise InvalidInputError(f"{path} must be a folder or free to become one, but {place} is a file")


def write_bytes(path: Path, data: bytes, quiet: bool = False) -> None:
    """Write a file atomically and say so."""
    from axdnn.records import write_atomic

    write_atomic(path, data)
    if not quiet:
        print(f"wrote {path}", file=sys.stderr)


def parts_of(option: str, text: str, kind: type[Part]) -> list[Part]:
    """Split the text of an option at commas and convert.

    Raises:
        InvalidInputError: a part is not of that kind.
    """
    from axdnn.records import InvalidInputError

    parts = [part.strip() for part in text.split(",") if part.strip()]
    try:
        return [kind(part) for part in parts]
    except ValueError:
        what = {"float": "numbers", "int": "whole numbers"}[kind.__name__]
        raise InvalidInputError(f"{option} must be {what} with commas, but got {text!r}") from None
