"""Entry point of the `axdnn` command."""

from __future__ import annotations

import os
import sys

# One thread a process, before torch is imported: spinning OpenMP threads make a busy machine many times slower.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import typer

import axdnn
from axdnn.cli import catalogue, datasets, estimate, explain, generate, report, train
from axdnn.records import AxdnnError

app = typer.Typer(
    name="axdnn",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Approximate deep neural networks and the accelerators that run them, exact to the bit.",
)
app.command("generate")(generate.generate)
app.command("explain")(explain.explain)
app.command("estimate")(estimate.estimate)
app.command("train")(train.train)
app.command("report")(report.report)
app.add_typer(catalogue.app, name="multipliers", help="The multiplier catalogue.")
app.add_typer(datasets.app, name="data", help="Real data sets.")


def _version(value: bool) -> None:
    if value:
        typer.echo(f"axdnn {axdnn.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    pass


def main() -> None:
    """Run the command; errors of axdnn become one line and exit code 2, an interrupt becomes exit code 130."""
    try:
        app()
    except AxdnnError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(2)
    except KeyboardInterrupt:
        typer.echo("interrupted", err=True)
        sys.exit(130)


if __name__ == "__main__":
    main()
