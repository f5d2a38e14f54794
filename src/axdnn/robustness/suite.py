"""The attacks by name, and the two levels: `inner` for search loops, `full` for what is reported."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any

from axdnn.records import InvalidInputError, unknown_name
from axdnn.robustness.attack import Attack, check_norm
from axdnn.robustness.distance_attacks import CarliniWagner, DeepFool
from axdnn.robustness.gradient_attacks import BIM, FGSM, PGD
from axdnn.robustness.library_attacks import AutoAttack, Square
from axdnn.robustness.transfer import Transfer
from axdnn.robustness.victim import Victim

ATTACKS: dict[str, type] = {
    "fgsm": FGSM, "bim": BIM, "pgd": PGD, "cw": CarliniWagner, "deepfool": DeepFool, "autoattack": AutoAttack,
    "square": Square, "transfer": Transfer,
}  # fmt: skip
LEVELS: dict[str, str] = {
    "inner": "pgd:steps=10:restarts=1:step=0.25",
    "full": "fgsm,bim,pgd,cw,deepfool,autoattack,square,transfer",
}
"""Level -> its attacks, as `parse_attacks` reads them."""


def parse_attacks(text: str, norm: str = "linf") -> tuple[str, ...]:
    """Return the attacks of a level or of a list as texts, checked; `autoattack` brings `square`, its black box.

    Args:
        text: `inner`, `full`, or attacks with commas between them, each a name with options: `pgd:steps=100,square`.
        norm: that all of them must have.

    Raises:
        UnknownNameError: no such attack, option or norm.
        InvalidInputError: an option out of range, an attack named twice, none at all, or without the norm.
    """
    parts = [part.strip() for part in LEVELS.get(text.strip(), text).split(",") if part.strip()]
    names = [part.partition(":")[0] for part in parts]
    if not parts or len(set(names)) < len(names):
        raise InvalidInputError(f"attacks must be named, each once, but got {text!r}")
    if "autoattack" in names and "square" not in names:
        parts.append("square")
    for part in parts:
        name, options = _read(part)
        if name == "transfer":
            _transfer_steps(options)
        else:
            check_norm(ATTACKS[name](**options), norm)
    return tuple(parts)


def make_attacks(parts: Sequence[str], sources: Mapping[str, Victim]) -> tuple[Attack, ...]:
    """Return the attacks that `parse_attacks` checked.

    Args:
        parts: one attack each.
        sources: label -> network that a transfer may be made on; `transfer` is one attack for each.
    """
    made: list[Attack] = []
    for part in parts:
        name, options = _read(part)
        if name == "transfer":
            made += [Transfer(victim, label, **_transfer_steps(options)) for label, victim in sources.items()]
        else:
            made.append(ATTACKS[name](**options))
    return tuple(made)


def _read(part: str) -> tuple[str, dict[str, Any]]:
    name, *given = (piece.strip() for piece in part.split(":"))
    if name not in ATTACKS:
        raise unknown_name("attack", name, ATTACKS)
    defaults = {f.name: f.default for f in fields(ATTACKS[name]) if f.name not in ("source", "label")}
    options: dict[str, Any] = {}
    for text in given:
        key, _, value = text.partition("=")
        if key not in defaults:
            raise unknown_name(f"option of {name}", key, defaults or ["(it has none)"])
        options[key] = _value(name, key, value, type(defaults[key]))
    return name, options


def _value(name: str, key: str, text: str, kind: Callable[[str], Any]) -> Any:
    try:
        return kind(text)
    except ValueError:
        wanted = {int: "a whole number", float: "a number"}.get(kind, "a text")  # type: ignore[call-overload]
        raise InvalidInputError(f"{name}: {key} must be {wanted}, but got {text!r}") from None


def _transfer_steps(options: Mapping[str, Any]) -> dict[str, int]:
    steps = int(options.get("steps", 40))
    if steps < 1:
        raise InvalidInputError(f"transfer: steps >= 1 must hold, but got {steps}")
    return {"steps": steps}
