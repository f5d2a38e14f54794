"""What the commands of `axdnn search` share: options of any search, what is printed of its outcome."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from axdnn.cli.console import Format, progress, require_seed, show_table
from axdnn.cli.studies import STORAGE_HELP

if TYPE_CHECKING:
    from axdnn.methods import Searched, SearchOptions
    from axdnn.report import Table

OUT_HELP = "Output folder: result.json, report.html, front/; rerunning with the same settings resumes."
TIME_HELP = "Begin no candidate after so many seconds of searching; preparation does not count."
STUDY_HELP = "Name of the study in the storage; default: the method."
RESUME_HELP = "Go on with a search that --time ended; one that was interrupted goes on without."
WORKERS_HELP = "Processes; default 1, on a cluster as many as fit; more may join with `axdnn worker`."
CLUSTER_HELP = "Run the workers on a Ray cluster: ray, auto, local, HOST:PORT or ray://HOST:PORT (needs axdnn[ray])."

Out = Annotated[Path, typer.Option(help=OUT_HELP)]
Trials = Annotated[int, typer.Option(help="Most evaluations, those of earlier calls included.")]
Time = Annotated[float | None, typer.Option(min=0.0, help=TIME_HELP)]
Storage = Annotated[str | None, typer.Option(help=f"Default: a journal in --out. {STORAGE_HELP}")]
StudyName = Annotated[str | None, typer.Option(help=STUDY_HELP)]
Workers = Annotated[int | None, typer.Option(help=WORKERS_HELP)]
ClusterName = Annotated[str | None, typer.Option(metavar="ADDRESS", help=CLUSTER_HELP)]
Cores = Annotated[int, typer.Option(min=1, help="Processor cores of a worker on a cluster.")]
Gpus = Annotated[float, typer.Option(min=0.0, help="GPUs of a worker on a cluster; less than 1 shares one.")]
Seed = Annotated[int, typer.Option(help="Of all chance of the search.")]
Resume = Annotated[bool, typer.Option("--resume", help=RESUME_HELP)]
Output = Annotated[Format, typer.Option(help="The front as a table, or the whole result as JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress.")]


def search_options(
    trials: int, time: float | None, storage: str | None, study: str | None, workers: int | None, seed: int,
    resume: bool, cluster: str | None = None, cores: int = 1, gpus: float = 0.0,
) -> SearchOptions:  # fmt: skip
    """Return the options of a search.

    Raises:
        InvalidInputError: one is out of range, or resources without a cluster.
    """
    from axdnn.methods import SearchOptions
    from axdnn.records import InvalidInputError
    from axdnn.search import Cluster

    require_seed(seed)
    if cluster is None and (cores != 1 or gpus):
        raise InvalidInputError("--cores and --gpus are resources on a cluster: give --cluster, or leave them out")
    return SearchOptions(
        trials=trials, time_s=time, storage=storage or "", study=study or "", workers=workers, seed=seed, resume=resume,
        cluster=None if cluster is None else Cluster(cluster, cores, gpus),
    )  # fmt: skip


@contextmanager
def searching(out: Path, quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """Yield what shows progress; Ctrl-C within says what was kept."""
    try:
        with progress(quiet) as show:
            yield show
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"interrupted; {_kept(out)}; rerun the same command to go on") from None


def show_searched(found: Searched, format: Format) -> None:
    """Print what a search found."""
    from axdnn.records import to_json

    if found.resumed:
        typer.echo(f"{found.folder} was finished already: showing its result", err=True)
    if format is Format.json:
        sys.stdout.write(to_json(found.result))
        return
    result = found.result
    typer.echo(
        f"{result.method} of {result.model or result.data}: {result.evaluations} evaluations ({result.reason}), "
        f"{result.failed} failed, {result.network_images} network images, space of {result.space_size}, "
        f"hypervolume {result.hypervolume:.6g}"
    )
    show_table(front_of(found), format)
    typer.echo(f"result: {found.folder / 'result.json'}")
    for file in found.files[:1]:
        typer.echo(f"report: {file}")


def front_of(found: Searched) -> Table:
    """Return the front as a table: objectives, figures that every member may have, files."""
    from axdnn.report import Column, Table

    result = found.result
    extra = [n for n in ("search_accuracy", "test_accuracy") if any(n in m.figures for m in result.front)]
    columns = (
        *(Column(o.name, f"{o.name}, {o.unit}" if o.unit else o.name, "number", digits=4) for o in result.objectives),
        *(Column(name, name.replace("_", " "), "percent", digits=2) for name in extra),
        Column("file", "file"),
    )
    rows = tuple(
        (*(m.objectives[o.name] for o in result.objectives), *(m.figures.get(name) for name in extra), m.file)
        for m in result.front
    )
    notes = tuple(f"{rival.name}: {point}" for rival in result.rivals for point in rival.points[:1])
    counts = ", ".join(f"{count} for {name}" for name, count in result.images.items())
    return Table("The front", columns, rows, (*notes, f"Images: {counts}."))


def _kept(out: Path) -> str:
    from axdnn.records import RecordError, Study, load_record

    try:
        return f"{load_record(Study, out / 'study.json').full_evaluations} evaluations are kept"
    except RecordError:
        return "no evaluation was finished"
