"""`axdnn report`."""

from __future__ import annotations

import sys
from pathlib import Path

import typer

from axdnn.cli.console import Format, require_folder_place, result_file, show_json, show_table


def report(
    runs: list[Path] = typer.Argument(help="Folders of finished runs."),
    out: Path | None = typer.Option(None, help="Folder for the comparison page; default: the parent of the first run."),
    paper_table: bool = typer.Option(
        False, "--paper-table", help="Also put the runs beside Table I of XAI-Gen, here and in the comparison page."
    ),
    format: Format = typer.Option(Format.table, help="Output format."),
) -> None:
    """Draw the report of a run again, or compare several runs: a table here and one page."""
    from axdnn.multipliers import load_multiplier
    from axdnn.records import GenerationResult, load_record, to_json
    from axdnn.report import (
        comparison_table,
        print_summary,
        table_builtins,
        table_one,
        write_comparison,
        write_report,
    )

    files = list(dict.fromkeys(map(result_file, runs)))
    results = [load_record(GenerationResult, file) for file in files]
    folder = out or files[0].parent.parent
    require_folder_place(folder)
    names = sorted({name for result in results for name in result.assignment.values()})
    known = {name: load_multiplier(name) for name in names}
    for file, result in zip(files, results, strict=True):
        used = [known[name] for name in sorted(set(result.assignment.values()))]
        write_report(result, file.parent, multipliers=used, others=[x for x in results if x is not result])
    if len(results) == 1 and not paper_table:
        if format is Format.json:
            sys.stdout.write(to_json(results[0]))
            return
        print_summary(results[0])
        typer.echo(f"report: {files[0].parent / 'report.html'}")
        return
    circuits = tuple(known.values())
    written = write_comparison(results, folder, paper_table=paper_table, multipliers=circuits)
    tables = [comparison_table(results), *(table_one(results, circuits) if paper_table else ())]
    if format is Format.json:
        if paper_table:
            show_json([table_builtins(table) for table in tables])
        else:
            show_table(tables[0], format)
        return
    for table in tables:
        show_table(table, format)
    for path in written:
        if path.suffix == ".html":
            typer.echo(f"comparison: {path}")
