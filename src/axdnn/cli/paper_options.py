"""`--paper KEY=VALUE`: the options of strategy `paper`, from text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from axdnn.generation import PaperOptions

LITERAL = "literal"
PAPER_HELP = (
    "Option of --strategy paper, may be repeated: units=groups|layers, order, stop=rollback|both, threshold, step, "
    "skip=0..1, skip_rule=scaled|equal, remove=true, multipliers=false, retries, sweeps, max_energy_j; or "
    "`literal`: the listing as printed."
)


def paper_options(texts: Sequence[str] | None, strategy: str) -> PaperOptions:
    """Return the options that `--paper` gives, the others at their defaults (after `literal`: at the listing's).

    Args:
        texts: what follows each `--paper`; None for none.
        strategy: what `--strategy` says.

    Raises:
        InvalidInputError: another strategy, no `=`, a key twice, or a value that the option does not take.
        UnknownNameError: no such option.
    """
    from axdnn.generation import STRATEGIES, PaperOptions
    from axdnn.records import InvalidInputError, unknown_name

    if not texts:
        return PaperOptions()
    if strategy not in STRATEGIES:
        raise unknown_name("strategy", strategy, STRATEGIES)
    if strategy != "paper":
        raise InvalidInputError(f"--paper is for --strategy paper, but got --strategy {strategy}")
    literal, values = False, dict[str, Any]()
    for text in texts:
        key, equals, value = (part.strip() for part in text.partition("="))
        if key == LITERAL and not equals:
            literal = True
            continue
        known = PaperOptions.__dataclass_fields__
        if key not in known:
            raise unknown_name("option of --paper", key, (LITERAL, *known))
        if not equals:
            raise InvalidInputError(f"--paper takes KEY=VALUE, as in --paper skip=0.5, or {LITERAL}; got {text!r}")
        if key in values:
            raise InvalidInputError(f"--paper {key} must be given once, but is given twice")
        values[key] = _value(key, value, type(known[key].default))
    return PaperOptions.literal(**values) if literal else PaperOptions(**values)


def _value(key: str, text: str, kind: type) -> Any:
    """Read a value as what the default of its option is (of `max_energy_j`, None: a number)."""
    from axdnn.records import InvalidInputError

    if kind is str:
        return text
    if kind is bool:
        if text.lower() not in ("true", "false"):
            raise InvalidInputError(f"--paper {key} must be true or false, but got {text!r}")
        return text.lower() == "true"
    number, what = (int, "a whole number") if kind is int else (float, "a number")
    try:
        return number(text)
    except ValueError:
        raise InvalidInputError(f"--paper {key} must be {what}, but got {text!r}") from None
