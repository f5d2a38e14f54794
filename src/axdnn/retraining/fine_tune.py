"""The loop that fine-tunes a trainable approximate network; killed at any time, it goes on from its checkpoint."""

from __future__ import annotations

import io
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch import nn
from torch.nn import functional

from axdnn.records import CheckpointError, InvalidInputError, write_atomic
from axdnn.retraining.model import TrainableModel

Optimizer = Literal["adam", "sgd"]
Progress = Callable[[str, int, int], None]
Augment = Callable[[torch.Tensor, torch.Generator], torch.Tensor]
SAVE_EVERY_S = 60.0
REPORT_EVERY = 20


class DivergedError(InvalidInputError):
    """The loss of a training did not stay finite."""


@dataclass(frozen=True, kw_only=True)
class FineTuning:
    """Settings of a fine-tuning.

    Attributes:
        epochs: passes over the images.
        batch_size: images a step; the last batch of an epoch may be smaller.
        learning_rate: of weights and biases at the start; a cosine takes it to 0.
        scale_rate: of the logarithms of gains and scales, always by Adam.
        optimizer: of weights and biases: `adam`, or `sgd` with momentum 0.9.
        weight_decay: of the weights, decoupled for `adam`.
        distillation: weight of the teacher's term, 0..1; the labels' term has the rest.
        temperature: both logits are divided by it in the teacher's term (G. Hinton et al., 2015).
        seed: of the order of the images and of augmentation.
    """

    epochs: int = 1
    batch_size: int = 64
    learning_rate: float = 1e-3
    scale_rate: float = 1e-3
    optimizer: Optimizer = "adam"
    weight_decay: float = 0.0
    distillation: float = 0.0
    temperature: float = 4.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Check every value."""
        if self.optimizer not in get_args(Optimizer):
            raise InvalidInputError(f"`optimizer` must be adam or sgd, but got {self.optimizer!r}")
        for name in ("epochs", "batch_size", "temperature"):
            if getattr(self, name) <= 0:
                raise InvalidInputError(f"{name} > 0 must hold, but got {name}={getattr(self, name)}")
        for name in ("learning_rate", "scale_rate", "weight_decay"):
            if getattr(self, name) < 0:
                raise InvalidInputError(f"{name} >= 0 must hold, but got {name}={getattr(self, name)}")
        if not 0 <= self.distillation <= 1:
            raise InvalidInputError(f"0 <= distillation <= 1 must hold, but got {self.distillation}")


def fine_tune(
    model: TrainableModel,
    images: torch.Tensor,
    labels: torch.Tensor,
    settings: FineTuning | None = None,
    *,
    teacher: nn.Module | None = None,
    augment: Augment | None = None,
    checkpoint: Path | None = None,
    progress: Progress | None = None,
) -> list[float]:
    """Train in place; `model.finish()` is the integer network.

    Args:
        model: of `trainable`.
        images: `(n, ...)`, float, or uint8 which is divided by 255 batch by batch.
        labels: int64 `(n,)`.
        settings: see `FineTuning`.
        teacher: the float network, needed for `distillation`.
        augment: gets a float batch and a generator, returns a batch of the same shape.
        checkpoint: file written whole after every epoch and about every minute; a run that finds one of the same
            settings goes on from it, to the same result as without a break. Deleted by you, not by this.
        progress: called with a message, steps done and steps in all.

    Returns:
        Mean loss of each epoch.

    Raises:
        InvalidInputError: no images, not a label an image, a missing teacher, a network of several inputs or results.
        DivergedError: a loss that is not finite.
        CheckpointError: the checkpoint is of another run, or cannot be read.
    """
    settings = settings or FineTuning()
    if len(images) == 0 or len(images) != len(labels):
        raise InvalidInputError(f"there must be images and a label for each, got {len(images)} and {len(labels)}")
    if settings.distillation and teacher is None:
        raise InvalidInputError(f"distillation={settings.distillation} needs `teacher`, the float network")
    counts = len(model.graph.input_shapes), len(model.graph.outputs)
    if counts != (1, 1):
        raise InvalidInputError(
            f"fine_tune trains classifiers of one input and one result, but the network has {counts[0]} inputs and "
            f"{counts[1]} results; train it with a loop of your own"
        )
    run = _Run(model, images, labels, settings, teacher, augment)
    if checkpoint is not None and checkpoint.exists():
        run.restore(checkpoint)
    return run.train(checkpoint, progress or (lambda message, done, total: None))


class _Run:
    def __init__(
        self, model: TrainableModel, images: torch.Tensor, labels: torch.Tensor, settings: FineTuning,
        teacher: nn.Module | None, augment: Augment | None,
    ) -> None:  # fmt: skip
        self.model, self.images, self.labels, self.settings = model, images, labels, settings
        self.teacher, self.augment = None if teacher is None else teacher.eval(), augment
        scales = list(model.scale_parameters())
        apart = {id(p) for p in scales}
        weights = [p for p in model.parameters() if id(p) not in apart]
        decay: list[dict[str, Any]] = [
            {"params": [p for p in weights if p.dim() > 1], "weight_decay": settings.weight_decay},
            {"params": [p for p in weights if p.dim() <= 1], "weight_decay": 0.0},
        ]
        if settings.optimizer == "adam":
            main: torch.optim.Optimizer = torch.optim.AdamW(decay, settings.learning_rate)
        else:
            main = torch.optim.SGD(decay, settings.learning_rate, momentum=0.9, nesterov=True)
        self.optimizers = [main, torch.optim.Adam(scales, settings.scale_rate)]
        self.rates = [settings.learning_rate, settings.scale_rate]
        self.in_epoch = -(-len(images) // settings.batch_size)
        self.steps = settings.epochs * self.in_epoch
        self.step, self.loss = 0, 0.0  # steps done; summed loss of the epoch begun
        self.losses: list[float] = []

    def train(self, checkpoint: Path | None, progress: Progress) -> list[float]:
        self.model.train()
        saved = time.monotonic()
        while self.step < self.steps:
            epoch, place = divmod(self.step, self.in_epoch)
            index = self._order(epoch).split(self.settings.batch_size)[place]
            self.loss += self._update(index) * len(index)
            self.step += 1
            if place + 1 == self.in_epoch:
                self._end_epoch()
            if self.step % REPORT_EVERY == 0 or place + 1 == self.in_epoch:
                told = f", loss {self.losses[-1]:.4f}" if self.losses else ""
                progress(f"fine-tuning, epoch {epoch + 1} of {self.settings.epochs}{told}", self.step, self.steps)
            due = place + 1 == self.in_epoch or time.monotonic() - saved >= SAVE_EVERY_S
            if checkpoint is not None and due:
                self.save(checkpoint)
                saved = time.monotonic()
        self.model.eval()
        return self.losses

    def _generator(self, stream: int, number: int) -> torch.Generator:
        """Return a generator of its own for each epoch and step, so that going on needs no state."""
        return torch.Generator().manual_seed((self.settings.seed * 2 + stream) * 1_000_003 + number)

    def _order(self, epoch: int) -> torch.Tensor:
        return torch.randperm(len(self.images), generator=self._generator(0, epoch))

    def _end_epoch(self) -> None:
        loss = self.loss / len(self.images)
        if not math.isfinite(loss):
            raise DivergedError(
                f"the loss must stay finite, but it became {loss} in epoch {len(self.losses) + 1}; lower "
                f"learning_rate (it was {self.settings.learning_rate:g})"
            )
        self.losses.append(loss)
        self.loss = 0.0

    def _update(self, index: torch.Tensor) -> float:
        images = self.images[index]
        images = images.float() / 255.0 if images.dtype == torch.uint8 else images
        if self.augment is not None:
            images = self.augment(images, self._generator(1, self.step))
        share = (1.0 + math.cos(math.pi * self.step / self.steps)) / 2.0
        for optimizer, rate in zip(self.optimizers, self.rates, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = rate * share
            optimizer.zero_grad(set_to_none=True)
        loss = self._loss(images, self.labels[index])
        loss.backward()  # type: ignore[no-untyped-call]
        for optimizer in self.optimizers:
            optimizer.step()
        return float(loss.detach())

    def _loss(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        s, logits = self.settings, self.model(images)
        loss = functional.cross_entropy(logits, labels)
        if self.teacher is None or not s.distillation:
            return loss
        with torch.no_grad():
            wanted = functional.log_softmax(self.teacher(images) / s.temperature, dim=1)
        got = functional.log_softmax(logits / s.temperature, dim=1)
        apart = functional.kl_div(got, wanted, reduction="batchmean", log_target=True) * s.temperature**2
        return (1.0 - s.distillation) * loss + s.distillation * apart

    @property
    def identity(self) -> dict[str, Any]:
        """What a run must have in common with a checkpoint to go on from it."""
        assignment = {name: self.model.layer(name).multiplier.id for name in self.model.layer_names}
        return {**asdict(self.settings), "images": len(self.images), "multipliers": assignment,
                "gradient": str(self.model.rule)}  # fmt: skip

    def save(self, path: Path) -> None:
        buffer = io.BytesIO()
        state = {"identity": self.identity, "step": self.step, "loss": self.loss, "losses": self.losses,
                 "model": self.model.state_dict(), "optimizers": [o.state_dict() for o in self.optimizers]}  # fmt: skip
        torch.save(state, buffer)
        write_atomic(path, buffer.getvalue())

    def restore(self, path: Path) -> None:
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
            found = state["identity"]
        except Exception as error:  # torch raises many kinds for a damaged file
            reason = " ".join(str(error).split())[:300]
            raise CheckpointError(f"the checkpoint {path} cannot be read: {reason}. Delete it to start anew") from error
        differs = [f"{k} {found.get(k)!r} (now {v!r})" for k, v in self.identity.items() if found.get(k) != v]
        if differs:
            raise CheckpointError(
                f"the checkpoint {path} is of another run: {', '.join(differs)}. Delete it to start anew"
            )
        self.model.load_state_dict(state["model"])
        for optimizer, kept in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(kept)
        self.step, self.loss, self.losses = state["step"], state["loss"], list(state["losses"])
