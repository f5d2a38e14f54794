"""`axdnn train`."""

from __future__ import annotations

from pathlib import Path

import typer

from axdnn.cli.console import Format, progress, require_file_place, require_seed, show_json


def train(
    model: str = typer.Option(..., help="A known name, see `axdnn models list`."),
    data: str = typer.Option(..., help="mnist, fashion-mnist or cifar10."),
    out: Path = typer.Option(..., help="File for the weights (.safetensors); a .json recipe goes beside it."),
    epochs: int | None = typer.Option(None, min=1, help="Instead of the default recipe's."),
    seed: int = typer.Option(0, help="Of initial weights, order and augmentation."),
    images: int | None = typer.Option(None, min=1, help="Train on the first so many images of the fit split."),
    restart: bool = typer.Option(False, "--restart", help="Ignore checkpoints of an interrupted run."),
    format: Format = typer.Option(Format.table, help="Output format."),
    quiet: bool = typer.Option(False, "--quiet", help="No progress."),
) -> None:
    """Train a known model on real data; checkpoints every epoch beside the file and resumes from them."""
    require_seed(seed)
    require_file_place(out, ".safetensors")

    from axdnn.models import save_weights
    from axdnn.models import train as train_model

    checkpoints = out.with_suffix(".checkpoints")
    try:
        with progress(quiet) as show:
            trained = train_model(
                model, data, epochs=epochs, seed=seed, images=images, checkpoint_dir=checkpoints, resume=not restart,
                progress=show,
            )  # fmt: skip
    except KeyboardInterrupt:
        kept = f"finished epochs are in {checkpoints}" if checkpoints.exists() else "no epoch was finished"
        raise KeyboardInterrupt(f"interrupted; {kept}; rerun the same command to resume") from None
    save_weights(trained.model, out, trained.recipe)
    if format is Format.json:
        show_json(
            {"model": model, "data": data, "weights": str(out), "test_accuracy": trained.accuracy,
             "test_images": trained.accuracy_images, "recipe": trained.recipe}
        )  # fmt: skip
        return
    if trained.accuracy is not None:
        typer.echo(f"test accuracy {100 * trained.accuracy:.2f} % on {trained.accuracy_images:,} images")
    typer.echo(f"weights: {out}")
