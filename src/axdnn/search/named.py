"""Functions by name, so that a worker on another machine can find what a study evaluates with."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from axdnn.records import InvalidInputError, unknown_name

# Name -> "module:attribute" of a factory. Methods of axdnn enter theirs here; imported only when used.
REGISTRY: dict[str, str] = {}


@dataclass(frozen=True)
class Named:
    """A function made by a factory with settings, named so that any process can make it.

    Attributes:
        name: of the registry, or `package.module:factory`.
        settings: keyword arguments of the factory, plain JSON data.
    """

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)

    def make(self) -> Callable[..., Any]:
        """Import the factory and call it."""
        made = load(REGISTRY.get(self.name, self.name))(**self.settings)
        if not callable(made):
            raise InvalidInputError(f"the factory {self.name} must return a function, got a {type(made).__name__}")
        return made  # type: ignore[no-any-return]

    def plain(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {"name": self.name, "settings": dict(self.settings)}


def register(name: str, target: str) -> None:
    """Give a factory a short name.

    Args:
        name: without `:`.
        target: `package.module:factory`; imported when it is first used.

    Raises:
        InvalidInputError: the name is taken by another factory.
    """
    if ":" in name or REGISTRY.get(name, target) != target:
        raise InvalidInputError(f"the name {name!r} must be free and without ':', but it is {REGISTRY.get(name)!r}")
    REGISTRY[name] = target


def load(target: str) -> Callable[..., Any]:
    """Import `package.module:attribute`.

    Raises:
        UnknownNameError: it is neither of that form nor a name of the registry.
        InvalidInputError: it cannot be imported.
    """
    module, _, attribute = target.partition(":")
    if not module or not attribute:
        raise unknown_name("evaluation", target, REGISTRY, "or name one as package.module:function")
    try:
        found: Any = importlib.import_module(module)
        for part in attribute.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise InvalidInputError(
            f"{target} must be importable here, but: {error}; start the worker where `import {module}` works"
        ) from error
    return found  # type: ignore[no-any-return]


def name_of(function: Callable[..., Any] | Named | None) -> dict[str, Any] | None:
    """Return how another process finds a function, as plain data; None if it cannot (a closure, a lambda).

    A callable object says it by its attribute `named`.
    """
    function = getattr(function, "named", function)
    if function is None or isinstance(function, Named):
        return function.plain() if function else None
    module, name = getattr(function, "__module__", ""), getattr(function, "__qualname__", "")
    if not module or not name or "<" in name or getattr(function, "__self__", None) is not None:
        return None
    if module in ("__main__", "__mp_main__"):  # a script: found by the name of its file, beside which workers start
        file = getattr(sys.modules.get("__main__"), "__file__", None)
        if not file:
            return None
        module = Path(file).stem
    return {"function": f"{module}:{name}"}


def by_name(plain: Mapping[str, Any]) -> Callable[..., Any] | Named:
    """Return the function of `name_of`.

    Raises:
        InvalidInputError: it cannot be imported here.
    """
    return load(plain["function"]) if "function" in plain else Named(plain["name"], plain["settings"])


def made(function: Callable[..., Any] | Named) -> Callable[..., Any]:
    """Return the function itself."""
    return function.make() if isinstance(function, Named) else function
