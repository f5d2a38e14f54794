"""`axdnn multipliers list`, `show` and `families`; `import` and `compare` have files of their own."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from axdnn.cli.catalogue_compare import compare
from axdnn.cli.catalogue_import import import_
from axdnn.cli.catalogue_rows import facts_table, file_stem, row_facts
from axdnn.cli.console import Format, require_file_place, show_json, show_listing, show_table, write_bytes
from axdnn.cli.group import group

if TYPE_CHECKING:
    from axdnn.multipliers import Family

app = group("The multiplier catalogue, families of the literature, and your own multipliers.")


@app.command("list")
def list_(
    set: str = typer.Option(
        "evoapprox8b", help="evoapprox8b, -signed, -unsigned, xai-gen, or names with commas, families and files too."
    ),
    format: Format = typer.Option(Format.table, help="Output format."),
) -> None:
    """List multipliers: what they are, how wrong, and what they cost beside the exact circuit of the same kind."""
    from axdnn.multipliers import list_multipliers
    from axdnn.report import Column

    columns = (
        Column("name", "name"), Column("coding", "coding"), Column("class", "class"), Column("rank", "rank", "count"),
        Column("mae_pct", "MAE %", "number", digits=3), Column("wce_pct", "WCE %", "number", digits=3),
        Column("ep_pct", "EP %", "number", digits=3), Column("mre_pct", "MRE %", "number", digits=3),
        Column("mean_error", "mean error", "number", digits=3),
        Column("power_ratio", "power / exact", "percent", digits=1),
        Column("area_ratio", "area / exact", "percent", digits=1), Column("aliases", "also called"),
    )  # fmt: skip
    rows = [row_facts(row) for row in list_multipliers(set)]
    show_listing(f"Multipliers: {set}", columns, rows, format, (f"{len(rows)} entries.",))


@app.command()
def families(format: Format = typer.Option(Format.table, help="Output format.")) -> None:
    """List the behavioural families: how their members are named, what they compute, and the literature source.

    Members have no power, area or delay: they can be simulated, shown and compared, not priced.
    """
    from axdnn.multipliers import list_families

    rows = [
        {
            "family": f.name, "title": f.title, "usage": f.usage, "definition": f.definition, "source": f.source,
            "signed": f.signed,
            "parameters": [
                {"name": p.name, "low": p.low, "high": p.high, "default": p.default, "meaning": p.meaning}
                for p in f.parameters
            ],
        }
        for f in list_families()
    ]  # fmt: skip
    if format is Format.json:
        show_json(rows)
        return
    for family in list_families():
        typer.echo("\n".join(_described(family)) + "\n")
    typer.echo("Each name takes .T at its end for the circuit with its operands swapped.")
    typer.echo("Power, area and delay are unknown: members can be simulated and compared, not priced.")


def _described(family: Family) -> list[str]:
    def lines(text: str, hang: str = "    ") -> list[str]:
        return textwrap.wrap(text, 100, initial_indent="    ", subsequent_indent=hang)

    ranges = [line for p in family.parameters for line in lines(f"{p.name}: {p.meaning}", "      ")]
    title = f"{family.title[0].upper()}{family.title[1:]}"
    return [family.usage, *lines(f"{title}. {family.definition}"), *ranges, *lines(f"Source: {family.source}.")]


@app.command()
def show(
    name: str = typer.Argument(
        help="A name of the catalogue, of a family or of a file, e.g. mul8u_QKX, mul8s_1KV8@v1, mul8u_QKX.T, drum:k=4, "
        "mine.axmul."
    ),
    figure: Path | None = typer.Option(
        None, help="Where the error map is written (.png); default: NAME.png in the current folder."
    ),
    format: Format = typer.Option(Format.table, help="Output format."),
) -> None:
    """Show one multiplier and write its error map as a PNG, into the current folder unless --figure says where."""
    from axdnn.multipliers import describe_multiplier, load_multiplier
    from axdnn.report import error_map_figure

    multiplier = load_multiplier(name)
    row = describe_multiplier(multiplier.name)
    target = figure or Path(f"{file_stem(row.name)}.png")
    require_file_place(target, ".png")
    zero = 128 if row.coding == "signed" else 0
    facts = {**row_facts(row), "f_0_0": int(multiplier.table[zero, zero]), "origin": multiplier.origin}
    if format is Format.json:
        show_json(facts)
    else:
        show_table(facts_table(row.name, facts), format)
    write_bytes(target, error_map_figure(multiplier).png())


app.command("import")(import_)
app.command("compare")(compare)
