"""What `axdnn simulate` and `axdnn export` share: a finished run, or a model with an assignment, as a network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from axdnn.cli.model_options import numbers

if TYPE_CHECKING:
    from axdnn.methods import Rebuilt

RUN_HELP = "Folder of a finished `axdnn generate`. Without it: --model, --data and --multiplier or --assignment."
MULTIPLIER_HELP = "One circuit for every layer."
ASSIGNMENT_HELP = "JSON file of an Assignment record: layer -> multiplier."
ACCELERATOR_HELP = "Whose exact rows, if it has any, multiply exactly; default tpu_v4, of a run its own."
CODES_HELP = "Weight codes, without a run: joint (default), optimal, nearest or alwann."
CHANNELS_HELP = "Groups of output channels that the assignment speaks of, without a run; default 1."


def rebuilt(
    run: Path | None,
    model: str | None,
    data: str | None,
    multiplier: str | None,
    assignment: Path | None,
    weights: Path | None,
    mean: str | None,
    std: str | None,
    accelerator: str | None,
    seed: int | None,
    channel_groups: int | None,
    show: Callable[[str, int, int], None],
    weight_codes: str | None = None,
) -> Rebuilt:
    """Return the network that the options name.

    Raises:
        InvalidInputError: options that do not go together.
    """
    from axdnn.layers import Recipe
    from axdnn.methods import load_run, rebuild
    from axdnn.records import Assignment, InvalidInputError, load_record

    given = {"--model": model, "--multiplier": multiplier, "--assignment": assignment, "--mean": mean, "--std": std,
             "--seed": seed, "--channel-groups": channel_groups, "--weight-codes": weight_codes}  # fmt: skip
    if run is not None:
        extra = [name for name, value in given.items() if value is not None]
        if extra:
            raise InvalidInputError(f"{', '.join(extra)} must be left out beside a run, which has its own")
        return load_run(run, weights=weights, accelerator=accelerator, progress=show)
    if model is None or data is None or (multiplier is None) == (assignment is None):
        raise InvalidInputError(
            "without the folder of a run, --model, --data and one of --multiplier and --assignment must be given"
        )
    return rebuild(
        model, data, multiplier if assignment is None else load_record(Assignment, assignment), weights=weights,
        mean=numbers("--mean", mean), std=numbers("--std", std), accelerator=accelerator or "tpu_v4",
        recipe=Recipe(seed=seed or 0, weight_codes=weight_codes or "joint"),  # type: ignore[arg-type]
        channel_groups=1 if channel_groups is None else channel_groups, progress=show,
    )  # fmt: skip
