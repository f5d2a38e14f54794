"""The stronger check of a few members of a robust front: the worst case over a suite of attacks, on test images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from axdnn.methods.robust_xai_nas.candidates import GRADIENT, Workbench
from axdnn.records import RobustnessReport, SearchTrial, save_record
from axdnn.robustness import Request, assess, float_victim, integer_victim

Progress = Callable[[str, int, int], None]
CHECKS, ATTACKS = "checks", "attacks"


@dataclass(frozen=True)
class Checked:
    """What the suite found on one member.

    Attributes:
        figures: by name: accuracy on the test images, worst cases with their intervals, broken laws.
        report: all of it.
    """

    figures: dict[str, float]
    report: RobustnessReport


def chosen_members(front: Sequence[SearchTrial], names: Sequence[str], most: int) -> list[SearchTrial]:
    """Return the members that are checked: best in each objective in turn, then the nearest to all of these bests.

    Args:
        front: best first in the first objective.
        names: of the objectives, all minimised.
        most: members.
    """
    if not front or most < 1:
        return []
    low = {n: min(t.values[n] for t in front) for n in names}
    spread = {n: max(t.values[n] for t in front) - low[n] or 1.0 for n in names}

    def distance(trial: SearchTrial) -> float:
        return sum(((trial.values[n] - low[n]) / spread[n]) ** 2 for n in names)

    order = [min(front, key=lambda t, n=n: t.values[n]) for n in names[:2]]  # type: ignore[misc]
    order += [*sorted(front, key=distance)[:1], *sorted(front, key=distance)]
    found: list[SearchTrial] = []
    for trial in order:
        if trial not in found:
            found.append(trial)
    return found[:most]


def check_member(bench: Workbench, trial: SearchTrial, progress: Progress | None = None) -> Checked:
    """Run the suite on a member; a law that is broken is reported, never hidden.

    The transferred images are those of the same network with exact multipliers and of the float network. Finished
    attacks are kept, so that a rerun repeats none.

    Args:
        bench: of the search.
        trial: of the front; its weights are there.
        progress: called with (message, done, total).
    """
    o = bench.options
    made = bench.make(trial.candidate)
    captured = made.integer.captured
    exact = integer_victim(made.integer.model(made.integer.evaluator.baseline), captured, name="exact")
    victim = integer_victim(made.model, captured, GRADIENT)
    images, labels = bench.data.tensors("test", o.check_images)
    request = Request(o.eps, "linf", o.suite, bench.seed)
    sources = {"int8": exact, "float": float_victim(captured)}
    found = assess(
        [victim], images, labels, request, sources=sources, cache=bench.folder / ATTACKS, strict=False,
        progress=progress,
    )  # fmt: skip
    report = msgspec.structs.replace(
        found, model=made.integer.shapes.name, data=o.data, split="test", gradient=GRADIENT,
        assignment=dict(made.assignment.multipliers), provenance={"trial": str(trial.number), "key": trial.key},
    )  # fmt: skip
    path = bench.folder / CHECKS / f"trial{trial.number}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    save_record(path, report)
    return Checked(_figures(report), report)


def _figures(report: RobustnessReport) -> dict[str, float]:
    figures = {"test_clean_accuracy": report.worst[0].clean_accuracy, "test_images": float(report.images)}
    for worst in report.worst:
        name = f"test_worst_case_at_{worst.eps:.4g}"
        figures |= {name: worst.robust_accuracy, f"{name}_low": worst.low, f"{name}_high": worst.high}
        for outcome in report.outcomes:
            if outcome.attack == "pgd" and outcome.eps == worst.eps:
                figures[f"test_pgd_at_{worst.eps:.4g}"] = outcome.robust_accuracy
    figures["broken_laws"] = float(sum(law.holds is False for law in report.laws))
    return figures
