"""`axdnn estimate`."""

from __future__ import annotations

import sys
from pathlib import Path

import typer

from axdnn.cli.console import Format, show_table


def estimate(
    model: str = typer.Option(..., help="lenet5, resnet8, resnet14 or resnet20."),
    accelerator: str = typer.Option("tpu_v4", help="Name, or path of a YAML file."),
    data: str | None = typer.Option(None, help="Data set that gives the input shape; mnist for lenet5, else cifar10."),
    multiplier: str = typer.Option("exact", help="Multiplier of every layer."),
    assignment: Path | None = typer.Option(None, help="Take the multipliers from this result.json."),
    reading: str = typer.Option("buildable", help="buildable or ideal."),
    format: Format = typer.Option(Format.table, help="Output format."),
) -> None:
    """Price a network on an accelerator: energy, latency, memory and area, by layer and component."""
    import torch

    from axdnn.data import dataset_info
    from axdnn.hardware import estimate as price
    from axdnn.layers import Recipe, coded
    from axdnn.models import build_model
    from axdnn.multipliers import load_multiplier
    from axdnn.quant import capture, fold_batch_norm, network_of
    from axdnn.records import Assignment, GenerationResult, load_record, to_json
    from axdnn.report import cost_layers_table, cost_totals_table

    info = dataset_info(data or ("mnist" if model == "lenet5" else "cifar10"))
    channels, height, _ = info.image_shape
    net = build_model(model, channels, len(info.classes), height)
    network = network_of(fold_batch_norm(capture(net, torch.zeros(1, *info.image_shape))), model)
    if assignment is not None:
        chosen = Assignment(multipliers=load_record(GenerationResult, assignment).assignment)
    else:
        name = load_multiplier(multiplier).name
        chosen = Assignment(multipliers=dict.fromkeys(network.layer_names, name))
    wired = {name: coded(load_multiplier(name), Recipe()) for name in chosen.kinds}
    report = price(network, chosen, accelerator, multipliers=wired, reading=reading)  # type: ignore[arg-type]
    if format is Format.json:
        sys.stdout.write(to_json(report))
        return
    show_table(cost_layers_table(report), format)
    show_table(cost_totals_table(report), format)
