"""Robust XAI-NAS: networks, their multipliers and what they skip evolve together, guided by what explains them.

    space of layers -> base network explained -> seeds
    -> candidate: inherit, train briefly, int8, multipliers -> clean accuracy, PGD-10, energy, latency, memory
    -> conductance on clean and attacked images -> which layer is changed next, and which way
    -> front -> the worst case over stronger attacks for a few members, on test images

References:
    A. Siddique, K. A. Hoque, "Explainable AI-Guided Neural Architecture Search for Adversarial Robustness in
    Approximate DNNs", IEEE Trans. Sustainable Computing 10(5):949-964, 2025. Its full text was not available:
    objectives, data sets and the evolution layer by layer with heterogeneous multipliers are its abstract's, all else
    is reconstruction.
    A. Marchisio et al., "RoHNAS", IEEE Access 2022 (objectives, arm `exact`). V. Mrazek et al., "ALWANN", ICCAD 2019
    (arm `fixed`).
"""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np

from axdnn.hardware import load_accelerator
from axdnn.methods.robust_xai_nas.asked import REFERENCE, RobustOptions, default_options
from axdnn.methods.robust_xai_nas.candidates import Workbench
from axdnn.methods.robust_xai_nas.guidance import base_candidate, seeds_of
from axdnn.methods.robust_xai_nas.outcome import METHOD, found
from axdnn.methods.searched import Searched, SearchFolder, SearchOptions, Show
from axdnn.methods.xai_gen import accelerator_text
from axdnn.multipliers import pinned_set
from axdnn.nas import IntegerCandidate, build_network, layout_of, network_space
from axdnn.records import AxdnnError, Constraint, InvalidInputError, Objective, Scalar, remove_leftovers
from axdnn.search import Named, Progress, Space

TRIALS = 12
POPULATION, START = 16, 6  # parents kept; proposals before children begin: the seeds, the rest at random
LEFTOVERS = ("networks", "candidates", "checks", "attacks")


def robust_xai_nas(
    data: str,
    out: str | Path,
    *,
    request: RobustOptions | None = None,
    options: SearchOptions | None = None,
    progress: Show | None = None,
) -> Searched:
    """Search for networks that are robust, cheap, fast and small at once, above a floor of clean accuracy.

    Running it again with the same settings goes on where it was; more `trials` go on from there. With one worker a
    resumed search ends as an uninterrupted one. Several workers finish in another order, so their children differ.

    Args:
        data: name of the data set.
        out: folder; gets `result.json`, `report.html`, the study, networks with their explanations, checks of members.
        request: arm, radii, training, images, space; None for the defaults of the data set.
        options: trials (12 if omitted), time, storage, workers, seed.
        progress: called with (message, done, total).

    Raises:
        UnknownNameError, InvalidInputError, DataError, OutputFolderError, StorageError: see the message.
    """
    request, options = request or default_options(data), options or SearchOptions(trials=TRIALS)
    if request.data != data:
        raise InvalidInputError(f"the request must be of the same data, but got {request.data!r} and {data!r}")
    folder = SearchFolder(METHOD, Path(out).resolve(), _settings(request), options)
    folder.check()
    done = folder.finished()
    if done is not None:
        return done
    bench = Workbench(folder.path, request, options.seed)
    with folder:
        for name in LEFTOVERS:
            remove_leftovers(folder.path / name, older_than_s=0.0)
        space = network_space(bench.space)
        history = folder.search(
            space, evaluation(bench), objectives(bench), show=progress, told=_told,
            constraints=(Constraint(name="clean_accuracy", sense=">=", bound=request.floor),),
            sampler=Named("guided", {"population": POPULATION, "start": START}),
            seeds=_seeds(bench, _base(space, bench), progress),
            guidance=Named("axdnn.methods.robust_xai_nas.guidance:guide",
                           {"networks": str(folder.path / "networks"), "space": bench.space.as_dict()})
            if request.explains else None,
        )  # fmt: skip
        return folder.finish(found(history, bench, progress))


def evaluation(bench: Workbench) -> Named:
    """Return the evaluation of a search by name, so that every process makes its own."""
    return Named(
        "axdnn.methods.robust_xai_nas.candidates:evaluator",
        {"folder": str(bench.folder), "options": bench.options.plain(), "seed": bench.seed},
    )


def objectives(bench: Workbench) -> tuple[Objective, ...]:
    """Return the objectives, the reference point twice the price of the base network with exact multipliers.

    The reference depends on the base network, the data set and the accelerator alone, so that arms can be compared.
    """
    import torch

    fixed = Workbench(bench.folder, RobustOptions.from_plain({**bench.options.plain(), "arm": "fixed"}), bench.seed)
    space = fixed.space
    layout = layout_of(base_candidate(space, bench.options.base, bench.options.base_readout), space)
    network = build_network(layout, torch.Generator().manual_seed(0)).eval()  # shapes alone have a price
    integer = IntegerCandidate(network, layout, bench.calibration[:2], bench.chip, {})
    cost = integer.cost(integer.evaluator.baseline)
    return (
        Objective(name="robust_error", reference=1.0),
        Objective(name="energy_j", unit="J", reference=REFERENCE * cost.energy_j),
        Objective(name="latency_s", unit="s", reference=REFERENCE * cost.latency_s),
        Objective(name="memory_bytes", unit="B", reference=REFERENCE * float(cost.memory_bytes)),
    )


def _base(space: Space, bench: Workbench) -> dict[str, Scalar]:
    """Return the base network as a candidate; fields that the space does not offer are drawn by the seed."""
    base = base_candidate(bench.space, bench.options.base, bench.options.base_readout)
    rng = np.random.default_rng(bench.seed)
    if space.why_invalid(base):
        base = space.mend(base, rng)
    return space.sample(rng) if space.why_invalid(base) else base


def _seeds(bench: Workbench, base: dict[str, Scalar], progress: Show | None) -> list[dict[str, Scalar]]:
    """Return the seeds; to explain the base network it is trained here, as its evaluation would, which finds it."""
    known = None
    if bench.options.explains:
        if progress is not None:
            progress("training and explaining the base network", 0, 1)
        with contextlib.suppress(AxdnnError):  # its evaluation fails in the same way, and says why
            known = bench.make(base).explained
    return seeds_of(bench.space, base, known)


def _told(seen: Progress) -> str:
    best = min((t.values["robust_error"] for t in seen.front), default=None)
    robust = "" if best is None else f", robust accuracy up to {100 * (1 - best):.1f} %"
    return f"front of {len(seen.front)}{robust}, {seen.failed} failed"


def _settings(request: RobustOptions) -> dict[str, str]:
    """Return what makes a search another one, as texts; refuses what can be refused before any work."""
    load_accelerator(request.accelerator)
    plain = {name: str(value) for name, value in request.plain().items()}
    return plain | {
        "accelerator": accelerator_text(request.accelerator),
        "multipliers": pinned_set(request.multipliers),
    }
