"""Files of banks of arrays: schema, reading, and the ones that ship with axdnn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from axdnn.hardware.accelerator import Accelerator
from axdnn.hardware.banks.bank import ArrayBank, BankArray
from axdnn.hardware.components import require_figures
from axdnn.hardware.design_files import beside, is_path, read_yaml, shipped_names, shipped_text
from axdnn.hardware.parameters import Parameter, entry_faults, level_faults, read_entry
from axdnn.records import AxdnnError, InvalidInputError

REQUIRED = ["name", "description", "kind", "chip", "arrays"]
OPTIONAL = ["idle_fraction", "delay_limits_clock"]
IDLE = Parameter("idle_fraction", "idle_fraction", "fraction", 0, 1)
OF_ARRAY = {"rows": 4096, "columns": 4096, "count": 512}
"""Whole numbers of an array and the largest that is allowed; the least is 1, and `count` may be left out."""
LoadChip = Callable[[str], Accelerator]


def list_banks() -> list[str]:
    """Names of the banks that ship with axdnn, sorted."""
    return shipped_names("axdnn.hardware.banks")


@cache
def shipped_bank_text(name: str) -> str:
    """Return the text of a shipped bank's file."""
    return shipped_text("axdnn.hardware.banks", name)


def parse_bank(text: str, where: str, load_chip: LoadChip) -> ArrayBank:
    """Read a bank from YAML text.

    Args:
        text: of the file.
        where: names the file in errors; paths in it are relative to its folder.
        load_chip: makes the systolic chip from its name or path.

    Raises:
        InvalidInputError: not YAML, or missing, unknown or illegal entries, all of them named.
    """
    faults, fields = _read(text, where, load_chip)
    if faults:
        raise InvalidInputError("; ".join(faults))
    return ArrayBank(**fields)


def bank_faults(text: str, where: str, load_chip: LoadChip) -> list[str]:
    """Return everything that is wrong with the YAML text of a bank, a sentence each; none if it is valid."""
    return _read(text, where, load_chip)[0]


def _read(text: str, where: str, load_chip: LoadChip) -> tuple[list[str], dict[str, Any]]:
    data, wrong = read_yaml(text, where)
    if data is None and wrong:
        return wrong, {}
    if not isinstance(data, Mapping):
        return [f"{where} must hold a mapping of keys, but got {type(data).__name__}"], {}
    faults = wrong + level_faults(data, REQUIRED, OPTIONAL, where, "")
    fields: dict[str, Any] = {key: data[key] for key in ("name", "description") if key in data}
    for key, value in fields.items():
        if not isinstance(value, str) or not value.strip():
            faults.append(f"{where}: `{key}` must be a text, but got {value!r}")
    if "chip" in data:
        fields["chip"], wrong = _chip(data["chip"], where, load_chip)
        faults += wrong
    if "arrays" in data:
        fields["arrays"], wrong = _arrays(data["arrays"], where)
        faults += wrong
    if "idle_fraction" in data:
        if wrong := entry_faults(data["idle_fraction"], IDLE, where):
            faults += wrong
        else:
            fields["idle_fraction"], line = read_entry(data["idle_fraction"], IDLE)
            fields["idle_source"] = line.split("; ", 1)[1]
    if "delay_limits_clock" in data:
        fields["delay_limits_clock"] = limits = data["delay_limits_clock"]
        if not isinstance(limits, bool):
            faults.append(f"{where}: `delay_limits_clock` must be true or false, but got {limits!r}")
    return faults, fields


def _chip(given: Any, where: str, load_chip: LoadChip) -> tuple[Accelerator | None, list[str]]:
    """The chip, and what is wrong with it."""
    at = f"{where}: `chip`"
    if not isinstance(given, str) or not given.strip():
        return None, [f"{at} must be the name of a systolic accelerator or the path of its file, but got {given!r}"]
    try:
        chip = load_chip(beside(given, where) if is_path(given) else given)
    except AxdnnError as error:
        return None, [f"{at}: {error}"]
    if chip.exact_rows:
        return None, [f"{at} must have no exact rows, but {given!r} has {chip.exact_rows}; make an array of exact ones"]
    return chip, []


def _arrays(given: Any, where: str) -> tuple[tuple[BankArray, ...], list[str]]:
    """The arrays, an entry with a count as often as it says, and what is wrong with them."""
    if not isinstance(given, list) or not given:
        return (), [
            f"{where}: `arrays` must be a list of {{rows, columns, multiplier}}, at least one, but got {given!r}"
        ]
    arrays: list[BankArray] = []
    faults = []
    for i, entry in enumerate(given):
        at = f"arrays.{i}"
        if not isinstance(entry, Mapping):
            faults.append(f"{where}: `{at}` must be a mapping with rows, columns, multiplier, but got {entry!r}")
            continue
        wrong = level_faults(entry, ["rows", "columns"], ["multiplier", "count"], where, f"{at}.")
        for key, most in OF_ARRAY.items():
            if key in entry and not _whole(entry[key], most):
                wrong.append(f"{where}: `{at}.{key}` must be a whole number in 1..{most}, but got {entry[key]!r}")
        name, unknown = _multiplier(entry.get("multiplier", "exact"), where, f"{where}: `{at}.multiplier`")
        faults += wrong + unknown
        if not wrong and not unknown:
            one = BankArray(rows=entry["rows"], columns=entry["columns"], multiplier=name)
            arrays += [one] * entry.get("count", 1)
    return tuple(arrays), faults


def _whole(value: Any, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= most


def _multiplier(given: Any, where: str, at: str) -> tuple[str, list[str]]:
    """The name of a multiplier that can be priced, and what is wrong with it."""
    from axdnn.multipliers import load_multiplier
    from axdnn.multipliers.user.file import is_file_name

    if not isinstance(given, str) or not given.strip():
        return "", [f"{at} must be a name of `axdnn multipliers list`, but got {given!r}"]
    name = beside(given, where) if is_file_name(given) else given
    try:
        require_figures(load_multiplier(name))
    except AxdnnError as error:
        return "", [f"{at}: {error}"]
    return name, []
