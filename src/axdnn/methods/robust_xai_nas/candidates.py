"""Evaluating one candidate of a robust XAI-NAS: train or take over, explain, make integer, price, attack."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from axdnn.data import Dataset, load_dataset
from axdnn.evaluation import give_back
from axdnn.hardware import Accelerator, load_accelerator
from axdnn.layers import ApproxModel
from axdnn.methods.robust_xai_nas.asked import RobustOptions
from axdnn.methods.robust_xai_nas.importance import Explained, explain, load_explained, save_explained
from axdnn.nas import IntegerCandidate, Layout, Shelf, SpaceOptions, Trained, layout_of
from axdnn.records import Assignment, Multiplier, Scalar
from axdnn.retraining import Gradient
from axdnn.robustness import inner_robustness, integer_victim
from axdnn.search import Run

GRADIENT: Gradient = "straight_through"


def evaluator(folder: str, options: Mapping[str, Any], seed: int) -> Callable[..., dict[str, float]]:
    """Return the evaluation of a search; named, so that every worker makes its own. Nothing is loaded before its use.

    Args:
        folder: of the search.
        options: `RobustOptions.plain()`.
        seed: of the search.
    """
    return Workbench(Path(folder), RobustOptions.from_plain(options), seed).evaluate


def robust_figure(eps: float) -> str:
    """Return the name of the figure of robust accuracy at an epsilon."""
    return f"robust_accuracy_at_{eps:.4g}"


@dataclass(frozen=True, eq=False)
class Made:
    """A candidate as a network that can be measured.

    Attributes:
        layout: shapes, multipliers, skipped shares.
        trained: float network.
        integer: captured and calibrated.
        explained: importance of its layers; None without explanation.
        assignment: multipliers, and the channels that are left out.
        model: the integer network.
        images: sent through networks to get so far, training left out.
    """

    layout: Layout
    trained: Trained
    integer: IntegerCandidate
    explained: Explained | None
    assignment: Assignment
    model: ApproxModel
    images: int


class Workbench:
    """All that the evaluations of a search share.

    Args:
        folder: of the search.
        options: what was asked.
        seed: of the search.
    """

    def __init__(self, folder: Path, options: RobustOptions, seed: int) -> None:
        self.folder, self.options, self.seed = folder, options, seed

    @cached_property
    def data(self) -> Dataset:
        """The data set."""
        return load_dataset(self.options.data)

    @cached_property
    def chip(self) -> Accelerator:
        """The accelerator."""
        return load_accelerator(self.options.accelerator)

    @cached_property
    def multipliers(self) -> dict[str, Multiplier]:
        """Multipliers to choose from, by name."""
        return {m.name: m for m in self.options.ladder()}

    @cached_property
    def space(self) -> SpaceOptions:
        """What can be chosen."""
        return self.options.space_options(self.data, self.chip.pods)

    @cached_property
    def shelf(self) -> Shelf:
        """Trained networks."""
        return Shelf(self.folder, self.data, self.options.training, self.seed)

    @cached_property
    def held_out(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Images and labels of split `search`, those of the clean accuracy; those that are attacked come first."""
        return self.data.tensors("search", self.options.clean_images)

    @cached_property
    def calibration(self) -> torch.Tensor:
        """Calibration images."""
        return self.data.tensors("calibration", self.options.calibration_images)[0]

    def make(self, candidate: Mapping[str, Scalar], parents: tuple[str, ...] = ()) -> Made:
        """Return the network of a candidate, trained, explained and made integer as far as it was not before.

        Args:
            candidate: of the space.
            parents: keys of candidates whose weights may be inherited.
        """
        layout = layout_of(candidate, self.space)
        trained = self.shelf.trained(layout, parents)
        integer = IntegerCandidate(trained.network, layout, self.calibration, self.chip, self.multipliers)
        explained, images = self._explained(layout, integer) if self.options.explains else (None, 0)
        assignment = integer.assignment(layout, None if explained is None else explained.channel_arrays())
        model = integer.model(assignment)
        return Made(layout, trained, integer, explained, assignment, model, images + integer.network_images)

    def _explained(self, layout: Layout, integer: IntegerCandidate) -> tuple[Explained, int]:
        """Return the explanation of a topology and the images that it took now."""
        o, path = self.options, self.shelf.path(layout.topology, ".json")
        found = load_explained(path)
        if found is not None:
            return found, 0
        images, labels = (part[: o.explain_images] for part in self.data.tensors("search", o.explain_images))
        found = explain(
            integer.captured, layout, images, labels, eps=o.eps[0], alpha=o.alpha, steps=o.explain_steps, seed=self.seed
        )
        save_explained(path, found)
        return found, found.network_images

    def evaluate(self, candidate: Mapping[str, Scalar], run: Run) -> dict[str, float]:
        """Return the figures of a candidate; notes say how it came about."""
        self.shelf.note(run.key, dict(candidate), layout_of(candidate, self.space))
        made = self.make(candidate, run.parents)
        cost = made.integer.cost(made.assignment)
        images, labels = self.held_out
        clean = accuracy(made.model, images, labels)
        attacked = self.options.images
        victim = integer_victim(made.model, made.integer.captured, GRADIENT)
        _, robust, passes = inner_robustness(
            victim, images[:attacked], labels[:attacked], self.options.eps, seed=self.seed
        )
        give_back()
        run.note("topology", made.layout.topology)
        run.note("trained_images", made.trained.images)
        run.note("inherited_share", round(made.trained.inherited, 4))
        run.note("network_images", made.images + len(images) + passes.forward + passes.backward)
        return {
            "robust_error": 1.0 - robust[self.options.eps[0]], "energy_j": cost.energy_j,
            "latency_s": cost.latency_s, "memory_bytes": float(cost.memory_bytes), "clean_accuracy": clean,
            "multiplier_energy_j": cost.multiplier_energy_j, "macs": float(made.layout.macs),
            "weights": float(made.layout.weights), **{robust_figure(eps): value for eps, value in robust.items()},
        }  # fmt: skip


@torch.no_grad()
def accuracy(model: torch.nn.Module, images: torch.Tensor, labels: torch.Tensor, batch: int = 250) -> float:
    """Return the share of images that a network classifies right."""
    found = torch.cat([model(images[i : i + batch]).argmax(1) for i in range(0, len(images), batch)])
    return float(found.eq(labels).double().mean())
