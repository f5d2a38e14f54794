"""One way from what a user calls a model to a network with weights: a known name, or code and weights of the user's."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from axdnn.data import dataset_info
from axdnn.models.loading import load_model
from axdnn.models.normalising import normalised, per_channel
from axdnn.models.trained import TrainedModel
from axdnn.models.user_model import FORMS, check_outputs, is_spec, label, make_model, source_digest
from axdnn.models.weights_file import load_weights
from axdnn.models.zoo import build_model, list_models
from axdnn.records import InvalidInputError, unknown_name

Progress = Callable[[str, int, int], None]


def resolve_model(
    spec: str,
    data: str,
    *,
    weights: str | os.PathLike[str] | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    progress: Progress | None = None,
    shapes_only: bool = False,
) -> TrainedModel:
    """Return the network that a text names, with weights.

    Args:
        spec: one of `list_models()`, or `file.py:function` or `module:function`: a function or class of the user's that
            is called without arguments and returns a `torch.nn.Module`. Its code runs.
        data: one of `axdnn.data.list_datasets()`; it fixes channels, image size and classes.
        weights: a safetensors file, or a torch file with a state dict (no code in it runs); for a user's model without
            it the weights are what the function made, for a known name see `load_model`.
        mean: the network was trained on `(pixels / 255 - mean) / std`; one number or one a channel, 0 if omitted. Goes
            with a user's model, or a user's weights of a known one.
        std: see `mean`; above 0, 1 if omitted.
        progress: called with (message, done, total) while a known network is trained.
        shapes_only: known networks get no weights (and no training); for cost models.

    Returns:
        A network that takes pixels / 255: the normalisation is part of it.

    Raises:
        UnknownNameError: no such model, data set or function.
        InvalidInputError: the user's code is missing or raises, what it returns is no such model, or mean or std are
            unusable.
        CheckpointError: the weights do not fit or are corrupt.
        DataError: see `load_model`.
    """
    info = dataset_info(data)
    channels, height, _ = info.image_shape
    require_model_spec(spec)
    means, stds = per_channel("mean", mean, channels), per_channel("std", std, channels)
    if not is_spec(spec):
        if (means or stds) and weights is None:
            raise InvalidInputError(f"--mean and --std go with weights of your own, but {spec!r} takes pixels / 255")
        if shapes_only and weights is None:
            model = build_model(spec, channels, len(info.classes), height).eval()
            return TrainedModel(model=model, name=spec, data=data, source="as the function made them")
        found = load_model(spec, data, weights=weights, progress=progress)
        normalised(found.model, means, stds)
        return TrainedModel(**{**vars(found), "mean": means, "std": stds})
    model = make_model(spec)
    recipe = {} if weights is None else load_weights(model, weights, label(spec))
    normalised(model, means, stds)
    check_outputs(spec, model, info.image_shape, len(info.classes))
    return TrainedModel(
        model=model, name=label(spec), data=data, source="as the function made them" if weights is None else "file",
        recipe=recipe, mean=means, std=stds,
    )  # fmt: skip


def require_model_spec(spec: str) -> str:
    """Return `spec` if it is a known name or has the form of a user's model whose file or module exists.

    Raises:
        UnknownNameError: it is neither.
        InvalidInputError: it has the form, but the file or module does not exist.
    """
    model_identity(spec)
    return spec


def model_identity(spec: str) -> str:
    """Return a text that is another one when the model is: the name, or the spec and the content of its file.

    Raises:
        UnknownNameError, InvalidInputError: see `require_model_spec`.
    """
    if not is_spec(spec):
        if spec not in list_models():
            raise unknown_name("model", spec, list_models(), f"`axdnn models list` prints all; your own: {FORMS}")
        return spec
    return f"{spec} {source_digest(spec)}".strip()


def model_label(spec: str) -> str:
    """Return a short name of a model for tables and file names."""
    return label(spec) if is_spec(spec) else spec
