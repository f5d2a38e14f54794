"""XAI-Gen at several budgets with shared evaluations, a folder for each and one page for all."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from axdnn.data import cache_root
from axdnn.generation import Request, generate_front
from axdnn.kernels import calibrate
from axdnn.methods.run_folder import RunFolder
from axdnn.methods.xai_gen import Progress, drawn, opened, provenance_of, settings_of, splits_of
from axdnn.multipliers import load_multiplier
from axdnn.records import Evaluation, GenerationResult, InvalidInputError, Study
from axdnn.report import write_comparison


@dataclass(frozen=True)
class Front:
    """Finished budgets.

    Attributes:
        results: smallest budget first.
        folders: of each.
        files: the page of all and its figures.
        resumed: whether all results were there already.
    """

    results: tuple[GenerationResult, ...]
    folders: tuple[Path, ...]
    files: tuple[Path, ...]
    resumed: bool


def xai_gen_front(
    model: str,
    data: str,
    request: Request,
    out: str | Path,
    budgets: Sequence[float],
    *,
    weights: str | Path | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    images: Mapping[str, int] | None = None,
    progress: Progress | None = None,
) -> Front:
    """Run XAI-Gen at several budgets; the evaluations of smaller ones serve the larger (see `generate_front`).

    Rerunning with the same settings resumes: evaluations are kept, finished budgets are replayed from them.

    Args:
        model: as of `xai_gen`.
        data: as of `xai_gen`.
        request: as of `xai_gen`; its budget is not looked at.
        out: output folder; gets a folder for each budget, named by it, with all that `xai_gen` writes, and
            `comparison.html` with `figures/`.
        budgets: percentage points.
        weights: as of `xai_gen`.
        mean: as of `xai_gen`.
        std: as of `xai_gen`.
        images: as of `xai_gen`.
        progress: called with (message, done, total).

    Raises:
        UnknownNameError, InvalidInputError, DataError, CheckpointError, OutputFolderError: see the message.
    """
    if not budgets or len({f"{budget:g}" for budget in budgets}) < len(budgets):
        raise InvalidInputError(f"budgets must be at least one and differ, but got {list(budgets)}")
    if request.strategy == "paper":  # refused here as well, before anything is fetched or made
        raise InvalidInputError("strategy `paper` walks each budget anew: run it for each, or use `compare`")
    listed = sorted(budgets)
    named = {"front": ",".join(f"{budget:g}" for budget in listed)}
    folders: list[RunFolder] = []
    for budget in listed:
        asked = replace(request, max_accuracy_loss=budget)
        settings = {**settings_of(model, data, asked, weights, mean, std, images), **named}
        folder, trained, dataset = opened(
            model, data, settings, Path(out) / f"{budget:g}", weights=weights, mean=mean, std=std, progress=progress
        )
        folders.append(folder)
    known = [folder.result() for folder in folders]
    done = [result for result in known if result is not None]
    resumed = len(done) == len(folders)
    if not resumed:
        calibration, splits = splits_of(dataset, request.seed, images)
        with contextlib.suppress(OSError):  # a cache that cannot be written costs speed alone
            calibrate(progress)
        with contextlib.ExitStack() as stack:
            left = [stack.enter_context(folder) for folder in folders]
            done = []

            def checkpoint(study: Study, best: Evaluation | None) -> None:
                left[len(done)].checkpoint(study, best)

            def finished(result: GenerationResult) -> None:
                folder = left[len(done)]
                done.append(folder.finish(result))
                drawn(done[-1], folder.path)

            generate_front(
                trained.model, calibration, splits, request, listed, finished=finished, name=trained.name, data=data,
                provenance=provenance_of(dataset, trained), cache=Path(out) / "cache",
                codings=cache_root() / "codings", progress=progress, checkpoint=checkpoint,
            )  # fmt: skip
    names = sorted({name for result in done for name in result.assignment.values()})
    files = write_comparison(done, out, multipliers=tuple(load_multiplier(name) for name in names))
    return Front(tuple(done), tuple(folder.path for folder in folders), tuple(files), resumed)
