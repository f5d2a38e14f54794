"""`axdnn models list`."""

from __future__ import annotations

import typer

from axdnn.cli.console import Format, show_listing
from axdnn.cli.group import group

app = group("The networks known by name.")


def usual_data(model: str) -> str:
    """Return the data set that a model is usually trained on."""
    return "mnist" if model == "lenet5" else "cifar10"


@app.command("list")
def list_(format: Format = typer.Option(Format.table, help="Output format.")) -> None:
    """List the networks known by name, at the image size of their usual data set."""
    from axdnn.data import dataset_info
    from axdnn.models import build_model, default_recipe, list_models
    from axdnn.report import Column

    columns = (
        Column("name", "name"), Column("data", "usual data"), Column("input_shape", "image"),
        Column("parameters", "parameters", "count"), Column("epochs", "epochs", "count"),
    )  # fmt: skip
    rows = []
    for name in list_models():
        info = dataset_info(usual_data(name))
        channels, height, _ = info.image_shape
        model = build_model(name, channels, len(info.classes), height)
        rows.append(
            {"name": name, "data": info.name, "input_shape": list(info.image_shape),
             "parameters": sum(p.numel() for p in model.parameters()), "epochs": default_recipe(name, info.name).epochs}
        )  # fmt: skip
    notes = ("Trained weights are shipped, cached, or trained on first use (`axdnn train` makes your own).",)
    show_listing("Models", columns, rows, format, notes)
