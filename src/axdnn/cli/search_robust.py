"""`axdnn search robust-xai-nas`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from axdnn.cli.attack import radii_of
from axdnn.cli.console import Format, show_json, show_table
from axdnn.cli.search_options import (
    ClusterName,
    Cores,
    Gpus,
    Out,
    Output,
    Quiet,
    Resume,
    Seed,
    Storage,
    StudyName,
    Time,
    Trials,
    Workers,
    search_options,
    searching,
)

if TYPE_CHECKING:
    from axdnn.methods import Searched

ARM_HELP = (
    "xai (guided by conductance on clean and attacked images), plain (the same without), exact (topology alone, exact "
    "multipliers), fixed (multipliers and skipped shares of one topology)."
)
EPSILON_HELP = (
    "Radii with commas, L-infinity, pixels in [0, 1]; the first is searched, the others reported. Default: mnist "
    "0.1,0.2, cifar10 1/255,2/255. Fractions may be given."
)
SUITE_HELP = "Attacks on the members in the end, see `axdnn attack`: full, or a list."
MULTIPLIERS_HELP = "evoapprox8b, -signed, -unsigned, xai-gen (thinned to a ladder), or names with commas."


def robust_xai_nas(
    out: Out,
    data: str = typer.Option(..., help="mnist or cifar10; others need --floor and --epsilon."),
    trials: Trials = 12,
    time: Time = None,
    storage: Storage = None,
    study: StudyName = None,
    workers: Workers = None,
    cluster: ClusterName = None,
    cores: Cores = 1,
    gpus: Gpus = 0.0,
    seed: Seed = 0,
    resume: Resume = False,
    epsilon: str | None = typer.Option(None, help=EPSILON_HELP),
    accelerator: str = typer.Option("edge_16x16", help="Name (see `axdnn accelerators list`), or path of a YAML file."),
    multipliers: str = typer.Option("evoapprox8b", help=MULTIPLIERS_HELP),
    arm: str = typer.Option("xai", help=ARM_HELP),
    epochs: int | None = typer.Option(None, min=1, help="Of each topology; default 3, on cifar10 4."),
    train_images: int | None = typer.Option(None, min=1, help="Trained on; default 6,000, on cifar10 8,000."),
    images: int = typer.Option(200, min=1, help="Held-out images that are attacked in the search."),
    floor: float | None = typer.Option(None, help="Least clean accuracy; default mnist 0.9, cifar10 0.35."),
    suite: str | None = typer.Option(None, help=SUITE_HELP),
    members: int = typer.Option(3, min=0, help="Members of the front that the suite is run on."),
    check_images: int = typer.Option(40, min=1, help="Test images of the suite."),
    format: Output = Format.table,
    quiet: Quiet = False,
) -> None:
    """Search for approximate networks that are robust, cheap, fast and small at once.

    Each topology is trained for a few epochs on a part of the images; the result states both. The front's best members
    are attacked again, more strongly, on test images.
    """
    options = search_options(trials, time, storage, study, workers, seed, resume, cluster, cores, gpus)
    radii = None if epsilon is None else radii_of("--epsilon", epsilon)

    from axdnn.data import dataset_info
    from axdnn.methods import default_options
    from axdnn.methods import robust_xai_nas as run

    dataset_info(data)
    training = {name: value for name, value in (("epochs", epochs), ("images", train_images)) if value is not None}
    given = {"floor": floor, "suite": suite}
    request = default_options(
        data, eps=radii, training=training, accelerator=accelerator, multipliers=multipliers, arm=arm, images=images,
        clean_images=max(1000, images), members=members, check_images=check_images,
        **{name: value for name, value in given.items() if value is not None},
    )  # fmt: skip
    with searching(out, quiet) as show:
        found = run(data, out, request=request, options=options, progress=show)
    _show(found, format)


def _show(found: Searched, format: Format) -> None:
    from axdnn.records import to_builtins
    from axdnn.report import Column, Table

    result = found.result
    if found.resumed:
        typer.echo(f"{found.folder} was finished already: showing its result", err=True)
    if format is Format.json:
        show_json(to_builtins(result))
        return
    columns = (
        Column("trial", "Trial", "number"), Column("robust_accuracy", "Robust", "percent", digits=1),
        Column("clean_accuracy", "Clean", "percent", digits=1),
        Column("test_worst_case", "Worst case, test", "percent", digits=1), Column("energy_j", "Energy", "si", "J"),
        Column("latency_s", "Latency", "si", "s"), Column("memory_bytes", "Memory", "si", "B"),
        Column("layers", "Layers", "number"),
    )  # fmt: skip
    radius = float(result.settings["eps"].strip("[]").split(",")[0])
    rows = tuple(
        (
            m.trial, 1 - m.objectives["robust_error"], m.figures["clean_accuracy"],
            m.figures.get(f"test_worst_case_at_{radius:.4g}"), m.objectives["energy_j"], m.objectives["latency_s"],
            m.objectives["memory_bytes"], len(m.layers),
        )
        for m in result.front
    )  # fmt: skip
    images = ", ".join(f"{count} {name}" for name, count in result.images.items())
    masked = [f"{name}: {text}" for name, text in result.provenance.items() if name.startswith("masked")]
    notes = (
        f"{result.evaluations} evaluations ({result.failed} failed) of {result.space_size} candidates, arm "
        f"{result.settings['arm']}, {result.epochs:g} epochs; images: {images}",
        f"hypervolume {result.hypervolume:.4g}; robust accuracy is under PGD-10 at {radius:.4g}",
        *masked,
    )
    show_table(Table("Front", columns, rows, notes), format)
    typer.echo(f"result: {found.folder / 'result.json'}")
    typer.echo(f"report: {found.folder / 'report.html'}")
