"""Summary and comparison for the terminal: rich on a terminal, plain text in a pipe or a file."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, TextIO

from axdnn.records import GenerationResult
from axdnn.report.headline import headline, verdict
from axdnn.report.result_tables import energy_table, multipliers_table
from axdnn.report.search_tables import comparison_table
from axdnn.report.table_output import table_rich, table_text
from axdnn.report.tables import Column, Table

if TYPE_CHECKING:
    from rich.console import RenderableType

_TONES = {"good": "bold green", "warn": "bold yellow", "bad": "bold red"}


def headline_table(result: GenerationResult) -> Table:
    """Return the key numbers as a table of words."""
    columns = (Column("figure", "figure"), Column("value", "value"), Column("detail", "detail"))
    rows = tuple((fact.label, fact.value, fact.detail) for fact in headline(result))
    return Table(f"{result.model} on {result.accelerator}", columns, rows)


def assignment_table(result: GenerationResult) -> Table:
    """Return layer and multiplier, the shortest form of the answer."""
    rows = tuple((layer, name) for layer, name in result.assignment.items())
    return Table("Assignment", (Column("layer", "layer"), Column("multiplier", "multiplier")), rows)


def _summary_tables(result: GenerationResult) -> tuple[Table, ...]:
    return (headline_table(result), assignment_table(result), multipliers_table(result), energy_table(result))


def summary_text(result: GenerationResult) -> str:
    """Return the summary of a result as plain text."""
    ending = verdict(result)
    lines = [ending.sentence, f"Status: {ending.status}{'. ' + ending.reason if ending.reason else ''}", ""]
    text = "\n".join([*lines, *(table_text(table) for table in _summary_tables(result))])
    return text.replace("\u00a0", " ")


def comparison_text(results: Sequence[GenerationResult]) -> str:
    """Return the comparison of results as plain text."""
    return table_text(comparison_table(results))


def print_summary(result: GenerationResult, file: TextIO | None = None) -> None:
    """Print the summary of a result to `file` (standard output)."""
    file = file or sys.stdout
    if not _is_terminal(file):
        file.write(summary_text(result))
        return
    from rich.panel import Panel
    from rich.text import Text

    ending = verdict(result)
    text = Text(ending.sentence)
    text.append(f"\nStatus: {ending.status}", style="bold")
    text.append(f"  {ending.reason}" if ending.reason else "")
    tables = [table_rich(table) for table in _summary_tables(result)]
    _print(file, Panel(text, border_style=_TONES[ending.tone]), *tables)


def print_comparison(results: Sequence[GenerationResult], file: TextIO | None = None) -> None:
    """Print the comparison of results to `file` (standard output)."""
    print_table(comparison_table(results), file)


def print_table(table: Table, file: TextIO | None = None) -> None:
    """Print a table to `file` (standard output)."""
    file = file or sys.stdout
    if _is_terminal(file):
        _print(file, table_rich(table))
    else:
        file.write(table_text(table))


def _is_terminal(file: TextIO) -> bool:
    return bool(getattr(file, "isatty", lambda: False)())


def _print(file: TextIO, *parts: RenderableType) -> None:
    from rich.console import Console

    console = Console(file=file)
    for part in parts:
        console.print(part)
