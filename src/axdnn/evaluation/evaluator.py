"""The one evaluator that every strategy shares: accuracy by bit-exact simulation, cost by closed forms, all counted."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
import torch

from axdnn.evaluation.bank import CodingBank
from axdnn.evaluation.bounds import Z_95, paired_loss_bound
from axdnn.evaluation.outcomes import Outcome, read_outcome, write_outcome
from axdnn.evaluation.splits import Split, describe, digest_of
from axdnn.hardware import Accelerator, estimate, paper_literal, thinned
from axdnn.layers import ApproxModel, build, coded
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
    remove_leftovers,
    unknown_name,
)

FULL_SHARE = 0.1
BATCH = 500
Progress = Callable[[str, int, int], None]


class OutOfEvaluationsError(AxdnnError, RuntimeError):
    """The cap on full evaluations is reached."""


class Evaluator:
    """Evaluates assignments of one network.

    A full evaluation is an assignment run on more than 10 % of a held-out split; each counts, whether it was computed,
    found in the cache or resumed. Results are kept by content (graph, weights, calibration images, recipe, split,
    multiplier tables), so that a second run repeats nothing and reports the same counts.

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
    ) -> None:
        self.bank, self.network, self.multipliers, self.exact = bank, network, dict(multipliers), exact
        self.splits, self.accelerator, self.cap = dict(splits), accelerator, cap
        self.folder, self.progress = folder, progress
        if folder is not None:
            remove_leftovers(folder)
        self.full_evaluations = 0
        self.run_images = 0
        self.history: dict[str, Evaluation] = {}
        self._correct: dict[tuple[str, str], npt.NDArray[np.bool_]] = {}

    @property
    def network_images(self) -> int:
        """Images sent through the network so far, calibration included."""
        return self.run_images + self.bank.calibration.network_images

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
        absent = assignment.absent
        codings = {
            layer: self.bank.get(layer, self.multipliers[assignment.multipliers[layer]], absent.get(layer, ()))
            for layer in self.network.layer_names
        }
        return build(
            self.bank.calibration, codings, self.network, self.bank.recipe, skip=assignment.skip, absent=absent
        )

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
        slot = (assignment.key, split.digest)
        if slot not in self._correct:
            path = self._path(assignment, split)
            found = read_outcome(path, len(split))
            if found is None:
                before = self.bank.calibration.network_images
                right = predictions(self.model(assignment), split.images).eq(split.labels).numpy()
                calibrated = self.bank.calibration.network_images - before
                self.bank.calibration.network_images = before  # counted here, as for a result from the cache
                found = Outcome(right, calibrated)
                if path is not None:
                    write_outcome(path, found)
            self.run_images += len(split) + found.calibration_images
            self._correct[slot] = found.correct
        return self._correct[slot]

    @cached_property
    def _network_key(self) -> str:
        calibration = self.bank.calibration
        model = calibration.model
        graph = [(n.name, n.op, n.inputs, n.layer, describe(n.attrs)) for n in model.nodes.values()]
        tensors = digest_of(calibration.images, *model.state_dict().values())
        return f"{graph}{tensors}{sorted(calibration.encodings.items())}"

    def _path(self, assignment: Assignment, split: Split) -> Path | None:
        if self.folder is None:
            return None
        chosen = [(layer, self.multipliers[assignment.multipliers[layer]].id) for layer in self.network.layer_names]
        both = (("skip", assignment.skip), ("absent", assignment.absent))
        left_out = [(kind, name, sorted(which)) for kind, part in both for name, which in sorted(part.items()) if which]
        text = f"{self.bank.key}{split.digest}{chosen}{self._network_key}{left_out or ''}"
        return self.folder / f"{hashlib.sha256(text.encode()).hexdigest()[:24]}.bits"

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


@torch.no_grad()
def predictions(model: torch.nn.Module, images: torch.Tensor, batch: int = BATCH) -> torch.Tensor:
    """Return the predicted class of each image, int64 `(n,)`."""
    return torch.cat([model(part).argmax(dim=1) for part in images.split(batch)])
