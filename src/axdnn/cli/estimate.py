"""`axdnn estimate`."""

from __future__ import annotations

import sys
from pathlib import Path

import typer

from axdnn.cli.console import Format, result_file, show_table
from axdnn.cli.model_options import MEAN_HELP, MODEL_HELP, STD_HELP, WEIGHTS_HELP, numbers, usual_data

READINGS = ("buildable", "ideal")
COST_MODELS = ("streaming", "paper_literal")


def estimate(
    model: str = typer.Option(..., help=MODEL_HELP),
    accelerator: str = typer.Option("tpu_v4", help="Name (see `axdnn accelerators list`), or path of a YAML file."),
    data: str | None = typer.Option(None, help="Data set that gives the input shape; default: the model's usual one."),
    multiplier: str | None = typer.Option(None, help="Multiplier of every layer; default: the exact one."),
    assignment: Path | None = typer.Option(
        None, help="Take multipliers and skipped neurons from this result.json or run folder."
    ),
    cost_model: str = typer.Option("streaming", help="streaming, or paper_literal: the equations XAI-Gen printed."),
    reading: str | None = typer.Option(
        None, help="buildable (a pod holds one multiplier; default) or ideal (any, at no cost); of streaming alone."
    ),
    batch: int = typer.Option(1, min=1, help="Inferences computed together; every figure is of all of them."),
    weights: Path | None = typer.Option(None, help=f"{WEIGHTS_HELP} A price needs none."),
    mean: str | None = typer.Option(None, help=MEAN_HELP),
    std: str | None = typer.Option(None, help=STD_HELP),
    format: Format = typer.Option(Format.table, help="Output format."),
) -> None:
    """Price a network on an accelerator: energy, latency, memory and area, by layer and component."""
    from axdnn.hardware import load_accelerator
    from axdnn.multipliers import load_multiplier
    from axdnn.records import (
        Assignment,
        GenerationResult,
        InvalidInputError,
        load_record,
        to_json,
        unknown_name,
    )

    if cost_model not in COST_MODELS:
        raise unknown_name("cost model", cost_model, COST_MODELS)
    if reading is not None and reading not in READINGS:
        raise unknown_name("reading", reading, READINGS)
    if reading is not None and cost_model != "streaming":
        raise InvalidInputError(f"--reading is for --cost-model streaming, but got {cost_model}, which has one reading")
    if batch != 1 and cost_model != "streaming":
        raise InvalidInputError(
            f"--batch is for --cost-model streaming, but got {cost_model}, which prices one inference"
        )
    if multiplier is not None and assignment is not None:
        raise InvalidInputError("give --multiplier or --assignment, not both")
    chip = load_accelerator(accelerator)
    name = load_multiplier(multiplier or "exact").name
    found = load_record(GenerationResult, result_file(assignment)) if assignment is not None else None

    import torch

    from axdnn.data import dataset_info
    from axdnn.hardware import estimate as price
    from axdnn.hardware import paper_literal
    from axdnn.layers import Recipe, coded
    from axdnn.models import resolve_model
    from axdnn.quant import capture, fold_batch_norm, network_of
    from axdnn.report import cost_energy_table, cost_layers_table, cost_operators_table, cost_totals_table

    info = dataset_info(data or usual_data(model))
    net = resolve_model(model, info.name, weights=weights, mean=numbers("--mean", mean), std=numbers("--std", std),
                        shapes_only=True)  # fmt: skip
    network = network_of(fold_batch_norm(capture(net.model, torch.zeros(1, *info.image_shape))), net.name)
    if found is None:
        chosen = Assignment(multipliers=dict.fromkeys(network.layer_names, name))
    else:  # the pods were chosen for another accelerator, perhaps
        left_out = found.chosen.assignment
        chosen = Assignment(multipliers=found.assignment, skip=left_out.skip, absent=left_out.absent)
    wired = {name: coded(load_multiplier(name), Recipe()) for name in chosen.kinds}
    if cost_model == "streaming":
        report = price(network, chosen, chip, multipliers=wired, reading=reading or "buildable",  # type: ignore[arg-type]
                       batch=batch)  # fmt: skip
    else:
        report = paper_literal(network, chosen, chip, multipliers=wired)
    if format is Format.json:
        sys.stdout.write(to_json(report))
        return
    operators = (cost_operators_table(report),) if report.operators else ()
    for table in (cost_layers_table(report), cost_energy_table(report), *operators, cost_totals_table(report)):
        show_table(table, format)
