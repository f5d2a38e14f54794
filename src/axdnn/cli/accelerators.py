"""`axdnn accelerators list` and `axdnn accelerators show`."""

from __future__ import annotations

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
