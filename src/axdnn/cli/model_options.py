"""What the commands share about `--model` and the options that go with a model of the user's."""

from __future__ import annotations

import re

SPEC_FORMS = "file.py:function or module:function"
MODEL_HELP = f"A known name (see `axdnn models list`), or your own: {SPEC_FORMS}."
WEIGHTS_HELP = "State dict of the model (.safetensors, .pt), instead of the shipped or trained weights."
MEAN_HELP = "Your model takes (pixels / 255 - MEAN) / STD: one number, or one a channel with commas."
STD_HELP = "See --mean; above 0."
SCORES = (  # those of `axdnn.importance.SCORES`, which help may not load
    "conductance, ablation, integrated_gradients, gradient_x_activation, deeplift, fisher, noise, learned_noise, "
    "error_path"
)
DATA_HELP = "mnist, fashion-mnist or cifar10."


def usual_data(model: str) -> str:
    """Return the data set that a model is usually trained on.

    Raises:
        InvalidInputError: it is a model of the user's.
    """
    from axdnn.records import InvalidInputError

    if ":" in model:
        raise InvalidInputError(f"--data must say which images {model!r} takes: {DATA_HELP}")
    return {"lenet5": "mnist", "cnn_small": "fashion-mnist"}.get(model, "cifar10")


def numbers(option: str, text: str | None) -> tuple[float, ...] | None:
    """Return a comma list of numbers, None for None.

    Raises:
        InvalidInputError: a part is not a number.
    """
    from axdnn.records import InvalidInputError

    if text is None:
        return None
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise InvalidInputError(f"{option} must be numbers with commas between them, but got {text!r}") from None


def file_stem(model: str) -> str:
    """Return a text for file names: the known name, or file and function of a user's model."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", model.rpartition("/")[2]).replace(".py-", "-")


def split_limits(**images: int | None) -> dict[str, int]:
    """Return split -> number of images, for those that the user limited."""
    return {name: count for name, count in images.items() if count is not None}
