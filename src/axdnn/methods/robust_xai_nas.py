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
import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np

import axdnn
from axdnn.hardware import load_accelerator
from axdnn.methods.robust_candidates import Workbench
from axdnn.methods.robust_guidance import base_candidate, seeds_of
from axdnn.methods.robust_options import REFERENCE, RobustOptions, default_options
from axdnn.methods.robust_result import assembled
from axdnn.methods.run_folder import RESULT_FILE, RunFolder
from axdnn.methods.searched import JOURNAL, REPORT
from axdnn.methods.xai_gen import accelerator_text
from axdnn.multipliers import pinned_set
from axdnn.nas import IntegerCandidate, build_network, layout_of, network_space
from axdnn.records import (
    AxdnnError,
    Constraint,
    Objective,
    RecordError,
    SearchHistory,
    SearchResult,
    load_record,
    remove_leftovers,
    save_record,
)
from axdnn.report import write_search_result
from axdnn.search import Cluster, Named, Space, search
from axdnn.search import Progress as Seen

METHOD, STUDY = "robust-xai-nas", "robust-xai-nas"
POPULATION, START = 16, 6  # parents kept; proposals before children begin: the seeds, the rest at random
Progress = Callable[[str, int, int], None]


def robust_xai_nas(
    data: str,
    out: str | os.PathLike[str],
    *,
    trials: int = 12,
    seed: int = 0,
    arm: str = "xai",
    options: RobustOptions | None = None,
    time_s: float | None = None,
    workers: int | None = None,
    storage: str | None = None,
    cluster: str | Cluster | None = None,
    progress: Progress | None = None,
) -> SearchResult:
    """Search for networks that are robust, cheap, fast and small at once, above a floor of clean accuracy.

    Running it again with the same settings goes on where it was; more `trials` go on from there. With one worker a
    resumed search ends as an uninterrupted one. Several workers finish in another order, so their children differ.

    Args:
        data: name of the data set.
        out: folder; gets `result.json`, `report.html`, the study, networks with their explanations, checks of members.
        trials: candidates evaluated, failed ones included, at least 1.
        seed: of everything random.
        arm: what is compared at equal budget, see `ARMS`.
        options: all other options; None for the defaults of the data set. Its `data` and `arm` are those given here.
        time_s: no candidate is begun after so many seconds of this call.
        workers: processes; None for 1, which evaluates here, or as many as a cluster has room for.
        storage: of the study, see `axdnn.search.search`; None for a journal file in the folder.
        cluster: the Ray cluster whose nodes run the workers, see `axdnn.search.Cluster`; they must see the folder.
        progress: called with (message, done, total).

    Raises:
        UnknownNameError, InvalidInputError, DataError, OutputFolderError, StorageError: see the message.
    """
    asked = options or default_options(data)
    asked = RobustOptions.from_plain({**asked.plain(), "data": data, "arm": arm})
    folder = Path(out).resolve()
    bench = Workbench(folder, asked, seed)
    with RunFolder(folder, _settings(asked, seed)):
        for name in ("networks", "candidates", "checks", "attacks"):
            remove_leftovers(folder / name, older_than_s=0.0)
        space = network_space(bench.space)
        base = _base(space, bench)
        history = search(
            space, Named("axdnn.methods.robust_candidates:evaluator",
                         {"folder": str(folder), "options": asked.plain(), "seed": seed}),
            objectives(bench), trials=trials, time_s=time_s,
            constraints=(Constraint(name="clean_accuracy", sense=">=", bound=asked.floor),),
            sampler=Named("guided", {"population": POPULATION, "start": START}),
            storage=storage or str(folder / JOURNAL), name=STUDY, seed=seed, workers=workers, cluster=cluster,
            seeds=_seeds(bench, base, progress),
            guidance=Named("axdnn.methods.robust_guidance:guide",
                           {"networks": str(folder / "networks"), "space": bench.space.as_dict()})
            if asked.explains else None,
            progress=None if progress is None else _shown(progress),
        )  # fmt: skip
        return _finished(folder, history, bench, progress)


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


def _base(space: Space, bench: Workbench) -> dict[str, str | int | float | bool]:
    """Return the base network as a candidate; fields that the space does not offer are drawn by the seed."""
    base = base_candidate(bench.space, bench.options.base, bench.options.base_readout)
    rng = np.random.default_rng(bench.seed)
    if space.why_invalid(base):
        base = space.mend(base, rng)
    return space.sample(rng) if space.why_invalid(base) else base


def _seeds(
    bench: Workbench, base: dict[str, str | int | float | bool], progress: Progress | None
) -> list[dict[str, str | int | float | bool]]:
    """Return the seeds; to explain the base network it is trained here, as its evaluation would, which finds it."""
    known = None
    if bench.options.explains:
        if progress is not None:
            progress("training and explaining the base network", 0, 1)
        with contextlib.suppress(AxdnnError):  # its evaluation fails in the same way, and says why
            known = bench.make(base).explained
    return seeds_of(bench.space, base, known)


def _shown(progress: Progress) -> Callable[[Seen], None]:
    def show(seen: Seen) -> None:
        best = min((t.values["robust_error"] for t in seen.front), default=None)
        robust = "" if best is None else f", robust accuracy up to {100 * (1 - best):.1f} %"
        progress(f"front of {len(seen.front)}{robust}, {seen.failed} failed", seen.evaluations, seen.budget)

    return show


def _finished(folder: Path, history: SearchHistory, bench: Workbench, progress: Progress | None) -> SearchResult:
    """Return the result of a search, the one that is there if nothing was evaluated since."""
    path = folder / RESULT_FILE
    try:
        found = load_record(SearchResult, path) if path.exists() else None
    except RecordError:
        found = None
    if found is not None and found.evaluations == history.evaluations:
        if not (folder / REPORT).exists():
            write_search_result(found, folder)
        return msgspec.structs.replace(found, reason=history.reason or found.reason)
    result = assembled(history, bench, progress)
    (folder / REPORT).unlink(missing_ok=True)  # the page is never older than the result
    save_record(path, result)
    write_search_result(result, folder)
    return result


def _settings(options: RobustOptions, seed: int) -> dict[str, str]:
    """Return what makes a search another one, as texts."""
    load_accelerator(options.accelerator)
    plain = {name: str(value) for name, value in options.plain().items()}
    return plain | {
        "method": METHOD, "axdnn": axdnn.__version__, "seed": str(seed),
        "accelerator": accelerator_text(options.accelerator), "multipliers": pinned_set(options.multipliers),
    }  # fmt: skip
