"""Which images of a split assignments get right: found in a folder, or simulated, what they share once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import cached_property
from pathlib import Path

import torch

from axdnn.evaluation.bank import CodingBank
from axdnn.evaluation.outcomes import Outcome, read_outcome, write_outcome
from axdnn.evaluation.splits import Split, describe
from axdnn.layers import BATCH, ActivationCache, ApproxModel, build, digest_of, outputs_of, prefix_order
from axdnn.records import Assignment, Multiplier, Network, remove_leftovers

Progress = Callable[[str, int, int], None]


class Simulation:
    """Runs assignments of one network bit-exactly.

    Args:
        bank: codings of the captured network.
        network: its description.
        multipliers: by catalogue name.
        folder: where outcomes are kept, or None.
        shared_bytes: most bytes of activations held to be shared; 0 to share nothing.
        progress: called with (message, done, total) where several assignments are simulated together.

    Attributes:
        shared: what assignments share; None if nothing.
    """

    def __init__(
        self,
        bank: CodingBank,
        network: Network,
        multipliers: Mapping[str, Multiplier],
        folder: Path | None,
        shared_bytes: int,
        progress: Progress | None,
    ) -> None:
        self.bank, self.network, self.multipliers = bank, network, multipliers
        self.folder, self.progress = folder, progress
        self.shared = ActivationCache(bank.calibration, shared_bytes) if shared_bytes else None
        if folder is not None:
            remove_leftovers(folder)

    def model(self, assignment: Assignment) -> ApproxModel:
        """Build and calibrate the approximate network of an assignment."""
        absent = assignment.absent
        codings = {
            layer: self.bank.get(layer, self.multipliers[assignment.multipliers[layer]], absent.get(layer, ()))
            for layer in self.network.layer_names
        }
        return build(
            self.bank.calibration, codings, self.network, self.bank.recipe, skip=assignment.skip, absent=absent,
            cache=self.shared,
        )  # fmt: skip

    def outcomes(self, assignments: Sequence[Assignment], split: Split) -> dict[str, Outcome]:
        """Return what came out for each assignment, by its key; simulates those that the folder does not have."""
        found, left = {}, {}
        for assignment in assignments:
            outcome = read_outcome(self.path(assignment, split), len(split))
            if outcome is None:
                left[assignment.key] = assignment
            else:
                found[assignment.key] = outcome
        order = prefix_order([self._choices(a) for a in left.values()])
        return found | self._run([list(left.values())[i] for i in order], split)

    def _run(self, assignments: Sequence[Assignment], split: Split) -> dict[str, Outcome]:
        calibration, models, calibrated = self.bank.calibration, [], []
        before = calibration.network_images
        for assignment in assignments:
            models.append(self.model(assignment))
            calibrated.append(calibration.network_images - before)
            calibration.network_images = before  # part of the outcome, as for one from the folder
        classes: list[list[torch.Tensor]] = [[] for _ in models]
        for i, outputs in outputs_of(models, split.images, self.shared, source=split.digest):
            classes[i].append(outputs.argmax(dim=1))
            if self.progress is not None and 1 < len(models) == i + 1:
                self.progress(f"{split.name}: {len(models)} assignments", sum(map(len, classes[i])), len(split))
        found = {}
        for assignment, parts, images in zip(assignments, classes, calibrated, strict=True):
            found[assignment.key] = Outcome(torch.cat(parts).eq(split.labels).numpy(), images)
            path = self.path(assignment, split)
            if path is not None:
                write_outcome(path, found[assignment.key])
        return found

    def _choices(self, assignment: Assignment) -> list[Hashable]:
        """Return what decides each layer, in the order of execution."""
        skip, absent = assignment.skip, assignment.absent
        return [
            (self.multipliers[assignment.multipliers[n]].id, tuple(skip.get(n, ())), tuple(absent.get(n, ())))
            for n in self.network.layer_names
        ]

    @cached_property
    def _network_key(self) -> str:
        calibration = self.bank.calibration
        model = calibration.model
        graph = [(n.name, n.op, n.inputs, n.layer, describe(n.attrs)) for n in model.nodes.values()]
        tensors = digest_of(calibration.images, *model.state_dict().values())
        return f"{graph}{tensors}{sorted(calibration.encodings.items())}"

    def path(self, assignment: Assignment, split: Split) -> Path | None:
        """Return the file in which the outcome of an assignment on a split is kept; None without a folder."""
        if self.folder is None:
            return None
        chosen = [(layer, self.multipliers[assignment.multipliers[layer]].id) for layer in self.network.layer_names]
        both = (("skip", assignment.skip), ("absent", assignment.absent))
        left_out = [(kind, name, sorted(which)) for kind, part in both for name, which in sorted(part.items()) if which]
        text = f"{self.bank.key}{split.digest}{chosen}{self._network_key}{left_out or ''}"
        return self.folder / f"{hashlib.sha256(text.encode()).hexdigest()[:24]}.bits"


@torch.no_grad()
def predictions(model: torch.nn.Module, images: torch.Tensor, batch: int = BATCH) -> torch.Tensor:
    """Return the predicted class of each image, int64 `(n,)`."""
    return torch.cat([model(part).argmax(dim=1) for part in images.split(batch)])
