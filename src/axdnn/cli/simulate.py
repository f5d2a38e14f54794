"""`axdnn simulate`. (Not `evaluate`: an evaluation is what a search counts and its cap limits.)"""

from __future__ import annotations

from pathlib import Path

import typer

from axdnn.cli.console import Format, progress, require_seed, show_json, show_table
from axdnn.cli.model_options import MEAN_HELP, MODEL_HELP, STD_HELP, WEIGHTS_HELP
from axdnn.cli.saved import (
    ACCELERATOR_HELP,
    ASSIGNMENT_HELP,
    CHANNELS_HELP,
    CODES_HELP,
    MULTIPLIER_HELP,
    RUN_HELP,
    rebuilt,
)


def simulate(
    run: Path | None = typer.Argument(None, help=RUN_HELP),
    data: str | None = typer.Option(None, help="Any data set of the same image shape and classes; of a run its own."),
    split: str = typer.Option("test", help="test, accept, search, calibration or fit."),
    images: int | None = typer.Option(None, min=1, help="The first so many; default all, of a run as many as it used."),
    path: str = typer.Option("auto", help="Kernel path: auto, reference (literal, slow), factorised, lookup, ..."),
    model: str | None = typer.Option(None, help=MODEL_HELP),
    multiplier: str | None = typer.Option(None, help=MULTIPLIER_HELP),
    assignment: Path | None = typer.Option(None, help=ASSIGNMENT_HELP),
    weights: Path | None = typer.Option(None, help=WEIGHTS_HELP),
    mean: str | None = typer.Option(None, help=MEAN_HELP),
    std: str | None = typer.Option(None, help=STD_HELP),
    accelerator: str | None = typer.Option(None, help=ACCELERATOR_HELP),
    seed: int | None = typer.Option(None, help="Of the calibration images, without a run; default 0."),
    channel_groups: int | None = typer.Option(None, help=CHANNELS_HELP),
    weight_codes: str | None = typer.Option(None, help=CODES_HELP),
    format: Format = typer.Option(Format.table, help="Output format."),
    quiet: bool = typer.Option(False, "--quiet", help="No progress."),
) -> None:
    """Run a saved assignment bit-exactly on any data: accuracy beside the exact int8 and the float network."""
    require_seed(seed or 0)

    from dataclasses import asdict

    from axdnn.methods import simulate as run_simulation
    from axdnn.report import Column, Table

    with progress(quiet) as show:
        built = rebuilt(
            run, model, data, multiplier, assignment, weights, mean, std, accelerator, seed, channel_groups, show,
            weight_codes,
        )  # fmt: skip
        found = run_simulation(
            built, data=data, split=split, images=images, path=path, progress=show,  # type: ignore[arg-type]
        )  # fmt: skip
    if format is Format.json:
        show_json(asdict(found))
        return
    columns = (Column("network", "network"), Column("accuracy", "accuracy", "percent", digits=2))
    rows = (
        ("float", found.float_accuracy),
        ("exact int8", found.baseline_accuracy),
        ("approximate", found.accuracy),
    )
    title = f"{found.model} on {found.images} images of {found.data}, {found.split}"
    loss = 100 * (found.baseline_accuracy - found.accuracy)
    note = f"loss {loss:.2f} points, one-sided 95 % bound {100 * found.loss_bound:.2f}"
    show_table(Table(title, columns, rows, (note,)), format)
