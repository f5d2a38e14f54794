"""Multipliers by name: the EvoApprox8b library, its releases, its transposed circuits; families; users' files.

Canonical label of a table: its v2022 name if it has one, else its v1 name. A name that means different circuits in the
two releases carries the release: `mul8s_1KV8@v1`. The transposed circuit of an asymmetric table ends in `.T`, a circuit
with low operand lines tied to 0 in the widths that are left: `mul8u_QKX.8x1`.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import msgspec
import numpy as np

from axdnn.multipliers.families import FAMILIES, family_multiplier, is_family_name, split_names
from axdnn.multipliers.library import LibraryTable, library, library_table
from axdnn.multipliers.narrow import narrowed_name
from axdnn.multipliers.user.file import file_multiplier, is_file_name
from axdnn.records import (
    AmbiguousNameError,
    Coding,
    Figures,
    InvalidInputError,
    Multiplier,
    unknown_name,
)

EXACT = {"signed": "mul8s_1KV6", "unsigned": "mul8u_1JJQ"}
XAI_GEN = (
    "mul8s_1KV6", "mul8s_1KV8@v2022", "mul8s_1KV9", "mul8s_1KVP", "mul8s_1L2J", "mul8s_1L2L", "mul8s_1L2N",
)  # fmt: skip
"""M1..M7 of XAI-Gen (Siddique, Khalil, Hoque, ISQED 2025), M1 exact."""
SETS = ("evoapprox8b", "evoapprox8b-signed", "evoapprox8b-unsigned", "xai-gen")
HOW_TO_LIST = "`axdnn multipliers list` prints them all"


class Entry(NamedTuple):
    """A circuit of the catalogue: a table of the library, as it is or transposed."""

    table: LibraryTable
    transposed: bool

    @property
    def label(self) -> str:
        """Canonical name."""
        return f"{self.table.label}.T" if self.transposed else self.table.label

    @property
    def aliases(self) -> tuple[str, ...]:
        """The other names."""
        return tuple(f"{alias}.T" if self.transposed else alias for alias in self.table.aliases)


def load_multiplier(name: str) -> Multiplier:
    """Return the circuit called `name`.

    Args:
        name: a name of EvoApprox8b (`mul8u_QKX`), with its release (`mul8s_1KV8@v1`, needed where the bare name means
            different circuits); `exact` for the exact signed circuit; a member of a behavioural family (`drum:k=4`,
            see `list_families`); the path of a file that `save_multiplier` or `axdnn multipliers import` wrote
            (`mine.axmul`); each with `.T` for the transposed circuit of an asymmetric table, and with `.6x5` for the
            circuit of which only the upper 6 lines of operand a and 5 of operand b are wired, the others tied to 0.

    Returns:
        the multiplier under its canonical label; the other labels are its `aliases`. The label of a file is its path
        and a checksum, `mine.axmul#0123456789ab`, so that a changed file is noticed.

    Raises:
        AmbiguousNameError: the bare name means different circuits in two releases; both full names are listed.
        UnknownNameError: no such name; the nearest are listed.
        InvalidInputError: `.T` of a symmetric table, `.8x8`, or a wrong parameter of a family.
        RecordError: the file is missing, damaged, or changed since its name with a checksum was written.

    Example:
        >>> load_multiplier("exact").name
        'mul8s_1KV6'
    """
    return _multiplier(find_entry(name))


def _multiplier(found: Entry | Multiplier) -> Multiplier:
    return found if isinstance(found, Multiplier) else _build(found.table.label, found.transposed)


def find_entry(name: str) -> Entry | Multiplier:
    """Return what is called `name`: a library entry, its table still packed, or a member of a family or a file's.

    Raises:
        AmbiguousNameError, UnknownNameError, InvalidInputError, RecordError: as `load_multiplier`.
    """
    if not isinstance(name, str):
        raise InvalidInputError(f"a multiplier's name must be a string, but got {type(name).__name__}")
    bare, transposed = name.strip().removesuffix(".T"), name.strip().endswith(".T")
    if narrowed_name(bare) is not None:
        return _swapped(_narrowed(bare)) if transposed else _narrowed(bare)
    if is_file_name(bare):
        return _swapped(file_multiplier(bare)) if transposed else file_multiplier(bare)
    if is_family_name(bare):
        return _swapped(family_multiplier(bare)) if transposed else family_multiplier(bare)
    return _library_entry(name, bare, transposed)


def _narrowed(name: str) -> Multiplier:
    parts = narrowed_name(name)
    assert parts is not None
    circuit, a_bits, w_bits = parts
    if (a_bits, w_bits) == (8, 8):
        raise InvalidInputError(f"{name!r} wires every line, so it is the circuit itself: leave out .8x8")
    return load_multiplier(circuit).narrowed(a_bits, w_bits)


def _swapped(multiplier: Multiplier) -> Multiplier:
    if np.array_equal(multiplier.table, multiplier.table.T):
        raise InvalidInputError(
            f"{multiplier.name!r} is symmetric, so its transposed circuit is the same: leave out .T"
        )
    return multiplier.transposed()


def _library_entry(name: str, bare: str, transposed: bool) -> Entry:
    bare = EXACT["signed"] if bare == "exact" else bare
    found = _by_name().get(bare, ())
    if not found:
        if "=" in bare:
            raise InvalidInputError(f"{name!r} is a parameter without a family before it; write e.g. drum:k=4")
        raise unknown_name("multiplier", name, ("exact", *catalogue_names(), *FAMILIES), HOW_TO_LIST)
    if len(found) > 1:
        end = ".T" if transposed else ""
        both = " and ".join(f"{bare}@{release}{end} (table {table.sha1})" for table, release in found)
        raise AmbiguousNameError(f"{name!r} means different circuits in two releases: {both}; say which")
    table = found[0][0]
    if transposed and table.transposed_id is None:
        raise InvalidInputError(f"{bare!r} is symmetric, so {name!r} is the same circuit: use {table.label!r}")
    return Entry(table, transposed)


@cache
def _by_name() -> dict[str, tuple[tuple[LibraryTable, str], ...]]:
    """Bare and full name -> tables it can mean, with the release."""
    found: dict[str, tuple[tuple[LibraryTable, str], ...]] = {}
    for table in library().tables:
        for name in table.names:
            found[f"{name.circuit}@{name.release}"] = ((table, name.release),)
            found[name.circuit] = (*found.get(name.circuit, ()), (table, name.release))
    return {name: tuple(sorted(meanings, key=lambda pair: pair[1])) for name, meanings in found.items()}


@cache
def _build(label: str, transposed: bool) -> Multiplier:
    entry = Entry(next(table for table in library().tables if table.label == label), transposed)
    multiplier = Multiplier(
        name=label,
        coding=entry.table.coding,
        table=library_table(label),
        figures=table_figures(entry.table),
        origin=f"{library().title}, {library().source}",
        aliases=entry.table.aliases,
    )
    if transposed:
        multiplier = msgspec.structs.replace(multiplier.transposed(), aliases=entry.aliases)
    return multiplier


def table_figures(table: LibraryTable) -> Figures:
    """Return the published figures of a table's canonical name, in SI units."""
    name = table.names[0]
    published = name.published
    commit = library().releases[name.release]
    return Figures(
        power_w=_scaled(published["power_mw"], -3),
        area_m2=_scaled(published["area_um2"], -12),
        delay_s=_scaled(published["delay_ns"], -9),
        source=f"EvoApproxLib {name.release}, {commit}, header of {name.circuit}.c (PDK45; power at unstated activity)",
        published=dict(published),
    )


