"""`axdnn worker`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from axdnn.cli.console import progress
from axdnn.cli.studies import STORAGE_HELP

if TYPE_CHECKING:
    from axdnn.search import Progress


def worker(
    storage: str = typer.Option(..., help=STORAGE_HELP),
    study: str = typer.Option(..., help="Name of a study that a search began."),
    time: float | None = typer.Option(None, min=0.0, help="Begin no candidate after so many seconds."),
    path: Path = typer.Option(Path(), help="Folder of the module that evaluates; default: here."),
    quiet: bool = typer.Option(False, "--quiet", help="No progress."),
) -> None:
    """Join a running study: evaluate its candidates until its budget is used. Start as many as there are cores.

    The study names the function that evaluates; it is imported here, so join only studies of people you trust.
    """
    from axdnn.search import join

    sys.path.insert(0, str(path.resolve()))
    try:
        with progress(quiet) as show:

            def tell(seen: Progress) -> None:
                show(f"{study}: front of {len(seen.front)}, {seen.failed} failed", seen.evaluations, seen.budget)

            found = join(storage, study, time, tell)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"stopped; what was evaluated is in {study}, the rest goes on without") from None
    ended = f"{found.evaluations} of {found.budget} evaluations, front of {len(found.front)} ({found.reason})"
    typer.echo(f"{study}: {ended}")
