"""`axdnn search`: a command for each search method."""

from __future__ import annotations

from pathlib import Path

import typer

from axdnn.cli import search_robust
from axdnn.cli.console import Format, parts_of
from axdnn.cli.generate import MULTIPLIERS_HELP
from axdnn.cli.group import group
from axdnn.cli.model_options import DATA_HELP, MEAN_HELP, MODEL_HELP, STD_HELP, WEIGHTS_HELP, numbers
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
    show_searched,
)

app = group("Search for networks: fronts of accuracy, energy and more, on one machine or many.")
ARM_HELP = (
    "xai (seeds and mutations guided by importance), or a baseline: xai-seeds (no guidance), nsga2-macs (seeds without "
    "XAI), alwann (NSGA-II without seeds), cgp (hill climbers), random."
)
OBJECTIVE_HELP = "Beside the loss: energy of the multipliers alone (multiplier), or of the chip (energy)."
SKIP_HELP = "Shares of its neurons that a layer may skip, with commas; none for no skipping."
CODES_HELP = "Weight codes of every candidate: joint (ours), optimal, nearest, or alwann (ALWANN's map)."


@app.command("xai-nas")
def xai_nas(
    out: Out,
    data: str = typer.Option(..., help=DATA_HELP),
    model: str | None = typer.Option(None, help=f"The trained network; default: the usual one. {MODEL_HELP}"),
    accelerator: str = typer.Option("tpu_v4", help="Name (see `axdnn accelerators list`), or path of a YAML file."),
    multipliers: str = typer.Option("evoapprox8b", help=MULTIPLIERS_HELP),
    arm: str = typer.Option("xai", help=ARM_HELP),
    objective: str = typer.Option("multiplier", help=OBJECTIVE_HELP),
    skip: str = typer.Option("0.125,0.25,0.375,0.5,0.75", help=SKIP_HELP),
    weight_codes: str = typer.Option("joint", help=CODES_HELP),
    score: str = typer.Option("conductance", help="Importance that guides, see `axdnn explain`."),
    loss_limit: float = typer.Option(10.0, help="Most points that a front member loses; the reference point's too."),
    search_images: int = typer.Option(512, min=1, help="Held-out images that judge every candidate."),
    test_images: int = typer.Option(2000, min=1, help="Test images of the final figures of some front members."),
    trials: Trials = 60,
    time: Time = None,
    storage: Storage = None,
    study: StudyName = None,
    workers: Workers = None,
    cluster: ClusterName = None,
    cores: Cores = 1,
    gpus: Gpus = 0.0,
    seed: Seed = 0,
    resume: Resume = False,
    weights: Path | None = typer.Option(None, help=WEIGHTS_HELP),
    mean: str | None = typer.Option(None, help=MEAN_HELP),
    std: str | None = typer.Option(None, help=STD_HELP),
    format: Output = Format.table,
    quiet: Quiet = False,
) -> None:
    """Search multipliers and skipped neurons of a trained network, seeded and guided by XAI-Gen.

    Accuracy loss against energy. Members of the front are front/NN.json: `axdnn simulate` and `axdnn export` take them
    with --assignment. docs/xai_nas.md says what is the paper's and what is reconstruction.
    """
    from axdnn.methods import XaiNasRequest
    from axdnn.methods import xai_nas as run

    options = search_options(trials, time, storage, study, workers, seed, resume, cluster, cores, gpus)
    request = XaiNasRequest(
        arm=arm, objective=objective, accelerator=accelerator, multipliers=multipliers,  # type: ignore[arg-type]
        weight_codes=weight_codes, score=score, skip=tuple(parts_of("--skip", skip.removesuffix("none"), float)),
        loss_limit=loss_limit / 100, search_images=search_images, test_images=test_images,
    )  # fmt: skip
    with searching(out, quiet) as show:
        found = run(
            data, out, model=model, request=request, options=options, weights=weights, mean=numbers("--mean", mean),
            std=numbers("--std", std), progress=show,
        )  # fmt: skip
    show_searched(found, format)


app.command("robust-xai-nas")(search_robust.robust_xai_nas)
