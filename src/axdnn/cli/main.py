"""Entry point of the `axdnn` command."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Sequence

# One thread a process, before torch is imported: spinning OpenMP threads make a busy machine many times slower.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import typer

from axdnn.cli import (
    accelerators,
    attack,
    bench,
    catalogue,
    compare,
    datasets,
    estimate,
    explain,
    export,
    generate,
    modelzoo,
    report,
    search,
    simulate,
    studies,
    train,
    worker,
)
from axdnn.cli.group import group

# Every error of the command line parser, by whichever package typer brings it.
_USAGE = typer.BadParameter.__mro__[2]
_WRONG_INPUT, _TROUBLE, _INTERRUPTED = 2, 1, 130

app = group("Approximate deep neural networks and the accelerators that run them, exact to the bit.")
app.command("generate")(generate.generate)
app.command("compare")(compare.compare)
app.command("explain")(explain.explain)
app.command("estimate")(estimate.estimate)
app.command("simulate")(simulate.simulate)
app.command("attack")(attack.attack)
app.command("export")(export.export)
app.command("report")(report.report)
app.command("train")(train.train)
app.command("bench")(bench.bench)
app.command("worker")(worker.worker)
app.add_typer(search.app, name="search")
app.add_typer(catalogue.app, name="multipliers")
app.add_typer(accelerators.app, name="accelerators")
app.add_typer(modelzoo.app, name="models")
app.add_typer(datasets.app, name="data")
app.add_typer(studies.app, name="studies")

EPILOG = """\b
Start here:
  axdnn generate --model lenet5 --data mnist --out runs/lenet5
  axdnn multipliers list

\b
Exit codes: 0 done, 1 trouble with the machine, 2 wrong input (nothing was
written), 130 interrupted (rerun to resume).
"""


def _version(value: bool) -> None:
    if value:
        from axdnn import __version__

        typer.echo(f"axdnn {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True, epilog=EPILOG)
def _options(
    context: typer.Context,
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    """Approximate deep neural networks and the accelerators that run them, exact to the bit."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def run(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code; an error of the user becomes one line on standard error.

    Args:
        arguments: without the name of the program; None for those of this process.
    """
    try:
        command = typer.main.get_command(app)
        with command.make_context("axdnn", list(sys.argv[1:] if arguments is None else arguments)) as context:
            command.invoke(context)
        sys.stdout.flush()
        return 0
    except typer.Exit as end:
        return int(end.exit_code)
    except KeyboardInterrupt as interrupt:  # a command may say what it kept
        return _fail(str(interrupt) or "interrupted", _INTERRUPTED)
    except BrokenPipeError:  # the reader of our output left, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _TROUBLE
    except OSError as error:
        from axdnn.records import AxdnnError

        if isinstance(error, AxdnnError):
            return _fail(f"error: {error}", _WRONG_INPUT)
        place = f"{error.filename}: " if error.filename else ""
        return _fail(f"error: {place}{error.strerror or error}", _TROUBLE)
    except Exception as error:
        from axdnn.records import AxdnnError

        if isinstance(error, AxdnnError):
            return _fail(f"error: {error}", _WRONG_INPUT)
        if isinstance(error, _USAGE):
            where = getattr(getattr(error, "ctx", None), "command_path", "axdnn")
            message = str(error.format_message())  # type: ignore[attr-defined]
            stop = "" if message.endswith((".", "?")) else "."
            return _fail(f"error: {message}{stop} See `{where} --help`", _WRONG_INPUT)
        raise


def _fail(message: str, code: int) -> int:
    typer.echo(" ".join(message.split()), err=True)
    return code


def _show_warning(message: Warning | str, category: type[Warning], *_: object) -> None:
    typer.echo(f"warning: {' '.join(str(message).split())}", err=True)


def main() -> None:
    """Run the command of this process and exit."""
    warnings.showwarning = _show_warning  # type: ignore[assignment]
    sys.exit(run())


if __name__ == "__main__":
    main()
