"""Train a network on split `fit`: the same seed gives the same weights, also across an interruption."""

from __future__ import annotations

import dataclasses
import io
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

from axdnn.data import Dataset, load_dataset
from axdnn.models.batches import Batches
from axdnn.models.machine import one_thread, processor
from axdnn.models.recipes import Recipe, default_recipe
from axdnn.models.trained import TrainedModel, measure_accuracy
from axdnn.models.zoo import build_model, require_model
from axdnn.records import CheckpointError, InvalidInputError, write_atomic

Progress = Callable[[str, int, int], None]
CHECKPOINT = "checkpoint.pt"
REPORT_EVERY = 25


def train(
    name: str,
    data: str | Dataset,
    *,
    epochs: int | None = None,
    seed: int = 0,
    images: int | None = None,
    recipe: Recipe | None = None,
    checkpoint_dir: str | os.PathLike[str] | None = None,
    resume: bool = True,
    progress: Progress | None = None,
    final_test: bool = True,
) -> TrainedModel:
    """Train a network with SGD, Nesterov momentum and a one-cycle schedule, on one thread of the CPU.

    The weights see split `fit` only. All choices (initial weights, order, augmentation) come from one generator
    seeded with `seed`; torch's global generator has no influence. Two runs on one machine with one torch version
    give equal weights to the last bit.

    Args:
        name: one of `list_models()`.
        data: a data set or its name.
        epochs: replaces the recipe's.
        seed: 0..2**63-1.
        images: replaces the recipe's: train on the first so many images of split `fit`.
        recipe: settings; None for `default_recipe(name, data)`.
        checkpoint_dir: folder for a checkpoint after every epoch; None for none.
        resume: go on from the checkpoint in that folder, if there is one; False starts anew and replaces it.
        progress: called with (message, steps done, steps in all), every 25 steps and after each epoch.
        final_test: measure the accuracy on the test split at the end.

    Returns:
        The trained model; `recipe` holds the settings, seed, splits and accuracies.

    Raises:
        UnknownNameError: no such model or data set.
        InvalidInputError: a setting is out of range, or the training diverged.
        CheckpointError: the checkpoint is corrupt, was made by another run, or cannot be written.
        DataError: the data set cannot be had.
    """
    require_model(name)
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**63:
        raise InvalidInputError(f"0 <= seed < 2**63 must hold (an integer), but got seed={seed!r}")
    recipe = recipe or default_recipe(name, data if isinstance(data, str) else data.name)
    recipe = dataclasses.replace(
        recipe,
        epochs=recipe.epochs if epochs is None else epochs,
        images=recipe.images if images is None else images,
    )
    dataset = load_dataset(data, progress=progress) if isinstance(data, str) else data
    with one_thread():
        run = _Run(name, dataset, recipe, seed)
        path = Path(checkpoint_dir) / CHECKPOINT if checkpoint_dir is not None else None
        if path is not None and resume and path.exists():
            run.restore(path)
        while run.epoch < recipe.epochs:
            run.train_epoch(progress)
            if path is not None:
                run.save(path)
        return run.result(final_test)


