"""`axdnn studies list`, `show`, `report`, `export` and `delete`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from axdnn.cli.console import Format, require_file_place, show_json, show_listing, show_table, write_bytes
from axdnn.cli.group import group

if TYPE_CHECKING:
    from axdnn.records import SearchHistory

app = group("Studies of searches in a storage.")
STORAGE_HELP = "Path of a journal file, or URL: sqlite:///FILE, postgresql://USER@HOST/DATABASE, mysql://..."


@app.command("list")
def list_(
    storage: str = typer.Option(..., help=STORAGE_HELP),
    format: Format = typer.Option(Format.table, help="Output format."),
) -> None:
    """List the studies of a storage."""
    from axdnn.report import Column
    from axdnn.search import list_studies

    columns = (
        Column("name", "name"), Column("objectives", "objectives"), Column("evaluations", "evaluations", "count"),
        Column("budget", "of", "count"), Column("running", "running", "count"), Column("lost", "lost", "count"),
        Column("began", "began"),
    )  # fmt: skip
    rows = [{**found._asdict(), "objectives": list(found.objectives)} for found in list_studies(storage)]
    show_listing("Studies", columns, rows, format)


@app.command()
def show(
    name: str = typer.Argument(help="Name of the study."),
    storage: str = typer.Option(..., help=STORAGE_HELP),
    format: Format = typer.Option(Format.table, help="Output format; JSON holds every trial."),
) -> None:
    """Show a study: its front, evaluations, failures."""
    from axdnn.report import front_table, reasons_table, settings_table

    history = _history(storage, name)
    if format is Format.json:
        from axdnn.records import to_builtins

        show_json(to_builtins(history))
        return
    typer.echo(
        f"{history.name}: {history.evaluations} of {history.budget} evaluations, {history.failed} failed, "
        f"{history.recalled} recalled, {history.lost} lost; space of {history.space_size}; "
        f"hypervolume {history.hypervolume[-1] if history.hypervolume else 0.0:.6g}"
    )
    show_table(front_table(history), format)
    if reasons_table(history).rows:
        show_table(reasons_table(history), format)
    show_table(settings_table(history), format)


@app.command()
def report(
    name: str = typer.Argument(help="Name of the study."),
    storage: str = typer.Option(..., help=STORAGE_HELP),
    out: Path = typer.Option(..., help="The page to write, ending in .html."),
) -> None:
    """Draw a study: fronts, parallel coordinates, hypervolume over evaluations, in one page."""
    from axdnn.report import write_search

    require_file_place(out, ".html")
    typer.echo(f"report: {write_search(_history(storage, name), out)}")


@app.command()
def export(
    name: str = typer.Argument(help="Name of the study."),
    storage: str = typer.Option(..., help=STORAGE_HELP),
    out: Path = typer.Option(..., help="File to write: .json for everything, .csv for one trial a row."),
) -> None:
    """Write a study to a file."""
    from axdnn.records import InvalidInputError, to_json

    if out.suffix not in (".json", ".csv"):
        raise InvalidInputError(f"the file must end in .json or .csv, but got {out}")
    require_file_place(out)
    history = _history(storage, name)
    write_bytes(out, (to_json(history) if out.suffix == ".json" else as_csv(history)).encode())


@app.command()
def delete(
    name: str = typer.Argument(help="Name of the study."),
    storage: str = typer.Option(..., help=STORAGE_HELP),
    yes: bool = typer.Option(False, "--yes", help="Do not ask."),
) -> None:
    """Delete a study and its trials; refused while workers run some of them."""
    from axdnn.search import delete_study, list_studies

    if not yes and name in [found.name for found in list_studies(storage)]:
        typer.confirm(f"delete study {name} and all its trials?", abort=True)
    delete_study(storage, name)
    typer.echo(f"deleted {name}")


def _history(storage: str, name: str) -> SearchHistory:
    from axdnn.search import load_history

    return load_history(storage, name)


def as_csv(history: SearchHistory) -> str:
    """Return one line a trial: number, outcome, figures, fields; empty where a field does not exist."""
    import csv
    import io

    figures = list(dict.fromkeys(name for trial in history.trials for name in trial.values))
    fields = list(dict.fromkeys(path for trial in history.trials for path in trial.candidate))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["number", "index", "outcome", "feasible", "wall_s", "reason", *figures, *fields])
    for t in history.trials:
        values = [t.values.get(name) for name in figures] + [t.candidate.get(path) for path in fields]
        writer.writerow([t.number, t.index, t.outcome, t.feasible, t.wall_s, t.reason, *values])
    return text.getvalue()
