"""From a finished run folder, or from names, to the approximate network that an assignment describes."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from axdnn.channels import coding_bank, described, recorded_channels, recorded_importance
from axdnn.data import Dataset, cache_root, load_dataset
from axdnn.evaluation import Evaluator, RowMapping
from axdnn.hardware import load_accelerator
from axdnn.layers import ApproxModel, Recipe
from axdnn.methods.fine_tuned import trained_network
from axdnn.methods.run_folder import RESULT_FILE, RUN_FILE
from axdnn.methods.xai_gen import accelerator_text, splits_of, weights_digest, weights_text
from axdnn.models import model_identity, resolve_model
from axdnn.multipliers import load_multiplier
from axdnn.quant import capture, fold_batch_norm
from axdnn.records import Assignment, GenerationResult, InvalidInputError, RecordError, load_record

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, eq=False)
class Rebuilt:
    """An assignment with all that it takes to run it.

    Attributes:
        label: of the model.
        assignment: layer -> multiplier, and what is left out.
        evaluator: builds networks of assignments as the run did.
        dataset: that the network was calibrated on.
        limits: split -> how many images the run used, where it did not use all.
        result: of the run, or None.
        trained: file of the network that the run trained; None if the assignment alone makes the network.
    """

    label: str
    assignment: Assignment
    evaluator: Evaluator
    dataset: Dataset
    limits: dict[str, int]
    result: GenerationResult | None = None
    trained: Path | None = None

    @property
    def float_model(self) -> torch.nn.Module:
        """The trained network in float, batch norm folded."""
        return self.evaluator.bank.calibration.model

    def model(self) -> ApproxModel:
        """Return the approximate network, with its trained weights if the run trained it.

        Raises:
            CheckpointError: the file of the trained weights is missing or has changed.
        """
        training = None if self.result is None else self.result.training
        if self.trained is None or training is None:
            return self.evaluator.model(self.assignment)
        return trained_network(self.trained, training.weights_sha256, self.evaluator, self.assignment)

    def baseline(self) -> ApproxModel:
        """Return the int8 network with exact multipliers."""
        return self.evaluator.model(self.evaluator.baseline)


def rebuild(
    model: str,
    data: str,
    assignment: Assignment | str,
    *,
    weights: str | Path | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    accelerator: str = "tpu_v4",
    recipe: Recipe | None = None,
    channel_groups: int = 1,
    channel_importance: Mapping[str, Sequence[float]] | None = None,
    progress: Progress | None = None,
    expect: dict[str, str] | None = None,
) -> Rebuilt:
    """Prepare the approximate network of an assignment as a generation run does, codings from the cache where there.

    Args:
        model: name, or code of the user's; see `axdnn.models.resolve_model`.
        data: name of the data set whose calibration images are used.
        assignment: layer -> multiplier, or the name of one multiplier for every layer.
        weights: checkpoint of the model.
        mean: of the model's input.
        std: likewise.
        accelerator: whose exact rows, if it has any, multiply exactly.
        recipe: conversion switches; its seed also draws the calibration images.
        channel_groups: of each layer; the assignment then names parts, as `conv1.part0`.
        channel_importance: that puts channels in order, see `axdnn.channels.coding_bank`.
        progress: called with (message, done, total).
        expect: `data_sha256` and `weights_digest` that data and weights must have.

    Raises:
        InvalidInputError: the assignment does not name the layers of the network; other data or weights than expected.
        UnknownNameError, DataError, CheckpointError: see the message.
    """
    recipe, chip = recipe or Recipe(), load_accelerator(accelerator)
    trained = resolve_model(model, data, weights=weights, mean=mean, std=std, progress=progress)
    dataset = load_dataset(data, progress=progress)
    found = {"data_sha256": dataset.sha256, "weights_digest": weights_digest(trained)}
    for key, wanted in (expect or {}).items():
        if found[key] != wanted:
            what = f"the data {data!r} have" if key == "data_sha256" else f"the weights of {trained.name!r} have"
            raise InvalidInputError(f"{what} another content than those of the run: {key} {found[key]}, not {wanted}")
    images, _ = splits_of(dataset, recipe.seed)
    captured = fold_batch_norm(capture(trained.model, images))
    bank = coding_bank(
        captured, images, recipe, cache_root() / "codings", RowMapping.of(chip), channel_groups, channel_importance
    )
    network, exact = described(bank, trained.name), load_multiplier("exact")
    if isinstance(assignment, str):
        name = load_multiplier(assignment).name
        assignment = Assignment(multipliers=dict.fromkeys(network.layer_names, name))
    circuits = {exact.name: exact} | {name: load_multiplier(name) for name in assignment.kinds}
    evaluator = Evaluator(bank, network, circuits, exact.name, {}, chip)
    evaluator.check(assignment)
    return Rebuilt(trained.name, assignment, evaluator, dataset, {})


def load_run(
    folder: str | Path,
    *,
    weights: str | Path | None = None,
    accelerator: str | None = None,
    progress: Progress | None = None,
) -> Rebuilt:
    """Rebuild what a finished run of `axdnn generate` chose: the very same network, checked by content.

    Args:
        folder: of the run.
        weights: the run's checkpoint, if it used one: the run keeps its checksum, not its place.
        accelerator: the run's YAML file, if it used one, likewise.
        progress: called with (message, done, total).

    Raises:
        RecordError: no finished run there, or its files cannot be read.
        InvalidInputError: weights, data, accelerator or network are not those of the run.
        CheckpointError: `weights` cannot be read.
    """
    folder = Path(folder)
    settings = _settings(folder)
    result = load_record(GenerationResult, folder / RESULT_FILE)
    head, _, tail = settings["model"].rpartition(" ")
    spec = head or tail  # a user's file is followed by its checksum
    if model_identity(spec) != settings["model"]:
        raise InvalidInputError(f"the code of {spec!r} has changed since the run: {settings['model']!r} then")
    _same("weights", settings["weights"], "" if weights is None else weights_text(Path(weights)))
    groups = _groups(settings)
    chip = settings["accelerator"] if accelerator is None else accelerator
    if " sha256:" in chip:
        raise InvalidInputError(f"the run used an accelerator file of its user's ({chip}): give it with --accelerator")
    _same("accelerator", settings["accelerator"], accelerator_text(chip))
    built = rebuild(
        spec, settings["data"], result.chosen.assignment, weights=weights, accelerator=chip,
        mean=_numbers(settings["mean"]), std=_numbers(settings["std"]),
        recipe=_recipe(settings["recipe"], int(settings["seed"])), progress=progress,
        channel_groups=groups, channel_importance=recorded_importance(result.provenance) if groups > 1 else None,
        expect={key: settings[key] for key in ("data_sha256", "weights_digest")},
    )  # fmt: skip
    split = recorded_channels(built.evaluator.bank)
    if built.evaluator.network != result.network or not split.items() <= result.provenance.items():
        raise InvalidInputError(
            f"the model {spec!r} is captured as another network than in the run (axdnn {settings['axdnn']} then)"
        )
    limits = {name: int(settings[f"{name}_images"]) for name in ("search", "accept", "test")
              if settings[f"{name}_images"] != "all"}  # fmt: skip
    training = result.training
    trained = folder / training.weights_file if training is not None and training.chosen else None
    return replace(built, limits=limits, result=result, trained=trained)


def _settings(folder: Path) -> dict[str, str]:
    if not (folder / RESULT_FILE).exists():
        if (folder / RUN_FILE).exists():
            raise RecordError(f"the run in {folder} is not finished; rerun its `axdnn generate` to resume it")
        raise RecordError(f"there must be a finished run in {folder} (a {RESULT_FILE}), but there is none")
    try:
        found: Any = json.loads((folder / RUN_FILE).read_text())
        missing = [key for key in _KEYS if not isinstance(found.get(key), str)]
    except (OSError, ValueError, AttributeError) as error:
        raise RecordError(f"{folder / RUN_FILE} must hold the settings of a run, but: {error}") from error
    if missing:
        raise RecordError(f"{folder / RUN_FILE} must hold the settings of a run, but lacks {', '.join(missing)}")
    return dict(found)


_KEYS = (
    "model", "data", "weights", "mean", "std", "accelerator", "recipe", "seed", "data_sha256", "weights_digest",
    "search_images", "accept_images", "test_images", "axdnn",
)  # fmt: skip


def _same(what: str, wanted: str, got: str) -> None:
    """Check that something is what the run used."""
    if wanted != got:
        remedy = f"give it with --{what}" if wanted else f"leave --{what} out"
        raise InvalidInputError(f"the run used {wanted or f'no {what} of its own'}, but got {got or 'none'}; {remedy}")


def _recipe(text: str, seed: int) -> Recipe:
    """Read a recipe as its `str` says it; the run's seed is the recipe's, as in `generate`."""
    try:
        call = ast.parse(text, mode="eval").body
        assert isinstance(call, ast.Call)
        assert isinstance(call.func, ast.Name)
        assert call.func.id == Recipe.__name__
        switches = {str(k.arg): ast.literal_eval(k.value) for k in call.keywords}
        return Recipe(**{**switches, "seed": seed})
    except (AssertionError, SyntaxError, TypeError, ValueError) as error:
        raise RecordError(f"the run's recipe cannot be read: {text!r}") from error


def _groups(settings: Mapping[str, str]) -> int:
    """Return the channel groups of a run; runs made before there were any have one."""
    text = settings.get("channel_groups", "1")
    if not (text.isdecimal() and int(text) >= 1):
        raise RecordError(f"the run's number of channel groups cannot be read: {text!r}")
    return int(text)


def _numbers(text: str) -> tuple[float, ...] | None:
    return tuple(float(part) for part in text.split(",")) if text else None
