"""`axdnn estimate`."""

from __future__ import annotations

import enum
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from axdnn.cli.console import Format, result_file, show_table
from axdnn.cli.estimate_arrays import (
    ARRAY_HELP,
    DATAFLOW_HELP,
    GEMM_HELP,
    PODS_HELP,
    SRAM_HELP,
    TIMING_HELP,
    TOPOLOGY_HELP,
    array_estimate,
)
from axdnn.cli.estimate_banks import bank_multipliers, explain_on_bank
from axdnn.cli.estimate_more import EXPLAIN_HELP, OUTPUT_HELP, SWEEP_HELP, explain_estimate, sweep_estimate
from axdnn.cli.model_options import MEAN_HELP, MODEL_HELP, STD_HELP, WEIGHTS_HELP, numbers, usual_data

if TYPE_CHECKING:
    from axdnn.records import Network

READINGS = ("buildable", "ideal")
OPERATORS = ("apart", "included")
COST_MODELS = ("streaming", "paper_literal")


class EstimateFormat(enum.StrEnum):
    """Output format; csv is for layers from a file."""

    table = "table"
    json = "json"
    csv = "csv"


def estimate(
    model: str | None = typer.Option(None, help=f"{MODEL_HELP} Or an ONNX file, file.onnx."),
    accelerator: str | None = typer.Option(
        None, help="Name (see `axdnn accelerators list`), or path of a YAML file; default tpu_v4."
    ),
    data: str | None = typer.Option(None, help="Data set that gives the input shape; default: the model's usual one."),
    multiplier: str | None = typer.Option(None, help="Multiplier of every layer; default: the exact one."),
    assignment: Path | None = typer.Option(
        None, help="Take multipliers and skipped neurons from this result.json or run folder."
    ),
    cost_model: str = typer.Option("streaming", help="streaming, or paper_literal: the equations XAI-Gen printed."),
    reading: str | None = typer.Option(
        None, help="buildable (a pod holds one multiplier; default) or ideal (any, at no cost); of streaming alone."
    ),
    voltage: float | None = typer.Option(
        None, help="Supply of the core in volts, on the alpha-power law from 0.9 V; default: as the accelerator's file."
    ),
    delay_limits_clock: bool = typer.Option(
        False, help="Lower the clock where a multiplier is slower than the exact one; default: the clock stays."
    ),
    operators: str | None = typer.Option(
        None, help="apart (operators that are no layers stand beside the totals; default) or included in them."
    ),
    batch: int = typer.Option(1, min=1, help="Inferences computed together; every figure is of all of them."),
    weights: Path | None = typer.Option(None, help=f"{WEIGHTS_HELP} A price needs none."),
    mean: str | None = typer.Option(None, help=MEAN_HELP),
    std: str | None = typer.Option(None, help=STD_HELP),
    gemm_csv: Path | None = typer.Option(None, help=GEMM_HELP),
    topology_csv: Path | None = typer.Option(None, help=TOPOLOGY_HELP),
    dataflow: str | None = typer.Option(None, help=DATAFLOW_HELP),
    array: str | None = typer.Option(None, help=ARRAY_HELP),
    timing: str | None = typer.Option(None, help=TIMING_HELP),
    sram_kb: str | None = typer.Option(None, help=SRAM_HELP),
    pods: int | None = typer.Option(None, help=PODS_HELP),
    sweep: list[str] = typer.Option([], help=SWEEP_HELP),
    output: Path | None = typer.Option(None, help=OUTPUT_HELP),
    explain: str | None = typer.Option(None, metavar="LAYER", help=EXPLAIN_HELP),
    format: EstimateFormat = typer.Option(EstimateFormat.table, help="Output format; csv with a file of layers."),
) -> None:
    """Price a network on an accelerator: energy, latency, memory and area, by layer and component.

    With --gemm-csv or --topology-csv: cycles, buffer and DRAM words of one systolic array, by layer.
    """
    from axdnn.hardware import Accelerator, ArrayBank, at_voltage, load_machine
    from axdnn.hardware.systems import SystemChip
    from axdnn.multipliers import load_multiplier
    from axdnn.records import (
        Assignment,
        CostReport,
        GenerationResult,
        InvalidInputError,
        load_record,
        to_json,
        unknown_name,
    )

    of_network = {
        "--model": model, "--accelerator": accelerator, "--data": data, "--multiplier": multiplier,
        "--assignment": assignment, "--reading": reading, "--weights": weights, "--mean": mean, "--std": std,
        "--sweep": sweep or None, "--output": output, "--explain": explain, "--voltage": voltage,
        "--operators": operators, "--delay-limits-clock": delay_limits_clock or None,
        "--batch": batch if batch != 1 else None,
    }  # fmt: skip
    of_array = {"--dataflow": dataflow, "--array": array, "--timing": timing, "--sram-kb": sram_kb, "--pods": pods}
    if gemm_csv is not None or topology_csv is not None:
        _without(of_network, "a file of layers, which runs on one array")
        if cost_model != "streaming":
            raise InvalidInputError("--cost-model must be left out beside a file of layers, which runs on one array")
        array_estimate(gemm_csv, topology_csv, dataflow, array, timing, sram_kb, pods, format)
        return
    _without(of_array, "--model; they go with --gemm-csv or --topology-csv")
    if model is None:
        raise InvalidInputError("--model, --gemm-csv or --topology-csv must be given")
    if format is EstimateFormat.csv and not sweep:
        raise InvalidInputError("--format csv goes with --gemm-csv, --topology-csv or --sweep; else table or json")
    if output is not None and not sweep:
        raise InvalidInputError("--output goes with --sweep; redirect standard output for anything else")
    if (sweep or explain) and cost_model != "streaming":
        raise InvalidInputError(f"--sweep and --explain are for --cost-model streaming, but got {cost_model}")
    if sweep:
        inapt = {"--assignment": assignment, "--reading": reading, "--explain": explain, "--operators": operators,
                 "--delay-limits-clock": delay_limits_clock or None}  # fmt: skip
        _without(inapt, "--sweep")
    if explain is not None:
        _without({"--operators": operators}, "--explain, whose figures are those of layers")
    if cost_model not in COST_MODELS:
        raise unknown_name("cost model", cost_model, COST_MODELS)
    if reading is not None and reading not in READINGS:
        raise unknown_name("reading", reading, READINGS)
    if operators is not None and operators not in OPERATORS:
        raise unknown_name("place of operators", operators, OPERATORS)
    if operators is not None and cost_model != "streaming":
        raise InvalidInputError(f"--operators is for --cost-model streaming, but got {cost_model}, which prices none")
    if reading is not None and cost_model != "streaming":
        raise InvalidInputError(f"--reading is for --cost-model streaming, but got {cost_model}, which has one reading")
    if batch != 1 and cost_model != "streaming":
        raise InvalidInputError(
            f"--batch is for --cost-model streaming, but got {cost_model}, which prices one inference"
        )
    if cost_model != "streaming":
        inapt = {"--delay-limits-clock": delay_limits_clock or None, "--voltage": voltage}
        _without(inapt, f"--cost-model {cost_model}, which reads neither delays nor voltages")
    if multiplier is not None and assignment is not None:
        raise InvalidInputError("give --multiplier or --assignment, not both")
    chip = load_machine("tpu_v4" if accelerator is None else accelerator)
    if not isinstance(chip, Accelerator):
        of_pods = {"--reading": reading, "--sweep": sweep or None, "--voltage": voltage}
        if isinstance(chip, ArrayBank):
            _without(of_pods, f"--accelerator {chip.name}, which is a bank of arrays")
            chip = chip.replace(delay_limits_clock=True) if delay_limits_clock else chip
        elif isinstance(chip, SystemChip) and any(isinstance(core, Accelerator) for core in chip.cores.values()):
            of_pods |= {"--delay-limits-clock": delay_limits_clock or None}
            _without(of_pods, f"--accelerator {chip.name}, which is a system")
        else:
            of_pods |= {"--multiplier": multiplier, "--assignment": assignment,
                        "--delay-limits-clock": delay_limits_clock or None}  # fmt: skip
            _without(of_pods, f"--accelerator {chip.name}, which has no pods of multipliers")
        _without({"--operators": operators}, f"--accelerator {chip.name}, whose cost model prices layers alone")
        if cost_model != "streaming":
            raise InvalidInputError(
                f"--cost-model must be left out beside --accelerator {chip.name}, which has its own"
            )
    elif voltage is not None:
        if sweep:
            raise InvalidInputError("--voltage must be left out beside --sweep; use --sweep voltage=...")
        chip = at_voltage(chip, voltage)
    name = load_multiplier(multiplier or "exact").name
    found = load_record(GenerationResult, result_file(assignment)) if assignment is not None else None

    from axdnn.hardware import estimate as price
    from axdnn.hardware import paper_literal
    from axdnn.layers import Recipe, coded
    from axdnn.report import cost_energy_table, cost_layers_table, cost_operators_table, cost_totals_table

    if model.endswith(".onnx"):
        from axdnn.models import network_from_onnx

        inapt = {"--data": data, "--weights": weights, "--mean": mean, "--std": std}
        _without(inapt, "an ONNX file, which has its own shapes")
        network = network_from_onnx(model)
    else:
        network = _captured(model, data, weights, mean, std)
    if found is None:
        chosen = Assignment(multipliers=dict.fromkeys(network.layer_names, name))
    else:  # the pods were chosen for another accelerator, perhaps
        left_out = found.chosen.assignment
        chosen = Assignment(multipliers=found.assignment, skip=left_out.skip, absent=left_out.absent)
    wired = {name: coded(load_multiplier(name), Recipe()) for name in chosen.kinds}
    if sweep:
        assert isinstance(chip, Accelerator)
        sweep_estimate(network, chip, wired[name], sweep, batch, output, format)
        return
    # a bank without --multiplier and --assignment picks its own exact one, other machines price the exact circuit
    on_machine = chosen if multiplier is not None or found is not None else None
    if isinstance(chip, ArrayBank):
        wired |= bank_multipliers(chip)
    if explain is not None and isinstance(chip, ArrayBank):
        explain_on_bank(network, on_machine, chip, explain, wired, batch, format)
        return
    if explain is not None:
        explain_estimate(network, chosen, chip, explain, wired, reading or "buildable", batch, format,
                         delay_limits_clock)  # fmt: skip
        return
    if not isinstance(chip, Accelerator):
        priced = chip.cost(network, on_machine, multipliers=wired, batch=batch)
        assert isinstance(priced, CostReport)
        report = priced
    elif cost_model == "streaming":
        report = price(network, chosen, chip, multipliers=wired, reading=reading or "buildable",  # type: ignore[arg-type]
                       batch=batch, delay_limits_clock=delay_limits_clock,
                       operators=operators or "apart")  # type: ignore[arg-type]  # fmt: skip
    else:
        report = paper_literal(network, chosen, chip, multipliers=wired)
    if format is EstimateFormat.json:
        sys.stdout.write(to_json(report))
        return
    operators = (cost_operators_table(report),) if report.operators else ()
    for table in (cost_layers_table(report), cost_energy_table(report), *operators, cost_totals_table(report)):
        show_table(table, Format.table)


def _captured(model: str, data: str | None, weights: Path | None, mean: str | None, std: str | None) -> Network:
    """Capture a known model or the user's, for images of a data set."""
    import torch

    from axdnn.data import dataset_info
    from axdnn.models import resolve_model
    from axdnn.quant import capture, fold_batch_norm, network_of

    info = dataset_info(data or usual_data(model))
    net = resolve_model(model, info.name, weights=weights, mean=numbers("--mean", mean), std=numbers("--std", std),
                        shapes_only=True)  # fmt: skip
    return network_of(fold_batch_norm(capture(net.model, torch.zeros(1, *info.image_shape))), net.name)


def _without(options: dict[str, object], beside: str) -> None:
    """Refuse options that were given."""
    from axdnn.records import InvalidInputError

    if given := [name for name, value in options.items() if value is not None]:
        raise InvalidInputError(f"{', '.join(given)} must be left out beside {beside}")
