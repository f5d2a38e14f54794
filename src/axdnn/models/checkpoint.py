"""The checkpoint of a training: the whole state of a run with the run's identity, written whole or not at all."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from axdnn.records import CheckpointError, write_atomic

CHECKPOINT = "checkpoint.pt"
_REMEDY = "Delete it, or start anew (resume=False; --restart)"


def save_checkpoint(path: Path, identity: Mapping[str, Any], state: Mapping[str, Any]) -> None:
    """Write a checkpoint.

    Args:
        path: file.
        identity: what a run must have in common with this one to go on from it.
        state: numbers, tensors and mappings of them.

    Raises:
        CheckpointError: the folder cannot be written.
    """
    buffer = io.BytesIO()
    torch.save({"identity": dict(identity), **state}, buffer)
    try:
        write_atomic(path, buffer.getvalue())
    except OSError as error:
        raise CheckpointError(
            f"the folder {path.parent} must be writable for checkpoints, but: {error.strerror or error}"
        ) from error


def load_checkpoint(path: Path, identity: Mapping[str, Any]) -> dict[str, Any]:
    """Return the state in a checkpoint of the run with an identity.

    Raises:
        CheckpointError: the file cannot be read, or is of another run; the message says in what that differs.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        found = dict(state.pop("identity"))
        int(state["epoch"])
    except Exception as error:  # torch raises many kinds for a damaged file
        reason = " ".join(str(error).split())[:300]
        raise CheckpointError(f"the training checkpoint {path} cannot be read: {reason}. {_REMEDY}") from error
    differs = difference(found, identity)
    if differs:
        raise CheckpointError(f"the training checkpoint {path} is of another run: {differs}. {_REMEDY}")
    return dict(state)


def difference(found: Mapping[str, Any], asked: Mapping[str, Any]) -> str:
    """Return in words how the settings of a run found differ from those asked for; empty if they do not."""
    return ", ".join(f"{k} {found.get(k)!r} (now {asked[k]!r})" for k in asked if found.get(k) != asked[k])
