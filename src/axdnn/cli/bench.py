"""`axdnn bench`."""

from __future__ import annotations

import json
from pathlib import Path

import typer

from axdnn.cli.console import Format, progress, require_file_place, show_json, show_table, write_bytes


def bench(
    full: bool = typer.Option(False, "--full", help="Every layer, table and path, whole networks, threads: minutes."),
    calibrate: bool = typer.Option(
        False, "--calibrate", help="First measure what the kernels cost here (seconds); plans use it from then on."
    ),
    threads: int | None = typer.Option(None, help="Threads; default: those that torch uses, see OMP_NUM_THREADS."),
    rounds: int | None = typer.Option(None, help="Times each product is run, 2 or more; default 5, with --full 7."),
    out: Path | None = typer.Option(None, help="Write everything as JSON to this file."),
    format: Format = typer.Option(Format.table, help="Output format."),
    quiet: bool = typer.Option(False, "--quiet", help="Show no progress."),
) -> None:
    """Time exact simulation on this machine: layers by table and path, beside torch float32.

    Ratios are the result; several programs at work change absolute times.
    """
    from axdnn.records import InvalidInputError

    for name, value, least in (("--threads", threads, 1), ("--rounds", rounds, 2)):
        if value is not None and value < least:
            raise InvalidInputError(f"{name} must be {least} or more, but got {value}")
    if out is not None:
        require_file_place(out)

    import torch

    from axdnn import benchmark, kernels

    torch.set_num_threads(threads or torch.get_num_threads())
    selection = benchmark.Selection.full(rounds or 7) if full else benchmark.Selection(rounds=rounds or 5)
    with progress(quiet) as show:
        if calibrate:
            kernels.calibrate(show, again=True)
        report = benchmark.measure(selection, torch.get_num_threads(), progress=show)
    if format is Format.json:
        show_json(report)
    else:
        show_table(benchmark.product_table(report), format)
        if full:
            show_table(benchmark.network_table(report), format)
            if report["speedup"]:
                show_table(benchmark.speedup_table(report), format)
            show_table(benchmark.target_table(report), format)
    if out is not None:
        write_bytes(out, (json.dumps(report, indent=1) + "\n").encode(), quiet)
