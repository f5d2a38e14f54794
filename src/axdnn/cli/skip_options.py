"""`--skip` and `--skip-only`: what strategy `integer` may skip, from text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from axdnn.cli.console import parts_of

if TYPE_CHECKING:
    from axdnn.generation import SkipOptions

AUTO_TEXT = "auto"
SKIP_HELP = (
    "Let strategy integer skip neurons, chosen with the multipliers: shares that a layer may lose, with commas "
    "(0.125,0.25,0.5), or auto."
)
SKIP_ONLY_HELP = "With --skip: skip neurons alone, all multipliers stay exact."


def skip_options(text: str | None, only: bool) -> SkipOptions | None:
    """Return what `--skip` and `--skip-only` ask for; None without them.

    Args:
        text: what follows `--skip`.
        only: whether `--skip-only` is there.

    Raises:
        InvalidInputError: shares that are no numbers within 0..1, or `--skip-only` without `--skip`.
    """
    from axdnn.generation import SkipOptions
    from axdnn.records import InvalidInputError

    if text is None:
        if only:
            raise InvalidInputError("--skip-only needs --skip: shares of neurons, or auto")
        return None
    if text.strip() == AUTO_TEXT:
        return SkipOptions(multipliers=not only)
    return SkipOptions(fractions=parts_of("--skip", text, float), multipliers=not only)
