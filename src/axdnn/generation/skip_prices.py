"""Prices of choices that skip neurons: of every shape that is left of a layer, once it is met."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import numpy as np

from axdnn.generation.problem import Floats, Ints
from axdnn.generation.skip_levels import SkipLevels
from axdnn.hardware import CostTable, Prices, thinned
from axdnn.quant import dead_inputs
from axdnn.records import Assignment, Layer, Network


class SkipPrices:
    """Exact prices of choices of a multiplier and a level of skipping for each layer.

    What is left of a layer depends on its own level and on those of the layers that it reads; its price, on most
    chips, on nothing else. So shapes are priced, and choices put together from them.

    Args:
        network: shapes of the whole network.
        levels: of skipping; their order is that of the last columns of choices.
        owner: position of the multiplier of each layer of the network, `(L,)`; the first columns of choices.
        price: from a network to its table of layers and multipliers.
        together: price each combination of levels as a network, where a layer's price depends on others (a chip that
            keeps weights as long as all fit).
    """

    def __init__(
        self, network: Network, levels: SkipLevels, owner: Ints, price: Callable[[Network], CostTable], together: bool
    ) -> None:
        self.network, self.levels, self.owner, self.together = network, levels, owner, together
        self._price, self._table = price, price(network)
        self._positions = int(owner.max()) + 1
        place = {name: i for i, name in enumerate(levels.layers)}
        self._own = [place.get(layer.name) for layer in network.layers]
        self._read = [
            tuple(sorted(place[a] for a, b in network.edges
                         if b == layer.name and a in place and a not in levels.neurons.output_layers))
            for layer in network.layers
        ]  # fmt: skip
        none = (0,) * len(levels.layers)
        self._rows: dict[tuple[int, ...], Ints] = {none: np.arange(len(network.layers))}
        self._row_of: dict[tuple[int, Layer], int] = {(i, layer): i for i, layer in enumerate(network.layers)}
        self._left: dict[tuple[int, ...], Layer] = {}
        self._dead: dict[tuple[tuple[int, int], ...], dict[str, tuple[int, ...]]] = {(): {}}

    def energy(self, choices: Ints) -> Prices:
        """Return the prices of choices `(C, N)`, a multiplier a position, then a level a layer that can skip."""
        choices = np.atleast_2d(choices)
        shapes = self._shapes(choices[:, self._positions :])
        return self._table.energy(choices[:, self.owner], shapes=shapes)

    def at(self, levels: Ints) -> tuple[Floats, Floats]:
        """Return energy without static power `(positions, M)` and latency `(positions, P)` at levels `(S,)`."""
        rows = self._shapes(levels[None, :])[0]
        dynamic = np.zeros((self._positions, len(self._table.multipliers)))
        latency = np.zeros((self._positions, self._table.pods))
        np.add.at(dynamic, self.owner, self._table.dynamic_j[rows])
        np.add.at(latency, self.owner, self._table.latency_s[rows])
        return dynamic, latency

    def _shapes(self, levels: Ints) -> Ints:
        """Return the rows of the table that price the layers at levels `(C, S)`, `(C, L)`."""
        unique, inverse = np.unique(levels, axis=0, return_inverse=True)
        keys = [tuple(row) for row in unique.tolist()]
        new = [key for key in keys if key not in self._rows]
        if new:
            self._learn(new)
        return np.stack([self._rows[key] for key in keys])[inverse.reshape(-1)]

    def _learn(self, keys: list[tuple[int, ...]]) -> None:
        """Price what combinations of levels leave of the layers, as far as it is not known."""
        left = [[self._shape(i, key) for i in range(len(self.network.layers))] for key in keys]
        if self.together:
            for key, layers in zip(keys, left, strict=True):
                first = len(self._table.layers)
                self._append(self._price(msgspec.structs.replace(self.network, layers=tuple(layers))))
                self._rows[key] = first + np.arange(len(layers))
            return
        new = list(dict.fromkeys(one for layers in left for one in enumerate(layers) if one not in self._row_of))
        if new:
            first = len(self._table.layers)
            self._append(self._price(msgspec.structs.replace(self.network, layers=tuple(layer for _, layer in new))))
            self._row_of |= {one: first + i for i, one in enumerate(new)}
        for key, layers in zip(keys, left, strict=True):
            self._rows[key] = np.array([self._row_of[one] for one in enumerate(layers)])

    def _append(self, more: CostTable) -> None:
        joined = {
            name: np.concatenate([getattr(self._table, name), getattr(more, name)])
            for name in ("dynamic_j", "multiplier_j", "latency_s")
        }
        self._table = msgspec.structs.replace(self._table, layers=self._table.layers + more.layers, **joined)

    def _shape(self, index: int, key: tuple[int, ...]) -> Layer:
        """Return what is left of a layer."""
        own, read = self._own[index], self._read[index]
        level = key[own] if own is not None else 0
        local = (index, level, *(key[s] for s in read))
        if local not in self._left:
            self._left[local] = self._thinned(index, level, tuple((s, key[s]) for s in read if key[s]))
        return self._left[local]

    def _thinned(self, index: int, level: int, read: tuple[tuple[int, int], ...]) -> Layer:
        levels, layer = self.levels, self.network.layers[index]
        if read not in self._dead:
            skip = {levels.layers[s]: levels.neurons.least(levels.layers[s], levels.fractions[s][k]) for s, k in read}
            self._dead[read] = dead_inputs(levels.neurons.model, skip)
        absent, skipped = self._dead[read].get(layer.name, ()), tuple[int, ...]()
        own = self._own[index]
        if own is not None and level:
            share = levels.fractions[own][level]
            if layer.name in levels.neurons.output_layers:
                absent = tuple({*absent, *levels.neurons.least(layer.name, share, absent)})
            else:
                skipped = levels.neurons.least(layer.name, share)
        alone = msgspec.structs.replace(self.network, layers=(layer,))
        left_out = Assignment(multipliers={}, skip={layer.name: skipped}, absent={layer.name: absent})
        return thinned(alone, left_out).layers[0]
