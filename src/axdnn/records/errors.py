"""Errors of axdnn: one root, and each class is a builtin as well.

Messages say what must hold, what was got, where, and what to do.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class AxdnnError(Exception):
    """Root of every error that axdnn raises on purpose."""


class InvalidInputError(AxdnnError, ValueError):
    """A value given by the user breaks a stated rule."""


class UnknownNameError(AxdnnError, LookupError):
    """A name (multiplier, model, layer, data set, ...) is not known; the message lists the nearest ones."""


class AmbiguousNameError(UnknownNameError):
    """A bare name means different things in two releases of a library."""


class RecordError(AxdnnError, ValueError):
    """A saved record cannot be read: wrong type, wrong version, or not JSON."""


class UnsupportedOperatorError(AxdnnError, NotImplementedError):
    """A model uses an operator that cannot be captured."""


class DataError(AxdnnError, RuntimeError):
    """A data set is missing or corrupt."""


class CheckpointError(AxdnnError, RuntimeError):
    """A checkpoint is missing, corrupt, or belongs to another model."""


class OutputFolderError(AxdnnError, RuntimeError):
    """The output folder holds the results of another run."""


class MissingPackageError(AxdnnError, RuntimeError):
    """An optional package is not installed; the message says which extra brings it."""


class StorageError(AxdnnError, RuntimeError):
    """A storage of studies cannot be reached, is of a newer version, or holds a study of another search."""


class ClusterError(AxdnnError, RuntimeError):
    """A cluster cannot be reached, or none of its nodes can run what is asked of it."""


class InfeasibleError(AxdnnError, RuntimeError):
    """No solution satisfies the constraints, and the caller asked for an exception."""


def unknown_name(kind: str, name: str, known: Iterable[str], how_to_list: str = "") -> UnknownNameError:
    """Build the error for an unknown name, with the nearest known names.

    Args:
        kind: what is named, e.g. `"multiplier"`.
        name: the name that was given.
        known: all names that would have been accepted.
        how_to_list: a command or call that prints all of them.
    """
    names = list(known)
    near = difflib.get_close_matches(name, names, n=5, cutoff=0.4)
    if not near:
        folded = {n.casefold(): n for n in names}
        near = [folded[n] for n in difflib.get_close_matches(name.casefold(), folded, n=5, cutoff=0.4)]
    shown = [*names[:12], *(["..."] if len(names) > 12 else [])]
    hint = f"; nearest: {', '.join(near)}" if near else f"; known: {', '.join(shown)}"
    tail = f". {how_to_list}" if how_to_list else ""
    return UnknownNameError(f"unknown {kind} {name!r}{hint}{tail}")
