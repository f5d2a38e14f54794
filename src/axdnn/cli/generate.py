"""`axdnn generate`."""

from __future__ import annotations

from pathlib import Path

import typer

from axdnn.cli.console import progress
from axdnn.records import InvalidInputError


def generate(
    model: str = typer.Option(..., help="lenet5, resnet8, resnet14 or resnet20."),
    data: str = typer.Option(..., help="mnist, fashion-mnist or cifar10."),
    out: Path = typer.Option(..., help="Output folder; rerunning with the same settings resumes."),
    accelerator: str = typer.Option("tpu_v4", help="Name, or path of a YAML file."),
    multipliers: str = typer.Option("evoapprox8b", help="evoapprox8b, evoapprox8b-signed, or names with commas."),
    max_accuracy_loss: float = typer.Option(1.0, help="Percentage points below the exact int8 network."),
    strategy: str = typer.Option("integer", help="integer, greedy, uniform or random."),
    score: str = typer.Option("conductance", help="Importance that guides: conductance, ablation or none."),
    evaluations: int = typer.Option(30, help="Cap on full evaluations."),
    seed: int = typer.Option(0, help="Of calibration images, samples and strategy."),
    weights: Path | None = typer.Option(None, help="Checkpoint, instead of the shipped or trained weights."),
    quiet: bool = typer.Option(False, help="No progress."),
) -> None:
    """Choose an approximate multiplier for each layer within an accuracy budget, verify it, price it, report it."""
    from axdnn.generation import Request
    from axdnn.methods import xai_gen
    from axdnn.report import print_summary

    if seed < 0:
        raise InvalidInputError(f"seed >= 0 must hold, but got seed={seed}")
    request = Request(
        max_accuracy_loss=max_accuracy_loss, multipliers=multipliers, accelerator=accelerator, strategy=strategy,
        score=score, evaluations=evaluations, seed=seed,
    )  # fmt: skip
    try:
        with progress(quiet) as show:
            outcome = xai_gen(model, data, request, out, weights=weights, progress=show)
    except KeyboardInterrupt:
        if (out / "study.json").exists():
            typer.echo(f"interrupted; history and best so far are in {out / 'study.json'}; rerun to resume", err=True)
        raise typer.Exit(130) from None
    if outcome.resumed:
        typer.echo(f"{out} was finished already: showing its result", err=True)
    print_summary(outcome.result)
    typer.echo(f"report: {out / 'report.html'}")
