"""Files of designs: the ones that ship in a package's folder `designs`, a user's by path, and their YAML."""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from axdnn.records import InvalidInputError


def shipped_names(package: str) -> list[str]:
    """Names of the designs that ship in `package`, sorted."""
    folder = resources.files(package) / "designs"
    return sorted(p.name.removesuffix(".yaml") for p in folder.iterdir() if p.name.endswith(".yaml"))


def shipped_text(package: str, name: str) -> str:
    """Text of a design that ships in `package`."""
    return (resources.files(package) / "designs" / f"{name}.yaml").read_text(encoding="utf-8")


def is_path(name_or_path: str | os.PathLike[str]) -> bool:
    """Whether a user gave a path: any path object, or a string that ends in `.yaml` or `.yml` or holds a separator."""
    text = os.fspath(name_or_path)
    return isinstance(name_or_path, os.PathLike) or text.endswith((".yaml", ".yml")) or os.sep in text


def read_text(path: str, what: str) -> str:
    """Text of a user's file; `what` names its kind in errors.

    Raises:
        InvalidInputError: the file cannot be read.
    """
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"cannot read the {what} file {path}: {error}") from error


def read_yaml(text: str, where: str) -> tuple[Any, list[str]]:
    """Return what a YAML text holds and the fault if it is none; `where` names the file."""
    try:
        return yaml.safe_load(text), []
    except yaml.YAMLError as error:
        return None, [f"{where} must be YAML, but: {error}"]