def exact_figures(coding: Coding) -> Figures:
    """Return the figures of the exact circuit that ratios refer to."""
    return table_figures(_by_name()[EXACT["signed" if coding == "signed" else "unsigned"]][0][0])


def _scaled(printed: str, exponent: int) -> float:
    return float(f"{printed}e{exponent}")


def catalogue_names() -> tuple[str, ...]:
    """Return every library name that `load_multiplier` takes (transposed circuits by canonical label only), sorted.

    Bare names that are ambiguous are left out; their full names are in.
    """
    names = {label for table in library().tables for label in (table.label, *table.aliases)}
    names |= {f"{table.label}.T" for table in library().tables if table.transposed_id}
    return tuple(sorted(names))


def resolve_set(spec: str) -> tuple[Entry | Multiplier, ...]:
    """Return the entries of a set without unpacking tables of the library (see `load_set`)."""
    if spec == "xai-gen":
        return tuple(map(find_entry, XAI_GEN))
    if spec in SETS:
        wanted = {"evoapprox8b-signed": (True,), "evoapprox8b-unsigned": (False,)}.get(spec, (True, False))
        tables = [table for table in library().tables if table.signed in wanted]
        return tuple(Entry(table, t) for table in tables for t in (False, True) if not t or table.transposed_id)
    parts = split_names(spec)
    if not parts:
        raise InvalidInputError(f"a multiplier set must be one of {', '.join(SETS)} or names with commas, not {spec!r}")
    if len(parts) == 1 and any(word in parts[0].casefold() for word in ("evoapprox", "xai")):
        raise unknown_name("multiplier set", parts[0], SETS)
    return tuple({label_of(entry): entry for entry in map(find_entry, parts)}.values())


def label_of(found: Entry | Multiplier) -> str:
    """Return the canonical name."""
    return found.name if isinstance(found, Multiplier) else found.label


def pinned_set(spec: str) -> str:
    """Return a set's text with the checksum of each file it names, so that equal texts mean equal multipliers.

    Raises:
        UnknownNameError, AmbiguousNameError, InvalidInputError, RecordError: as `load_set`.
    """
    names = split_names(spec)
    if not any(map(_names_file, names)):
        return spec
    return ",".join(load_multiplier(n).name if _names_file(n) else n for n in names)


def _names_file(name: str) -> bool:
    bare = name.removesuffix(".T")
    narrow = narrowed_name(bare)
    return is_file_name(bare) if narrow is None else _names_file(narrow[0])


def load_set(spec: str) -> tuple[Multiplier, ...]:
    """Return the multipliers of a set.

    Args:
        spec: `evoapprox8b` (all 64 tables and the transposed circuits of the asymmetric ones),
            `evoapprox8b-signed`, `evoapprox8b-unsigned`, `xai-gen` (M1..M7 of that paper), or names separated by commas
            (repeats are dropped), as in `mul8u_QKX,bam:h=0,v=4,mine.axmul`.

    Raises:
        UnknownNameError, AmbiguousNameError, InvalidInputError, RecordError: as `load_multiplier`, or an empty set.
    """
    return tuple(map(_multiplier, resolve_set(spec)))
