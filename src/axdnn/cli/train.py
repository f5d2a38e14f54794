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
    restart: bool = typer.Option(False, "--restart", help="Train from the start, replacing what is there."),
    format: Format = typer.Option(Format.table, help="Output format."),
    quiet: bool = typer.Option(False, "--quiet", help="No progress."),
) -> None:
    """Train a known model on real data. Stopped at any moment, the same command goes on where it was.

    The checkpoint, written every epoch and every minute, is in a folder beside the file and goes when it is finished.
    """
    require_seed(seed)
    require_file_place(out, ".safetensors")

    from axdnn.models import checkpoints_of, train_to_file

    try:
        with progress(quiet) as show:
            trained, before = train_to_file(
                model, data, out, epochs=epochs, seed=seed, images=images, restart=restart, progress=show
            )
    except KeyboardInterrupt:
        place = checkpoints_of(out)
        kept = f"the state so far is in {place}" if place.exists() else "no checkpoint was written yet"
        again = "rerun without --restart to resume" if restart else "rerun the same command to resume"
        raise KeyboardInterrupt(f"interrupted; {kept}; {again}") from None
    if before:
        typer.echo(f"{out} was finished already: showing its accuracy; --restart trains it again", err=True)
    if format is Format.json:
        show_json(
            {"model": model, "data": data, "weights": str(out), "test_accuracy": trained.accuracy,
             "test_images": trained.accuracy_images, "recipe": trained.recipe}
        )  # fmt: skip
        return
    if trained.accuracy is not None:
        typer.echo(f"test accuracy {100 * trained.accuracy:.2f} % on {trained.accuracy_images:,} images")
    typer.echo(f"weights: {out}")
