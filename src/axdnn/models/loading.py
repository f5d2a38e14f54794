"""Load a network with weights: the user's, ours, cached ones, or ones trained now."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import nn

from axdnn.data import Dataset, cache_root, dataset_info, load_dataset
from axdnn.data.cache import locked
from axdnn.models.recipes import default_recipe
from axdnn.models.trained import Origin, TrainedModel
from axdnn.models.training import train
from axdnn.models.weights_file import load_weights, save_weights
from axdnn.models.zoo import build_model, require_model
from axdnn.records import CheckpointError, remove_leftovers

Progress = Callable[[str, int, int], None]
PACKAGE_WEIGHTS = Path(__file__).parent / "weights"


def load_model(
    name: str,
    data: str,
    *,
    weights: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
    allow_training: bool = True,
    seed: int = 0,
) -> TrainedModel:
    """Return a network with weights for a data set.

    Looks for weights in this order: the file `weights`; the weights that ship with axdnn; the cache
    (`axdnn.data.cache_root`); else the network is trained with its default recipe, which can take minutes, and the
    weights are cached. A training that was interrupted, even killed, goes on where it was. The shipped and cached
    weights are used only if their seed is `seed`.

    Args:
        name: one of `list_models()`.
        data: one of `axdnn.data.list_datasets()`; it fixes channels, image size and classes. The images themselves
            are needed for training only.
        weights: a safetensors file, or a torch file with a state dict.
        progress: called with (message, done, total) while training; the message says about how long it still takes.
        allow_training: whether to train when no weights are found.
        seed: seed of the training.

    Raises:
        UnknownNameError: no such model or data set.
        CheckpointError: the weights do not fit or are corrupt, or there are none and `allow_training` is False.
        DataError: the data set is needed and cannot be had, or the cache folder cannot be written.
    """
    require_model(name)
    info = dataset_info(data)
    channels, size, _ = info.image_shape
    model = build_model(name, channels, len(info.classes), size)
    if weights is not None:
        return _loaded(model, Path(weights), name, data, "file")
    shipped = PACKAGE_WEIGHTS / f"{name}-{data}.safetensors"
    if shipped.is_file():
        found = _loaded(model, shipped, name, data, "package")
        if found.recipe.get("seed") == seed:
            return found
    cached = _cached_path(name, data, seed)
    if cached.is_file():
        shutil.rmtree(cached.with_suffix(".training"), ignore_errors=True)  # of a process killed before it could
        return _loaded(model, cached, name, data, "cache")
    if not allow_training:
        raise CheckpointError(
            f"there must be weights of {name!r} for {data!r} with seed {seed}, but none ship with axdnn and "
            f"{cached} does not exist. Pass weights=FILE, or allow training"
        )
    return _train_and_cache(name, data, seed, cached, progress)


def shipped_recipes() -> tuple[dict[str, Any], ...]:
    """Return how the weights that ship with axdnn were trained: model, data, seed, settings, splits and accuracies."""
    return tuple(json.loads(path.read_text()) for path in sorted(PACKAGE_WEIGHTS.glob("*.json")))


def _cached_path(name: str, data: str, seed: int) -> Path:
    key = default_recipe(name, data).key(seed)
    return cache_root() / "models" / f"{name}-{data}-{key}.safetensors"


def _loaded(model: nn.Module, path: Path, name: str, data: str, source: Origin) -> TrainedModel:
    try:
        recipe = load_weights(model, path, name)
    except CheckpointError as error:
        if source != "cache":
            raise
        raise CheckpointError(f"{error}. Delete the file; the network is then trained again") from error
    known = recipe.get("model") == name and recipe.get("data") == data and recipe.get("test_accuracy") is not None
    return TrainedModel(
        model=model.eval(),
        name=name,
        data=data,
        source=source,
        accuracy=float(recipe["test_accuracy"]) if known else None,
        accuracy_images=int(recipe["test_images"]) if known else 0,
        recipe=recipe,
    )


def _train_and_cache(name: str, data: str, seed: int, cached: Path, progress: Progress | None) -> TrainedModel:
    dataset: Dataset = load_dataset(data, progress=progress)
    if not dataset.complete:  # a stand-in for the data makes no weights worth keeping
        return train(name, dataset, seed=seed, progress=progress)

    def waiting() -> None:
        if progress is not None:
            progress(f"waiting for another process to finish training {name} on {data}", 0, 1)

    with locked(cached, waiting):
        if cached.is_file():
            return load_model(name, data, seed=seed, allow_training=False)
        folder = cached.with_suffix(".training")
        trained = train(name, dataset, seed=seed, progress=progress, checkpoint_dir=folder)
        for file in (cached, cached.with_suffix(".json")):
            remove_leftovers(cached.parent, file.name, older_than_s=0.0)
        save_weights(trained.model, cached, trained.recipe)
        shutil.rmtree(folder, ignore_errors=True)
    return trained
