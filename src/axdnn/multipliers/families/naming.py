"""Names of family members, `family:parameter=value,...`, read and refused with a list of what is allowed."""

from __future__ import annotations

import re
from functools import cache

from axdnn.multipliers.families.array import BAM, OPERANDS, TRUNCATED
from axdnn.multipliers.families.base import Family, Parameter
from axdnn.multipliers.families.compressor import COMPRESSOR
from axdnn.multipliers.families.leading_one import DRUM, MITCHELL, ROBA
from axdnn.multipliers.families.recursive import RECURSIVE
from axdnn.records import InvalidInputError, Multiplier, unknown_name

FAMILIES: dict[str, Family] = {
    family.name: family for family in (TRUNCATED, OPERANDS, BAM, DRUM, MITCHELL, ROBA, COMPRESSOR, RECURSIVE)
}
HOW_TO_LIST = "`axdnn multipliers families` describes them"


def list_families() -> tuple[Family, ...]:
    """Return the behavioural families."""
    return tuple(FAMILIES.values())


def is_family_name(name: str) -> bool:
    """Whether a name is meant as a member of a family: it starts with a family or looks like `word:`."""
    head, colon, _ = name.partition(":")
    return head.strip() in FAMILIES or bool(colon)


def family_multiplier(name: str) -> Multiplier:
    """Return a member of a family.

    Args:
        name: `drum:k=4`, `bam:h=0,v=4`, `mitchell`, `drum:k=4,coding=signed`, ...; parameters in any order.

    Returns:
        the multiplier under its canonical name (every parameter, in the family's order), without figures. Cached.

    Raises:
        UnknownNameError: no such family.
        InvalidInputError: an unknown, missing or repeated parameter, or a value out of range.

    Example:
        >>> family_multiplier("recursive2x2").name
        'recursive2x2:blocks=7'
    """
    head, _, rest = name.partition(":")
    family = FAMILIES.get(head.strip())
    if family is None:
        raise unknown_name("multiplier family", head.strip(), FAMILIES, HOW_TO_LIST)
    given = _pairs(family, name, rest)
    coding = given.pop("coding", "unsigned")
    if coding not in (("unsigned", "signed") if family.signed else ("unsigned",)):
        raise _refused(family, name, f"coding={coding} is not one of its codings")
    unknown = [key for key in given if key not in {p.name for p in family.parameters}]
    if unknown:
        raise _refused(family, name, f"it has no parameter {unknown[0]!r}")
    values = tuple((p.name, _value(family, name, p, given.get(p.name))) for p in family.parameters)
    return _build(family.name, values, coding == "signed")


@cache
def _build(family: str, values: tuple[tuple[str, int], ...], signed: bool) -> Multiplier:
    return FAMILIES[family].multiplier(dict(values), signed)


def _pairs(family: Family, name: str, rest: str) -> dict[str, str]:
    given: dict[str, str] = {}
    for part in rest.split(",") if rest.strip() else ():
        key, equals, value = (text.strip() for text in part.partition("="))
        if not equals or not key or not value:
            raise _refused(family, name, f"{part.strip()!r} is not parameter=value")
        if key in given:
            raise _refused(family, name, f"{key!r} is given twice")
        given[key] = value
    return given


def _value(family: Family, name: str, parameter: Parameter, text: str | None) -> int:
    if text is None:
        if parameter.default is None:
            raise _refused(family, name, f"parameter {parameter.name!r} is missing")
        return parameter.default
    if not re.fullmatch(r"\d{1,4}", text) or not parameter.low <= int(text) <= parameter.high:
        raise _refused(family, name, f"{parameter.name} must be a whole number {parameter.low}..{parameter.high}")
    return int(text)


def _refused(family: Family, name: str, why: str) -> InvalidInputError:
    return InvalidInputError(f"{name.strip()!r} is no multiplier of {family.name}: {why}. Write {family.usage}")


def split_names(spec: str) -> list[str]:
    """Split a comma list of names; a part `parameter=value` belongs to the family member before it.

    Example:
        >>> split_names("mul8u_QKX, bam:h=0,v=4, roba")
        ['mul8u_QKX', 'bam:h=0,v=4', 'roba']
    """
    names: list[str] = []
    for part in (text.strip() for text in spec.split(",")):
        if not part:
            continue
        if re.match(r"\w+\s*=", part) and names and ":" in names[-1]:
            names[-1] += f",{part}"
        else:
            names.append(part)
    return names
