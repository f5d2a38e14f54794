"""The one evaluator that every strategy shares: accuracy by bit-exact simulation, cost by closed forms, all counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from axdnn.evaluation.bank import CodingBank
from axdnn.evaluation.bounds import Z_95, paired_loss_bound
from axdnn.evaluation.divergences import measure_divergences
from axdnn.evaluation.least_sure import least_sure, margins
from axdnn.evaluation.memory import give_back
from axdnn.evaluation.simulation import Progress, Simulation
from axdnn.evaluation.splits import Split
from axdnn.hardware import Accelerator, estimate, paper_literal, thinned
from axdnn.layers import SHARED_BYTES, ActivationCache, ApproxModel, coded
from axdnn.records import (
    Accuracy,
    Assignment,
    AxdnnError,
    CostReport,
    Evaluation,
    InvalidInputError,
    Multiplier,
    Network,
    Reading,
    unknown_name,
)

FULL_SHARE = 0.1


class OutOfEvaluationsError(AxdnnError, RuntimeError):
    """The cap on full evaluations is reached."""


class Evaluator:
    """Evaluates assignments of one network.

    A full evaluation is an assignment run on more than 10 % of a held-out split; each counts, whether it was computed,
    found in the cache or resumed. Results are kept by content (graph, weights, calibration images, recipe, split,
    multiplier tables), so that a second run repeats nothing and reports the same counts. Assignments that begin alike
    share the work of their common layers; that changes neither a result nor a count (`shared` counts what it saved).

    Args:
        bank: codings of the captured network.
        network: its description.
        multipliers: by catalogue name; `exact` is the name of the baseline's.
        exact: name of the exact multiplier.
        splits: `search` and `accept`.
        accelerator: priced on.
        cap: most full evaluations.
        folder: where results are kept, or None.
        progress: called with (message, done, total).
        shared_bytes: most bytes of activations held to be shared; 0 computes every assignment from the images on.

    Attributes:
        full_evaluations: made so far.
        run_images: images of splits, and those that calibrated, sent through approximate networks so far.
        history: assignment key -> what was found.
    """

    def __init__(
        self,
        bank: CodingBank,
        network: Network,
        multipliers: Mapping[str, Multiplier],
        exact: str,
        splits: Mapping[str, Split],
        accelerator: Accelerator,
        cap: int = 30,
        folder: Path | None = None,
        progress: Progress | None = None,
        shared_bytes: int = SHARED_BYTES,
    ) -> None:
        self.bank, self.network, self.multipliers, self.exact = bank, network, dict(multipliers), exact
        self.splits, self.accelerator, self.cap = dict(splits), accelerator, cap
        self.progress = progress
        self.full_evaluations = 0
        self.run_images = 0
        self.history: dict[str, Evaluation] = {}
        self._simulation = Simulation(bank, network, self.multipliers, folder, shared_bytes, progress)
        self._correct: dict[tuple[str, str], npt.NDArray[np.bool_]] = {}

    @property
    def network_images(self) -> int:
        """Images sent through the network so far, calibration included."""
        return self.run_images + self.bank.calibration.network_images

    @property
    def shared(self) -> ActivationCache | None:
        """What assignments share, with counts of what was computed and what was not; None if nothing is shared."""
        return self._simulation.shared

    @property
    def left(self) -> int:
        """Full evaluations that may still be made."""
        return self.cap - self.full_evaluations

    def uniform(self, name: str) -> Assignment:
        """Return the assignment of one multiplier to every layer."""
        return Assignment(multipliers=dict.fromkeys(self.network.layer_names, name))

    @property
    def baseline(self) -> Assignment:
        """The exact-multiplier int8 network."""
        return self.uniform(self.exact)

    def model(self, assignment: Assignment) -> ApproxModel:
        """Build and calibrate the approximate network of an assignment (its calibration images are counted)."""
        return self._simulation.model(assignment)

    def cost(self, assignment: Assignment, reading: Reading = "buildable") -> CostReport:
        """Price an assignment; unsigned circuits are priced with the wrapper the recipe puts around them."""
        wired = {name: coded(self.multipliers[name], self.bank.recipe) for name in assignment.kinds}
        return estimate(self.network, assignment, self.accelerator, multipliers=wired, reading=reading)

    def paper_cost(self, assignment: Assignment) -> CostReport:
        """Price an assignment by the printed equations of XAI-Gen, on the paper's chip (preset `xai_gen`)."""
        wired = {name: coded(self.multipliers[name], self.bank.recipe) for name in assignment.kinds}
        return paper_literal(self.network, assignment, multipliers=wired)

    def evaluate(self, assignment: Assignment, split: str = "search", predicted: float | None = None,
                 strategy: str = "") -> Evaluation:  # fmt: skip
        """Run an assignment on a whole split; one full evaluation.

        Args:
            assignment: names a multiplier for every layer.
            split: `search` or `accept`.
            predicted: what the strategy expected, kept in the record.
            strategy: name kept in the record.

        Raises:
            OutOfEvaluationsError: the cap is reached; nothing was run.
            UnknownNameError: the assignment names a multiplier that is not known here.
            InvalidInputError: it does not name exactly the layers of the network.
        """
        self.check(assignment)
        if self.left <= 0:
            raise OutOfEvaluationsError(f"the cap of {self.cap} full evaluations is reached")
        self.full_evaluations += 1
        accuracy = self.accuracy(assignment, self.splits[split])
        known = self.history.get(assignment.key)
        if known is not None:
            updated = msgspec.structs.replace(known, accuracy={**known.accuracy, split: accuracy})
        else:
            cost = self.cost(assignment)
            updated = Evaluation(
                assignment=msgspec.structs.replace(assignment, pods=cost.pods), accuracy={split: accuracy},
                energy_j=cost.energy_j, latency_s=cost.latency_s, memory_bytes=cost.memory_bytes, area_m2=cost.area_m2,
                multiplier_energy_j=cost.multiplier_energy_j, predicted_loss=predicted, strategy=strategy,
            )  # fmt: skip
        self.history[assignment.key] = updated
        if self.progress is not None:
            self.progress(f"{split}: loss {100 * accuracy.loss:+.2f} points", self.full_evaluations, self.cap)
        return updated

    def evaluate_many(self, assignments: Sequence[Assignment], split: str = "search", predicted: float | None = None,
                      strategy: str = "") -> list[Evaluation]:  # fmt: skip
        """Run several assignments on a whole split; one full evaluation each, the same as by `evaluate` one by one.

        What they share is computed once: each batch of images goes through all of them, in the order of their common
        prefixes. Results are kept when all have been through.

        Args:
            assignments: each names a multiplier for every layer.
            split: `search` or `accept`.
            predicted: what the strategy expected, kept in the records.
            strategy: name kept in the records.

        Raises:
            OutOfEvaluationsError: more than may still be made; nothing was run.
            UnknownNameError, InvalidInputError: as `evaluate`; nothing was run.
        """
        for assignment in assignments:
            self.check(assignment)
        if self.left < len(assignments):
            raise OutOfEvaluationsError(
                f"{len(assignments)} evaluations are asked for, but of the cap of {self.cap} only {self.left} are left"
            )
        if assignments:
            self._simulate([self.baseline, *assignments], self.splits[split])
        return [self.evaluate(assignment, split, predicted, strategy) for assignment in assignments]

    def divergences(self, assignments: Sequence[Assignment], split: Split) -> list[float]:
        """Return how far assignments move the outputs from the exact network's: mean KL divergences in nats.

        For few images, at most a tenth of a split, so that none of these is a full evaluation. Images are counted, also
        of what is found in the folder; labels are not looked at.

        Args:
            assignments: each names a multiplier for every layer.
            split: the images.

        Raises:
            UnknownNameError, InvalidInputError: as `evaluate`; nothing was run.
        """
        for assignment in assignments:
            self.check(assignment)
        measured = measure_divergences(self._simulation, self.baseline, assignments, split)
        give_back()
        with_exact = [*measured[:1], *measured]  # the exact network is calibrated and run beside them
        self.run_images += sum(len(split) + one.calibration_images for one in with_exact)
        return [one.nats for one in measured]

    def least_sure(self, split: str, images: int) -> Split:
        """Return the images of a split at which the exact network's two largest outputs are nearest to each other.

        The exact network runs on the whole split once more for it; its images are counted.
        """
        whole = self.splits[split]
        found, calibration_images = margins(self._simulation, self.baseline, whole)
        self.run_images += len(whole) + calibration_images
        return least_sure(whole, found, images)

    def correct_on(self, assignments: Sequence[Assignment], split: Split) -> npt.NDArray[np.bool_]:
        """Return, per assignment and image of a few, whether the approximate network is right, `(C, n)`.

        For at most a tenth of a split, so that none of these is a full evaluation; images are counted. What assignments
        share is computed once.

        Raises:
            UnknownNameError, InvalidInputError: as `evaluate`; nothing was run.
        """
        for assignment in assignments:
            self.check(assignment)
        self._simulate(list(assignments), split)
        return np.array([self._correct[assignment.key, split.digest] for assignment in assignments])

    def mark(self, assignment: Assignment, accepted: bool) -> Evaluation:
        """Record whether an assignment was accepted."""
        self.history[assignment.key] = msgspec.structs.replace(self.history[assignment.key], accepted=accepted)
        return self.history[assignment.key]

    def accuracy(self, assignment: Assignment, split: Split) -> Accuracy:
        """Return the accuracy on a split beside the baseline's on the same images; counts images, not evaluations."""
        base = self.correct(self.baseline, split)
        found = self.correct(assignment, split)
        return Accuracy(
            split=split.name, images=len(split), accuracy=float(found.mean()), baseline_accuracy=float(base.mean()),
            loss_bound=paired_loss_bound(base, found),
        )  # fmt: skip

    def loss_bound(self, assignment: Assignment, split: str, z: float = Z_95) -> float:
        """Return the one-sided bound of the loss on a split at the normal quantile z."""
        part = self.splits[split]
        return paired_loss_bound(self.correct(self.baseline, part), self.correct(assignment, part), z)

    def correct(self, assignment: Assignment, split: Split) -> npt.NDArray[np.bool_]:
        """Return, per image, whether the approximate network is right; from the cache if it has been computed."""
        self._simulate([assignment], split)
        return self._correct[assignment.key, split.digest]

    def _simulate(self, assignments: Sequence[Assignment], split: Split) -> None:
        """Find out and count what is not known yet."""
        new = [a for a in assignments if (a.key, split.digest) not in self._correct]
        for key, outcome in self._simulation.outcomes(new, split).items():
            self.run_images += len(split) + outcome.calibration_images
            self._correct[key, split.digest] = outcome.correct
        if new:
            give_back()

    def check(self, assignment: Assignment) -> None:
        """Refuse an assignment that is not one of this network.

        Raises:
            UnknownNameError: it names a multiplier that is not known here.
            InvalidInputError: it does not name exactly the layers of the network, or leaves out what is not there.
        """
        if set(assignment.multipliers) != set(self.network.layer_names):
            raise InvalidInputError(
                f"an assignment must name the {len(self.network.layers)} layers of {self.network.name!r}, "
                f"but it names {len(assignment.multipliers)}"
            )
        for name in assignment.kinds:
            if name not in self.multipliers:
                raise unknown_name("multiplier", name, self.multipliers)
        thinned(self.network, assignment)  # refuses neurons and inputs that are not there
