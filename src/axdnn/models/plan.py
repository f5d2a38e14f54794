"""What is going to be trained: model, images, settings and seed, checked before any work."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from axdnn.data import Dataset, load_dataset
from axdnn.models.recipes import Recipe, default_recipe
from axdnn.models.zoo import require_model
from axdnn.records import InvalidInputError

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Plan:
    """A training that was found possible.

    Attributes:
        name: of the model. dataset: its images. recipe: settings. seed: of everything random.
    """

    name: str
    dataset: Dataset
    recipe: Recipe
    seed: int

    @property
    def identity(self) -> dict[str, Any]:
        """What two runs must have in common to give the same weights (on one machine)."""
        return {
            "model": self.name,
            "data": self.dataset.name,
            "data_sha256": self.dataset.sha256,
            "seed": self.seed,
            **self.recipe.as_dict(),
        }


def plan_training(
    name: str,
    data: str | Dataset,
    *,
    epochs: int | None = None,
    seed: int = 0,
    images: int | None = None,
    recipe: Recipe | None = None,
    progress: Progress | None = None,
) -> Plan:
    """Check and complete the settings of a training; arguments and errors are those of `train`."""
    require_model(name)
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**63:
        raise InvalidInputError(f"0 <= seed < 2**63 must hold (an integer), but got seed={seed!r}")
    recipe = recipe or default_recipe(name, data if isinstance(data, str) else data.name)
    recipe = dataclasses.replace(
        recipe,
        epochs=recipe.epochs if epochs is None else epochs,
        images=recipe.images if images is None else images,
    )
    dataset = load_dataset(data, progress=progress) if isinstance(data, str) else data
    fit = dataset.splits()["fit"]
    if recipe.images is not None and recipe.images > len(fit):
        raise InvalidInputError(
            f"images <= {len(fit)} (split fit of {dataset.name}) must hold, but got images={recipe.images}"
        )
    return Plan(name, dataset, recipe, seed)
