"""Which images a network gets right, kept in a small checked file; checked files in general."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from axdnn.records import write_atomic

_HEAD = struct.Struct("<4sII")  # mark, images, calibration images
_MARK = b"axb1"
_SUM_BYTES = 16


@dataclass(frozen=True)
class Outcome:
    """Result of one simulation.

    Attributes:
        correct: per image.
        calibration_images: images that went through networks to calibrate this one.
    """

    correct: npt.NDArray[np.bool_]
    calibration_images: int


def write_checked(path: Path, body: bytes) -> None:
    """Write bytes with their checksum, atomically."""
    write_atomic(path, body + hashlib.sha256(body).digest()[:_SUM_BYTES])


def read_checked(path: Path | None) -> bytes | None:
    """Return the bytes in a file; None if there is no file or it is damaged."""
    try:
        raw = path.read_bytes() if path is not None else b""
    except OSError:
        return None
    body, check = raw[:-_SUM_BYTES], raw[-_SUM_BYTES:]
    return body if body and hashlib.sha256(body).digest()[:_SUM_BYTES] == check else None


def write_outcome(path: Path, outcome: Outcome) -> None:
    """Keep an outcome."""
    head = _HEAD.pack(_MARK, len(outcome.correct), outcome.calibration_images)
    write_checked(path, head + np.packbits(outcome.correct).tobytes())


def read_outcome(path: Path | None, images: int) -> Outcome | None:
    """Return the outcome in a file; None if there is none, or it is damaged or of another number of images."""
    body = read_checked(path)
    if body is None or len(body) != _HEAD.size + -(-images // 8):
        return None
    mark, count, calibration_images = _HEAD.unpack_from(body)
    if mark != _MARK or count != images:
        return None
    bits = np.unpackbits(np.frombuffer(body[_HEAD.size :], dtype=np.uint8), count=images)
    return Outcome(bits.astype(bool), int(calibration_images))
