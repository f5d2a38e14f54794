"""Fine-tuning as the last step of a run: what is asked, the trained network in the run's folder, and back from it."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import nn

from axdnn.data import Dataset
from axdnn.evaluation import Evaluator, Split
from axdnn.generation import Request, Run, TuningOptions, require_tunable, tune, with_training
from axdnn.layers import ApproxModel, coded
from axdnn.methods.run_folder import RunFolder
from axdnn.quant import capture, fold_batch_norm
from axdnn.records import Assignment, CheckpointError, GenerationResult, save_record, write_atomic
from axdnn.retraining import FineTuning, ShiftAndMirror, network_bytes, read_network

UNTRAINED_FILE, NETWORK_FILE, CHECKPOINTS = "untrained.json", "network.safetensors", "checkpoints"
# Shift and mirroring of training images: those that the shipped networks are trained with.
COLOUR, GREY = ShiftAndMirror(4, mirror=True), ShiftAndMirror(1)


@dataclass(frozen=True, kw_only=True)
class TuningRequest:
    """What fine-tuning a run is asked for.

    Attributes:
        options: rounds, predicted losses and settings; their seed is the run's.
        images: of split `fit`, the first ones; None for all.
        augment: of the training images; None for what is usual for the data.
    """

    options: TuningOptions = field(
        default_factory=lambda: TuningOptions(
            rounds=3, first=1.3, fine_tuning=FineTuning(epochs=3, batch_size=128, distillation=0.5)
        )
    )
    images: int | None = None
    augment: ShiftAndMirror | None = None

    def seeded(self, seed: int) -> TuningRequest:
        """Return the request with the seed of a run."""
        settings = replace(self.options.fine_tuning, seed=seed)
        return replace(self, options=replace(self.options, fine_tuning=settings))


def usual_augmentation(dataset: Dataset) -> ShiftAndMirror:
    """Return how training images are moved and mirrored unless the user says otherwise; digits have no mirror image."""
    return COLOUR if dataset.image_shape[0] == 3 else GREY


def training_split(
    model: nn.Module, calibration: torch.Tensor, dataset: Dataset, request: Request, asked: TuningRequest
) -> Split:
    """Return the images to train on, once it is clear that the network can be trained; nothing is written before.

    Raises:
        UnsupportedOperatorError: an operator that cannot be trained through.
        InvalidInputError: more images than there are; an accelerator with exact rows; neurons to skip.
    """
    require_tunable(fold_batch_norm(capture(model, calibration[:2])), request)
    return Split("fit", *dataset.tensors("fit", asked.images))


def run_with_training(
    run: Run, folder: RunFolder, train: Split, asked: TuningRequest, augment: ShiftAndMirror
) -> GenerationResult:
    """Search without training, then train; return the result, of the trained network if one was accepted.

    The folder gets `untrained.json` as soon as the search is over, checkpoints while networks are trained, and the
    trained network as `network.safetensors`.

    Args:
        run: fitted, not searched.
        folder: of the run, entered.
        train: images and labels to train on.
        asked: rounds and settings.
        augment: of the training images.
    """
    judge = run.search()
    untrained = run.result(judge)
    if not (folder.path / UNTRAINED_FILE).exists():
        save_record(folder.path / UNTRAINED_FILE, folder.timed(untrained))
    checkpoints = folder.path / CHECKPOINTS
    tuned = tune(run, train, asked.options, judge=judge, augment=augment, checkpoints=checkpoints)
    digest = ""
    if tuned.chosen is not None:
        content = network_bytes(tuned.model)
        digest = hashlib.sha256(content).hexdigest()
        write_atomic(folder.path / NETWORK_FILE, content)
    return with_training(untrained, tuned, run, asked.options, len(train), NETWORK_FILE, digest)


def trained_network(file: Path, sha256: str, evaluator: Evaluator, assignment: Assignment) -> ApproxModel:
    """Return the trained network of a run, bit for bit.

    Args:
        file: in its folder.
        sha256: checksum that its result names.
        evaluator: of the same model.
        assignment: that the network was trained with.

    Raises:
        CheckpointError: the file is missing, damaged, or another one than the run's.
    """
    try:
        found = hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError as error:
        raise CheckpointError(f"the trained network {file} cannot be read: {error.strerror or error}") from error
    if found != sha256:
        raise CheckpointError(f"the trained network {file} has changed since the run: sha256 {found}, not {sha256}")
    wired = {
        layer: coded(evaluator.multipliers[name], evaluator.bank.recipe)
        for layer, name in assignment.multipliers.items()
    }
    return read_network(file, evaluator.bank.calibration.model, evaluator.network, wired)


def remove_checkpoints(folder: Path) -> None:
    """Remove the checkpoints of a finished run."""
    shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)
