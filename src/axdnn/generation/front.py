"""The whole front of accuracy and energy: one budget after another, what was measured for one serves the next."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from axdnn.evaluation import Split
from axdnn.generation.generate import Run
from axdnn.generation.request import Request
from axdnn.records import GenerationResult, InvalidInputError


def generate_front(
    model: nn.Module,
    calibration: torch.Tensor,
    splits: Mapping[str, Split],
    request: Request,
    budgets: Sequence[float],
    *,
    finished: Callable[[GenerationResult], None] | None = None,
    **options: Any,
) -> tuple[GenerationResult, ...]:
    """Generate at several budgets with shared evaluations (epsilon-constraint method: energy least, loss limited).

    Scores, codings and measurements of single layers are made once. Budgets are taken from the smallest on; each search
    begins with everything that those before it measured, and never measures a choice again. What a smaller budget
    accepted a larger one accepts too, so that energy never rises with the budget.

    Args:
        model: trained network.
        calibration: images `(n, ...)`.
        splits: as for `generate`; the test split is used once a budget, after its choice.
        request: `evaluations` is the cap of each budget; what one leaves over goes to the next. Its
            `max_accuracy_loss` is not looked at.
        budgets: largest accuracy losses, percentage points; at least one, no two alike.
        finished: called with each result as soon as it is there.
        options: the others of `generate`.

    Returns:
        A result a budget, smallest budget first. Evaluations, images and seconds are counted from the start, those of
        smaller budgets included.

    Raises:
        InvalidInputError: no budgets, two alike, or one that is not between 0 and 100; several with strategy `paper`,
            whose walk does not go on from another one.
    """
    asked = requests_at(request, budgets)
    return run_budgets(Run(model, calibration, splits, asked[0], **options), asked, finished)


def requests_at(request: Request, budgets: Sequence[float]) -> tuple[Request, ...]:
    """Return the request at each budget, smallest first; all are checked.

    Raises:
        InvalidInputError: as `generate_front`.
    """
    if not budgets or len(set(budgets)) < len(budgets):
        raise InvalidInputError(f"budgets must be at least one and differ, but got {list(budgets)}")
    if request.strategy == "paper" and len(budgets) > 1:
        raise InvalidInputError("strategy `paper` walks each budget anew: call `generate` for each")
    return tuple(replace(request, max_accuracy_loss=budget) for budget in sorted(budgets))


def run_budgets(
    run: Run, asked: Sequence[Request], finished: Callable[[GenerationResult], None] | None = None
) -> tuple[GenerationResult, ...]:
    """Search and prove at each of `requests_at`, in their order, with one run (see `generate_front`)."""
    problem, judge, results = run.problem(), None, list[GenerationResult]()
    for i, one in enumerate(asked, start=1):
        run.request, run.evaluator.cap = one, i * one.evaluations
        judge = run.attempt(replace(problem, budget=one.max_accuracy_loss / 100.0), judge)
        results.append(run.result(judge))
        if finished is not None:
            finished(results[-1])
    return tuple(results)
