"""`axdnn report`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import typer

from axdnn.cli.console import Format, require_folder_place, result_file, show_json, show_table

SEARCHES_ALONE = (
    "--paper-table and --out belong to pages that compare runs of `axdnn generate`; results of `axdnn search` have one "
    "page each, in their own folders"
)


def report(
    runs: list[Path] = typer.Argument(help="Folders of finished runs."),
    out: Path | None = typer.Option(None, help="Folder for the comparison page; default: the parent of the first run."),
    paper_table: bool = typer.Option(
        False, "--paper-table", help="Also put the runs beside Table I of XAI-Gen, here and in the comparison page."
    ),
    format: Format = typer.Option(Format.table, help="Output format."),
) -> None:
    """Draw the report of a run or a search again, or compare several runs: a table here and one page."""
    from axdnn.multipliers import load_multiplier
    from axdnn.records import GenerationResult, InvalidInputError, load_record, to_json
    from axdnn.report import (
        comparison_table,
        print_summary,
        table_builtins,
        table_one,
        write_comparison,
        write_report,
    )

    files = list(dict.fromkeys(map(result_file, runs)))
    if _searches(files):
        if paper_table or out is not None:
            raise InvalidInputError(SEARCHES_ALONE)
        _report_searches(files, format)
        return
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


def _searches(files: list[Path]) -> bool:
    """Whether the files hold results of searches rather than of `axdnn generate`.

    Raises:
        InvalidInputError: some do and some do not.
    """
    from axdnn.records import InvalidInputError

    found = [_holds_search(file) for file in files]
    if any(found) and not all(found):
        search, run = files[found.index(True)], files[found.index(False)]
        raise InvalidInputError(
            f"results of `axdnn search` and runs of `axdnn generate` cannot be compared in one report, but {search} "
            f"holds a SearchResult and {run} does not; report them apart"
        )
    return all(found)


def _holds_search(file: Path) -> bool:
    try:
        data = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):  # whoever loads the record says what is wrong with it
        return False
    return isinstance(data, dict) and data.get("_type") == "SearchResult"


def _report_searches(files: list[Path], format: Format) -> None:
    from axdnn.records import SearchResult, load_record, to_json
    from axdnn.report import members_table, searches_table, write_search_result

    results = [load_record(SearchResult, file) for file in files]
    pages = [write_search_result(result, file.parent)[0] for file, result in zip(files, results, strict=True)]
    if format is Format.json and len(results) == 1:
        sys.stdout.write(to_json(results[0]))
        return
    one = len(results) == 1
    show_table(members_table(results[0]) if one else searches_table(results, [str(f.parent) for f in files]), format)
    if format is not Format.json:
        for page in pages:
            typer.echo(f"report: {page}")
