"""`axdnn report`."""

from __future__ import annotations

import sys
from pathlib import Path

import typer

from axdnn.cli.console import Format, require_folder_place, result_file, show_table


def report(
    runs: list[Path] = typer.Argument(help="Folders of finished runs."),
    out: Path | None = typer.Option(None, help="Folder for the comparison page; default: the parent of the first run."),
    format: Format = typer.Option(Format.table, help="Output format."),
) -> None:
    """Draw the report of a run again, or compare several runs: a table here and one page."""
    from axdnn.multipliers import load_multiplier
    from axdnn.records import GenerationResult, load_record, to_json
    from axdnn.report import comparison_table, print_summary, write_comparison, write_report

    files = list(dict.fromkeys(map(result_file, runs)))
    results = [load_record(GenerationResult, file) for file in files]
    folder = out or files[0].parent.parent
    require_folder_place(folder)
    for file, result in zip(files, results, strict=True):
        multipliers = [load_multiplier(name) for name in sorted(set(result.assignment.values()))]
        others = [other for other in results if other is not result]
        write_report(result, file.parent, multipliers=multipliers, others=others)
    if len(results) == 1:
        if format is Format.json:
            sys.stdout.write(to_json(results[0]))
            return
        print_summary(results[0])
        typer.echo(f"report: {files[0].parent / 'report.html'}")
        return
    written = write_comparison(results, folder)
    show_table(comparison_table(results), format)
    if format is Format.table:
        for path in written:
            if path.suffix == ".html":
                typer.echo(f"comparison: {path}")
