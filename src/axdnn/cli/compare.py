"""`axdnn compare`."""

from __future__ import annotations

from pathlib import Path

import typer

from axdnn.cli.console import Format, parts_of, progress, show_table
from axdnn.cli.generate import CHANNELS_HELP, CONSTRAINT_HELP, MULTIPLIERS_HELP, OBJECTIVE_HELP, STRATEGY_HELP
from axdnn.cli.model_options import DATA_HELP, MEAN_HELP, MODEL_HELP, STD_HELP, WEIGHTS_HELP, numbers, split_limits
from axdnn.cli.skip_options import SKIP_HELP, SKIP_ONLY_HELP, skip_options


def compare(
    model: str = typer.Option(..., help=MODEL_HELP),
    data: str = typer.Option(..., help=DATA_HELP),
    out: Path = typer.Option(..., help="Output folder; rerunning goes on where it was left."),
    strategies: str = typer.Option("integer,greedy,uniform,random", help=f"With commas: {STRATEGY_HELP}"),
    max_accuracy_loss: str = typer.Option("1", help="Budgets in percentage points, with commas: 0.5,1,2."),
    seeds: str = typer.Option("0", help="With commas; each draws its own calibration images."),
    accelerator: str = typer.Option("tpu_v4", help="Name (see `axdnn accelerators list`), or path of a YAML file."),
    multipliers: str = typer.Option("evoapprox8b", help=MULTIPLIERS_HELP),
    objective: str = typer.Option("energy", help=OBJECTIVE_HELP),
    skip: str | None = typer.Option(None, metavar="auto|0.25,0.5", help=SKIP_HELP),
    skip_only: bool = typer.Option(False, "--skip-only", help=SKIP_ONLY_HELP),
    constraint: list[str] | None = typer.Option(None, metavar="KEY=VALUE", help=CONSTRAINT_HELP),
    channel_groups: int = typer.Option(1, help=CHANNELS_HELP),
    score: str = typer.Option("conductance", help="Importance that guides, see `axdnn generate`."),
    evaluations: int = typer.Option(30, help="Cap on full evaluations of each run, at least 3."),
    weights: Path | None = typer.Option(None, help=WEIGHTS_HELP),
    mean: str | None = typer.Option(None, help=MEAN_HELP),
    std: str | None = typer.Option(None, help=STD_HELP),
    search_images: int | None = typer.Option(None, min=1, help="Search on so many held-out images; default all."),
    accept_images: int | None = typer.Option(None, min=1, help="Accept on so many held-out images; default all."),
    test_images: int | None = typer.Option(None, min=1, help="Final figure on so many test images; default all."),
    format: Format = typer.Option(Format.table, help="Output format."),
    quiet: bool = typer.Option(False, "--quiet", help="No progress."),
) -> None:
    """Run strategies and budgets side by side on one model: same images, candidates, cap and cache; a table and a page.

    One strategy with several budgets is its front of accuracy and energy.
    """
    from axdnn.generation import Request, parse_constraints
    from axdnn.methods import compare as run_all
    from axdnn.report import comparison_table

    request = Request(
        multipliers=multipliers, accelerator=accelerator, score=score, evaluations=evaluations,
        objective=objective,  # type: ignore[arg-type]
        constraints=parse_constraints(constraint or []), channel_groups=channel_groups,
        skip=skip_options(skip, skip_only),
    )  # fmt: skip
    with progress(quiet) as show:
        found = run_all(
            model, data, request, out, strategies=parts_of("--strategies", strategies, str),
            losses=parts_of("--max-accuracy-loss", max_accuracy_loss, float), seeds=parts_of("--seeds", seeds, int),
            weights=weights, mean=numbers("--mean", mean), std=numbers("--std", std), progress=show,
            images=split_limits(search=search_images, accept=accept_images, test=test_images),
        )  # fmt: skip
    show_table(comparison_table(found.results), format)
    if format is Format.table:
        typer.echo(f"comparison: {found.files[0]}")
