"""`axdnn data list` and `axdnn data get`."""

from __future__ import annotations

import typer

from axdnn.cli.console import Format, progress, show_json, show_listing
from axdnn.cli.group import group

app = group("Real data sets.")


@app.command("list")
def list_(format: Format = typer.Option(Format.table, help="Output format.")) -> None:
    """List the data sets."""
    from axdnn.data import dataset_info, list_datasets
    from axdnn.report import Column

    columns = (
        Column("name", "name"), Column("image_shape", "image"), Column("train_images", "training images", "count"),
        Column("test_images", "test images", "count"), Column("licence", "licence"),
    )  # fmt: skip
    rows = [
        {"name": info.name, "image_shape": list(info.image_shape), "classes": list(info.classes),
         "train_images": info.train_images, "test_images": info.test_images, "sha256": info.sha256,
         "licence": info.licence}
        for info in map(dataset_info, list_datasets())
    ]  # fmt: skip
    show_listing("Data sets", columns, rows, format)


@app.command()
def get(
    name: str = typer.Argument(help="mnist, fashion-mnist or cifar10."),
    force: bool = typer.Option(False, "--force", help="Fetch again even if the cached copy is good."),
    format: Format = typer.Option(Format.table, help="Output format."),
    quiet: bool = typer.Option(False, "--quiet", help="No progress."),
) -> None:
    """Fetch a data set into the cache and check it."""
    from axdnn.data import get_dataset

    with progress(quiet) as show:
        path = get_dataset(name, force=force, progress=show)
    if format is Format.json:
        show_json({"name": name, "path": str(path)})
    else:
        typer.echo(f"{name}: {path}")
