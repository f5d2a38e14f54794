"""Train to a file: resumed after any interruption, done once, never over the weights of another training."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from axdnn.models.checkpoint import CHECKPOINT, difference, load_checkpoint
from axdnn.models.plan import Plan, Progress, plan_training
from axdnn.models.trained import TrainedModel
from axdnn.models.training import train
from axdnn.models.weights_file import load_weights, save_weights, saved_recipe, write_recipe
from axdnn.models.zoo import build_model
from axdnn.records import CheckpointError, OutputFolderError, remove_leftovers

_REMEDY = "choose another --out, or replace it with --restart"


def checkpoints_of(out: str | os.PathLike[str]) -> Path:
    """Return the folder beside a weights file that holds the checkpoint while the file is trained."""
    return Path(out).with_suffix(".checkpoints")


def train_to_file(
    name: str,
    data: str,
    out: str | os.PathLike[str],
    *,
    epochs: int | None = None,
    seed: int = 0,
    images: int | None = None,
    restart: bool = False,
    progress: Progress | None = None,
) -> tuple[TrainedModel, bool]:
    """Train a network and write its weights; called again after an interruption, go on where it was.

    The weights are those of an uninterrupted training, to the last bit. The checkpoint goes when they are written.

    Args:
        name: model, see `train`.
        data: data set.
        out: a .safetensors file; its recipe goes beside it as .json.
        epochs: see `train`.
        seed: see `train`.
        images: see `train`.
        restart: train from the start, and replace what is there.
        progress: see `train`.

    Returns:
        The model, and whether `out` held it already, so that nothing was trained.

    Raises:
        OutputFolderError: `out` holds other weights, or another process is training to it.
        UnknownNameError, InvalidInputError, CheckpointError, DataError: see `train`.
    """
    out, folder = Path(out), checkpoints_of(out)
    plan = plan_training(name, data, epochs=epochs, seed=seed, images=images, progress=progress)
    begun = (folder / CHECKPOINT).exists()
    finished = None if restart else _finished(plan, out, begun)
    if finished is not None:
        _tidy(plan, folder, out)
        return finished, True
    with _alone(folder, out):
        trained = train(
            name, plan.dataset, epochs=epochs, seed=seed, images=images, checkpoint_dir=folder, resume=not restart,
            progress=progress,
        )  # fmt: skip
        for file in (out, out.with_suffix(".json")):
            remove_leftovers(out.parent, file.name, older_than_s=0.0)
        save_weights(trained.model, out, trained.recipe)
        (folder / CHECKPOINT).unlink(missing_ok=True)
    return trained, False


def _finished(plan: Plan, out: Path, begun: bool) -> TrainedModel | None:
    """Return the model that `out` holds if it is the one planned; None if there is none, or its training goes on."""
    if not out.exists():
        return None
    try:
        recipe = saved_recipe(out)
        differs = difference(_identity(recipe), plan.identity)
    except CheckpointError as error:
        if begun:
            return None
        raise OutputFolderError(f"{out} exists and is not the result of a training ({error}); {_REMEDY}") from error
    if differs:
        if begun:  # someone decided to replace the file, and was interrupted
            return None
        raise OutputFolderError(f"{out} holds other weights: {differs}; {_REMEDY}")
    channels, size, _ = plan.dataset.image_shape
    model = build_model(plan.name, channels, len(plan.dataset.classes), size)
    load_weights(model, out, plan.name)
    write_recipe(out, recipe)
    return TrainedModel(
        model=model.eval(), name=plan.name, data=plan.dataset.name, source="file", accuracy=recipe["test_accuracy"],
        accuracy_images=recipe["test_images"], recipe=recipe,
    )  # fmt: skip


def _tidy(plan: Plan, folder: Path, out: Path) -> None:
    """Remove the checkpoint of a finished training that was killed before it could; spare that of another one."""
    if not folder.exists():
        return
    with contextlib.suppress(CheckpointError, OutputFolderError), _alone(folder, out):
        if (folder / CHECKPOINT).exists():
            load_checkpoint(folder / CHECKPOINT, plan.identity)
            (folder / CHECKPOINT).unlink()


def _identity(recipe: dict[str, Any]) -> dict[str, Any]:
    """Return the part of a saved recipe that corresponds to `Plan.identity`."""
    return {**recipe, **(recipe.get("settings") or {}), "images": (recipe.get("settings") or {}).get("images")}


@contextlib.contextmanager
def _alone(folder: Path, out: Path) -> Iterator[None]:
    """Hold the lock of a folder of checkpoints; the folder goes at the end unless a checkpoint is in it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise CheckpointError(
            f"the folder {folder} must be writable for checkpoints, but: {error.strerror or error}"
        ) from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise OutputFolderError(
                f"another process is training to {out}; wait for it or choose another --out"
            ) from error
        try:
            yield
        finally:
            if not (folder / CHECKPOINT).exists():
                shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(handle)
