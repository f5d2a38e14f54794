"""`--recover ...,finetune` and `--finetune KEY=VALUE`: fine-tuning after the search, from text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from axdnn.methods import TuningRequest

FINETUNE = "finetune"
FINETUNE_HELP = (
    "Option of --recover ...,finetune, may be repeated: rounds=3 (choices that are trained), epochs=3, images (of "
    "split fit; default all), rate=0.001, batch=128, distillation=0.5 (weight of the exact network as teacher), "
    "first=1.3 (predicted loss of the first choice, in budgets), bolder=2 (factor on it), "
    "alternate=false (choose anew under the weights found), shift=1, mirror=false (of training images; colour images: "
    "4, true)."
)
_TRUTH = {"true": True, "false": False}


def _truth(text: str) -> bool:
    return _TRUTH[text.lower()]


# Option -> how its value is read, what it must be, and the field it sets.
_OF_TRAINING: dict[str, tuple[Callable[[str], Any], str]] = {
    "epochs": (int, "epochs"), "rate": (float, "learning_rate"), "batch": (int, "batch_size"),
    "distillation": (float, "distillation"),
}  # fmt: skip
_OF_ROUNDS: dict[str, tuple[Callable[[str], Any], str]] = {
    "rounds": (int, "rounds"), "first": (float, "first"), "bolder": (float, "bolder"),
    "alternate": (_truth, "alternate"),
}  # fmt: skip
_OTHERS: dict[str, Callable[[str], Any]] = {
    "images": int, "shift": int, "mirror": _truth,
}  # fmt: skip
_KINDS: dict[Callable[[str], Any], str] = {int: "a whole number", float: "a number"}


def finetune_options(texts: Sequence[str] | None, steps: Sequence[str], front: str | None) -> TuningRequest | None:
    """Return what `--finetune` asks for, the rest at its defaults; None if `--recover` does not name `finetune`.

    Args:
        texts: what follows each `--finetune`; None for none.
        steps: what `--recover` names.
        front: what `--front` says; several budgets cannot be fine-tuned in one run.

    Raises:
        InvalidInputError: no such step in `--recover`, `--front`, no `=`, a key twice, or a value that does not fit.
        UnknownNameError: no such option.
    """
    from axdnn.methods import TuningRequest
    from axdnn.records import InvalidInputError

    if FINETUNE not in steps:
        if texts:
            raise InvalidInputError("--finetune is for --recover with the step finetune, as in --recover bias,finetune")
        return None
    if front is not None:
        raise InvalidInputError("--recover finetune trains for one budget: leave --front out and run each by itself")
    return _request(_values(texts or ()), TuningRequest())


def _values(texts: Sequence[str]) -> dict[str, Any]:
    from axdnn.records import InvalidInputError, unknown_name

    readers = {**{key: one[0] for key, one in (_OF_TRAINING | _OF_ROUNDS).items()}, **_OTHERS}
    values = dict[str, Any]()
    for text in texts:
        key, equals, value = (part.strip() for part in text.partition("="))
        if key not in readers:
            raise unknown_name("option of --finetune", key, readers)
        if not equals:
            raise InvalidInputError(f"--finetune takes KEY=VALUE, as in --finetune epochs=3; got {text!r}")
        if key in values:
            raise InvalidInputError(f"--finetune {key} must be given once, but is given twice")
        try:
            values[key] = readers[key](value)
        except (ValueError, KeyError):
            what = _KINDS.get(readers[key], "true or false")
            raise InvalidInputError(f"--finetune {key} must be {what}, but got {value!r}") from None
    return values


def _request(values: dict[str, Any], usual: TuningRequest) -> TuningRequest:
    from dataclasses import replace

    from axdnn.records import InvalidInputError
    from axdnn.retraining import ShiftAndMirror

    training = {field: values[key] for key, (_, field) in _OF_TRAINING.items() if key in values}
    rounds = {field: values[key] for key, (_, field) in _OF_ROUNDS.items() if key in values}
    options = replace(usual.options, fine_tuning=replace(usual.options.fine_tuning, **training), **rounds)
    if values.get("images", 1) < 1:
        raise InvalidInputError(f"--finetune images must be at least 1, but got {values['images']}")
    augment = usual.augment
    if "shift" in values or "mirror" in values:
        augment = ShiftAndMirror(values.get("shift", 0), values.get("mirror", False))
    return replace(usual, options=options, images=values.get("images"), augment=augment)
