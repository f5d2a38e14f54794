"""XAI-NAS: multipliers and skipped neurons of a fixed, trained network, searched from seeds that XAI-Gen makes.

    trained network -> capture -> candidates left by screening, levels of skipping -> importance, what single layers do
    -> 36 assignments of little predicted loss and energy -> guided evolution, each candidate judged bit-exactly
    -> front of accuracy loss and energy, some of it once on test images

References:
    A. Siddique, M. Khalil, K. A. Hoque, "Explainable AI-Guided Efficient Approximate DNN Generation for Multi-Pod
    Systolic Arrays", ISQED 2025, the case study of architecture search. docs/xai_nas.md says what is reconstruction.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from axdnn.data import dataset_info
from axdnn.hardware import list_accelerators, load_accelerator
from axdnn.kernels import calibrate
from axdnn.methods.searched import Searched, SearchFolder, SearchOptions, Show
from axdnn.methods.xai_gen import accelerator_text, weights_digest, weights_text
from axdnn.methods.xai_nas.asked import MODELS, XaiNasRequest
from axdnn.methods.xai_nas.ground import Ground, Subject, absolute, evaluation, ground_of
from axdnn.methods.xai_nas.outcome import METHOD, exact_point, found
from axdnn.methods.xai_nas.plan import Plan, make_plan
from axdnn.models import model_identity
from axdnn.multipliers import load_set, pinned_set
from axdnn.records import Constraint, InvalidInputError, Objective, RecordError, SearchHistory, load_record, save_record
from axdnn.search import Progress

PLAN_FILE = "plan.json"


def xai_nas(
    data: str,
    out: str | Path,
    *,
    model: str | None = None,
    request: XaiNasRequest | None = None,
    options: SearchOptions | None = None,
    weights: str | Path | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    progress: Show | None = None,
) -> Searched:
    """Search multipliers and skipped neurons of a trained network for little accuracy loss and energy.

    Rerunning with the same settings resumes; a finished folder is returned as it is.

    Args:
        data: name, see `axdnn.data.list_datasets`.
        out: folder; gets `result.json`, `report.html`, `plan.json`, `front/NN.json` and, unless another storage is
            named, `study.journal`.
        model: name or code of the user's, see `axdnn.models.resolve_model`; None for the usual one of the data.
        request: arm, objective, circuits, images.
        options: trials, time, storage, workers, seed.
        weights: checkpoint of the model.
        mean: of the model's input, see `axdnn.models.resolve_model`.
        std: likewise.
        progress: called with (message, done, total).

    Raises:
        UnknownNameError, InvalidInputError, DataError, CheckpointError, OutputFolderError, StorageError: see the
            message.
        UnsupportedOperatorError: the model cannot be captured.
        KeyboardInterrupt: Ctrl-C; what was evaluated is kept.
    """
    request, options = request or XaiNasRequest(), options or SearchOptions()
    dataset_info(data)
    subject = Subject(
        model=model or MODELS[data], data=data, weights=absolute(weights), mean=tuple(mean or ()), std=tuple(std or ()),
        accelerator=_chip(request.accelerator), multipliers=request.multipliers, weight_codes=request.weight_codes,
        sample_seed=request.sample_seed, search_images=request.search_images,
    )  # fmt: skip
    settings = _settings(subject, request)
    early = SearchFolder(METHOD, out, settings, options)  # what can be refused before anything is fetched or trained
    early.check(partial=True)
    done = early.finished()
    if done is not None:
        return done
    ground = ground_of(subject, progress)
    known = {"data_sha256": ground.dataset.sha256, "weights_digest": weights_digest(ground.trained)}
    folder = SearchFolder(METHOD, out, {**settings, **known}, options)
    folder.check()
    with contextlib.suppress(OSError):  # a cache that cannot be written costs speed alone
        calibrate(progress)
    with folder:
        plan = plan_of(folder.path / PLAN_FILE, ground, request, progress)
        history = run(folder, plan, ground, request, progress)
        return folder.finish(found(history, plan, ground, request, folder.path, progress))


def plan_of(file: Path, ground: Ground, request: XaiNasRequest, progress: Show | None = None) -> Plan:
    """Return the plan in a file, made and saved if there is none."""
    try:
        return load_record(Plan, file)
    except RecordError:
        plan = make_plan(ground, request, progress)
        save_record(file, plan)
        return plan


def run(
    folder: SearchFolder, plan: Plan, ground: Ground, request: XaiNasRequest, progress: Show | None = None
) -> SearchHistory:
    """Search from a plan."""
    exact = exact_point(ground, request)[request.energy_name]
    objectives = (
        Objective(name="loss", reference=request.loss_limit),
        Objective(name=request.energy_name, unit="J", reference=exact),
    )
    guided: dict[str, Any] = {"guidance": plan.guidance()} if request.how.guided else {}
    return folder.search(
        plan.space(), evaluation(ground.subject, plan.least), objectives, show=progress,
        told=lambda seen: _told(seen, request, exact), sampler=request.sampler, seeds=plan.seeds,
        constraints=(Constraint(name="loss", sense="<=", bound=request.loss_limit),), **guided,
    )  # fmt: skip


def _told(seen: Progress, request: XaiNasRequest, exact: float) -> str:
    """Return the front in a line: its size, and energy at 1 and 5 points of loss beside the exact network's."""
    parts = [f"front of {len(seen.front)}"]
    for points in (1, 5):
        within = [t.values[request.energy_name] for t in seen.front if t.values["loss"] <= points / 100]
        parts += [f"{min(within) / exact:.1%} of the energy at {points} pt"] if within else []
    return ", ".join(parts)


def _chip(accelerator: str) -> str:
    """Return a shipped accelerator's name, or the path of a file as any process finds it."""
    if accelerator in list_accelerators():
        return accelerator
    load_accelerator(accelerator)  # refused by the name that was given
    return absolute(accelerator)


def _settings(subject: Subject, request: XaiNasRequest) -> dict[str, str]:
    """Return what makes it another search, as text; refuses what can be refused before any work."""
    unpriced = [m.name for m in load_set(request.multipliers) if m.figures is None]
    if unpriced:
        raise InvalidInputError(
            f"multipliers must have figures (power, area, delay) to be chosen by cost, but {', '.join(unpriced)} has "
            "none; leave it out"
        )
    asked = {name: str(getattr(request, name)) for name in request.__dataclass_fields__}
    return {
        **asked, "model": model_identity(subject.model), "data": subject.data,
        "multipliers": pinned_set(request.multipliers), "accelerator": accelerator_text(subject.accelerator),
        "weights": weights_text(Path(subject.weights)) if subject.weights else "",
        "mean": ",".join(map(repr, subject.mean)), "std": ",".join(map(repr, subject.std)),
    }  # fmt: skip
