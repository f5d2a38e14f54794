"""A user's multiplier in one checked file, `NAME.axmul`, which is then a name itself: `path/NAME.axmul`.

The loaded multiplier is called `path/NAME.axmul#<checksum>`: results that name it can load it again, and a file that
changed since is noticed. Paths are kept as they were given, so they hold from the folder they were given in.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path

import msgspec

from axdnn.multipliers.user.names import require_label
from axdnn.records import (
    InvalidInputError,
    Multiplier,
    Record,
    RecordError,
    load_record,
    to_builtins,
    to_json,
    write_atomic,
)

SUFFIX = ".axmul"
_NAME = re.compile(r"(?P<path>.*\.axmul)(?:#(?P<pin>[0-9a-f]{12}))?", re.DOTALL)
_PIN = 12
_LOADED: dict[str, Multiplier] = {}
"""Multipliers by pinned name: what a pin names cannot change, so it is kept for as long as the process lives."""


class MultiplierFile(Record, frozen=True, kw_only=True):
    """Contents of a file.

    Attributes:
        multiplier: under the label that its user gave it.
        statement: what was stated about its source at import.
        sha256: over everything above (see `checksum`).
    """

    multiplier: Multiplier
    statement: dict[str, str] = {}
    sha256: str = ""


def checksum(multiplier: Multiplier, statement: Mapping[str, str]) -> str:
    """Return the SHA-256 over table, coding, label, figures, origin and statement (not over how they are packed)."""
    parts = {
        "table": hashlib.sha256(multiplier.table.astype("<i4").tobytes()).hexdigest(),
        "coding": multiplier.coding,
        "name": multiplier.name,
        "figures": None if multiplier.figures is None else to_builtins(multiplier.figures),
        "origin": multiplier.origin,
        "statement": dict(statement),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def save_multiplier(path: str | Path, multiplier: Multiplier, statement: Mapping[str, str] | None = None) -> Path:
    """Write a multiplier to a `.axmul` file, atomically.

    Args:
        path: must end in `.axmul` and hold no comma, so that it can stand in a list of names.
        multiplier: under a label that is not a name of the catalogue.
        statement: what is known about its source.

    Raises:
        InvalidInputError: the path or the label does not do.
        OSError: it cannot be written.
    """
    file = require_path(path)
    require_label(multiplier.name)
    plain = msgspec.structs.replace(multiplier, aliases=())
    said = dict(statement or {})
    write_atomic(file, to_json(MultiplierFile(multiplier=plain, statement=said, sha256=checksum(plain, said))))
    return file


def require_path(path: str | Path) -> Path:
    """Return a path that can be a multiplier's name.

    Raises:
        InvalidInputError: another suffix, or a comma.
    """
    file = Path(path)
    if file.suffix != SUFFIX or "," in str(file):
        raise InvalidInputError(f"a multiplier's file must end in {SUFFIX} and hold no comma, but got {file}")
    return file


def is_file_name(name: str) -> bool:
    """Whether a name is that of a file, with or without its checksum."""
    return _NAME.fullmatch(name) is not None


def file_multiplier(name: str) -> Multiplier:
    """Return the multiplier of a file.

    Args:
        name: `path/NAME.axmul`, or `path/NAME.axmul#<12 hex digits>` as results write it.

    Returns:
        the multiplier under its pinned name; its label is an alias.

    Raises:
        RecordError: the file is missing, damaged, or changed since the name was written.
    """
    found = _NAME.fullmatch(name)
    if found is None:
        raise InvalidInputError(f"a multiplier's file must end in {SUFFIX}, but got {name!r}")
    path, pin = found["path"], found["pin"]
    if name in _LOADED:
        return _LOADED[name]
    if pin is not None and not Path(path).exists():
        raise RecordError(f"{path} must be there for {name!r} (seen from the folder where it was first named)")
    record = load_record(MultiplierFile, path)
    inside = record.multiplier
    if checksum(inside, record.statement) != record.sha256:
        raise RecordError(f"{path} does not match its own checksum: it is damaged or was edited; import it again")
    if pin is not None and not record.sha256.startswith(pin):
        raise RecordError(
            f"{path} has changed: {name!r} was meant, but it is #{record.sha256[:_PIN]} now; restore the old file, or "
            "use the new one under its plain path in a new run"
        )
    pinned = f"{path}#{record.sha256[:_PIN]}"
    _LOADED[pinned] = msgspec.structs.replace(inside, name=pinned, aliases=(inside.name,))
    return _LOADED[pinned]
