"""The packed EvoApprox8b library that ships with axdnn: its index, read once, and its tables, read one at a time."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files

import msgspec
import numpy as np
import numpy.typing as npt

from axdnn.multipliers.classify import Classification
from axdnn.multipliers.metrics import ErrorMetrics
from axdnn.multipliers.packing import unpack_error
from axdnn.records import Coding, DataError

INDEX = "evoapprox8b.json"
TABLES = "evoapprox8b.bin"


class PublishedName(msgspec.Struct, frozen=True, kw_only=True):
    """One name in one release, with the figures printed in the header of the circuit's own file (units in the keys)."""

    circuit: str
    release: str
    published: dict[str, str]


class LibraryTable(msgspec.Struct, frozen=True, kw_only=True):
    """One distinct behaviour.

    Attributes:
        label: canonical label (see `catalogue`).
        aliases: labels of the other names.
        signed: two's complement operands.
        names: every name, the canonical one first.
        sha1: first 12 hex digits over the table as little-endian int32.
        offset, size: bytes in the packed file.
        id, transposed_id: identities (`Multiplier.id`); the second is None for a symmetric table.
        rank: exact matrix rank of the table.
        classification, metrics: by our own code, uniform operands.
    """

    label: str
    aliases: tuple[str, ...]
    signed: bool
    names: tuple[PublishedName, ...]
    sha1: str
    offset: int
    size: int
    id: str
    transposed_id: str | None
    rank: int
    classification: Classification
    metrics: ErrorMetrics

    @property
    def coding(self) -> Coding:
        """Operand coding."""
        return "signed" if self.signed else "unsigned"


class Library(msgspec.Struct, frozen=True, kw_only=True):
    """The index file: where the data comes from, releases (name -> commit), tables."""

    title: str
    source: str
    license: str
    citation: str
    releases: dict[str, str]
    tables: tuple[LibraryTable, ...]


@cache
def library() -> Library:
    """Return the index of the packed library."""
    return msgspec.json.decode(_read(INDEX), type=Library)


@cache
def library_table(entry_label: str) -> npt.NDArray[np.int32]:
    """Unpack one table, int32 `(256, 256)`, read-only, checked against its published hash.

    Raises:
        DataError: the packed file is damaged.
    """
    entry = next(table for table in library().tables if table.label == entry_label)
    values = np.arange(256) - (128 if entry.signed else 0)
    packed = _read(TABLES)[entry.offset : entry.offset + entry.size]
    table = (np.multiply.outer(values, values) + unpack_error(packed, entry.signed)) & 0xFFFF
    if entry.signed:
        table = np.where(table >= 2**15, table - 2**16, table)
    result = np.ascontiguousarray(table, dtype=np.int32)
    if hashlib.sha1(result.astype("<i4").tobytes(), usedforsecurity=False).hexdigest()[:12] != entry.sha1:
        raise DataError(f"the packed table of {entry_label!r} does not match its hash; reinstall axdnn")
    result.flags.writeable = False
    return result


@cache
def _read(name: str) -> bytes:
    return files("axdnn.multipliers").joinpath("data", name).read_bytes()
