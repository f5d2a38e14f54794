"""`axdnn train`."""

from __future__ import annotations

from pathlib import Path

import typer

from axdnn.cli.console import progress


def train(
    model: str = typer.Option(..., help="lenet5, resnet8, resnet14 or resnet20."),
    data: str = typer.Option(..., help="mnist, fashion-mnist or cifar10."),
    out: Path = typer.Option(..., help="File for the weights (.safetensors); a .json recipe goes beside it."),
    epochs: int | None = typer.Option(None, min=1, help="Instead of the default recipe's."),
    seed: int = typer.Option(0, min=0, help="Of initial weights, order and augmentation."),
    images: int | None = typer.Option(None, min=1, help="Train on the first so many images of the fit split."),
    restart: bool = typer.Option(False, help="Ignore checkpoints of an interrupted run."),
    quiet: bool = typer.Option(False, help="No progress."),
) -> None:
    """Train a known model on real data; checkpoints every epoch beside the file and resumes from them."""
    from axdnn.models import save_weights
    from axdnn.models import train as train_model

    checkpoints = out.with_suffix(".checkpoints")
    with progress(quiet) as show:
        trained = train_model(
            model, data, epochs=epochs, seed=seed, images=images, checkpoint_dir=checkpoints, resume=not restart,
            progress=show,
        )  # fmt: skip
    save_weights(trained.model, out, trained.recipe)
    if trained.accuracy is not None:
        typer.echo(f"test accuracy {100 * trained.accuracy:.2f} % on {trained.accuracy_images:,} images")
    typer.echo(f"weights: {out}")
