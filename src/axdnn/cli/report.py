"""`axdnn report`."""

from __future__ import annotations

from pathlib import Path

import typer


def report(
    runs: list[Path] = typer.Argument(help="Folders of finished runs."),
    out: Path | None = typer.Option(None, help="Folder for the comparison page; default: the parent of the first run."),
) -> None:
    """Draw the report of a run again, or compare several runs: a table here and one page."""
    from axdnn.records import GenerationResult, load_record
    from axdnn.report import print_comparison, print_summary, write_comparison, write_report

    results = [load_record(GenerationResult, run / "result.json") for run in runs]
    for run, result in zip(runs, results, strict=True):
        write_report(result, run, others=[other for other in results if other is not result])
    if len(results) == 1:
        print_summary(results[0])
        typer.echo(f"report: {runs[0] / 'report.html'}")
        return
    folder = out or runs[0].parent
    written = write_comparison(results, folder)
    print_comparison(results)
    for path in written:
        if path.suffix == ".html":
            typer.echo(f"comparison: {path}")
