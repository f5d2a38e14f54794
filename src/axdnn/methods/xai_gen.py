"""XAI-Gen: explainable AI and an analytical accelerator model choose a multiplier for each layer of a trained network.

    data + trained network -> capture -> importance (neuron conductance) -> codings per layer and multiplier
    -> strategy proposes, bit-exact simulation judges (search split, accept split) -> test split once -> cost and report

References:
    A. Siddique, M. Khalil, K. A. Hoque, "Explainable AI-Guided Efficient Approximate DNN Generation for Multi-Pod
    Systolic Arrays", ISQED 2025.
"""

from __future__ import annotations

import contextlib
import hashlib
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch

import axdnn
from axdnn.data import Dataset, cache_root, dataset_info, load_dataset
from axdnn.evaluation import Split, digest_of
from axdnn.generation import Request, Run
from axdnn.hardware import list_accelerators, load_accelerator
from axdnn.kernels import calibrate
from axdnn.methods.fine_tuned import (
    TuningRequest,
    remove_checkpoints,
    run_with_training,
    training_split,
    usual_augmentation,
)
from axdnn.methods.run_folder import RunFolder
from axdnn.models import TrainedModel, input_text, model_identity, resolve_model
from axdnn.multipliers import load_multiplier, pinned_set
from axdnn.records import CheckpointError, GenerationResult, InvalidInputError, unknown_name
from axdnn.report import write_report

CALIBRATION_IMAGES = 256
SPLITS = ("search", "accept", "test")
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Outcome:
    """A finished run.

    Attributes:
        result: what came out. files: what was written. resumed: whether the result was there already.
    """

    result: GenerationResult
    files: tuple[Path, ...]
    resumed: bool


def xai_gen(
    model: str,
    data: str,
    request: Request,
    out: str | Path,
    *,
    weights: str | Path | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    images: Mapping[str, int] | None = None,
    cache: Path | None = None,
    training: TuningRequest | None = None,
    progress: Progress | None = None,
) -> Outcome:
    """Run XAI-Gen on a model and a known data set and write result, figures and report to a folder.

    Rerunning with the same settings resumes; a finished folder is returned as it is.

    Args:
        model: name, or code of the user's; see `axdnn.models.resolve_model`.
        data: name, see `axdnn.data.list_datasets`.
        request: budget, multipliers, accelerator, strategy, seed.
        out: output folder; gets `result.json`, `study.json`, `report.html`, `figures/`; with `training` also
            `untrained.json` and, if a trained network was accepted, `network.safetensors`.
        weights: checkpoint of the model, instead of the shipped or trained one.
        mean: of the model's input, see `axdnn.models.resolve_model`.
        std: of the model's input.
        images: split (`search`, `accept`, `test`) -> how many of its images are used; all of those not named.
        cache: folder of evaluations that several runs share, instead of one in `out`.
        training: fine-tune bolder assignments after the search (docs/retraining.md); None for none.
        progress: called with (message, done, total).

    Raises:
        UnknownNameError, InvalidInputError, DataError, CheckpointError, OutputFolderError: see the message.
        UnsupportedOperatorError: the model cannot be captured, or not be trained.
    """
    training = None if training is None else training.seeded(request.seed)
    settings = settings_of(model, data, request, weights, mean, std, images)
    settings |= {} if training is None else {"training": str(training)}
    folder, trained, dataset = opened(
        model, data, settings, out, weights=weights, mean=mean, std=std, progress=progress
    )
    finished = folder.result()
    if finished is not None:
        remove_checkpoints(folder.path)  # of a run that was killed right after its result
        return Outcome(finished, tuple(folder.drawn() or _drawn_again(finished, folder)), True)
    calibration, splits = splits_of(dataset, request.seed, images)
    train = None
    if training is not None:  # refused before the folder is made
        train = training_split(trained.model, calibration, dataset, request, training)
    with contextlib.suppress(OSError):  # a cache that cannot be written costs speed alone
        calibrate(progress)
    with folder:
        run = Run(
            trained.model, calibration, splits, request, name=trained.name, data=data,
            provenance=provenance_of(dataset, trained), cache=cache or folder.path / "cache",
            codings=cache_root() / "codings", progress=progress, checkpoint=folder.checkpoint,
        )  # fmt: skip
        if train is None or training is None:
            result = run.run()
        else:
            result = run_with_training(run, folder, train, training, training.augment or usual_augmentation(dataset))
        result = folder.finish(result)
        remove_checkpoints(folder.path)
        return Outcome(result, tuple(drawn(result, folder.path)), False)


