"""JSON of records: tagged with `_type`, numbered with `_version`, written atomically."""

from __future__ import annotations

import base64
import contextlib
import glob
import json
import math
import os
import tempfile
import time
import zlib
from numbers import Real
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np

from axdnn.records.errors import InvalidInputError, RecordError

T = TypeVar("T", bound="Record")
_PART = ".part"  # of files that are being written


class Record(msgspec.Struct, frozen=True, kw_only=True, tag_field="_type", tag=lambda name: name):
    """Base of every record: frozen, keyword-only, saved with its type name and a version."""

    version: int = msgspec.field(default=1, name="_version")


def _encode_extra(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        raw = zlib.compress(np.ascontiguousarray(value).tobytes(), 9)
        return {"dtype": value.dtype.str, "shape": list(value.shape), "zlib_base64": base64.b64encode(raw).decode()}
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"a record cannot hold a {type(value).__name__}")


def _decode_extra(kind: type, value: Any) -> Any:
    if getattr(kind, "__origin__", kind) is np.ndarray:
        raw = zlib.decompress(base64.b64decode(value["zlib_base64"]))
        array = np.frombuffer(raw, dtype=np.dtype(value["dtype"])).reshape(value["shape"])
        array.flags.writeable = False
        return array
    raise TypeError(f"cannot decode a {kind.__name__}")


def to_builtins(record: Any) -> Any:
    """Return a record as dictionaries, lists and scalars, ready for `json.dumps`."""
    return msgspec.to_builtins(record, enc_hook=_encode_extra, str_keys=True)


def to_json(record: Any) -> str:
    """Return a record as JSON text: keys in field order, floats exact, non-finite numbers refused."""
    try:
        return json.dumps(to_builtins(record), indent=1, allow_nan=False, ensure_ascii=False) + "\n"
    except ValueError as error:
        raise RecordError(
            f"a record holds only finite numbers, but {type(record).__name__} has one that is not: {error}"
        ) from error


def from_json(kind: type[T], text: str | bytes, where: str = "the given text") -> T:
    """Read a record of class `kind` from JSON text.

    Raises:
        RecordError: the text is not JSON, or not a record of that class and version.
    """
    try:
        data = json.loads(text, parse_constant=_finite, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise RecordError(f"{where} must be JSON, but: {error}") from error
    if not isinstance(data, dict) or data.get("_type") != kind.__name__:
        got = data.get("_type") if isinstance(data, dict) else type(data).__name__
        raise RecordError(f"{where} must hold a record with _type {kind.__name__!r}, but got {got!r}")
    wanted = _current_version(kind)
    if data.get("_version") != wanted:
        raise RecordError(f"{where} must have _version {wanted} for {kind.__name__}, but got {data.get('_version')!r}")
    _check_parts(data, where)
    try:
        return msgspec.convert(data, kind, dec_hook=_decode_extra)
    except (msgspec.ValidationError, ValueError, TypeError, KeyError, zlib.error) as error:
        raise RecordError(f"{where} is not a valid {kind.__name__}: {error}") from error


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"numbers must be finite, but got {text}")
    return value


def _check_parts(data: Any, where: str) -> None:
    """Check the versions of the records inside a record."""
    versions = {kind.__name__: _current_version(kind) for kind in Record.__subclasses__()}

    def walk(part: Any) -> None:
        if isinstance(part, dict):
            wanted = versions.get(str(part.get("_type")))
            if wanted is not None and part.get("_version", wanted) != wanted:
                raise RecordError(
                    f"{where} must hold {part['_type']} with _version {wanted}, but got {part['_version']!r}"
                )
        for inner in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
            walk(inner)

    walk(data)


def _current_version(kind: type[Record]) -> int:
    for field in msgspec.structs.fields(kind):
        if field.name == "version":
            return int(field.default)
    raise TypeError(f"{kind.__name__} is not a record")


def write_atomic(path: str | os.PathLike[str], data: str | bytes) -> Path:
    """Write a file so that a reader sees either the old content or the new one, never a part."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    payload = data.encode() if isinstance(data, str) else data
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=_PART)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(payload)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o666 & ~_umask())
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return path


def remove_leftovers(folder: str | os.PathLike[str], name: str = "", older_than_s: float = 3600.0) -> None:
    """Remove what processes that were killed within `write_atomic` left behind.

    Args:
        folder: looked at without its subfolders; may be absent.
        name: of the file that was to be written; empty for any.
        older_than_s: spare younger files, which another process may be writing; 0 for who is alone in the folder.
    """
    oldest = time.time() - older_than_s
    for file in Path(folder).glob(f".{glob.escape(name) or '*'}.*{_PART}"):
        with contextlib.suppress(OSError):  # gone meanwhile, or not ours to remove
            if file.stat().st_mtime <= oldest:
                file.unlink()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def save_record(path: str | os.PathLike[str], record: Any) -> Path:
    """Save a record as JSON, atomically."""
    return write_atomic(path, to_json(record))


def load_record(kind: type[T], path: str | os.PathLike[str]) -> T:
    """Load a record of class `kind`.

    Raises:
        RecordError: the file is missing, not JSON, or another kind of record.
    """
    try:
        text = Path(path).read_bytes()
    except OSError as error:
        raise RecordError(f"cannot read {os.fspath(path)}: {error.strerror or error}") from error
    return from_json(kind, text, where=os.fspath(path))


def require_finite(name: str, value: float, low: float = -math.inf, high: float = math.inf) -> float:
    """Return `value` if it is a finite number in `[low, high]`.

    Raises:
        InvalidInputError: otherwise, naming the value.
    """
    try:
        number = float(value) if isinstance(value, Real) and not isinstance(value, bool) else math.nan
    except OverflowError:
        number = math.inf
    if not math.isfinite(number) or not low <= value <= high:
        bounds = f"{low:g} <= {name} <= {high:g}" if math.isfinite(high) else f"{name} >= {low:g}"
        raise InvalidInputError(f"{bounds} must hold (a finite number), but got {name}={value!r}")
    return number
