"""A user's own model: `file.py:function` or `module:function`, called without arguments."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn

from axdnn.records import InvalidInputError, unknown_name

FORMS = "file.py:function or module:function"
CHECK_BATCH = 2
_MADE: weakref.WeakSet[nn.Module] = weakref.WeakSet()


def is_spec(model: str) -> bool:
    """Whether a text names a user's model, not one of ours."""
    return ":" in model or model.endswith(".py")


def label(spec: str) -> str:
    """Return a short name for tables and files: the spec without the folder."""
    place, function = _parts(spec)
    return f"{Path(place).name}:{function}"


def source_digest(spec: str) -> str:
    """Return `sha256:...` of the file that a spec names, empty for a module without a source file.

    Raises:
        InvalidInputError: the spec has another form, or the file or module does not exist.
    """
    place, _ = _parts(spec)
    if place.endswith(".py"):
        return f"sha256:{hashlib.sha256(_file(place).read_bytes()).hexdigest()}"
    with _importable(Path.cwd()):
        try:
            found = importlib.util.find_spec(place)
        except Exception as error:  # importing the parent package runs the user's code
            raise _failed(f"looking for module {place!r}", error) from error
    if found is None:
        raise InvalidInputError(
            f"--model {spec!r} must name a module that can be imported, but there is no module {place!r} here or "
            "installed"
        )
    file = Path(found.origin) if found.origin else None
    return f"sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}" if file and file.is_file() else ""


def make_model(spec: str) -> nn.Module:
    """Import a user's file or module and call its function.

    The user's code runs, with all its rights. Its folder (for a module the current folder) is importable meanwhile, and
    torch's random numbers start from seed 0, so that random initial weights are the same in every process.

    Args:
        spec: `file.py:function` or `module:function`.

    Returns:
        The model, in evaluation mode on the CPU in float32.

    Raises:
        InvalidInputError: no such file or module, it raises, or what it returns is no model.
        UnknownNameError: the file or module has no such function.
    """
    place, function = _parts(spec)
    folder = _file(place).resolve().parent if place.endswith(".py") else Path.cwd()
    # What the user's code prints must not mix with our output.
    with _importable(folder), torch.random.fork_rng(devices=()), redirect_stdout(sys.stderr):
        torch.manual_seed(0)
        module = _imported(place)
        if not hasattr(module, function):
            known = [name for name, value in vars(module).items() if callable(value) and not name.startswith("_")]
            raise unknown_name(f"function of {place}", function, known)
        model = _called(spec, getattr(module, function))
    return model.to("cpu", torch.float32).eval()


def check_outputs(spec: str, model: nn.Module, image_shape: tuple[int, int, int], classes: int) -> None:
    """Check that a model maps images to one number a class.

    Raises:
        InvalidInputError: it fails on them, or returns something else.
    """
    shape = f"(n, {', '.join(map(str, image_shape))})"
    try:
        with torch.no_grad():
            out = model(torch.zeros(CHECK_BATCH, *image_shape))
    except Exception as error:  # the user's code may raise anything
        raise _failed(f"model {spec!r} must take images of shape {shape}, but calling it", error) from error
    out = out[0] if isinstance(out, list | tuple) and out else out
    got = tuple(out.shape) if isinstance(out, torch.Tensor) else type(out).__name__
    if got != (CHECK_BATCH, classes):
        raise InvalidInputError(
            f"model {spec!r} must map images {shape} to logits (n, {classes}), but for {CHECK_BATCH} images it "
            f"returned {got}; is --data the right set?"
        )


def _parts(spec: str) -> tuple[str, str]:
    place, _, function = spec.rpartition(":")
    if not place or not function.isidentifier():
        raise InvalidInputError(f"--model must be a known name, {FORMS}, but got {spec!r}")
    return place, function


def _file(place: str) -> Path:
    path = Path(place).expanduser()
    if not path.is_file():
        raise InvalidInputError(f"the model's file must exist, but {path} does not (or is a folder)")
    return path


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """Let imports find a folder first, as `python file.py` does; no compiled files are left there."""
    entry, before = str(folder), sys.dont_write_bytecode
    sys.path.insert(0, entry)
    sys.dont_write_bytecode = True
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path.remove(entry)
        sys.dont_write_bytecode = before


def _imported(place: str) -> ModuleType:
    try:
        if not place.endswith(".py"):
            return importlib.import_module(place)
        path = _file(place).resolve()
        name = f"axdnn_user_{hashlib.sha256(str(path).encode()).hexdigest()[:12]}"
        found = importlib.util.spec_from_file_location(name, path)
        assert found is not None
        assert found.loader is not None
        module = importlib.util.module_from_spec(found)
        sys.modules[name] = module  # dataclasses and pickle look there
        found.loader.exec_module(module)
        return module
    except (Exception, SystemExit) as error:  # the user's code may raise anything
        raise _failed(f"importing the model from {place}", error) from error


def _called(spec: str, function: Any) -> nn.Module:
    if isinstance(function, nn.Module) or not callable(function):
        raise InvalidInputError(
            f"--model {spec!r} must name a function or class that returns a torch.nn.Module, but it is "
            f"{'a module already' if isinstance(function, nn.Module) else type(function).__name__}"
        )
    try:
        model = function()
    except (Exception, SystemExit) as error:  # the user's code may raise anything
        raise _failed(f"model {spec!r} must be made by a call without arguments, but the call", error) from error
    if not isinstance(model, nn.Module):
        raise InvalidInputError(
            f"model {spec!r} must be a torch.nn.Module, but the call returned {type(model).__name__}"
        )
    if model in _MADE:  # weights and normalisation are put into it
        raise InvalidInputError(f"model {spec!r} must be a new one at each call, but it is that of an earlier call")
    _MADE.add(model)
    return model


def _failed(what: str, error: BaseException) -> InvalidInputError:
    text = " ".join(str(error).split())[:300]
    return InvalidInputError(f"{what} raised {type(error).__name__}{': ' + text if text else ''}")