class _Run:
    """The state of one training run."""

    def __init__(self, name: str, dataset: Dataset, recipe: Recipe, seed: int) -> None:
        self.name, self.dataset, self.recipe, self.seed = name, dataset, recipe, seed
        fit = dataset.splits()["fit"]
        if recipe.images is not None and recipe.images > len(fit):
            raise InvalidInputError(
                f"images <= {len(fit)} (split fit of {dataset.name}) must hold, but got images={recipe.images}"
            )
        fit = fit[: recipe.images]
        self.images = len(fit)
        self.generator = torch.Generator().manual_seed(seed)
        channels, size, _ = dataset.image_shape
        self.model = build_model(name, channels, len(dataset.classes), size, generator=self.generator)
        self.layout = torch.channels_last if recipe.bf16 else torch.contiguous_format
        self.model.to(memory_format=self.layout)
        images, labels = torch.tensor(dataset.train_images[fit]), torch.tensor(dataset.train_labels[fit])
        self.batches = Batches(images, labels, recipe.batch_size, recipe.shift, recipe.flip, self.generator)
        self.steps = recipe.epochs * len(self.batches)
        self.optimizer = torch.optim.SGD(
            self.model.parameters(),
            lr=recipe.learning_rate,
            momentum=recipe.momentum,
            weight_decay=recipe.weight_decay,
            nesterov=True,
        )
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer,
            max_lr=recipe.learning_rate,
            total_steps=self.steps + 1,
            pct_start=recipe.warmup,
            cycle_momentum=False,
        )
        self.epoch = 0

    def train_epoch(self, progress: Progress | None) -> None:
        """Train on every image once."""
        self.model.train()
        label, done = f"training {self.name} on {self.dataset.name}", self.epoch * len(self.batches)
        total_loss = 0.0
        for images, labels in self.batches.epoch():
            total_loss += self._step(images, labels) * len(labels)
            done += 1
            if progress is not None and done % REPORT_EVERY == 0:
                progress(f"{label}, epoch {self.epoch + 1} of {self.recipe.epochs}", done, self.steps)
        loss = total_loss / self.images
        if not math.isfinite(loss):
            raise InvalidInputError(
                f"the loss must stay finite, but it became {loss} in epoch {self.epoch + 1} of {label}; "
                f"lower learning_rate (it was {self.recipe.learning_rate:g})"
            )
        self.epoch += 1
        if progress is not None:
            progress(f"{label}, epoch {self.epoch} of {self.recipe.epochs}: loss {loss:.4f}", done, self.steps)

    def _step(self, images: torch.Tensor, labels: torch.Tensor) -> float:
        images = images.contiguous(memory_format=self.layout)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.recipe.bf16):
            logits = self.model(images)
        loss = F.cross_entropy(logits.float(), labels)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        self.schedule.step()
        return float(loss.detach())

    def identity(self) -> dict[str, Any]:
        """What a checkpoint must have in common with the run that resumes it."""
        return {
            "model": self.name,
            "data": self.dataset.name,
            "data_sha256": self.dataset.sha256,
            "seed": self.seed,
            **self.recipe.as_dict(),
        }

    def save(self, path: Path) -> None:
        """Write the checkpoint, whole or not at all."""
        buffer = io.BytesIO()
        state = {
            "identity": self.identity(),
            "epoch": self.epoch,
            "weights": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "generator": self.generator.get_state(),
        }
        torch.save(state, buffer)
        try:
            write_atomic(path, buffer.getvalue())
        except OSError as error:
            raise CheckpointError(
                f"the folder {path.parent} must be writable for checkpoints, but: {error.strerror or error}"
            ) from error

    def restore(self, path: Path) -> None:
        """Go on from a checkpoint."""
        remedy = "Delete it, or pass resume=False"
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
            identity, epoch = dict(state["identity"]), int(state["epoch"])
        except Exception as error:  # torch raises many kinds for a damaged file
            reason = " ".join(str(error).split())[:300]
            raise CheckpointError(f"the training checkpoint {path} cannot be read: {reason}. {remedy}") from error
        mine = self.identity()
        if identity != mine:
            differs = [
                f"{key} {identity.get(key)!r} (now {mine[key]!r})" for key in mine if identity.get(key) != mine[key]
            ]
            raise CheckpointError(f"the training checkpoint {path} is of another run: {', '.join(differs)}. {remedy}")
        self.model.load_state_dict(state["weights"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.generator.set_state(state["generator"])
        self.epoch = epoch

    def result(self, final_test: bool) -> TrainedModel:
        """Measure and wrap the model."""
        model = self.model.to(memory_format=torch.contiguous_format).eval()
        search = self.dataset.splits()["search"]
        held_out = self._accuracy(self.dataset.train_images[search], self.dataset.train_labels[search])
        tested = len(self.dataset.test_images) if final_test else 0
        accuracy = self._accuracy(self.dataset.test_images, self.dataset.test_labels) if final_test else None
        record = {
            "model": self.name,
            "data": self.dataset.name,
            "data_sha256": self.dataset.sha256,
            "seed": self.seed,
            "settings": self.recipe.as_dict(),
            "split": "fit",
            "images": self.images,
            "held_out_split": "search",
            "held_out_images": len(search),
            "held_out_accuracy": held_out,
            "test_images": tested,
            "test_accuracy": accuracy,
            "torch": str(torch.__version__),
            "processor": processor(),
        }
        return TrainedModel(
            model=model,
            name=self.name,
            data=self.dataset.name,
            source="trained now",
            accuracy=accuracy,
            accuracy_images=tested,
            recipe=record,
        )

    def _accuracy(self, images: Any, labels: Any) -> float:
        return measure_accuracy(self.model, torch.tensor(images), torch.tensor(labels))
