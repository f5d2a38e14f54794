"""`axdnn attack`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from axdnn.cli.console import Format, parts_of, progress, require_seed, show_json, show_table, write_bytes
from axdnn.cli.model_options import MEAN_HELP, STD_HELP, WEIGHTS_HELP, usual_data
from axdnn.cli.saved import ACCELERATOR_HELP, ASSIGNMENT_HELP, MULTIPLIER_HELP, rebuilt

if TYPE_CHECKING:
    from axdnn.records import RobustnessReport

MODEL_HELP = "Folder of a finished `axdnn generate`, a known name, or your own: file.py:function or module:function."
ATTACKS_HELP = (
    "inner (PGD-10), full, or a list of fgsm, bim, pgd, cw, deepfool, autoattack, square, transfer, with options: "
    "pgd:steps=100:restarts=5,square."
)
EPS_HELP = (
    "Radii with commas, pixels in [0, 1]; default linf: mnist 0.1,0.2, cifar10 1/255,2/255. Fractions may be given."
)
_MASKED = 1


def attack(
    model: str = typer.Option(..., help=MODEL_HELP),
    data: str | None = typer.Option(None, help="Images that are attacked; of a run its own."),
    attacks: str = typer.Option("full", help=ATTACKS_HELP),
    eps: str | None = typer.Option(None, help=EPS_HELP),
    norm: str = typer.Option("linf", help="linf or l2."),
    gradient: str = typer.Option("straight_through", help="Of approximate products: straight_through or table_slope."),
    images: int = typer.Option(200, min=1, help="The first so many."),
    split: str = typer.Option("test", help="test, accept, search, calibration or fit."),
    out: Path | None = typer.Option(None, help="Folder: finished attacks, robustness.json, robustness.png; resumes."),
    seed: int = typer.Option(0, help="Of the attacks and, without a run, of the calibration images."),
    multiplier: str | None = typer.Option(None, help=f"{MULTIPLIER_HELP} Default exact: the int8 network alone."),
    assignment: Path | None = typer.Option(None, help=ASSIGNMENT_HELP),
    weights: Path | None = typer.Option(None, help=WEIGHTS_HELP),
    mean: str | None = typer.Option(None, help=MEAN_HELP),
    std: str | None = typer.Option(None, help=STD_HELP),
    accelerator: str | None = typer.Option(None, help=ACCELERATOR_HELP),
    format: Format = typer.Option(Format.table, help="Output format."),
    quiet: bool = typer.Option(False, "--quiet", help="No progress."),
) -> None:
    """Attack an approximate network and the exact one: robust accuracy in the worst case of all attacks."""
    require_seed(seed)
    radii = None if eps is None else radii_of("--eps", eps)

    from axdnn.data import dataset_info
    from axdnn.methods.attacking import attack as run_attacks
    from axdnn.methods.attacking import check_folder, check_gradient
    from axdnn.robustness import Request, default_epsilons

    run = Path(model) if Path(model).is_dir() else None
    name = data or (None if run else usual_data(model))
    asked = Request(radii or (1.0,), norm, attacks, seed)  # type: ignore[arg-type]
    check_gradient(gradient)
    if name is not None:
        dataset_info(name)
        radii = radii or default_epsilons(name, norm)
    if out is not None:
        check_folder(out)
    if run is None and multiplier is None and assignment is None:
        multiplier = "exact"
    try:
        with progress(quiet) as show:
            built = rebuilt(
                run, None if run else model, name, multiplier, assignment, weights, mean, std, accelerator,
                None if run else seed, None, show,
            )  # fmt: skip
            if radii is None:
                radii = default_epsilons(built.dataset.name, norm)
            asked = Request(radii, asked.norm, attacks, seed)
            report = run_attacks(
                built, asked, gradient=gradient, data=name, split=split, images=images,  # type: ignore[arg-type]
                folder=out, progress=show,
            )  # fmt: skip
    except KeyboardInterrupt:
        kept = "" if out is None else f"; finished attacks are kept in {out}, rerun to resume"
        raise KeyboardInterrupt(f"interrupted{kept}") from None
    _show(report, format)
    if out is not None:
        _draw(report, out, quiet)
    _fail_if_masked(report)


def radii_of(option: str, text: str) -> tuple[float, ...]:
    """Read numbers and fractions, `0.1` or `2/255`.

    Raises:
        InvalidInputError: a part is neither.
    """
    from axdnn.records import InvalidInputError

    found = []
    for part in parts_of(option, text, str):
        above, _, below = part.partition("/")
        try:
            found.append(float(above) / float(below or 1))
        except (ValueError, ZeroDivisionError):
            raise InvalidInputError(f"{option} must be numbers or fractions with commas, but got {text!r}") from None
    return tuple(found)


def _show(report: RobustnessReport, format: Format) -> None:
    from axdnn.records import to_builtins
    from axdnn.report.robustness_tables import laws_table, robustness_table

    if format is Format.json:
        show_json(to_builtins(report))
        return
    show_table(robustness_table(report), format)
    if not report.sound:
        show_table(laws_table(report), format)


def _draw(report: RobustnessReport, out: Path, quiet: bool) -> None:
    from axdnn.report.draw_robustness import draw_robustness
    from axdnn.report.drawing import to_png

    write_bytes(out / "robustness.png", to_png(draw_robustness(report)), quiet)


def _fail_if_masked(report: RobustnessReport) -> None:
    """End with an error if the numbers cannot be trusted; everything was shown and written before."""
    from axdnn.robustness.laws import broken_laws

    fault = broken_laws(report.laws)
    if fault:
        typer.echo(f"error: {fault}", err=True)
        raise typer.Exit(_MASKED)
