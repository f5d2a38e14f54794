"""Several runs of XAI-Gen side by side: strategies, budgets and seeds, with one cache of evaluations for all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from axdnn.generation import STRATEGIES, PaperOptions, Request
from axdnn.methods.xai_gen import Outcome, xai_gen
from axdnn.multipliers import load_multiplier
from axdnn.records import GenerationResult, InvalidInputError, unknown_name
from axdnn.report import write_comparison

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Comparison:
    """Finished runs.

    Attributes:
        results: in the order of strategies, then budgets, then seeds.
        files: the page that compares them and its figures.
    """

    results: tuple[GenerationResult, ...]
    files: tuple[Path, ...]


def compare(
    model: str,
    data: str,
    request: Request,
    out: str | Path,
    *,
    strategies: Sequence[str] = ("integer",),
    losses: Sequence[float] = (1.0,),
    seeds: Sequence[int] = (0,),
    progress: Progress | None = None,
    finished: Callable[[Outcome], None] | None = None,
    **options: Any,
) -> Comparison:
    """Run all combinations of strategies, budgets and seeds, each in a folder of its own, and write one page.

    With one strategy and several budgets this is its front of accuracy and energy. Nothing is evaluated twice: runs
    share a cache, yet each counts what it asked for, so that none profits from its turn. Rerunning goes on where it
    was left.

    Args:
        model: as of `xai_gen`.
        data: as of `xai_gen`.
        request: what all runs have in common.
        out: folder; gets `STRATEGY-LOSS-SEED/` of each run, `comparison.html` and `figures/`.
        strategies: names, see `axdnn.generation.STRATEGIES`.
        losses: budgets in percentage points.
        seeds: of samples and strategies.
        progress: called with (message, done, total); messages begin with the run's folder.
        finished: called after each run.
        options: further arguments of `xai_gen`.

    Raises:
        UnknownNameError: a strategy that does not exist.
        InvalidInputError: nothing to run, or something given twice; what `xai_gen` refuses.
    """
    for what, given in (("strategies", strategies), ("losses", losses), ("seeds", seeds)):
        if not given or len(set(given)) < len(given):
            raise InvalidInputError(f"`{what}` must hold at least one entry and none twice, but got {list(given)}")
    for name in strategies:
        if name not in STRATEGIES:
            raise unknown_name("strategy", name, STRATEGIES)
    if request.skip is not None and "integer" not in strategies:
        raise InvalidInputError(f"`skip` is for strategy `integer`, which is not among {', '.join(strategies)}")
    requests: dict[str, Request] = {}
    for strategy in strategies:
        for loss in losses:
            for seed in seeds:
                paper = request.paper if strategy == "paper" else PaperOptions()
                skip = request.skip if strategy == "integer" else None
                made = replace(request, strategy=strategy, max_accuracy_loss=loss, seed=seed, paper=paper, skip=skip)
                requests[f"{strategy}-{loss:g}-{seed}"] = made
    results = [
        _run(model, data, made, Path(out), label, progress, finished, options) for label, made in requests.items()
    ]
    names = sorted({name for result in results for name in result.assignment.values()})
    files = write_comparison(results, out, multipliers=tuple(load_multiplier(name) for name in names))
    return Comparison(tuple(results), tuple(files))


def _run(
    model: str, data: str, request: Request, out: Path, label: str, progress: Progress | None,
    finished: Callable[[Outcome], None] | None, options: Mapping[str, Any],
) -> GenerationResult:  # fmt: skip
    def told(message: str, done: int, total: int) -> None:
        if progress is not None:
            progress(f"{label}: {message}", done, total)

    outcome = xai_gen(model, data, request, out / label, cache=out / "cache", progress=told, **options)
    if finished is not None:
        finished(outcome)
    return outcome.result
