"""The numbers of a product table as they stand in a file: `.npy`, raw `.bin`, or text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from axdnn.records import InvalidInputError

IntArray = npt.NDArray[np.int64]
RAW_TYPES = {"int16": "<i2", "uint16": "<u2", "int32": "<i4", "uint32": "<u4"}
SIZE = 256
_MOST_BYTES = 64 * 2**20


def load_table(path: str | Path, dtype: str | None = None) -> IntArray:
    """Read 65,536 products as they stand in a file, the first index (row) running slowest.

    Args:
        path: `.npy`: whole numbers of shape `(256, 256)` or `(65536,)`, never pickled objects. `.bin`: raw
            little-endian numbers. Anything else is text: 65,536 whole numbers with blanks, commas or semicolons
            between them.
        dtype: `int16`, `uint16`, `int32` or `uint32`: what a `.bin` holds; for nothing else.

    Returns:
        int64, shape `(256, 256)`; what rows and codes mean is up to the caller (see `import_table`).

    Raises:
        InvalidInputError: the file is missing, cut, of the wrong size, or holds something other than whole numbers
            within int32.
    """
    file = Path(path)
    raw = file.suffix == ".bin"
    if raw != (dtype is not None) or (raw and dtype not in RAW_TYPES):
        got = "none" if dtype is None else repr(dtype)
        raise InvalidInputError(
            f"a .bin file, and nothing else, needs a dtype of {', '.join(RAW_TYPES)}, but got {got}"
        )
    try:
        size = file.stat().st_size
        if size > _MOST_BYTES:
            raise InvalidInputError(f"{file} must hold 65,536 numbers, but it has {size:,} bytes")
        if file.suffix == ".npy":
            return whole(_read_npy(file), str(file))
        content = file.read_bytes()
    except OSError as error:
        raise InvalidInputError(f"cannot read {file}: {error.strerror or error}") from error
    return whole(_parse_raw(content, str(dtype), file) if raw else _parse_text(content, file), str(file))


def _read_npy(file: Path) -> Any:
    try:
        array = np.load(file, allow_pickle=False)
    except (ValueError, EOFError) as error:  # pickled objects, a cut or a foreign file
        raise InvalidInputError(f"{file} must be a .npy file of plain numbers, not cut: {error}") from error
    if not isinstance(array, np.ndarray):
        array.close()
        raise InvalidInputError(f"{file} must hold one array, but it is an archive of several; save it with numpy.save")
    return array


def _parse_raw(content: bytes, dtype: str, file: Path) -> Any:
    kind = np.dtype(RAW_TYPES[dtype])
    wanted = SIZE * SIZE * kind.itemsize
    if len(content) != wanted:
        raise InvalidInputError(f"{file} must hold {wanted:,} bytes (65,536 of {dtype}), but it has {len(content):,}")
    return np.frombuffer(content, dtype=kind)


def _parse_text(content: bytes, file: Path) -> Any:
    try:
        words = content.decode("utf-8-sig").replace(",", " ").replace(";", " ").split()
    except UnicodeDecodeError as error:
        raise InvalidInputError(f"{file} must be text, .npy or .bin, but it is not text: {error}") from error
    if len(words) != SIZE * SIZE:
        raise InvalidInputError(f"{file} must hold 65,536 numbers (256 x 256), but it holds {len(words):,} words")
    numbers: list[int | float] = []
    for place, word in enumerate(words):
        try:
            numbers.append(int(word) if word.lstrip("+-").isdecimal() else float(word))
        except ValueError:
            raise InvalidInputError(f"{file} must hold numbers, but {_place(place)} is {word[:40]!r}") from None
    try:
        return np.array(numbers)
    except OverflowError as error:
        raise InvalidInputError(f"{file} must hold numbers within int32, but: {error}") from error


def whole(array: Any, where: str) -> IntArray:
    """Return numbers as an int64 table.

    Args:
        array: whole numbers (floats without fraction too), shape `(256, 256)` or `(65536,)`.
        where: what to call them in an error.

    Raises:
        InvalidInputError: wrong shape, not numbers, a fraction, NaN, infinity, or outside int32.
    """
    if array.shape not in ((SIZE, SIZE), (SIZE * SIZE,)):
        raise InvalidInputError(f"{where} must hold 256 x 256 (or 65,536) numbers, but the shape is {array.shape}")
    if array.dtype.kind not in "iuf":
        raise InvalidInputError(f"{where} must hold whole numbers, but the type is {array.dtype}")
    flat = array.reshape(-1)
    with np.errstate(invalid="ignore"):
        broken = (flat != np.trunc(flat)) | ~np.isfinite(flat)
    if broken.any():
        at = int(np.argmax(broken))
        raise InvalidInputError(f"{where} must hold whole numbers, but {_place(at)} is {flat[at]}")
    outside = (flat < -(2.0**31)) | (flat > 2.0**31 - 1)
    if outside.any():
        at = int(np.argmax(outside))
        raise InvalidInputError(f"{where} must hold numbers within int32, but {_place(at)} is {flat[at]}")
    return np.asarray(flat, dtype=np.int64).reshape(SIZE, SIZE)


def _place(flat: int) -> str:
    return f"the entry in row {flat // SIZE}, column {flat % SIZE} (from 0)"
