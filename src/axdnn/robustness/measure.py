"""Run attacks on a network: who is fooled is decided by the network itself, and no attack is trusted."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from axdnn.layers import digest_of
from axdnn.records import AxdnnError, InvalidInputError, write_atomic
from axdnn.robustness.attack import Attack, generator_of
from axdnn.robustness.threat import Ball
from axdnn.robustness.victim import Passes, Victim

BATCH = 200
Progress = Callable[[str, int, int], None]


class AttackError(AxdnnError, RuntimeError):
    """An attack broke the rules: it left the ball, or its images are no images."""


@dataclass(frozen=True, eq=False)
class Attacked:
    """What one attack did to one network within one ball.

    Attributes:
        broken: per image, whether it was right before and wrong under attack.
        passes: that it took, those of a transfer's source included.
        wall_s: seconds when it was computed.
    """

    broken: npt.NDArray[np.bool_]
    passes: Passes
    wall_s: float


@dataclass(frozen=True, eq=False)
class Pictures:
    """Labelled images and which of them a network gets right.

    Attributes:
        images: float32 `(n, ...)` within [0, 1].
        labels: int64 `(n,)`.
        right: per image, without an attack.
    """

    images: torch.Tensor
    labels: torch.Tensor
    right: npt.NDArray[np.bool_]

    @property
    def digest(self) -> str:
        """Content key of images and labels."""
        return digest_of(self.images, self.labels)


def look(victim: Victim, images: torch.Tensor, labels: torch.Tensor) -> Pictures:
    """Classify images without an attack.

    Raises:
        InvalidInputError: no images, not a label an image, or values outside [0, 1].
    """
    if len(images) == 0 or len(images) != len(labels):
        raise InvalidInputError(f"there must be images and a label for each, got {len(images)} and {len(labels)}")
    low, high = float(images.min()), float(images.max())
    if not (low >= 0.0 and high <= 1.0):
        raise InvalidInputError(
            f"images must lie within [0, 1] (normalisation belongs into the network), but got [{low:g}, {high:g}]"
        )
    pairs = zip(images.split(BATCH), labels.split(BATCH), strict=True)
    right = torch.cat([victim.right(x, y) for x, y in pairs])
    return Pictures(images, labels, right.numpy())


def run_attack(
    attack: Attack, victim: Victim, pictures: Pictures, ball: Ball, seed: int = 0, progress: Progress | None = None
) -> Attacked:
    """Attack every image that is right.

    Args:
        attack: what to run.
        victim: the network; its exact integers decide.
        pictures: of `look` with this network.
        ball: how far images may move.
        seed: of the attack.
        progress: called with (message, images done, images in all).

    Raises:
        AttackError: an image left the ball or [0, 1].
    """
    began, counters = time.monotonic(), [victim, *([attack.source] if hasattr(attack, "source") else [])]
    before = [c.passes.copy() for c in counters]
    broken = np.zeros(len(pictures.images), dtype=bool)
    index = torch.from_numpy(np.flatnonzero(pictures.right))
    for number, part in enumerate(index.split(BATCH) if len(index) else ()):
        if progress is not None:
            progress(f"{attack.name} on {victim.name}, eps {ball.eps:.4g}", number * BATCH, len(index))
        x, y = pictures.images[part], pictures.labels[part]
        own = int(generator_of(seed, "batch", number).initial_seed())
        moved = attack.perturb(victim, x.clone(), y.clone(), ball, own).detach()
        fault = ball.fault(moved, x)
        if fault:
            raise AttackError(f"the attack {attack.name!r} broke its rules within {ball}: {fault}")
        broken[part.numpy()] = ~victim.right(moved, y).numpy()
    spent = [c.passes.since(b) for c, b in zip(counters, before, strict=True)]
    passes = Passes(sum(s.forward for s in spent), sum(s.backward for s in spent))
    return Attacked(broken, passes, time.monotonic() - began)


class AttackCache:
    """Finished attacks as files, by content of network, images, attack, ball, seed and our code.

    Args:
        folder: made when something is written; None keeps nothing.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder

    def get(
        self,
        attack: Attack,
        victim: Victim,
        pictures: Pictures,
        ball: Ball,
        seed: int,
        progress: Progress | None = None,
    ) -> Attacked:
        """Return what an attack does, from its file where there is one; else `run_attack`."""
        file = None
        if self.folder is not None and victim.digest:
            parts = (victim.digest, pictures.digest, attack.settings, ball, seed, BATCH, _code_key())
            file = self.folder / f"{hashlib.sha256(repr(parts).encode()).hexdigest()[:24]}.json"
            found = _read(file, len(pictures.images))
            if found is not None:
                return found
        attacked = run_attack(attack, victim, pictures, ball, seed, progress)
        if file is not None:
            data = {
                "attack": attack.settings, "network": victim.name, "ball": repr(ball), "wall_s": attacked.wall_s,
                "forward": attacked.passes.forward, "backward": attacked.passes.backward,
                "images": len(attacked.broken), "broken": np.flatnonzero(attacked.broken).tolist(),
            }  # fmt: skip
            write_atomic(file, json.dumps(data) + "\n")
        return attacked


def _read(file: Path, images: int) -> Attacked | None:
    """Return what a file says, None if it is absent or damaged."""
    try:
        data = json.loads(file.read_text())
        broken = np.zeros(images, dtype=bool)
        broken[data["broken"]] = True
        return Attacked(broken, Passes(int(data["forward"]), int(data["backward"])), float(data["wall_s"]))
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return None


@cache
def _code_key() -> str:
    """Return a content key of the code that attacks: results of other code are not read."""
    digest, root = hashlib.sha256(), Path(__file__).parents[1]
    for package in ("robustness", "retraining"):
        for file in sorted((root / package).glob("*.py")):
            digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:20]
