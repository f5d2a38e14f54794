"""Machines by name or file, whatever their kind."""

from __future__ import annotations

import os
from collections.abc import Callable

from axdnn.hardware.accelerator import (
    Accelerator,
    accelerator_faults,
    list_accelerators,
    load_accelerator,
    parse_accelerator,
)
from axdnn.hardware.banks import bank_faults, list_banks, parse_bank, shipped_bank_text
from axdnn.hardware.design_files import is_path, read_text, read_yaml
from axdnn.hardware.imc import imc_chip_faults, list_imc_chips, load_imc_chip, parse_imc_chip
from axdnn.hardware.interface import Machine
from axdnn.hardware.systems import list_systems, parse_system, shipped_system_text, system_faults
from axdnn.hardware.systems.chip import Core
from axdnn.records import InvalidInputError, unknown_name

KINDS: dict[str, Callable[[], list[str]]] = {
    "systolic": list_accelerators,
    "bank": list_banks,
    "in memory": list_imc_chips,
    "system": list_systems,
}
"""Kind of machine -> names of those that ship with axdnn."""


def list_machines() -> dict[str, str]:
    """Names of all machines that ship with axdnn -> their kind, sorted by name."""
    found = {name: kind for kind, names in KINDS.items() for name in names()}
    return dict(sorted(found.items()))


def load_machine(name_or_path: str | os.PathLike[str]) -> Machine:
    """Load a machine of any kind by name, or a user's by the path of a YAML file.

    Raises:
        UnknownNameError: no machine of that name; the message lists the nearest.
        InvalidInputError: the file cannot be read or breaks the schema of its kind.
    """
    text = os.fspath(name_or_path)
    if is_path(name_or_path):
        content = read_text(text, "accelerator")
        kind = _kind(content)
        if kind == "system":
            return parse_system(content, text, _load_core)
        if kind == "bank":
            return parse_bank(content, text, _load_systolic)
        return parse_imc_chip(content, text) if kind else parse_accelerator(content, text)
    machines = list_machines()
    if text not in machines:
        how = "`axdnn accelerators list` prints all of them; a path to a YAML file works too"
        raise unknown_name("accelerator", text, machines, how)
    if machines[text] == "system":
        return parse_system(shipped_system_text(text), f"{text}.yaml", _load_core)
    if machines[text] == "bank":
        return parse_bank(shipped_bank_text(text), f"{text}.yaml", _load_systolic)
    return load_imc_chip(text) if machines[text] == "in memory" else load_accelerator(text)


def machine_faults(path: str | os.PathLike[str]) -> list[str]:
    """Return everything that is wrong with a file, a sentence each; none if it is valid.

    Raises:
        InvalidInputError: the file cannot be read.
    """
    text = os.fspath(path)
    content = read_text(text, "accelerator")
    kind = _kind(content)
    if kind == "system":
        return system_faults(content, text, _load_core)
    if kind == "bank":
        return bank_faults(content, text, _load_systolic)
    return imc_chip_faults(content, text) if kind else accelerator_faults(content, text)


def _kind(content: str) -> str:
    """The `kind` of a file; "" for systolic arrays, whose files have none."""
    data, _ = read_yaml(content, "")  # of a text that is no YAML, the reader of systolic arrays says what is wrong
    return str(data["kind"]) if isinstance(data, dict) and "kind" in data else ""


def _load_systolic(name_or_path: str) -> Accelerator:
    """A systolic chip for a bank; its kind is looked at before it is read, for a bank may name itself."""
    if (kind := _kind_of(name_or_path)) not in ("", "systolic"):
        raise InvalidInputError(f"must be a systolic design, but {name_or_path!r} is of kind {kind!r}")
    return load_accelerator(name_or_path)


def _load_core(name_or_path: str) -> Core:
    """A core for a system; its kind is looked at before it is read, for a system may name itself."""
    if (kind := _kind_of(name_or_path)) in ("system", "bank"):
        raise InvalidInputError(f"must be a systolic or in-memory design, but {name_or_path!r} is of kind {kind!r}")
    core = load_machine(name_or_path)
    assert isinstance(core, Core)  # the kinds that are left
    return core


def _kind_of(name_or_path: str) -> str:
    """Kind of a design: of a file as `_kind` says, of a shipped one as in `KINDS`, "" of an unknown name."""
    if is_path(name_or_path):
        return _kind(read_text(name_or_path, "accelerator"))
    return list_machines().get(name_or_path, "")
