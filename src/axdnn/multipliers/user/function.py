"""Products of a user's Python function `f(a, b)`, named `module:function` or `file.py:function`."""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
from collections.abc import Callable
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np

from axdnn.multipliers.user.numbers import SIZE, IntArray, whole
from axdnn.records import InvalidInputError

_SPOTS = 64


def is_function_name(source: str) -> bool:
    """Whether a source is written as a function: `module:function` or `file.py:function`."""
    place, colon, name = source.rpartition(":")
    return bool(colon) and name.isidentifier() and bool(place.endswith(".py") or re.fullmatch(r"[\w.]+", place))


def load_function(source: str) -> Callable[[Any, Any], Any]:
    """Return a function by name; its module is imported, so its code runs.

    Raises:
        InvalidInputError: there is no such file, module or function, or importing it fails.
    """
    place, _, name = source.rpartition(":")
    try:
        module = _file_module(Path(place)) if place.endswith(".py") else _named_module(place)
    except (Exception, SystemExit) as error:
        raise InvalidInputError(f"cannot import {place!r}: {type(error).__name__}: {error}") from error
    function = getattr(module, name, None)
    if not callable(function):
        raise InvalidInputError(f"{place!r} must have a function {name!r} of two operands, but it has none")
    return function  # type: ignore[no-any-return]


def _file_module(file: Path) -> Any:
    if not file.is_file():
        raise FileNotFoundError("there is no such file")
    spec = importlib.util.spec_from_file_location(f"axdnn_user_{file.stem}", file)
    if spec is None or spec.loader is None:
        raise ImportError("not a Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _named_module(name: str) -> Any:
    sys.path.insert(0, str(Path.cwd()))  # as `python -m` does
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(Path.cwd()))


def function_table(function: Callable[[Any, Any], Any], source: str, signed: bool) -> IntArray:
    """Call a function for every pair of operands.

    It is called once on two int64 arrays of shape `(256, 256)` if it takes arrays and agrees there with calls on 64
    pairs of plain integers; else 65,536 times on plain integers.

    Args:
        function: (first operand, second operand) -> product, a whole number.
        source: what to call it in an error.
        signed: operands are -128..127 instead of 0..255.

    Returns:
        int64, row = first operand, ascending.

    Raises:
        InvalidInputError: it raises, or returns something other than whole numbers within int32.
    """
    low = -128 if signed else 0
    values = np.arange(low, low + SIZE, dtype=np.int64)
    first, second = (np.ascontiguousarray(grid) for grid in np.meshgrid(values, values, indexing="ij"))
    spots = np.random.default_rng(0).integers(0, SIZE, (_SPOTS, 2))
    try:
        table = whole(np.asarray(function(first.copy(), second.copy())), source)
        if all(int(function(int(values[i]), int(values[j]))) == table[i, j] for i, j in spots):
            return table
    except (Exception, SystemExit):  # takes plain integers only
        pass
    return whole(np.array(_one_by_one(function, source, values.tolist())), source)


def _one_by_one(function: Callable[[Any, Any], Any], source: str, values: list[int]) -> list[list[Any]]:
    rows: list[list[Any]] = []
    for a in values:
        row: list[Any] = []
        for b in values:
            try:
                product: Any = function(a, b)
            except (Exception, SystemExit) as error:
                raise InvalidInputError(f"{source} must give a product of ({a}, {b}), but: {error!r}") from error
            if not isinstance(product, Real) or isinstance(product, bool):
                kind = type(product).__name__
                raise InvalidInputError(f"{source} must return a whole number for ({a}, {b}), but got a {kind}")
            if not abs(float(product)) < 2**31 + 1:
                raise InvalidInputError(f"{source} must return numbers within int32, but ({a}, {b}) gives {product}")
            row.append(product)
        rows.append(row)
    return rows
