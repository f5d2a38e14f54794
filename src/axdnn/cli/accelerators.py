"""`axdnn accelerators list`, `show` and `validate`."""

from __future__ import annotations

from pathlib import Path

import typer

from axdnn.cli.console import Format, show_json, show_listing, show_table
from axdnn.cli.group import group

app = group("The accelerators that networks are priced on.")


@app.command("list")
def list_(format: Format = typer.Option(Format.table, help="Output format.")) -> None:
    """List the accelerators that ship with axdnn."""
    from axdnn.hardware import list_accelerators, load_accelerator
    from axdnn.report import Column

    columns = (
        Column("name", "name"), Column("pods", "pods", "count"), Column("rows", "rows", "count"),
        Column("columns", "columns", "count"), Column("clock_hz", "clock, Hz", "number", digits=4),
        Column("peak_mac_s", "peak, MAC/s", "number", digits=3), Column("description", "description"),
    )  # fmt: skip
    rows = []
    for a in map(load_accelerator, list_accelerators()):
        peak = a.pods * a.rows * a.columns * a.clock_hz
        rows.append(
            {"name": a.name, "description": a.description, "pods": a.pods, "rows": a.rows, "columns": a.columns,
             "clock_hz": a.clock_hz, "peak_mac_s": peak}
        )  # fmt: skip
    show_listing("Accelerators", columns, rows, format, ("Your own: pass the path of a YAML file of the same form.",))


@app.command()
def show(
    name: str = typer.Argument(help="Name, or path of a YAML file."),
    format: Format = typer.Option(Format.table, help="Output format; JSON holds SI values."),
) -> None:
    """Show every parameter of an accelerator with its source."""
    from axdnn.hardware import load_accelerator
    from axdnn.records import to_builtins
    from axdnn.report import Column, Table

    accelerator = load_accelerator(name)
    if format is Format.json:
        show_json(to_builtins(accelerator))
        return
    rows = tuple((path, *text.split("; ", 1)) for path, text in accelerator.sources.items())
    columns = (Column("parameter", "parameter"), Column("value", "value"), Column("source", "source"))
    show_table(Table(accelerator.name, columns, rows, (accelerator.description,)), format)


@app.command()
def validate(files: list[Path] = typer.Argument(help="YAML files of accelerators.")) -> None:
    """Check accelerator files: one line for each fault, with file, key and what is allowed; exit code 2 on faults."""
    from axdnn.hardware import accelerator_faults, parse_accelerator

    valid = True
    for file in files:
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            faults = [f"cannot read the accelerator file {file}: {error}"]
        else:
            faults = accelerator_faults(text, str(file))
        for fault in faults:
            typer.echo(f"error: {' '.join(fault.split())}", err=True)
        if faults:
            valid = False
        else:
            chip = parse_accelerator(text, str(file))
            typer.echo(f"{file}: valid ({chip.name}: {chip.pods} pods of {chip.rows} x {chip.columns})")
    if not valid:
        raise typer.Exit(2)
