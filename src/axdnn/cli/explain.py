"""`axdnn explain`."""

from __future__ import annotations

from pathlib import Path

import typer

from axdnn.cli.console import Format, progress, require_folder_place, require_seed, show_json, show_table, write_bytes
from axdnn.cli.model_options import (
    DATA_HELP,
    MEAN_HELP,
    MODEL_HELP,
    SCORES,
    STD_HELP,
    WEIGHTS_HELP,
    file_stem,
    numbers,
    split_limits,
)

IMAGES = 500


def explain(
    model: str = typer.Option(..., help=MODEL_HELP),
    data: str = typer.Option(..., help=DATA_HELP),
    scores: str = typer.Option("conductance,ablation", help=f"Scores, with commas: {SCORES}."),
    images: int | None = typer.Option(None, min=1, help=f"Held-out images that measure ablation; default {IMAGES}."),
    conductance_images: int = typer.Option(32, min=1, help="Images attributed."),
    steps: int = typer.Option(20, min=2, help="Points on the attribution path."),
    seed: int = typer.Option(0, help="Of the calibration images."),
    weights: Path | None = typer.Option(None, help=WEIGHTS_HELP),
    mean: str | None = typer.Option(None, help=MEAN_HELP),
    std: str | None = typer.Option(None, help=STD_HELP),
    out: Path | None = typer.Option(None, help="Folder for the files; default runs/explain-MODEL-DATA."),
    format: Format = typer.Option(Format.table, help="Output format."),
    quiet: bool = typer.Option(False, "--quiet", help="No progress."),
) -> None:
    """Print and draw which layers of a trained network matter, and how well each score ranks them."""
    import json

    from axdnn.records import InvalidInputError

    names = [s.strip() for s in scores.split(",") if s.strip()]
    if not names:
        raise InvalidInputError(f"--scores must name at least one score, but got {scores!r}")
    require_seed(seed)
    means, stds = numbers("--mean", mean), numbers("--std", std)
    out = out or Path("runs") / f"explain-{file_stem(model)}-{data}"
    require_folder_place(out)

    from axdnn.data import load_dataset
    from axdnn.importance import explain as explain_model
    from axdnn.importance import load_scorer
    from axdnn.methods import splits_of
    from axdnn.models import resolve_model
    from axdnn.records import to_builtins
    from axdnn.report import draw_importance, importance_table, score_costs_table, scores_data, tau_table, to_png

    for name in names:
        load_scorer(name)
    with progress(quiet) as show:
        trained = resolve_model(model, data, weights=weights, mean=means, std=stds, progress=show)
        dataset = load_dataset(data, progress=show)
        calibration, splits = splits_of(dataset, seed, split_limits(search=images))
        network, found = explain_model(
            trained.model, splits["search"].images[: images or IMAGES], calibration=calibration, scores=names,
            steps=steps, conductance_images=conductance_images, name=trained.name, progress=show,
        )  # fmt: skip
    plain = [to_builtins(score) for score in found]
    if format is Format.json:
        show_json(plain)
    else:
        show_table(importance_table(found, network.layer_names), format)
        show_table(score_costs_table(found), format)
        if len(found) > 1:
            show_table(tau_table(found), format)
    write_bytes(out / "scores.json", (json.dumps(plain, indent=1) + "\n").encode(), quiet)
    write_bytes(out / "importance.png", to_png(draw_importance(scores_data(found, network.layer_names))), quiet)
