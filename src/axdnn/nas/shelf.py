"""The folder of a search where trained networks wait for candidates that share or inherit their weights.

Weights belong to a topology: multipliers and skipped shares do not change the float network, so candidates that differ
in these alone share one training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
import torch

from axdnn.data import Dataset
from axdnn.nas.layout import Layout
from axdnn.nas.network import LayeredNetwork, build_network, inherit
from axdnn.nas.training import Training, train_briefly
from axdnn.records import CheckpointError, Record, RecordError, Scalar, load_record, save_record, write_atomic
from axdnn.search import derived_seed

NETWORKS, CANDIDATES = "networks", "candidates"


class CandidateFile(Record, frozen=True, kw_only=True):
    """Which candidate a key stands for.

    Attributes:
        candidate: field -> value.
        topology: of its network.
    """

    candidate: dict[str, Scalar]
    topology: str


@dataclass(frozen=True, eq=False)
class Trained:
    """A float network with weights.

    Attributes:
        network: in evaluation mode.
        topology: digest.
        inherited: share of its numbers that came from a parent before training.
        images: sent through it in training, 0 if the weights were there.
    """

    network: LayeredNetwork
    topology: str
    inherited: float = 0.0
    images: int = 0


class Shelf:
    """Weights by topology and candidates by key.

    Args:
        folder: of the search; made when something is written.
        data: that networks are trained on.
        training: settings.
        seed: of the search; a network's own seed follows from it and the topology.
    """

    def __init__(self, folder: str | Path, data: Dataset, training: Training, seed: int) -> None:
        self.folder, self.data, self.training, self.seed = Path(folder), data, training, seed

    def path(self, topology: str, suffix: str = ".safetensors") -> Path:
        """Return the file of a topology."""
        return self.folder / NETWORKS / f"{topology}{suffix}"

    def note(self, key: str, candidate: dict[str, Scalar], layout: Layout) -> None:
        """Remember which network a candidate has, for its children."""
        path = self.folder / CANDIDATES / f"{key}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        save_record(path, CandidateFile(candidate=candidate, topology=layout.topology))

    def trained(self, layout: Layout, parents: Sequence[str] = ()) -> Trained:
        """Return the network of a layout; it is trained if no candidate had it before.

        Args:
            layout: shapes.
            parents: keys of candidates; of the first whose weights are there the new network inherits what fits.

        Raises:
            CheckpointError: a file of weights is damaged.
            InvalidInputError: the training diverged.
        """
        topology = layout.topology
        generator = torch.Generator().manual_seed(derived_seed(self.seed, int(topology, 16)))
        network = build_network(layout, generator)
        known = self.weights(topology)
        if known is not None:
            network.load_state_dict(known)
            network.eval().requires_grad_(False)
            return Trained(network, topology)
        states = (self.weights(parent) for parent in map(self._topology, parents) if parent)
        state = next((found for found in states if found is not None), None)
        inherited = 0.0 if state is None else inherit(network, state)
        train_briefly(network, self.data, self.training, generator)
        path = self.path(topology)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, safetensors.torch.save({k: v.contiguous() for k, v in network.state_dict().items()}))
        return Trained(network, topology, inherited, self.training.images * self.training.epochs)

    def weights(self, topology: str) -> dict[str, torch.Tensor] | None:
        """Return the weights of a topology, or None if it was not trained.

        Raises:
            CheckpointError: the file is damaged.
        """
        path = self.path(topology)
        if not path.exists():
            return None
        try:
            return dict(safetensors.torch.load(path.read_bytes()))
        except Exception as error:  # the library has errors of its own kinds
            raise CheckpointError(f"the weights {path} must be readable, but: {error}; delete the file") from error

    def _topology(self, key: str) -> str:
        """Return the topology of a candidate, empty if its file is not there or cannot be read."""
        try:
            return load_record(CandidateFile, self.folder / CANDIDATES / f"{key}.json").topology
        except RecordError:
            return ""
