"""`axdnn export`."""

from __future__ import annotations

import enum
from pathlib import Path

import typer

from axdnn.cli.console import Format, progress, require_file_place, require_seed, show_json
from axdnn.cli.model_options import DATA_HELP, MEAN_HELP, MODEL_HELP, STD_HELP, WEIGHTS_HELP, file_stem
from axdnn.cli.saved import (
    ACCELERATOR_HELP,
    ASSIGNMENT_HELP,
    CHANNELS_HELP,
    CODES_HELP,
    MULTIPLIER_HELP,
    RUN_HELP,
    rebuilt,
)


class To(enum.StrEnum):
    """File format."""

    onnx = "onnx"
    pt2 = "pt2"
    npz = "npz"


def export(
    run: Path | None = typer.Argument(None, help=RUN_HELP),
    to: To = typer.Option(..., help="ONNX of standard operators, a torch.export program, or a plain archive."),
    out: Path | None = typer.Option(None, help="File; default MODEL.onnx (.pt2, .npz), in the folder of the run."),
    model: str | None = typer.Option(None, help=MODEL_HELP),
    data: str | None = typer.Option(None, help=f"Calibration images, without a run: {DATA_HELP}"),
    multiplier: str | None = typer.Option(None, help=MULTIPLIER_HELP),
    assignment: Path | None = typer.Option(None, help=ASSIGNMENT_HELP),
    weights: Path | None = typer.Option(None, help=WEIGHTS_HELP),
    mean: str | None = typer.Option(None, help=MEAN_HELP),
    std: str | None = typer.Option(None, help=STD_HELP),
    accelerator: str | None = typer.Option(None, help=ACCELERATOR_HELP),
    seed: int | None = typer.Option(None, help="Of the calibration images, without a run; default 0."),
    channel_groups: int | None = typer.Option(None, help=CHANNELS_HELP),
    weight_codes: str | None = typer.Option(None, help=CODES_HELP),
    format: Format = typer.Option(Format.table, help="Summary as text, or as JSON."),
    quiet: bool = typer.Option(False, "--quiet", help="No progress."),
) -> None:
    """Write an approximate network for other tools, and compare what was written with it, bit for bit.

    docs/export.md says what the files hold and where they are exact.
    """
    from axdnn.records import InvalidInputError

    require_seed(seed or 0)
    if out is not None:
        require_file_place(out, f".{to}")
    if run is not None and data is not None:
        raise InvalidInputError("--data must be left out beside a run, which has its own")

    from axdnn.export import export_model

    with progress(quiet) as show:
        built = rebuilt(
            run, model, data, multiplier, assignment, weights, mean, std, accelerator, seed, channel_groups, show,
            weight_codes,
        )  # fmt: skip
        out = out or (run or Path()) / f"{file_stem(built.label)}.{to}"
        require_file_place(out)
        show("calibrating", 0, 2)
        network = built.model()
        show(f"writing {out.name}", 1, 2)
        done = export_model(network, out, str(to), built.evaluator.bank.calibration.images)
        show(f"wrote {out.name}", 2, 2)
    if format is Format.json:
        show_json({"path": str(done.path), "bytes": done.bytes, "verified": done.verified, "check": done.check})
        return
    typer.echo(f"wrote {done.path} ({done.bytes} bytes)")
    typer.echo(done.check)
