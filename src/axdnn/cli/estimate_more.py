"""`axdnn estimate --sweep` and `--explain`: many variants of an accelerator, and how a layer's figures come about."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from axdnn.cli.console import Format, show_json, show_table

if TYPE_CHECKING:
    from axdnn.hardware import Accelerator, Explained, Machine
    from axdnn.hardware.imc import ImcChip
    from axdnn.hardware.systems import SystemChip
    from axdnn.records import Assignment, Multiplier, Network, Sweep

SWEEP_HELP = (
    "Vary a parameter of the accelerator: KEY=V1,V2,... with a key of its file, e.g. pods=1,2,4 or array=16x16,32x32 "
    "or dataflow=ws,os,is or voltage=0.6,0.8; give it several times for all combinations."
)
OUTPUT_HELP = "With --sweep: also write the points here: .png (curves and roofline), .csv or .json."
EXPLAIN_HELP = (
    "Explain every figure of this layer, or of the `chip` its area and memory: formula, inputs, source of each number."
)


def sweep_estimate(
    network: Network, chip: Accelerator, multiplier: Multiplier, given: list[str], batch: int, output: Path | None,
    format: str,
) -> None:  # fmt: skip
    """Price a network on all combinations and print the points."""
    from axdnn.hardware import sweep
    from axdnn.records import InvalidInputError, to_json, write_atomic
    from axdnn.report import draw_sweep, sweep_table, to_png

    if output is not None and output.suffix not in (".png", ".csv", ".json"):
        raise InvalidInputError(f"--output must end in .png, .csv or .json, but got {output}")
    found = sweep(network, multiplier, axes(given), chip, batch=batch)
    if output is not None:
        content = {
            ".png": lambda: to_png(draw_sweep(found)),
            ".csv": lambda: as_csv(found),
            ".json": lambda: to_json(found),
        }
        write_atomic(output, content[output.suffix]())
        sys.stderr.write(f"wrote {output}\n")
    if format == "json":
        sys.stdout.write(to_json(found))
    elif format == "csv":
        sys.stdout.write(as_csv(found))
    else:
        show_table(sweep_table(found), Format.table)


def axes(given: list[str]) -> dict[str, list[str]]:
    """Read `KEY=V1,V2`, several of them.

    Raises:
        InvalidInputError: another form, or a key that stands twice.
    """
    from axdnn.records import InvalidInputError

    found: dict[str, list[str]] = {}
    for text in given:
        key, equals, values = text.partition("=")
        listed = [value.strip() for value in values.split(",")]
        if not equals or not key.strip() or not all(listed):
            raise InvalidInputError(f"--sweep must be KEY=VALUE,VALUE,..., e.g. pods=1,2,4, but got {text!r}")
        if key.strip() in found:
            raise InvalidInputError(f"--sweep {key.strip()} stands twice; give all its values at once")
        found[key.strip()] = listed
    return found


def as_csv(found: Sweep) -> str:
    """Return one line a point, in the order of the sweep."""
    text = io.StringIO()
    parts = list(found.points[0].energy_breakdown_j)
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        [*found.axes, "latency_s", "energy_j", "area_m2", "stall_fraction", "best", *(f"{p}_j" for p in parts)]
    )
    for p in found.points:
        energies = (p.energy_breakdown_j[part] for part in parts)
        figures = (p.latency_s, p.energy_j, p.area_m2, p.stall_fraction, int(p.best))
        writer.writerow([*(p.values[key] for key in found.axes), *figures, *energies])
    return text.getvalue()


def explain_estimate(
    network: Network, assignment: Assignment, chip: Machine, layer: str, multipliers: Mapping[str, Multiplier],
    reading: str, batch: int, format: str, delay_limits_clock: bool,
) -> None:  # fmt: skip
    """Print formula, inputs and sources of a layer's figures, or of the chip's area and memory.

    Raises:
        UnknownNameError: no such layer.
        InvalidInputError: another reading than `buildable` for the chip.
    """
    from axdnn.hardware import Accelerator, estimate, explain_chip, explain_layer, thinned
    from axdnn.hardware.imc import ImcChip
    from axdnn.hardware.systems import SystemChip
    from axdnn.records import InvalidInputError

    if isinstance(chip, Accelerator) and layer == "chip" and layer not in network.layer_names:
        if reading != "buildable":
            raise InvalidInputError(f"--reading must be buildable beside --explain chip, but got {reading}")
        report = estimate(
            network, assignment, chip, multipliers=multipliers, batch=batch, delay_limits_clock=delay_limits_clock
        )
        shapes = thinned(network, assignment)
        show_explained(layer, explain_chip(report, shapes, chip, multipliers=multipliers), format)
    elif isinstance(chip, Accelerator):
        parts = explain_layer(
            network,
            assignment,
            chip,
            layer,
            multipliers=multipliers,
            reading=reading,
            batch=batch,  # type: ignore[arg-type]
            delay_limits_clock=delay_limits_clock,
        )
        show_explained(layer, parts, format)
    elif isinstance(chip, ImcChip):
        show_explained(layer, _of_arrays(network, chip, layer, batch), format)
    else:
        assert isinstance(chip, SystemChip)
        show_explained(*_of_system(network, assignment, chip, layer, multipliers, batch), format)


def _of_arrays(network: Network, chip: ImcChip, layer: str, batch: int) -> Sequence[Explained]:
    """Explanations of a layer of an in-memory chip, or of the chip."""
    from axdnn.hardware.imc import explain_imc_chip, explain_imc_layer, imc_report

    if layer == "chip" and layer not in network.layer_names:
        return explain_imc_chip(imc_report(network, chip, batch=batch), network, chip)
    return explain_imc_layer(network, chip, layer, batch=batch)


def _of_system(
    network: Network, assignment: Assignment, chip: SystemChip, layer: str, multipliers: Mapping[str, Multiplier],
    batch: int,
) -> tuple[str, Sequence[Explained]]:  # fmt: skip
    """Explanations of a layer of a system, named with its core, or of the chip."""
    from axdnn.hardware.systems import explain_system_chip, explain_system_layer, mapped_report

    report = mapped_report(chip, network, assignment, multipliers, batch=batch)
    if layer == "chip" and layer not in network.layer_names:
        return layer, explain_system_chip(report, network, chip, multipliers=multipliers)
    parts = explain_system_layer(network, assignment, chip, layer, multipliers=multipliers, batch=batch)
    return f"{layer} on {report.layers[network.layer_names.index(layer)].bound}", parts


def show_explained(layer: str, parts: Sequence[Explained], format: str) -> None:
    """Print explanations."""
    from axdnn.report import Column, Table

    if format == "json":
        keys = ("name", "value", "unit", "formula")
        show_json([
            {**{key: getattr(part, key) for key in keys},
             "inputs": {name: x._asdict() for name, x in part.inputs.items()}} for part in parts
        ])  # fmt: skip
        return
    columns = (Column("input", "input"), Column("value", "value"), Column("source", "source"))
    for part in parts:
        rows = tuple((name, f"{x.value:.6g}", x.source) for name, x in part.inputs.items())
        title = f"{layer}, {part.name}: {part.value:.6g} {part.unit} = {part.formula}"
        show_table(Table(title, columns, rows), Format.table)
