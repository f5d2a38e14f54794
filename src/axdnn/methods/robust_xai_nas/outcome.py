"""From the history of a robust XAI-NAS to its `SearchResult`: members with layers, checks, counts, provenance."""

from __future__ import annotations

import platform
from collections.abc import Mapping

import numpy as np
import torch

import axdnn
from axdnn.methods.robust_xai_nas.asked import ARMS
from axdnn.methods.robust_xai_nas.candidates import Workbench
from axdnn.methods.robust_xai_nas.check import Checked, check_member, chosen_members
from axdnn.methods.searched import Show, result_of
from axdnn.nas import HEAD, module_name
from axdnn.records import ChosenLayer, FrontMember, LayerScores, Rival, SearchHistory, SearchResult, SearchTrial

METHOD = "robust-xai-nas"


def found(history: SearchHistory, bench: Workbench, progress: Show | None = None) -> SearchResult:
    """Return the result of a search; the suite runs on a few members, everything else is read from the study.

    Args:
        history: of the study.
        bench: of the search.
        progress: called with (message, done, total).
    """
    o, names = bench.options, [objective.name for objective in history.objectives]
    checked: dict[int, Checked] = {}
    members = chosen_members(history.front_trials, names, o.members)
    for i, trial in enumerate(members):
        if progress is not None:
            progress(f"stronger attacks on trial {trial.number}", i, len(members))
        checked[trial.number] = check_member(bench, trial)
    evaluated = [t for t in history.trials if t.outcome == "complete"]
    reports = [one.report for one in checked.values()]
    return result_of(
        history, METHOD, data=o.data, accelerator=bench.chip.name, settings=_settings(history, bench),
        space_size=int(history.space_size), rivals=_rivals(evaluated, names), images=_images(bench, bool(checked)),
        front=tuple(_member(bench, trial, names, checked.get(trial.number)) for trial in history.front_trials),
        network_images=sum(int(t.notes.get("network_images", 0)) for t in evaluated)
        + sum(r.forward_images + r.backward_images for r in reports),
        epochs=float(o.training.epochs), scores=_scores(bench, history),
        provenance=_provenance(bench, history, checked),
    )  # fmt: skip


def _member(bench: Workbench, trial: SearchTrial, names: list[str], checked: Checked | None) -> FrontMember:
    figures = {name: value for name, value in trial.values.items() if name not in names}
    return FrontMember(
        objectives={name: trial.values[name] for name in names}, candidate=dict(trial.candidate), trial=trial.number,
        figures={**figures, **({} if checked is None else checked.figures)}, layers=_layers(bench, trial),
        file=str(bench.shelf.path(str(trial.notes["topology"])).relative_to(bench.folder)),
    )  # fmt: skip


def _layers(bench: Workbench, trial: SearchTrial) -> tuple[ChosenLayer, ...]:
    made = bench.make(trial.candidate)
    priced = {layer.layer: layer.total_energy_j for layer in made.integer.cost(made.assignment).layers}
    blocks = dict(zip(map(module_name, made.layout.layer_names), made.layout.blocks, strict=False))
    importance: Mapping[str, float] = {} if made.explained is None else made.explained.importance
    found = []
    for layer in made.integer.shapes.layers:
        block, (wide, high) = blocks.get(layer.name), (layer.out_shape[-1], layer.out_shape[-2:][0])
        shape = f"{layer.k} x {layer.n}" if block is None else (
            f"{block.channels} x {block.kernel} x {block.kernel}, stride {block.stride}, {high} x {wide}"
        )  # fmt: skip
        found.append(ChosenLayer(
            name=layer.name, kind="linear" if layer.name == HEAD or block is None else block.operator, shape=shape,
            multiplier=made.assignment.multipliers[layer.name], skipped=0.0 if block is None else block.skip,
            importance=importance.get(layer.name), energy_j=priced[layer.name],
        ))  # fmt: skip
    return tuple(found)


def _rivals(evaluated: list[SearchTrial], names: list[str]) -> tuple[Rival, ...]:
    """The base network with exact multipliers, which every arm evaluates first."""
    first = next((t for t in evaluated if t.index == 0), None)
    if first is None:
        return ()
    return (Rival(name="base network, exact multipliers", points=({n: first.values[n] for n in names},)),)


def _images(bench: Workbench, checked: bool) -> dict[str, int]:
    o = bench.options
    found = {
        "fit (training of each topology)": o.training.images, "calibration": o.calibration_images,
        "search (clean accuracy)": o.clean_images, "search (PGD-10)": o.images,
    }  # fmt: skip
    if o.explains:
        found["search (explained)"] = o.explain_images
    return found | ({"test (suite)": o.check_images} if checked else {})


def _scores(bench: Workbench, history: SearchHistory) -> tuple[LayerScores, ...]:
    """The explanation of the most robust member, clean and attacked."""
    if not bench.options.explains or not history.front_trials:
        return ()
    explained = bench.make(history.front_trials[0].candidate).explained
    if explained is None:
        return ()
    settings = {"trial": str(history.front_trials[0].number), "eps": f"{bench.options.eps[0]:.4g}"}
    return tuple(
        LayerScores(
            score=f"conductance, {name}", values=dict(values), settings=settings, images=explained.images,
            network_images=explained.network_images, unit="mean 1",
        )
        for name, values in (("clean images", explained.clean), ("images of PGD-10", explained.attacked))
    )  # fmt: skip


def _settings(history: SearchHistory, bench: Workbench) -> dict[str, str]:
    plain = {name: str(value) for name, value in bench.options.plain().items()}
    return {
        **plain, "seed": str(bench.seed), "space": history.settings["digest"], "sampler": history.settings["sampler"],
        "ladder": ", ".join(bench.space.multipliers), "arm_is": ARMS[bench.options.arm],
    }  # fmt: skip


def _provenance(bench: Workbench, history: SearchHistory, checked: Mapping[int, Checked]) -> dict[str, str]:
    found = {
        "axdnn": axdnn.__version__, "torch": str(torch.__version__), "numpy": np.__version__,
        "python": platform.python_version(), "data_source": bench.data.source, "data_sha256": bench.data.sha256,
        "weights": f"trained for {bench.options.training.epochs} epochs on the first {bench.options.training.images} "
        "images of split fit; a topology is trained once, from its parent's weights where shapes allow",
        "checked": f"{len(checked)} of {len(history.front)} members: trials {', '.join(map(str, checked)) or 'none'}",
    }  # fmt: skip
    for number, one in checked.items():
        broken = [f"{law.name} at {law.eps:.4g}: {law.text}" for law in one.report.laws if law.holds is False]
        if broken:
            found[f"masked gradient, trial {number}"] = "; ".join(broken)
    if not history.front:
        found["front"] = f"no candidate kept the floor of clean accuracy, {bench.options.floor:g}"
    return found
