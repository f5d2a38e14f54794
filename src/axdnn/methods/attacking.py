"""Robustness of what a run chose, beside the exact int8 network, under attacks on real images."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from axdnn.data import load_dataset
from axdnn.methods.saved_run import Rebuilt
from axdnn.methods.simulation import check_images
from axdnn.records import (
    InvalidInputError,
    OutputFolderError,
    RobustnessReport,
    remove_leftovers,
    save_record,
    unknown_name,
)
from axdnn.retraining import Gradient
from axdnn.robustness import Request, Victim, assess, float_victim, integer_victim

Progress = Callable[[str, int, int], None]
REPORT_FILE, CACHE_FOLDER = "robustness.json", "attacks"
GRADIENTS = ("straight_through", "table_slope")


def attack(
    built: Rebuilt,
    request: Request,
    *,
    gradient: Gradient = "straight_through",
    data: str | None = None,
    split: str = "test",
    images: int | None = 200,
    folder: Path | None = None,
    progress: Progress | None = None,
) -> RobustnessReport:
    """Attack an assignment and the exact int8 network.

    Args:
        built: the assignment; of one that is exact everywhere only the int8 network is attacked.
        request: attacks, epsilons, norm, seed.
        gradient: how gradients pass approximate products.
        data: name; the data set that the network was calibrated on by default.
        split: `fit`, `calibration`, `search`, `accept` or `test`.
        images: the first so many; None for all.
        folder: keeps each finished attack, and `robustness.json` in the end; see `check_folder`.
        progress: called with (message, images done, images in all).

    Returns:
        Report; its `laws` say whether the numbers can be trusted, see `axdnn.robustness.MaskedGradientError`.

    Raises:
        InvalidInputError: images of another shape or with other classes than the network's.
        UnknownNameError: no such data set, split or gradient.
    """
    check_gradient(gradient)
    own = data in (None, built.dataset.name)
    dataset = built.dataset if own else load_dataset(str(data), progress=progress)
    check_images(built, dataset.name, dataset.image_shape, len(dataset.classes))
    pictures, labels = dataset.tensors(split, images)
    if folder is not None:
        check_folder(folder)
        remove_leftovers(folder)
        remove_leftovers(folder / CACHE_FOLDER)
    victims, sources = networks(built, gradient)
    found = assess(
        victims, pictures, labels, request, sources=sources, cache=None if folder is None else folder / CACHE_FOLDER,
        strict=False, progress=progress,
    )  # fmt: skip
    report = msgspec.structs.replace(
        found, model=built.label, data=dataset.name, split=split, gradient=gradient,
        assignment=dict(built.assignment.multipliers), provenance=_provenance(built, dataset.sha256, victims, sources),
    )  # fmt: skip
    if folder is not None:
        save_record(folder / REPORT_FILE, report)
    return report


def networks(built: Rebuilt, gradient: Gradient) -> tuple[list[Victim], dict[str, Victim]]:
    """Return the networks to attack, exact int8 first, and those that transferred images are made on.

    Args:
        built: the assignment.
        gradient: of the approximate network; that of the exact one is the float network's.
    """
    float_model = built.float_model
    exact = integer_victim(built.baseline(), float_model, name="exact")
    victims = [exact]
    if built.assignment != built.evaluator.baseline:
        victims.append(integer_victim(built.model(), float_model, gradient))
    return victims, {"int8": exact, "float": float_victim(float_model)}


def check_gradient(gradient: str) -> None:
    """Check the name of a gradient.

    Raises:
        UnknownNameError: there is no such gradient.
    """
    if gradient not in GRADIENTS:
        raise unknown_name("gradient", gradient, GRADIENTS)


def check_folder(folder: Path) -> None:
    """Refuse a folder that holds anything but attacks, before anything is created.

    Raises:
        OutputFolderError: it holds other files.
        InvalidInputError: something on the way is a file.
    """
    for place in (folder, *folder.parents):
        if place.exists():
            if not place.is_dir():
                raise InvalidInputError(f"{folder} must be a folder or free to become one, but {place} is a file")
            break
    ours = {REPORT_FILE, CACHE_FOLDER, "robustness.png"}
    others = (
        [f.name for f in folder.iterdir() if f.name not in ours and not f.name.startswith(".")]
        if folder.exists()
        else []
    )
    if others:
        raise OutputFolderError(f"{folder} holds other files ({', '.join(sorted(others)[:3])}); choose another --out")


def _provenance(built: Rebuilt, data_sha256: str, victims: list[Victim], sources: dict[str, Victim]) -> dict[str, str]:
    from axdnn import __version__

    digests = {victim.name: victim.digest for victim in [*victims, *sources.values()]}
    return {
        "axdnn": __version__, "data_sha256": data_sha256, "accelerator": built.evaluator.accelerator.name,
        **{f"{name}_network": digest for name, digest in digests.items()},
    }  # fmt: skip