def opened(
    model: str, data: str, settings: Mapping[str, str], out: str | Path, *, weights: str | Path | None,
    mean: Sequence[float] | None, std: Sequence[float] | None, progress: Progress | None,
) -> tuple[RunFolder, TrainedModel, Dataset]:  # fmt: skip
    """Check the folder of a run, then fetch or train what it needs.

    Raises:
        UnknownNameError, InvalidInputError, DataError, CheckpointError, OutputFolderError: see the message.
    """
    dataset_info(data)
    early = RunFolder(out, settings)  # what can be refused before anything is fetched or trained
    early.check(partial=True)
    early.result()
    trained = resolve_model(model, data, weights=weights, mean=mean, std=std, progress=progress)
    dataset = load_dataset(data, progress=progress)
    folder = RunFolder(out, {**settings, "data_sha256": dataset.sha256, "weights_digest": weights_digest(trained)})
    folder.check()
    return folder, trained, dataset


def splits_of(
    dataset: Dataset, seed: int, images: Mapping[str, int] | None = None
) -> tuple[torch.Tensor, dict[str, Split]]:
    """Return calibration images, drawn by the seed, and the splits `search`, `accept` and `test`.

    Args:
        dataset: images.
        seed: of the calibration images.
        images: split -> how many of its images, the first ones; all of the splits not named. The splits are in random
            order, the test images in their own.

    Raises:
        UnknownNameError: no such split.
        InvalidInputError: a number is not between 1 and the size of the split.
    """
    limits = dict(images or {})
    for name in limits:
        if name not in SPLITS:
            raise unknown_name("split", name, SPLITS)
    order = np.random.default_rng(seed).permutation(dataset.splits()["calibration"])[:CALIBRATION_IMAGES]
    calibration = dataset.as_float(dataset.train_images[order])
    return calibration, {name: Split(name, *dataset.tensors(name, limits.get(name))) for name in SPLITS}


def _drawn_again(result: GenerationResult, folder: RunFolder) -> list[Path]:
    with folder:
        return drawn(result, folder.path)


def drawn(result: GenerationResult, folder: Path) -> list[Path]:
    """Write report and figures of a result into its folder; return their paths."""
    return write_report(
        result, folder, multipliers=[load_multiplier(name) for name in sorted(set(result.assignment.values()))]
    )


def settings_of(
    model: str,
    data: str,
    request: Request,
    weights: str | Path | None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    images: Mapping[str, int] | None = None,
) -> dict[str, str]:
    """Return what makes a run another run, as texts; refuses what can be refused at once.

    Raises:
        InvalidInputError: multipliers that are not named by text, or have no figures.
    """
    if not isinstance(request.multipliers, str):
        raise InvalidInputError("a run folder needs multipliers named by text: a set or a comma list")
    unpriced = [m.name for m in request.candidates() if m.figures is None]
    if unpriced:
        raise InvalidInputError(
            f"multipliers must have figures (power, area, delay) to be chosen by cost, but {', '.join(unpriced)} has "
            "none; leave it out, or import it with --power-mW, --area-um2, --delay-ns and --figures-source"
        )
    asked = {field.name: str(getattr(request, field.name)) for field in fields(request)}
    return {
        **asked, "method": "xai_gen", "axdnn": axdnn.__version__, "model": model_identity(model), "data": data,
        "multipliers": pinned_set(request.multipliers),
        "weights": "" if weights is None else weights_text(Path(weights)),
        "mean": _numbers(mean), "std": _numbers(std),
        **{f"{name}_images": str((images or {}).get(name, "all")) for name in SPLITS},
        "accelerator": accelerator_text(request.accelerator),
        "max_accuracy_loss": repr(float(request.max_accuracy_loss)),
    }  # fmt: skip


def _numbers(values: Sequence[float] | None) -> str:
    return ",".join(repr(float(v)) for v in values or ())


def weights_digest(trained: TrainedModel) -> str:
    """Name a network by its weights."""
    return digest_of(*trained.model.state_dict().values())


def accelerator_text(accelerator: str) -> str:
    """Name a shipped accelerator by its name, a user's file by its name and content."""
    if accelerator in list_accelerators():
        return accelerator
    return f"{load_accelerator(accelerator).name} sha256:{hashlib.sha256(Path(accelerator).read_bytes()).hexdigest()}"


def weights_text(weights: Path) -> str:
    """Name a weights file by its content, so that a changed file is another run and a moved one is not."""
    try:
        return f"sha256:{hashlib.sha256(weights.read_bytes()).hexdigest()}"
    except OSError as error:
        raise CheckpointError(f"the weights file {weights} must be readable, but: {error.strerror or error}") from error


def provenance_of(dataset: Dataset, trained: TrainedModel) -> dict[str, str]:
    """Say where data, weights and figures are from."""
    recipe = ", ".join(f"{k}={v}" for k, v in trained.recipe.items() if isinstance(v, str | int | float))
    return {
        "axdnn": axdnn.__version__, "torch": str(torch.__version__), "numpy": np.__version__,
        "python": platform.python_version(), "machine": platform.machine(),
        "data_source": dataset.source, "data_sha256": dataset.sha256, "data_complete": str(dataset.complete),
        "weights_source": trained.source, "weights_recipe": recipe, "input": input_text(trained.mean, trained.std),
        "multiplier_library": "EvoApproxLib (V. Mrazek et al., DATE 2017), measured tables and published figures",
    }  # fmt: skip
