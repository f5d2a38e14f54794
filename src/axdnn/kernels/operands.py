"""What the operators take beside codes: a table, the type of the sums, or the identity of a multiplier."""

from __future__ import annotations

from functools import lru_cache

import torch

from axdnn.kernels.codes import peak_product
from axdnn.kernels.terms import exact_of
from axdnn.multipliers import load_multiplier
from axdnn.records import InvalidInputError, Multiplier

_named: dict[str, Multiplier] = {}  # by identity: what the compiled programs of this process multiply with


def sums_dtype(peak: int, k: int) -> torch.dtype:
    """Return int32 if `k` terms of magnitude at most `peak` provably fit it, else int64."""
    return torch.int32 if peak * max(k, 1) < 2**31 else torch.int64


def peak_term(multiplier: Multiplier | str, exact_terms: bool = False) -> int:
    """Return the largest magnitude of a term, exact products counted where a sum may hold them (`terms=`)."""
    multiplier = loaded(multiplier)
    peaks = [peak_product(multiplier), *([peak_product(exact_of(multiplier))] if exact_terms else [])]
    return max(peaks)


def table_operand(multiplier: Multiplier | str) -> torch.Tensor:
    """Return the table of a multiplier as the operators take it, int32 `(256, 256)`; not to be written to."""
    return _table(loaded(multiplier))


@lru_cache(maxsize=512)
def _table(multiplier: Multiplier) -> torch.Tensor:
    return torch.from_numpy(multiplier.table.copy())


def loaded(multiplier: Multiplier | str) -> Multiplier:
    """Return a multiplier, loaded where only its name is given."""
    return load_multiplier(multiplier) if isinstance(multiplier, str) else multiplier


def named(multiplier: Multiplier | str) -> str:
    """Return the identity of a multiplier, which from now on stands for it in this process."""
    multiplier = loaded(multiplier)
    _named[multiplier.id] = multiplier
    return multiplier.id


def known_multiplier(identity: str) -> Multiplier:
    """Return the multiplier that a program compiled in this process calls by its identity.

    Raises:
        InvalidInputError: none was compiled here.
    """
    if identity not in _named:
        raise InvalidInputError(
            f"a program calls the multiplier {identity!r} by its identity, which only the process that compiled it "
            "knows; give the operator a table"
        )
    return _named[identity]
