"""Summary and comparison for the terminal: rich on a terminal, plain text in a pipe or a file."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, TextIO

from axdnn.records import GenerationResult
from axdnn.report.headline import headline, verdict
from axdnn.report.paper_prices import paper_cost_table
from axdnn.report.published import paper_notes
from axdnn.report.result_tables import energy_table, multipliers_table
from axdnn.report.search_tables import comparison_table
from axdnn.report.table_output import table_rich, table_text
from axdnn.report.tables import Column, Table
from axdnn.report.training_tables import training_table

if TYPE_CHECKING:
    from rich.console import RenderableType

_TONES = {"good": "bold green", "warn": "bold yellow", "bad": "bold red"}


def headline_table(result: GenerationResult) -> Table:
    """Return the key numbers as a table of words."""
    columns = (Column("figure", "figure"), Column("value", "value"), Column("detail", "detail"))
    rows = tuple((fact.label, fact.value, fact.detail) for fact in headline(result))
    return Table(f"{result.model} on {result.accelerator}", columns, rows)


def assignment_table(result: GenerationResult) -> Table:
    """Return layer, multiplier and share of skipped neurons if there are any: the shortest form of the answer."""
    columns: tuple[Column, ...] = (Column("layer", "layer"), Column("multiplier", "multiplier"))
    if not any(result.skipped.values()):
        return Table("Assignment", columns, tuple(result.assignment.items()))
    columns = (*columns, Column("skipped", "neurons skipped", "percent", digits=1))
    rows = tuple((layer, name, result.skipped.get(layer, 0.0)) for layer, name in result.assignment.items())
    return Table("Assignment", columns, rows)


def _summary_tables(result: GenerationResult) -> tuple[Table, ...]:
    tables = (headline_table(result), assignment_table(result), multipliers_table(result), energy_table(result))
    return (*tables, *(table for table in (training_table(result), paper_cost_table(result)) if table.rows))


def summary_text(result: GenerationResult) -> str:
    """Return the summary of a result as plain text."""
    ending = verdict(result)
    lines = [ending.sentence, f"Status: {ending.status}{'. ' + ending.reason if ending.reason else ''}", ""]
    lines += [table_text(table) for table in _summary_tables(result)]
    text = "\n".join([*lines, *_paper_lines(result)])
    return text.replace("\u00a0", " ")


def _paper_lines(result: GenerationResult) -> tuple[str, ...]:
    """What the paper's own strategy owes to a reader of the paper."""
    return ("The paper's figures", *paper_notes(), "") if result.strategy == "paper" else ()


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
    closing = [Text("\n".join(_paper_lines(result)), style="dim")] if result.strategy == "paper" else []
    _print(file, Panel(text, border_style=_TONES[ending.tone]), *tables, *closing)


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
