"""`axdnn models list`."""

from __future__ import annotations

import typer

from axdnn.cli.console import Format, show_listing
from axdnn.cli.group import group
from axdnn.cli.model_options import SPEC_FORMS, usual_data

app = group("The networks known by name.")


@app.command("list")
def list_(format: Format = typer.Option(Format.table, help="Output format.")) -> None:
    """List the networks known by name: with their usual data set, and with each one that weights ship for."""
    from axdnn.data import dataset_info
    from axdnn.models import build_model, default_recipe, list_models, shipped_recipes
    from axdnn.report import Column

    columns = (
        Column("name", "name"), Column("data", "data"), Column("input_shape", "image"),
        Column("parameters", "parameters", "count"), Column("epochs", "epochs", "count"),
        Column("weights", "weights"), Column("test_accuracy", "accuracy", "percent", digits=2),
        Column("test_images", "test images", "count"),
    )  # fmt: skip
    shipped = {(recipe["model"], recipe["data"]): recipe for recipe in shipped_recipes()}
    rows = []
    for name in list_models():
        for data in dict.fromkeys([usual_data(name), *(data for model, data in shipped if model == name)]):
            info, recipe = dataset_info(data), shipped.get((name, data), {})
            channels, height, _ = info.image_shape
            model = build_model(name, channels, len(info.classes), height)
            epochs = recipe["settings"]["epochs"] if recipe else default_recipe(name, data).epochs
            rows.append(
                {"name": name, "data": data, "input_shape": list(info.image_shape),
                 "parameters": sum(p.numel() for p in model.parameters()), "epochs": epochs,
                 "weights": "shipped" if recipe else "trained on first use",
                 "test_accuracy": recipe.get("test_accuracy"), "test_images": recipe.get("test_images")}
            )  # fmt: skip
    notes = (
        "accuracy: of the shipped weights in float, on all test images of the data set.",
        f"`axdnn train` makes your own weights. Your own model: {SPEC_FORMS}.",
    )
    show_listing("Models", columns, rows, format, notes)
