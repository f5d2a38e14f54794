"""Train a network on split `fit`: the same seed gives the same weights, also across interruptions at any moment."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

from axdnn.data import Dataset
from axdnn.models.batches import Batches
from axdnn.models.checkpoint import CHECKPOINT, load_checkpoint, save_checkpoint
from axdnn.models.machine import one_thread, processor
from axdnn.models.plan import Plan, Progress, plan_training
from axdnn.models.recipes import Recipe
from axdnn.models.trained import TrainedModel, measure_accuracy
from axdnn.models.zoo import build_model
from axdnn.records import InvalidInputError, remove_leftovers

REPORT_EVERY = 25
CHECKPOINT_EVERY_S = 60.0


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
    checkpoint_every_s: float = CHECKPOINT_EVERY_S,
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
        checkpoint_dir: folder for a checkpoint after every epoch, and within long ones; None for none. No other
            process may write there.
        resume: go on from the checkpoint in that folder, if there is one; False starts anew and replaces it.
        progress: called with (message, steps done, steps in all) at the start, every 25 steps (the message says about
            how long it still takes) and after each epoch.
        final_test: measure the accuracy on the test split at the end.
        checkpoint_every_s: within an epoch, write a checkpoint after so many seconds; 0 for after every step.

    Returns:
        The trained model; `recipe` holds the settings, seed, splits and accuracies.

    Raises:
        UnknownNameError: no such model or data set.
        InvalidInputError: a setting is out of range, or the training diverged.
        CheckpointError: the checkpoint is corrupt, was made by another run, or cannot be written.
        DataError: the data set cannot be had.
    """
    plan = plan_training(name, data, epochs=epochs, seed=seed, images=images, recipe=recipe, progress=progress)
    with one_thread():
        run = _Run(plan)
        path = Path(checkpoint_dir) / CHECKPOINT if checkpoint_dir is not None else None
        if path is not None:
            remove_leftovers(path.parent, path.name, older_than_s=0.0)
            if resume and path.exists():
                run.restore(path)
        run.train(path, checkpoint_every_s, progress)
        return run.result(final_test)


class _Run:
    """The state of one training run."""

    def __init__(self, plan: Plan) -> None:
        name, dataset, recipe, seed = plan.name, plan.dataset, plan.recipe, plan.seed
        self.plan, self.name, self.dataset, self.recipe, self.seed = plan, name, dataset, recipe, seed
        fit = dataset.splits()["fit"][: recipe.images]
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
        self.label = f"training {name} on {dataset.name}"
        self.epoch, self.step, self.loss = 0, 0, 0.0  # finished epochs; steps and summed loss of the one begun
        self.epoch_start = self.generator.get_state()

    @property
    def done(self) -> int:
        """Steps done."""
        return self.epoch * len(self.batches) + self.step

    def train(self, path: Path | None, every_s: float, progress: Progress | None) -> None:
        """Train to the end, with a checkpoint at `path` after every epoch and every so many seconds."""
        self.began, self.found, saved = time.monotonic(), self.done, time.monotonic()
        show = progress or (lambda message, done, total: None)
        before = f", {self.done:,} done before" if self.done else ""
        show(f"{self.label}: {self.steps:,} steps{before}", self.done, self.steps)
        while self.epoch < self.recipe.epochs:
            for images, labels in self._rest_of_epoch():
                self.loss += self._step(images, labels) * len(labels)
                self.step += 1
                if self.done % REPORT_EVERY == 0:
                    left = f"{self.label}, {self._left()}, epoch {self.epoch + 1} of {self.recipe.epochs}"
                    show(left, self.done, self.steps)
                if path is not None and time.monotonic() - saved >= every_s and self.step < len(self.batches):
                    self.save(path)
                    saved = time.monotonic()
            loss = self._end_epoch()
            if path is not None:
                self.save(path)
                saved = time.monotonic()
            show(f"{self.label}, epoch {self.epoch} of {self.recipe.epochs}: loss {loss:.4f}", self.done, self.steps)

    def _rest_of_epoch(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield the batches of the epoch that are not done; an epoch begun earlier keeps its order."""
        self.model.train()
        now = self.generator.get_state()
        if self.step == 0:
            self.epoch_start = now
        self.generator.set_state(self.epoch_start)
        order = self.batches.order()
        if self.step:
            self.generator.set_state(now)
        return self.batches.epoch(order, self.step)

    def _end_epoch(self) -> float:
        loss = self.loss / self.images
        if not math.isfinite(loss):
            raise InvalidInputError(
                f"the loss must stay finite, but it became {loss} in epoch {self.epoch + 1} of {self.label}; "
                f"lower learning_rate (it was {self.recipe.learning_rate:g})"
            )
        self.epoch, self.step, self.loss = self.epoch + 1, 0, 0.0
        return loss

    def _left(self) -> str:
        """Say how long the rest takes at the pace of this session."""
        pace_s = (time.monotonic() - self.began) / (self.done - self.found)
        minutes = pace_s * (self.steps - self.done) / 60.0
        return f"about {minutes:,.0f} min left" if minutes >= 1 else "under 1 min left"

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

    def save(self, path: Path) -> None:
        """Write the checkpoint, whole or not at all."""
        state = {
            "epoch": self.epoch,
            "step": self.step,
            "loss": self.loss,
            "weights": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "generator": self.generator.get_state(),
            "epoch_start": self.epoch_start,
        }
        save_checkpoint(path, self.plan.identity, state)

    def restore(self, path: Path) -> None:
        """Go on from a checkpoint."""
        state = load_checkpoint(path, self.plan.identity)
        self.model.load_state_dict(state["weights"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.generator.set_state(state["generator"])
        self.epoch, self.step, self.loss = int(state["epoch"]), int(state.get("step", 0)), float(state.get("loss", 0.0))
        self.epoch_start = state.get("epoch_start", state["generator"])

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
