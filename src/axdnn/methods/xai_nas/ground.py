"""What every candidate is judged with: one captured network, its codings, images and prices; made once a process."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from axdnn.channels import coding_bank, described
from axdnn.data import Dataset, cache_root, load_dataset
from axdnn.evaluation import Evaluator, RowMapping, Split
from axdnn.generation import Neurons
from axdnn.hardware import load_accelerator
from axdnn.layers import Recipe
from axdnn.methods.xai_gen import splits_of
from axdnn.models import TrainedModel, resolve_model
from axdnn.multipliers import load_multiplier, load_set
from axdnn.quant import capture, fold_batch_norm
from axdnn.records import Assignment, InvalidInputError, Multiplier, Scalar
from axdnn.search import Named, Run

MULTIPLIER, SKIP = ":multiplier", ":skip"
SHARED_BYTES = 1 << 28  # of activations, a process: workers are several
NO_CAP = 10**9  # the search counts
Show = Callable[[str, int, int], None]


@dataclass(frozen=True, kw_only=True)
class Subject:
    """The network that is searched around and how it is judged: plain data that any process can make a `Ground` of.

    Attributes are those of `resolve_model`, `Recipe` and `XaiNasRequest`; paths are absolute.
    """

    model: str
    data: str
    weights: str = ""
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    accelerator: str = "tpu_v4"
    multipliers: str = "evoapprox8b"
    weight_codes: str = "joint"
    sample_seed: int = 0
    search_images: int = 512

    def plain(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return {**asdict(self), "mean": list(self.mean), "std": list(self.std)}


class Ground:
    """A captured network with everything that assignments of it are judged by.

    Args:
        subject: what to make.
        progress: called with (message, done, total) while a network is trained or data are fetched.

    Attributes:
        evaluator: accuracy and prices; its outcomes are kept by content in the cache folder, for all searches.
        search: the images that judge.
        calibration_images: sent through the network so that it could be captured and calibrated.
    """

    def __init__(self, subject: Subject, progress: Show | None = None) -> None:
        self.subject = subject
        self.trained: TrainedModel = resolve_model(
            subject.model, subject.data, weights=subject.weights or None, mean=subject.mean or None,
            std=subject.std or None, progress=progress,
        )  # fmt: skip
        self.dataset: Dataset = load_dataset(subject.data, progress=progress)
        images, splits = splits_of(self.dataset, subject.sample_seed, {"search": subject.search_images})
        self.search: Split = splits["search"]
        captured = fold_batch_norm(capture(self.trained.model, images))
        if len(captured.input_shapes) > 1 or len(captured.outputs) > 1:
            raise InvalidInputError(
                "a search judges by accuracy and needs a model of one input and one result, class scores (b, n), "
                f"but this one has {len(captured.input_shapes)} and {len(captured.outputs)}; wrap it"
            )
        recipe = Recipe(weight_codes=subject.weight_codes, seed=subject.sample_seed)  # type: ignore[arg-type]
        chip = load_accelerator(subject.accelerator)
        bank = coding_bank(captured, images, recipe, cache_root() / "codings", RowMapping.of(chip), 1)
        self.network = described(bank, self.trained.name)
        self.exact = load_multiplier("exact")
        self.circuits: tuple[Multiplier, ...] = load_set(subject.multipliers)
        circuits = {m.name: m for m in (self.exact, *self.circuits)}
        self.evaluator = Evaluator(
            bank, self.network, circuits, self.exact.name, {"search": self.search}, chip, NO_CAP,
            cache_root() / "evaluations", None, SHARED_BYTES,
        )  # fmt: skip
        self.calibration_images = bank.calibration.network_images
        self._images: dict[str, int] = {}

    @cached_property
    def baseline_images(self) -> int:
        """Images that judging the exact network takes, once a search."""
        before = self.evaluator.run_images
        self.evaluator.correct(self.evaluator.baseline, self.search)
        return self.evaluator.run_images - before

    def neurons(self, least: Mapping[str, Sequence[int]]) -> Neurons:
        """Return the neurons of layers from their order, least important first; the order is all that skipping needs.

        Args:
            least: layer name -> indices of all its neurons.
        """
        ranks = {name: np.argsort(np.array(order, dtype=np.int64)).astype(np.float64) for name, order in least.items()}
        outputs = frozenset(a for a, b in self.network.edges if b == "output")
        return Neurons(self.evaluator.bank.calibration.model, ranks, outputs)

    def loss(self, assignment: Assignment) -> tuple[float, int]:
        """Return the accuracy loss on the search images, a fraction, and how many images went through the network.

        An assignment counts the same however often it is asked for, and whether it was found in the cache or not.
        """
        evaluator, _ = self.evaluator, self.baseline_images  # which are not the candidate's
        before = evaluator.run_images
        found = evaluator.accuracy(assignment, self.search)
        self._images.setdefault(assignment.key, evaluator.run_images - before)
        return found.loss, self._images[assignment.key]


_GROUNDS: dict[Subject, Ground] = {}


def ground_of(subject: Subject, progress: Show | None = None) -> Ground:
    """Return the ground of a subject, made once in this process; that of the last one alone is kept."""
    if subject not in _GROUNDS:
        _GROUNDS.clear()
        _GROUNDS[subject] = Ground(subject, progress)
    return _GROUNDS[subject]


class Judged:
    """Judges candidates: loss on the search images and prices of the assignment that a candidate stands for.

    Args:
        ground: network, images, prices.
        least: layer name -> its neurons, least important first; layers that cannot skip are left out.
    """

    def __init__(self, ground: Ground, least: Mapping[str, Sequence[int]]) -> None:
        self.ground = ground
        self._neurons = ground.neurons(least) if least else None

    def assignment(self, candidate: Mapping[str, Scalar]) -> Assignment:
        """Return what a candidate stands for."""
        names = self.ground.network.layer_names
        plain = Assignment(multipliers={name: str(candidate[name + MULTIPLIER]) for name in names})
        shares = {name: float(candidate.get(name + SKIP, 0.0)) for name in names}
        if self._neurons is None or not any(shares.values()):
            return plain
        left_out = self._neurons.skipping({name: share for name, share in shares.items() if share > 0}, remove=True)
        return msgspec.structs.replace(plain, skip=left_out.skip, absent=left_out.absent)

    def __call__(self, candidate: Mapping[str, Scalar], run: Run) -> dict[str, float]:
        """Judge a candidate; the evaluation of a search."""
        assignment = self.assignment(candidate)
        loss, images = self.ground.loss(assignment)
        run.note("images", images)
        cost = self.ground.evaluator.cost(assignment)
        return {
            "loss": loss, "multiplier_energy_j": cost.multiplier_energy_j, "energy_j": cost.energy_j,
            "latency_s": cost.latency_s, "memory_bytes": float(cost.memory_bytes), "area_m2": cost.area_m2,
        }  # fmt: skip


def evaluation(subject: Subject, least: Mapping[str, Sequence[int]]) -> Named:
    """Return the evaluation of a search by name, so that worker processes and other machines can make it."""
    plain = {name: [int(i) for i in order] for name, order in least.items()}
    return Named("axdnn.methods.xai_nas.ground:make_evaluation", {"subject": subject.plain(), "least": plain})


def make_evaluation(subject: Mapping[str, Any], least: Mapping[str, Sequence[int]]) -> Judged:
    """Make the evaluation from plain data."""
    given = {**subject, "mean": tuple(subject["mean"]), "std": tuple(subject["std"])}
    return Judged(ground_of(Subject(**given)), least)


def absolute(path: str | Path | None) -> str:
    """Return a path as any process on this machine finds it; empty for none."""
    return "" if path is None else str(Path(path).resolve())
