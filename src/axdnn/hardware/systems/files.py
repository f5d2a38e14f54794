"""Files of systems on a chip: schema, reading, and the ones that ship with axdnn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from axdnn.hardware.design_files import beside, is_path, read_yaml, shipped_names, shipped_text
from axdnn.hardware.parameters import entry_faults, read_entry
from axdnn.hardware.systems.chip import Core, SystemChip, core_name_fault
from axdnn.hardware.systems.keys import KEYS
from axdnn.records import AxdnnError, InvalidInputError

RULES = ("depthwise", "activation_products")
SUITS = ("fine", "poor", "illegal")
LoadCore = Callable[[str], Core]


def list_systems() -> list[str]:
    """Names of the systems that ship with axdnn, sorted."""
    return shipped_names("axdnn.hardware.systems")


def parse_system(text: str, where: str, load_core: LoadCore) -> SystemChip:
    """Read a system from YAML text.

    Args:
        text: of the file.
        where: names the file in errors; paths in it are relative to its folder.
        load_core: makes a core from its name or path.

    Raises:
        InvalidInputError: not YAML, or missing, unknown or illegal entries, all of them named.
    """
    faults, fields = _read(text, where, load_core)
    if faults:
        raise InvalidInputError("; ".join(faults))
    return SystemChip(**fields)


def system_faults(text: str, where: str, load_core: LoadCore) -> list[str]:
    """Return everything that is wrong with the YAML text of a system, a sentence each; none if it is valid."""
    return _read(text, where, load_core)[0]


@cache
def shipped_system_text(name: str) -> str:
    """Return the text of a shipped system's file."""
    return shipped_text("axdnn.hardware.systems", name)


def _read(text: str, where: str, load_core: LoadCore) -> tuple[list[str], dict[str, Any]]:
    data, wrong = read_yaml(text, where)
    if data is None and wrong:
        return wrong, {}
    if not isinstance(data, Mapping):
        return [f"{where} must hold a mapping of sections, but got {type(data).__name__}"], {}
    sections: dict[str, list[str]] = {}
    for key in KEYS:
        section, name = key.path.split(".")
        sections.setdefault(section, []).append(name)
    top = ["name", "description", "kind", "cores", "rules", *sections]
    faults = wrong + _keys(data, top, ["rules"], where, "")
    fields: dict[str, Any] = {}
    for label in ("name", "description"):
        fields[label] = data.get(label)
        if label in data and (not isinstance(data[label], str) or not data[label].strip()):
            faults.append(f"{where}: `{label}` must be a text, but got {data[label]!r}")
    sources: dict[str, str] = {}
    for section, names in sections.items():
        if section in data and not isinstance(data[section], Mapping):
            faults.append(f"{where}: `{section}` must be a mapping with keys {', '.join(names)}")
        elif section in data:
            faults += _keys(data[section], names, [], where, f"{section}.")
    for key in KEYS:
        section, name = key.path.split(".")
        entries = data.get(section)
        if isinstance(entries, Mapping) and name in entries:
            if wrong := entry_faults(entries[name], key, where):
                faults += wrong
            else:
                fields[key.field], sources[key.path] = read_entry(entries[name], key)
    fields["cores"], bad = _cores(data.get("cores"), where, load_core)
    rules, more = _rules(data.get("rules", {}), where)
    return faults + bad + more, {**fields, **rules, "sources": sources}


def _keys(data: Mapping[str, Any], allowed: list[str], optional: list[str], where: str, prefix: str) -> list[str]:
    missing = [f"{where}: `{prefix}{key}` is missing; required here: {', '.join(allowed)}"
               for key in allowed if key not in data and key not in optional]  # fmt: skip
    unknown = [f"{where}: unknown key `{prefix}{key}`; allowed here: {', '.join(allowed)}"
               for key in data if key not in allowed]  # fmt: skip
    return missing + unknown


def _cores(given: Any, where: str, load_core: LoadCore) -> tuple[dict[str, Core], list[str]]:
    if not isinstance(given, Mapping) or not given:
        said = "" if given is None else f", but got {given!r}"
        return {}, [f"{where}: `cores` must be a mapping of names to accelerators, at least one{said}"] if said else []
    cores: dict[str, Core] = {}
    faults = []
    for name, design in given.items():
        at = f"{where}: `cores.{name}`"
        if fault := core_name_fault(name):
            faults.append(f"{at}: {fault}")
        if not isinstance(design, str) or not design.strip():
            faults.append(f"{at} must be the name of an accelerator or the path of its file, but got {design!r}")
            continue
        try:
            cores[str(name)] = load_core(beside(design, where) if is_path(design) else design)
        except AxdnnError as error:
            faults.append(f"{at}: {error}")
    return cores, faults


def _rules(given: Any, where: str) -> tuple[dict[str, str], list[str]]:
    if not isinstance(given, Mapping):
        return {}, [f"{where}: `rules` must be a mapping with keys {', '.join(RULES)}, but got {given!r}"]
    faults = [
        f"{where}: unknown key `rules.{key}`; allowed here: {', '.join(RULES)}" for key in given if key not in RULES
    ]
    faults += [f"{where}: `rules.{key}` must be one of {', '.join(SUITS)}, but got {value!r}"
               for key, value in given.items() if key in RULES and value not in SUITS]  # fmt: skip
    return {key: str(value) for key, value in given.items()}, faults
