"""Which layers a network needs on clean and on attacked images: conductance of both, kept beside its weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from axdnn.importance import channel_conductance
from axdnn.nas import Layout
from axdnn.quant import CapturedModel
from axdnn.records import Record, RecordError, load_record, save_record
from axdnn.robustness import PGD, Ball, float_victim

INNER = PGD(steps=10, restarts=1, step=0.25)


class Explained(Record, frozen=True, kw_only=True):
    """Importance of the layers and channels of a float network.

    Attributes:
        topology: its digest.
        shapes: of its blocks, to find what resembles a network that was not explained.
        clean: layer -> conductance on clean images beside the other layers, mean 1.
        attacked: the same on images of PGD-10.
        importance: layer -> `alpha * clean + (1 - alpha) * attacked`, mean 1.
        channels: layer -> the same mixture for each output channel.
        images: explained, each clean and attacked.
        network_images: sent through the network, those of the attack included.
    """

    topology: str
    shapes: tuple[str, ...]
    clean: dict[str, float]
    attacked: dict[str, float]
    importance: dict[str, float]
    channels: dict[str, tuple[float, ...]]
    images: int
    network_images: int

    def channel_arrays(self) -> dict[str, npt.NDArray[np.float64]]:
        """Return layer -> importance of each output channel, float64 `(channels,)`."""
        return {layer: np.array(values, dtype=np.float64) for layer, values in self.channels.items()}


def explain(
    captured: CapturedModel, layout: Layout, images: torch.Tensor, labels: torch.Tensor, *, eps: float, alpha: float,
    steps: int, seed: int,
) -> Explained:  # fmt: skip
    """Explain a trained float network by conductance on images and on their attacked twins.

    The conductance of a layer is the sum over its channels, so one walk along the path gives both.

    Args:
        captured: float network, batch norm folded.
        layout: its shapes.
        images: float32 `(n, ...)` within [0, 1].
        labels: int64 `(n,)`.
        eps: radius of PGD-10, L-infinity, on the float network.
        alpha: weight of the clean images, 0..1.
        steps: points of the path.
        seed: of the attack.
    """
    victim = float_victim(captured)
    attacked = INNER.perturb(victim, images, labels, Ball("linf", eps), seed)
    clean, spent = channel_conductance(captured, images, steps=steps)
    moved, again = channel_conductance(captured, attacked, steps=steps)
    scores = [_beside({layer: float(values.sum()) for layer, values in found.items()}) for found in (clean, moved)]
    parts = [{layer: values / _whole(found) for layer, values in found.items()} for found in (clean, moved)]
    mixed = {layer: alpha * scores[0][layer] + (1.0 - alpha) * scores[1][layer] for layer in clean}
    return Explained(
        topology=layout.topology, shapes=shapes_of(layout), clean=scores[0], attacked=scores[1],
        importance=_beside(mixed),
        channels={n: tuple((alpha * parts[0][n] + (1.0 - alpha) * parts[1][n]).tolist()) for n in clean},
        images=len(images),
        network_images=spent + again + victim.passes.forward + victim.passes.backward,
    )  # fmt: skip


def shapes_of(layout: Layout) -> tuple[str, ...]:
    """Return the shape of each block as text."""
    return tuple(f"{b.operator} {b.kernel} {b.stride} {b.channels}" for b in layout.blocks)


def _whole(found: Mapping[str, npt.NDArray[np.float64]]) -> float:
    return max(sum(float(values.sum()) for values in found.values()), 1e-300)


def _beside(values: Mapping[str, float]) -> dict[str, float]:
    """Return values with mean 1; all 1 where they are 0."""
    mean = sum(values.values()) / len(values)
    return {name: value / mean if mean > 0 else 1.0 for name, value in values.items()}


def save_explained(path: Path, found: Explained) -> None:
    """Keep an explanation."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_record(path, found)


def load_explained(path: Path) -> Explained | None:
    """Return an explanation, or None where there is none that can be read: it is then made again."""
    try:
        return load_record(Explained, path) if path.exists() else None
    except RecordError:
        return None
