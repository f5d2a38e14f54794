"""Files of designs: the ones that ship in a package's folder `designs`, a user's by path, and their YAML."""

from __future__ import annotations

import os
from collections.abc import Hashable
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


def beside(path: str, where: str) -> str:
    """A path that stands in the file `where`: relative to that file's folder."""
    return os.path.join(os.path.dirname(where), path)


def read_text(path: str, what: str) -> str:
    """Text of a user's file; `what` names its kind in errors.

    Raises:
        InvalidInputError: the file cannot be read.
    """
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"cannot read the {what} file {path}: {error}") from error


MERGE = "tag:yaml.org,2002:merge"


class _OnceLoader(yaml.SafeLoader):
    """Notes keys that stand twice in a mapping, of which YAML would silently take the last."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.twice: list[str] = []

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != MERGE:
                if key.value in seen:
                    self.twice.append(f"line {key.start_mark.line + 1}: the key `{key.value}` must stand once")
                seen.add(key.value)
        return super().construct_mapping(node, deep)


def read_yaml(text: str, where: str) -> tuple[Any, list[str]]:
    """Return what a YAML text holds (None if it is none) and its faults: that, or keys that stand twice.

    `where` names the file in them.
    """
    try:
        loader = _OnceLoader(text)
        data = loader.get_single_data()
    except yaml.YAMLError as error:
        return None, [f"{where} must be YAML, but: {error}"]
    return data, [f"{where}: {fault}" for fault in loader.twice]
