"""Read and write weights: safetensors (ours) and torch state dicts (a user's)."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import safe_open
from torch import nn

from axdnn.records import CheckpointError, write_atomic

_WRAPPERS = ("state_dict", "model_state_dict", "model")
_PARALLEL = "module."
_SHOWN = 4


def save_weights(model: nn.Module, path: str | os.PathLike[str], recipe: Mapping[str, Any]) -> Path:
    """Write the weights to a safetensors file, with the recipe inside and, for reading, beside it as JSON.

    Each file is written whole or not at all, the weights last: where they are, both are.
    """
    path = Path(path)
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    text = write_recipe(path, recipe)
    return write_atomic(path, safetensors.torch.save(state, metadata={"recipe": text}))


def write_recipe(path: Path, recipe: Mapping[str, Any]) -> str:
    """Write a recipe beside a weights file as JSON, unless it is there; return its text."""
    text, beside = json.dumps(dict(recipe), indent=1, sort_keys=True), path.with_suffix(".json")
    if not beside.exists() or beside.read_bytes() != (text + "\n").encode():
        write_atomic(beside, text + "\n")
    return text


def saved_recipe(path: Path) -> dict[str, Any]:
    """Return the recipe inside a weights file; empty if there is none.

    Raises:
        CheckpointError: the file cannot be read.
    """
    return _read(path)[1]


def load_weights(model: nn.Module, path: str | os.PathLike[str], name: str = "") -> dict[str, Any]:
    """Load weights into a model, all of them or none.

    Args:
        model: receives the weights; it is left as it was if anything is wrong.
        path: a safetensors file, or a torch file with a state dict (read with `weights_only=True`: no code runs).
        name: name of the model, for messages.

    Returns:
        The recipe stored in the file; empty if there is none.

    Raises:
        CheckpointError: the file is missing, corrupt, or holds the weights of another model.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"the weights file must exist, but {path} does not (or is a folder)")
    state, recipe = _read(path)
    state = _unwrapped(state, model.state_dict())
    _require_match(model.state_dict(), state, path, name or type(model).__name__)
    model.load_state_dict(state)
    return recipe


def _read(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    try:
        if path.suffix == ".safetensors":
            with safe_open(path, framework="pt", device="cpu") as file:
                recipe = json.loads((file.metadata() or {}).get("recipe", "{}"))
                return {key: file.get_tensor(key) for key in file.keys()}, recipe  # noqa: SIM118
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # both readers raise many kinds for a damaged file
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise CheckpointError(
            f"the weights file {path} must be a safetensors file (ending in .safetensors) or a torch file that holds "
            f"only tensors, but reading it failed: {reason}"
        ) from error
    for wrapper in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    if not isinstance(content, Mapping) or not all(isinstance(value, torch.Tensor) for value in content.values()):
        raise CheckpointError(
            f"the weights file {path} must hold a state dict (names to tensors), bare or under one of "
            f"{', '.join(_WRAPPERS)}, but got {type(content).__name__}; save it with "
            "torch.save(model.state_dict(), path)"
        )
    return dict(content), {}


def _unwrapped(found: dict[str, torch.Tensor], expected: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Drop the prefix that `torch.nn.DataParallel` puts before every name, unless the model has it too."""
    ours = bool(expected) and all(key.startswith(_PARALLEL) for key in expected)
    if ours or not all(key.startswith(_PARALLEL) for key in found):
        return found
    return {key.removeprefix(_PARALLEL): value for key, value in found.items()}


def _require_match(
    expected: Mapping[str, torch.Tensor], found: Mapping[str, torch.Tensor], path: Path, name: str
) -> None:
    missing = [key for key in expected if key not in found]
    surplus = [key for key in found if key not in expected]
    problems = []
    if missing:
        problems.append(f"{len(missing)} expected tensors are missing ({_some(missing)})")
    if surplus:
        problems.append(f"{len(surplus)} tensors were not expected ({_some(surplus)})")
    shapes = [
        f"{key} must have shape {tuple(expected[key].shape)} but has {tuple(found[key].shape)}"
        for key in expected
        if key in found and expected[key].shape != found[key].shape
    ]
    problems += shapes[:_SHOWN]
    if len(shapes) > _SHOWN:
        problems.append(f"{len(shapes) - _SHOWN} more shapes differ")
    if not problems:
        problems = [
            f"{key} holds numbers that are not finite" for key, value in found.items() if not value.isfinite().all()
        ][:_SHOWN]
    if problems:
        raise CheckpointError(f"the weights file {path} does not fit model {name!r}: {'; '.join(problems)}")


def _some(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
