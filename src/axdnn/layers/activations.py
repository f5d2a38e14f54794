"""Activations held within a limit of bytes, under keys that say what computed them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from axdnn.layers.emission import Emission
from axdnn.layers.samples import Calibration
from axdnn.records import InvalidInputError

SHARED_BYTES = 1 << 30
Slot = tuple[str, Emission]


@dataclass
class _Held:
    value: torch.Tensor
    worth: float
    rank: float
    uses: int = 1


class ActivationCache:
    """Activations of one calibrated model under many choices of multipliers; see `axdnn.layers.prefix`.

    What does not fit pushes out what is worth least: products that it took, per byte and per use, on top of a clock
    that rises with whatever is pushed out, so that old values go in the end (Greedy-Dual-Size-Frequency). Scales and
    biases of calibrated layers are kept beside, a few bytes a channel. For use in one thread.

    Args:
        calibration: of the model.
        limit_bytes: most bytes of activations held.

    Attributes:
        held_bytes: bytes held now.
        computed: layer name -> images that the layer was computed for.
        recalled: layer name -> images that it was not computed for, because what follows from it was held.
        affine: key of a calibrated layer -> its scale and bias.

    Raises:
        InvalidInputError: a negative limit.

    References:
        L. Cherkasova, "Improving WWW Proxies Performance with Greedy-Dual-Size-Frequency Caching Policy", HP Labs
        report HPL-98-69, 1998.
    """

    def __init__(self, calibration: Calibration, limit_bytes: int = SHARED_BYTES) -> None:
        if limit_bytes < 0:
            raise InvalidInputError(f"limit_bytes >= 0 must hold, but got {limit_bytes}")
        self.calibration, self.limit_bytes, self.held_bytes = calibration, limit_bytes, 0
        self.computed: Counter[str] = Counter()
        self.recalled: Counter[str] = Counter()
        self.affine: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}
        self._held: dict[Slot, _Held] = {}
        self._clock = 0.0
        self._awaited: Counter[Slot] | None = None
        self._passing: set[Slot] = set()  # held only while awaited

    def get(self, slot: Slot) -> torch.Tensor | None:
        """Return a value, or None if it is not held."""
        held = self._held.get(slot)
        if held is None:
            return None
        held.uses += 1
        held.rank = self._clock + held.uses * held.worth
        return held.value

    def put(self, slot: Slot, value: torch.Tensor, products: int) -> None:
        """Keep a value if it fits.

        Args:
            slot: key of the node and form of its value.
            value: must not change from now on.
            products: that it took to compute.
        """
        size = value.nbytes
        if slot in self._held or size > self.limit_bytes or (self._awaited is not None and not self._awaited[slot]):
            return
        while self.held_bytes + size > self.limit_bytes:
            least = min(self._held, key=lambda s: self._held[s].rank)
            self._clock = self._held[least].rank
            self._drop(least)
        worth = (products + 1) / max(size, 1)
        self._held[slot] = _Held(value, worth, self._clock + worth)
        self.held_bytes += size
        if self._awaited is not None:
            self._passing.add(slot)

    @contextmanager
    def awaiting(self, slots: Iterable[Slot]) -> Iterator[None]:
        """Keep, within the block, only values that are among `slots`, each until it was `done` as often as named there.

        What was held before stays, and goes when it is in the way.
        """
        self._awaited = Counter(slots)
        try:
            yield
        finally:
            self._awaited = None
            for slot in tuple(self._passing):
                self._drop(slot)

    def done(self, slots: Iterable[Slot]) -> None:
        """Count one use of each of `slots` as past: what nothing awaits any more makes room."""
        assert self._awaited is not None
        for slot in slots:
            self._awaited[slot] -= 1
            if not self._awaited[slot] and slot in self._passing:
                self._drop(slot)

    def _drop(self, slot: Slot) -> None:
        self.held_bytes -= self._held.pop(slot).value.nbytes
        self._passing.discard(slot)
