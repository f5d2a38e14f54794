"""`axdnn generate`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from axdnn.cli.console import Format, parts_of, progress, require_seed, show_table
from axdnn.cli.finetune_options import FINETUNE, FINETUNE_HELP, finetune_options
from axdnn.cli.model_options import (
    DATA_HELP,
    MEAN_HELP,
    MODEL_HELP,
    SCORES,
    STD_HELP,
    WEIGHTS_HELP,
    numbers,
    split_limits,
)
from axdnn.cli.paper_options import PAPER_HELP, paper_options
from axdnn.cli.skip_options import SKIP_HELP, SKIP_ONLY_HELP, skip_options

if TYPE_CHECKING:
    from axdnn.generation import Request

MULTIPLIERS_HELP = (
    "evoapprox8b, -signed, -unsigned, xai-gen, or names with commas: circuits, families (drum:k=4), files (mine.axmul)."
)
STRATEGY_HELP = (
    "integer, paper (Algorithm 1 of XAI-Gen), greedy, noise_greedy, uniform, random, nsga2, agn (tolerated noise), "
    "taylor; uniform_precision, mixed_precision (exact products of fewer bits); exhaustive (all choices, where few)."
)
STEPS = ("coding", "ranges", "mapping", "bias", "order")
FRONT_HELP = "Several budgets with shared evaluations: a folder for each in --out, and a page that compares them."
OBJECTIVE_HELP = "Minimise the chip's energy, the multiplier energy alone, or paper_literal (XAI-Gen's equations)."
RECOVER_HELP = (
    "Steps against a circuit's errors, with commas: coding, ranges, mapping, bias, order (default: these); finetune "
    "(train bolder choices after the search); or none."
)
CONSTRAINT_HELP = (
    "Limit of every choice, may be repeated: kinds=3 (distinct multipliers), latency=2ms, area=400mm2, memory=8MB, "
    "tie=stage1.* (layers that share their multiplier)."
)
CHANNELS_HELP = "Groups of output channels in each layer, each with a multiplier of its own; 1: one a layer."


def generate(
    model: str = typer.Option(..., help=MODEL_HELP),
    data: str = typer.Option(..., help=DATA_HELP),
    out: Path = typer.Option(..., help="Output folder; rerunning with the same settings resumes."),
    accelerator: str = typer.Option("tpu_v4", help="Name (see `axdnn accelerators list`), or path of a YAML file."),
    multipliers: str = typer.Option("evoapprox8b", help=MULTIPLIERS_HELP),
    max_accuracy_loss: float = typer.Option(1.0, help="Percentage points below the exact int8 network."),
    front: str | None = typer.Option(None, metavar="0.5,1,2", help=FRONT_HELP),
    strategy: str = typer.Option("integer", help=STRATEGY_HELP),
    objective: str = typer.Option("energy", help=OBJECTIVE_HELP),
    paper: list[str] | None = typer.Option(None, metavar="KEY=VALUE", help=PAPER_HELP),
    skip: str | None = typer.Option(None, metavar="auto|0.25,0.5", help=SKIP_HELP),
    skip_only: bool = typer.Option(False, "--skip-only", help=SKIP_ONLY_HELP),
    constraint: list[str] | None = typer.Option(None, metavar="KEY=VALUE", help=CONSTRAINT_HELP),
    channel_groups: int = typer.Option(1, help=CHANNELS_HELP),
    recover: str = typer.Option(",".join(STEPS), help=RECOVER_HELP),
    finetune: list[str] | None = typer.Option(None, metavar="KEY=VALUE", help=FINETUNE_HELP),
    score: str = typer.Option("conductance", help=f"Importance that guides: {SCORES} or none."),
    evaluations: int = typer.Option(30, help="Cap on full evaluations, at least 3."),
    seed: int = typer.Option(0, help="Of calibration images, samples and strategy."),
    weights: Path | None = typer.Option(None, help=WEIGHTS_HELP),
    mean: str | None = typer.Option(None, help=MEAN_HELP),
    std: str | None = typer.Option(None, help=STD_HELP),
    search_images: int | None = typer.Option(None, min=1, help="Search on so many held-out images; default all."),
    accept_images: int | None = typer.Option(None, min=1, help="Accept on so many held-out images; default all."),
    test_images: int | None = typer.Option(None, min=1, help="Final figure on so many test images; default all."),
    format: Format = typer.Option(Format.table, help="Summary as a table, or the whole result as JSON."),
    quiet: bool = typer.Option(False, "--quiet", help="No progress."),
) -> None:
    """Choose an approximate multiplier for each layer within an accuracy budget, verify it, price it, report it.

    The output folder gets result.json, report.html and figures. Ctrl-C keeps the best so far in study.json. With
    finetune it also gets network.safetensors, the trained network, and untrained.json, the result without training.
    """
    from axdnn.generation import Request, parse_constraints, recovery_recipe
    from axdnn.methods import xai_gen
    from axdnn.records import to_json
    from axdnn.report import print_summary

    require_seed(seed)
    steps = parts_of("--recover", recover.removesuffix("none"), str)
    training = finetune_options(finetune, steps, front)
    request = Request(
        max_accuracy_loss=max_accuracy_loss, multipliers=multipliers, accelerator=accelerator, strategy=strategy,
        score=score, evaluations=evaluations, seed=seed, paper=paper_options(paper, strategy),
        objective=objective,  # type: ignore[arg-type]
        constraints=parse_constraints(constraint or []), channel_groups=channel_groups,
        skip=skip_options(skip, skip_only),
        recipe=recovery_recipe([step for step in steps if step != FINETUNE]),
    )  # fmt: skip
    options = {
        "weights": weights, "mean": numbers("--mean", mean), "std": numbers("--std", std),
        "images": split_limits(search=search_images, accept=accept_images, test=test_images),
    }  # fmt: skip
    if front is not None:
        _front(model, data, request, out, front, format, quiet, options)
        return
    try:
        with progress(quiet) as show:
            outcome = xai_gen(
                model, data, request, out, training=training, progress=show, **options  # type: ignore[arg-type]
            )  # fmt: skip
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"interrupted; {_kept(out)}") from None
    if outcome.resumed:
        typer.echo(f"{out} was finished already: showing its result", err=True)
    if format is Format.json:
        sys.stdout.write(to_json(outcome.result))
        return
    print_summary(outcome.result)
    typer.echo(f"result: {out / 'result.json'}")
    typer.echo(f"report: {out / 'report.html'}")


def _front(
    model: str, data: str, request: Request, out: Path, text: str, format: Format, quiet: bool,
    options: dict[str, Any],
) -> None:  # fmt: skip
    """Generate at all budgets and print a table of them."""
    from axdnn.methods import xai_gen_front
    from axdnn.report import comparison_table

    with progress(quiet) as show:
        found = xai_gen_front(model, data, request, out, parts_of("--front", text, float), progress=show, **options)
    if found.resumed:
        typer.echo(f"{out} was finished already: showing its results", err=True)
    show_table(comparison_table(found.results), format)
    if format is Format.table:
        typer.echo(f"comparison: {found.files[0]}")


def _kept(out: Path) -> str:
    from axdnn.records import RecordError, Study, load_record

    file = out / "study.json"
    try:
        study = load_record(Study, file)
    except RecordError:
        return "no evaluation was finished; rerun the same command to start again"
    best = "the best so far is" if study.best is not None else "no accepted choice is"
    done = f"{study.full_evaluations} evaluations are saved and {best} in {file}"
    return f"{done}; rerun the same command to resume"
