"""Cycles of many chips x layers on all their pods: the last column of `streaming.timings` without its table of pods."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from axdnn.hardware.accelerator import Accelerator
from axdnn.hardware.components import network_cycles, port_sharing
from axdnn.hardware.dataflows import Floats
from axdnn.hardware.layer_arrays import LayerArrays
from axdnn.hardware.streaming import most_chunks, port_bytes, transfer_s
from axdnn.hardware.systolic import Ints, ceil_div, double_buffered, operation_cycles, split_rows
from axdnn.hardware.traffic import Traffic, tiles_of


class _Pairs(NamedTuple):
    """What the cycles of a layer on a chip depend on; arrays that broadcast over pairs of them.

    `first` to `most`: chunk counts; `passing`, `kept`: cycles of a pod's port for all that streams, and for a tile;
    `transfer`: cycles of all transfers.
    """

    streamed: Ints
    tiles: Ints
    first: Ints
    most: Ints
    rows: Ints
    columns: Ints
    passing: Floats
    kept: Floats
    transfer: Floats
    pods: Ints

    def where(self, mask: npt.NDArray[np.bool_]) -> _Pairs:
        """Return the pairs of a mask as lists."""
        return _Pairs._make(np.broadcast_to(field, mask.shape)[mask] for field in self)


class _Found(NamedTuple):
    """The best chunk count of each pair: cycles without what a layer pays once, those of computing, operations."""

    total: Floats
    busy: Floats
    operations: Ints


def timings_of_many(layers: LayerArrays, moved: Traffic, chip: Accelerator) -> tuple[Ints, Ints, Ints]:
    """Cycles, cycles of waiting for memory, and parts of sums; `chip` is many, see `Chips`.

    Numbers of pods below a chip's own are tried where they may win: their network is smaller, so if memory or a lack of
    tiles limits a layer they can be faster, see `streaming.timings`.
    """
    t, clock = tiles_of(layers, chip), chip.clock_hz
    passing, kept = (part / chip.buffer_bandwidth_b_s * clock for part in port_bytes(layers, moved, t, chip))
    pairs = _Pairs(
        t.streamed, t.tiles, t.strips, most_chunks(t.streamed, chip), np.asarray(chip.rows), np.asarray(chip.columns),
        passing, kept, transfer_s(moved, chip) * clock, np.asarray(chip.pods),
    )  # fmt: skip
    found = _over_chunks(pairs, chip, pairs.pods)
    stages = np.broadcast_to(network_cycles(chip, pairs.pods), found.total.shape)
    found, stages = _on_fewer(pairs, chip, found, stages)
    once = operation_cycles(0, chip.rows, chip.columns, chip.dataflow, chip.timing)[1] + stages
    latency = np.ceil(chip.dram_latency_s * clock - 1e-6).astype(np.int64)
    parts = found.operations // t.tiles if chip.dataflow == "os" else np.ones_like(found.operations)
    return (found.total + once + latency).astype(np.int64), (found.total - found.busy + latency).astype(np.int64), parts


def _on_fewer(pairs: _Pairs, chip: Accelerator, found: _Found, stages: Ints) -> tuple[_Found, Ints]:
    """Replace what fewer pods do in fewer cycles; all numbers of pods that may win are tried in one go."""
    # Of all chunk counts one takes the fewest cycles of all operations together.
    work = pairs.tiles * operation_cycles(pairs.streamed, pairs.rows, pairs.columns, chip.dataflow, chip.timing)[0]
    alike = chip.interconnect in ("bus", "mesh")  # pods wait for each other there: fewer may be faster by themselves
    key, least = found.total + stages, 0.0 if alike else found.total
    tried = [(pods, int(network_cycles(chip, pods))) for pods in _fewer(chip)]
    masks = [(pods < pairs.pods) & (np.maximum(least, np.floor(work / pods)) + cycles <= key) for pods, cycles in tried]
    counts = [int(mask.sum()) for mask in masks]
    if not sum(counts):
        return found, stages
    lists = [pairs.where(mask) for mask in masks]
    together = _Pairs._make(np.concatenate(fields) for fields in zip(*lists, strict=True))
    others = _over_chunks(together, chip, np.repeat([pods for pods, _ in tried], counts))
    best = _Found._make(np.array(np.broadcast_to(field, key.shape)) for field in found)
    stages, fewer, end = stages.copy(), np.zeros(key.shape, dtype=np.bool_), 0
    for (_, cycles), mask, count in zip(tried, masks, counts, strict=True):
        new = _Found._make(field[end : end + count] for field in others)
        end += count
        better = _better(new, cycles, _Found._make(field[mask] for field in best), key[mask], fewer[mask], chip)
        spots = tuple(index[better] for index in np.nonzero(mask))
        for field, values in zip(best, new, strict=True):
            field[spots] = values[better]
        stages[spots], key[spots], fewer[spots] = cycles, new.total[better] + cycles, True
    return best, stages


def _fewer(chip: Accelerator) -> list[int]:
    """Numbers of pods below a chip's own that can win, ascending: the most of each number of stages."""
    most = int(np.max(chip.pods))
    if chip.interconnect in ("bus", "mesh"):
        return list(range(1, most))
    if chip.interconnect == "crossbar":
        return [1] if most > 1 else []
    return [1 << power for power in range(most.bit_length()) if 1 << power < most]


def _better(
    new: _Found, stages: int, old: _Found, key: Floats, fewer: npt.NDArray[np.bool_], chip: Accelerator
) -> npt.NDArray[np.bool_]:
    """Pairs that prefer the new number of pods: fewest cycles, with `os` then fewest parts, then most pods."""
    cycles = new.total + stages
    if chip.dataflow != "os":
        return np.asarray((cycles < key) | ((cycles == key) & fewer))
    parts = (new.operations < old.operations) | ((new.operations == old.operations) & fewer)
    return np.asarray((cycles < key) | ((cycles == key) & parts))


def _over_chunks(pairs: _Pairs, chip: Accelerator, pods: Ints) -> _Found:
    """Try all chunk counts on some pods."""
    best: _Found | None = None
    for extra in range(1 if chip.timing == "sosa" else int(pairs.pods.max())):
        if chip.timing == "sosa":
            chunks = ceil_div(pairs.streamed, pairs.rows)
        else:
            chunks = np.minimum(pairs.first + np.minimum(extra, pairs.pods - 1), pairs.most)
        split = split_rows(pairs.streamed, pairs.tiles, chunks)
        stream, _ = operation_cycles(split.chunk_rows, pairs.rows, pairs.columns, chip.dataflow, chip.timing)
        rounds = ceil_div(split.operations, pods)
        port = (pairs.passing / split.operations + pairs.kept) * port_sharing(chip, split.operations, rounds, pods)
        total = np.ceil(double_buffered(rounds, np.maximum(stream, port), pairs.transfer) - 1e-6)
        new = _Found(total, rounds * stream, split.operations)
        if best is None:
            best = new
        else:
            better = total < best.total
            best = _Found._make(np.where(better, n, old) for n, old in zip(new, best, strict=True))
    assert best is not None
    return best
