"""`axdnn data list` and `axdnn data get`."""

from __future__ import annotations

import typer

from axdnn.cli.console import Format, progress, show_table

app = typer.Typer(no_args_is_help=True)


@app.command("list")
def list_(format: Format = typer.Option(Format.table, help="Output format.")) -> None:
    """List the data sets."""
    from axdnn.data import dataset_info, list_datasets
    from axdnn.report import Column, Table

    columns = (
        Column("name", "name"), Column("shape", "image"), Column("train", "training images", "count"),
        Column("test", "test images", "count"), Column("licence", "licence"),
    )  # fmt: skip
    rows = []
    for name in list_datasets():
        info = dataset_info(name)
        rows.append((name, "x".join(map(str, info.image_shape)), info.train_images, info.test_images, info.licence))
    show_table(Table("Data sets", columns, tuple(rows)), format)


@app.command()
def get(
    name: str = typer.Argument(help="mnist, fashion-mnist or cifar10."),
    force: bool = typer.Option(False, help="Fetch again even if the cached copy is good."),
) -> None:
    """Fetch a data set into the cache and check it."""
    from axdnn.data import get_dataset

    with progress() as show:
        path = get_dataset(name, force=force, progress=show)
    typer.echo(f"{name}: {path}")
