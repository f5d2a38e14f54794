"""`axdnn accelerators list`, `show` and `validate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from axdnn.cli.console import Format, show_json, show_listing, show_table
from axdnn.cli.group import group

if TYPE_CHECKING:
    from axdnn.hardware import Machine

app = group("The accelerators that networks are priced on.")


@app.command("list")
def list_(format: Format = typer.Option(Format.table, help="Output format.")) -> None:
    """List the accelerators that ship with axdnn."""
    from axdnn.hardware import Accelerator, ArrayBank, list_machines, load_machine
    from axdnn.report import Column

    columns = (
        Column("name", "name"), Column("kind", "kind"), Column("pods", "pods or arrays", "count"),
        Column("rows", "rows", "count"), Column("columns", "columns", "count"),
        Column("clock_hz", "clock, Hz", "number", digits=4), Column("peak_mac_s", "peak, MAC/s", "number", digits=3),
        Column("description", "description"),
    )  # fmt: skip
    rows = []
    for name, kind in list_machines().items():
        m: Any = load_machine(name)
        row = {"name": name, "kind": kind, "description": m.description, "rows": None, "columns": None}
        row |= {"pods": None, "clock_hz": None, "peak_mac_s": None}
        if isinstance(m, ArrayBank):
            row |= {"pods": len(m.arrays), "clock_hz": m.chip.clock_hz}
        elif kind != "system":
            row |= {"rows": m.rows, "columns": m.columns, "pods": getattr(m, "arrays", None)}
        if isinstance(m, Accelerator):
            row |= {"pods": m.pods, "clock_hz": m.clock_hz, "peak_mac_s": m.pods * m.rows * m.columns * m.clock_hz}
        rows.append(row)
    show_listing("Accelerators", columns, rows, format, ("Your own: pass the path of a YAML file of the same form.",))


@app.command()
def show(
    name: str = typer.Argument(help="Name, or path of a YAML file."),
    format: Format = typer.Option(Format.table, help="Output format; JSON holds SI values."),
) -> None:
    """Show every parameter of an accelerator with its source."""
    from axdnn.hardware import load_machine
    from axdnn.records import to_builtins
    from axdnn.report import Column, Table

    accelerator = load_machine(name)
    if format is Format.json:
        show_json({**to_builtins(accelerator), "sources": accelerator.sources})
        return
    rows = tuple((path, *text.split("; ", 1)) for path, text in accelerator.sources.items())
    columns = (Column("parameter", "parameter"), Column("value", "value"), Column("source", "source"))
    show_table(Table(accelerator.name, columns, rows, (accelerator.description,)), format)


@app.command()
def validate(files: list[Path] = typer.Argument(help="YAML files of accelerators.")) -> None:
    """Check accelerator files: one line for each fault, with file, key and what is allowed; exit code 2 on faults."""
    from axdnn.hardware import load_machine, machine_faults
    from axdnn.records import InvalidInputError

    valid = True
    for file in files:
        try:
            faults = machine_faults(file)
        except InvalidInputError as error:
            faults = [str(error)]
        for fault in faults:
            typer.echo(f"error: {' '.join(fault.split())}", err=True)
        if faults:
            valid = False
        else:
            typer.echo(f"{file}: valid ({_size(load_machine(file))})")
    if not valid:
        raise typer.Exit(2)


def _size(machine: Machine) -> str:
    m: Any = machine
    if hasattr(m, "cores"):
        return f"{m.name}: cores {', '.join(m.cores)}"
    if hasattr(m, "idle_fraction"):
        return f"{m.name}: arrays {', '.join(array.label for array in m.arrays)}"
    count, word = (m.pods, "pods") if hasattr(m, "pods") else (m.arrays, "arrays")
    return f"{m.name}: {count} {word} of {m.rows} x {m.columns}"
