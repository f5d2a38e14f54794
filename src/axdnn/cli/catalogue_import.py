"""`axdnn multipliers import`."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from axdnn.cli.catalogue_rows import facts_table, row_facts
from axdnn.cli.console import Format, require_file_place, show_json, show_table

if TYPE_CHECKING:
    from axdnn.multipliers import ImportedTable
    from axdnn.records import Figures


def import_(
    source: str = typer.Argument(
        metavar="FILE",
        help="A table of 256 x 256 products: .npy, raw .bin (with --dtype), or text; or a function of two operands, "
        "module:function or file.py:function, whose code is run.",
    ),
    name: str = typer.Option(..., help="What to call it: letters, digits, ._+-; no name of the catalogue."),
    order: str = typer.Option(
        ..., help="ab: rows (the first operand) are the activation; ba: rows are the weight. Cannot be checked."
    ),
    coding: str = typer.Option(..., help="What the operands are: signed (two's complement) or unsigned."),
    index: str | None = typer.Option(
        None, help="Of a signed table: offset (row 0 is -128) or twos-complement (rows are 0..127, -128..-1)."
    ),
    dtype: str | None = typer.Option(None, help="Of a .bin file, little-endian: int16, uint16, int32 or uint32."),
    power: float | None = typer.Option(
        None, "--power-mW", help="Power; used as a ratio to the exact circuit of EvoApprox8b (PDK45) of its coding."
    ),
    area: float | None = typer.Option(None, "--area-um2", help="Area, used as such a ratio."),
    delay: float | None = typer.Option(None, "--delay-ns", help="Delay."),
    figures_source: str | None = typer.Option(None, help="Where power, area and delay come from."),
    out: Path | None = typer.Option(None, help="The file to write, .axmul; default NAME.axmul in the current folder."),
    force: bool = typer.Option(False, "--force", help="Import although another reading fits a*b clearly better."),
    overwrite: bool = typer.Option(False, "--overwrite", help="Replace a file that is there already."),
    format: Format = typer.Option(Format.table, help="Output format."),
) -> None:
    """Import your own 8x8-bit multiplier, show what was understood, and write it to a file.

    The file can then stand wherever a multiplier is named: `axdnn multipliers show mine.axmul`, `axdnn generate
    --multipliers exact,mine.axmul`. Without power, area and delay it can be simulated and compared, not priced.
    """
    from axdnn.multipliers import describe_multiplier, import_table, save_multiplier
    from axdnn.multipliers.user import require_label, require_path
    from axdnn.records import InvalidInputError

    require_label(name)
    target = require_path(out or Path(f"{name}.axmul"))
    require_file_place(target, ".axmul")
    if target.exists() and not overwrite:
        raise InvalidInputError(f"{target} is there already; choose another --out, or give --overwrite")
    figures = _figures(power, area, delay, figures_source)
    with redirect_stdout(sys.stderr):  # what a user's function prints must not mix with ours
        done = import_table(
            source, name=name, coding=coding, order=order, index=index, dtype=dtype, figures=figures, force=force
        )
    save_multiplier(target, done.multiplier, done.statement)
    facts = {**row_facts(describe_multiplier(done.multiplier)), "origin": done.multiplier.origin}
    if format is Format.json:
        samples = [dict(zip(("a", "b", "product", "exact"), sample, strict=True)) for sample in done.samples]
        show_json({**facts, "statement": done.statement, "samples": samples, "notes": done.notes, "file": str(target)})
    else:
        show_table(_statement_table(done), format)
        show_table(facts_table(name, facts), format)
        show_table(_samples_table(done), format)
        typer.echo(f"use it as: {target}")
    for note in done.notes:
        typer.echo(f"warning: {note}", err=True)
    if figures is None:
        typer.echo("not priced: without --power-mW, --area-um2, --delay-ns and --figures-source", err=True)
    typer.echo(f"wrote {target}", err=True)


def _figures(power: float | None, area: float | None, delay: float | None, source: str | None) -> Figures | None:
    """Figures in SI units, all four or none."""
    from axdnn.records import Figures, InvalidInputError, require_finite

    given = {"--power-mW": power, "--area-um2": area, "--delay-ns": delay, "--figures-source": source}
    missing = [option for option, value in given.items() if value is None or value == ""]
    if len(missing) == len(given):
        return None
    if missing:
        raise InvalidInputError(f"power, area, delay and their source go together, but {', '.join(missing)} is missing")
    power_mw, area_um2, delay_ns = (require_finite(option, given[option], 0.0) for option in list(given)[:3])
    return Figures(power_w=power_mw * 1e-3, area_m2=area_um2 * 1e-12, delay_s=delay_ns * 1e-9, source=source)


_MEANING = {
    "ab": "ab: rows (first operand) are operand a, the activation", "ba": "ba: rows (first operand) are the weight",
    "offset": "offset: row 0 is -128", "twos-complement": "twos-complement: row 0 is 0, row 128 is -128",
    "signed": "signed: both operands -128..127", "unsigned": "unsigned: both operands 0..255",
}  # fmt: skip


def _statement_table(done: ImportedTable) -> Any:
    from axdnn.report import Column, Table

    rows = [(key, _MEANING.get(value, value)) for key, value in done.statement.items()]
    rows.append(("off from a*b", f"{100 * done.reading_error:.4g} % of the mean |a*b|"))
    return Table("As stated", (Column("what", "what"), Column("value", "value")), tuple(rows))


def _samples_table(done: ImportedTable) -> Any:
    from axdnn.report import Column, Table

    columns = (Column("a", "a (activation)", "count"), Column("b", "b (weight)", "count"),
               Column("product", "f(a, b)", "count"), Column("exact", "a x b", "count"))  # fmt: skip
    return Table("Sample products", columns, done.samples)
