"""What a search found, as a `SearchResult`: networks of the front with all figures, files to run them from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from axdnn.evaluation import Split
from axdnn.methods.searched import result_of
from axdnn.methods.xai_gen import provenance_of
from axdnn.methods.xai_nas.asked import XaiNasRequest
from axdnn.methods.xai_nas.ground import SKIP, Ground, Judged
from axdnn.methods.xai_nas.plan import Plan
from axdnn.records import (
    Assignment,
    ChosenLayer,
    FrontMember,
    Layer,
    Rival,
    SearchHistory,
    SearchResult,
    SearchTrial,
    save_record,
)

METHOD = "xai-nas"


def found(
    history: SearchHistory, plan: Plan, ground: Ground, request: XaiNasRequest, folder: Path, show: Any = None
) -> SearchResult:
    """Put together what came out; the test images are used here and nowhere else.

    Args:
        history: of the search.
        plan: it began with.
        ground: network, images, prices.
        request: what was asked.
        folder: gets `front/NN.json`, an `Assignment` for each member of the front.
        show: called with (message, done, total).
    """
    judged = Judged(ground, plan.least)
    trials, names = history.front_trials, {o.name for o in history.objectives}
    final = final_members(trials, request)
    test = Split("test", *ground.dataset.tensors("test", request.test_images)) if final else None
    members = []
    for i, trial in enumerate(trials):
        assignment = judged.assignment(trial.candidate)
        place = f"front/{i:02d}.json"
        (folder / "front").mkdir(exist_ok=True)
        save_record(folder / place, with_pods(ground, assignment))
        figures = {name: value for name, value in trial.values.items() if name not in names}
        figures["search_accuracy"] = _exact_accuracy(ground) - trial.values["loss"]
        if trial.number in final and test is not None:
            if show is not None:
                show(f"{len(test)} test images: front members", final.index(trial.number), len(final))
            accuracy = ground.evaluator.accuracy(assignment, test)
            figures |= {"test_accuracy": accuracy.accuracy, "test_loss": accuracy.loss}
        members.append(
            FrontMember(
                objectives={o.name: trial.values[o.name] for o in history.objectives}, candidate=trial.candidate,
                trial=trial.number, figures=figures, layers=chosen_layers(ground, plan, assignment, trial), file=place,
            )
        )  # fmt: skip
    for stale in set((folder / "front").glob("*.json")) - {folder / member.file for member in members}:
        stale.unlink()  # of a smaller budget
    spent = sum(plan.images.values()) + evaluated_images(history)
    return result_of(
        history, METHOD, model=ground.trained.name, data=ground.subject.data,
        accelerator=ground.evaluator.accelerator.name, space_size=plan.space_size, front=tuple(members),
        rivals=(Rival(name="exact", points=(exact_point(ground, request),)),), scores=plan.scores,
        images=_images(ground, plan, request, test), network_images=spent + (len(final) + 1) * len(test or ()),
        provenance=provenance_of(ground.dataset, ground.trained), settings=_settings(request),
    )  # fmt: skip


def final_members(trials: tuple[SearchTrial, ...], request: XaiNasRequest) -> list[int]:
    """Return the numbers of the members that get final figures: evenly spread over those within the loss."""
    within = [t.number for t in trials if t.values["loss"] <= request.final_loss]
    most = min(request.final_members, len(within))
    places = sorted(set(np.linspace(0, len(within) - 1, most).round().astype(int).tolist()))
    return [within[i] for i in places]


def evaluated_images(history: SearchHistory) -> int:
    """Return the images that evaluations of a search sent through networks, calibration included."""
    return sum(int(trial.notes.get("images", 0)) for trial in history.trials if trial.evaluated)


def exact_point(ground: Ground, request: XaiNasRequest) -> dict[str, float]:
    """Return the objectives of the exact network."""
    cost = ground.evaluator.cost(ground.evaluator.baseline)
    return {"loss": 0.0, request.energy_name: getattr(cost, request.energy_name)}


def _baseline_images(ground: Ground) -> int:
    return len(ground.search) + ground.calibration_images


def _exact_accuracy(ground: Ground) -> float:
    return float(ground.evaluator.correct(ground.evaluator.baseline, ground.search).mean())


def _images(ground: Ground, plan: Plan, request: XaiNasRequest, test: Split | None) -> dict[str, int]:
    counts = {"calibration": len(ground.evaluator.bank.calibration.images), "search": len(ground.search)}
    few = min(request.score_images, len(ground.search))
    counts |= {"importance of layers": few} if plan.scores else {}
    counts |= {"importance of neurons": few} if plan.shares else {}
    if plan.scores and request.sensitivity.points:
        counts["single layers"] = min(request.sensitivity.images, len(ground.search))
    return counts | ({"test": len(test)} if test is not None else {})


def _settings(request: XaiNasRequest) -> dict[str, str]:
    return {name: str(getattr(request, name)) for name in request.__dataclass_fields__}


def chosen_layers(
    ground: Ground, plan: Plan, assignment: Assignment, trial: SearchTrial
) -> tuple[ChosenLayer, ...]:  # fmt: skip
    """Return the layers of a network with what was chosen for each."""
    cost = ground.evaluator.cost(assignment)
    energy = {layer.layer: layer.total_energy_j for layer in cost.layers}
    raw = plan.scores[0].values if plan.scores else {}
    mean = sum(max(value, 0.0) for value in raw.values()) / max(len(raw), 1)
    return tuple(
        ChosenLayer(
            name=layer.name, kind=layer.kind, shape=_shape(layer), multiplier=assignment.multipliers[layer.name],
            skipped=float(trial.candidate.get(layer.name + SKIP, 0.0)),
            importance=max(raw[layer.name], 0.0) / mean if mean > 0 else None, energy_j=energy[layer.name],
        )
        for layer in ground.network.layers
    )  # fmt: skip


def _shape(layer: Layer) -> str:
    """Return channels and window, then the picture they make: `16 x 3 x 3, 32 x 32`."""
    window = [n for n in layer.kernel if layer.kind.startswith("conv")]
    one = " x ".join(map(str, (layer.out_channels, *window)))
    return f"{one}, {' x '.join(map(str, layer.out_shape[1:]))}" if window else f"{layer.in_channels} to {one}"


def with_pods(ground: Ground, assignment: Assignment) -> Assignment:
    """Return an assignment that says how many pods hold each kind, as the chip shares them out."""
    return msgspec.structs.replace(assignment, pods=ground.evaluator.cost(assignment).pods)
