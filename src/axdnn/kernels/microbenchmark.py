"""A second or two of measuring: what each step of each path costs on this machine.

Small products of every kind are timed through the code that runs them; the costs of the steps are those that explain
the times best, relative to each time, and stay near the shipped ones where times leave them open. One
thread is timed by its processor time, which other programs disturb little; several by the clock.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np
import torch

from axdnn.kernels.calibration import read_rates, store_rates
from axdnn.kernels.codes import table_index
from axdnn.kernels.conv import approx_conv2d, unfold
from axdnn.kernels.dispatch import approx_matmul
from axdnn.kernels.factorised import (
    chunks_needed,
    conv2d_factorised,
    conv_output_size,
    matmul_factorised,
    one_chunk,
    torch_factors,
)
from axdnn.kernels.int8 import conv2d_int8, int8_factors, int8_is_exact, matmul_int8
from axdnn.kernels.lookup import matmul_lookup
from axdnn.kernels.native import has_permutes, native_variants, on_tiles
from axdnn.kernels.native_tables import native_table
from axdnn.kernels.plan import native_parts
from axdnn.kernels.rates import Costs, Rates, shipped_rates
from axdnn.kernels.work import Size, Work, digits_work, floats_work, int8_work, lookup_work
from axdnn.records import Multiplier

Progress = Callable[[str, int, int], None]
# batch, input channels, size, output channels, kernel, stride, groups; size 1 is a matrix product
SHAPES: tuple[tuple[int, ...], ...] = (
    (1, 4, 4, 4, 1, 1, 1), (1, 96, 1, 16, 1, 1, 1), (4, 3, 32, 16, 3, 1, 1), (4, 16, 32, 16, 3, 1, 1),
    (4, 64, 8, 64, 3, 1, 1), (2, 256, 8, 128, 3, 1, 1), (4, 128, 16, 128, 3, 1, 1), (4, 32, 16, 64, 3, 2, 1),
    (2, 32, 28, 192, 1, 1, 1), (2, 16, 16, 16, 5, 1, 1), (128, 256, 1, 256, 1, 1, 1), (1, 512, 1, 512, 1, 1, 1),
    (4, 32, 16, 32, 3, 1, 4), (2, 48, 14, 48, 3, 1, 48), (2, 192, 14, 192, 3, 1, 192), (1, 32, 16, 32, 3, 2, 32),
    (2, 48, 14, 48, 5, 1, 48), (1, 160, 14, 160, 5, 1, 160),
    (32, 16, 32, 16, 3, 1, 1), (16, 64, 16, 64, 3, 1, 1), (197, 384, 1, 384, 1, 1, 1),
)  # fmt: skip
MESSAGE = "measuring the kernels of this machine, once"
ROUNDS = 5
LONGEST_S = 6e-3
"""Products that are expected to take longer say nothing that shorter ones do not."""
PULL, WITHIN = 0.3, 5.0
"""A cost that is off its shipped value weighs as much as a prediction that is off by `PULL` times as much."""


class Sample(NamedTuple):
    """A timed product: its work and seconds."""

    work: Work
    s: float


class _Job(NamedTuple):
    """A product to time; `public` if its call checks and plans as those of users do."""

    work: Work
    run: Callable[[], object]
    public: bool = False


def calibrate(progress: Progress | None = None, again: bool = False) -> Rates:
    """Measure this machine with the threads that torch uses now, unless it was before; plans use that from then on.

    Args:
        progress: called with (message, done, total).
        again: measure even if it was done before.

    Raises:
        OSError: the cache folder cannot be written.
    """
    threads = torch.get_num_threads()
    known = None if again else read_rates(threads)
    if known is not None:
        return known
    found = measured_rates(progress)
    store_rates(found, threads)
    return found


def measured_rates(progress: Progress | None = None) -> Rates:
    """Measure the costs of every path that can run here, with the threads that torch uses now.

    Args:
        progress: called with (message, done, total).
    """
    shipped = shipped_rates(native_variants(), has_permutes())
    jobs = [job for shape in SHAPES for job in _jobs(shape) if shipped.seconds([job.work]) < LONGEST_S]
    # Kinds beside each other: a processor needs up to a millisecond to bring sleeping vector units to speed, which
    # the layers of a network do not wait for.
    jobs.sort(key=lambda job: job.work.kind)
    jobs.append(_nothing())
    clock = time.thread_time if torch.get_num_threads() == 1 else time.perf_counter
    best = [float("inf")] * len(jobs)
    for turn in range(1 + ROUNDS):
        if progress is not None:
            progress(MESSAGE, turn, 1 + ROUNDS)
        for i, job in enumerate(jobs):  # in turns, so that each finds caches as a network leaves them
            began = clock()
            job.run()
            if turn > 0:
                best[i] = min(best[i], max(clock() - began, 1e-7))
    if progress is not None:
        progress(MESSAGE, 1 + ROUNDS, 1 + ROUNDS)
    around = best.pop()
    samples = [Sample(job.work, s + (0.0 if job.public else around)) for job, s in zip(jobs[:-1], best, strict=True)]
    return Rates(fitted(samples, shipped.costs), "measured")


def fitted(samples: list[Sample], shipped: Costs) -> Costs:
    """Return the costs that explain the samples best, each within `WITHIN` times the shipped one as the kind scales.

    Args:
        samples: timed products; a kind of work that none of them has keeps its shipped costs.
        shipped: kind -> step -> seconds, above 0.
    """
    from scipy.optimize import lsq_linear

    found = {kind: dict(costs) for kind, costs in shipped.items()}
    for kind, costs in found.items():
        mine = [sample for sample in samples if sample.work.kind == kind]
        if not mine:
            continue
        rows = np.array([[s.work.counts[step] * cost / s.s for step, cost in costs.items()] for s in mine])
        scale = float(np.median(1 / rows.sum(axis=1)))
        pulled = np.vstack([rows * scale, PULL * np.eye(len(costs))])
        wanted = np.concatenate([np.ones(len(mine)), np.full(len(costs), PULL)])
        factors = lsq_linear(pulled, wanted, bounds=(1 / WITHIN, WITHIN)).x
        for step, factor in zip(costs, factors, strict=True):
            costs[step] *= scale * float(factor)
    return found


def _nothing() -> _Job:
    """A call that checks, plans and multiplies nothing."""
    x, circuit = torch.zeros(0, 8, dtype=torch.int8), tables()[0]
    return _Job(Work("", {}), lambda: approx_matmul(x, x, circuit))


def tables() -> tuple[Multiplier, ...]:
    """Tables of rank 1 and 4, one that stays near the exact product, and random ones of one and two bytes."""
    rng = np.random.default_rng(0)
    codes = np.arange(-128, 128)
    entries = {
        "rank 1": np.multiply.outer(codes, codes),
        "rank 4": rng.integers(-60, 61, (256, 4)) @ rng.integers(-60, 61, (4, 256)),
        "one byte": rng.integers(0, 256, (256, 256)),
        "two bytes": rng.integers(-16384, 16384, (256, 256)),
    }
    return tuple(Multiplier.from_table(table, signed=True, name=name) for name, table in entries.items())


def _jobs(shape: tuple[int, ...]) -> Iterator[_Job]:
    """Products of one shape."""
    batch, channels, side, outputs, kernel, stride, groups = shape
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(-128, 128, (batch, channels, side, side), generator=generator, dtype=torch.int8)
    w = torch.randint(-128, 128, (outputs, channels // groups, kernel, kernel), generator=generator, dtype=torch.int8)
    out = conv_output_size(x, w, (stride, stride), (1, 1))
    size = Size(batch * out[0] * out[1], w[0].numel(), outputs // groups, groups, kernel * kernel, x.numel())
    for circuit in tables():
        if native_variants():
            yield from _native_jobs(circuit, x, w, stride, size)
        if circuit.name != "one byte":
            yield from _torch_jobs(circuit, x, w, stride, size)


def _native_jobs(circuit: Multiplier, x: torch.Tensor, w: torch.Tensor, stride: int, size: Size) -> Iterator[_Job]:
    def run(path: str) -> Callable[[], object]:
        if x.shape[2:] == (1, 1):
            return lambda: approx_matmul(x.flatten(1), w.flatten(1), circuit, path=path)  # type: ignore[arg-type]
        return lambda: approx_conv2d(x, w, circuit, stride, groups=size.groups, path=path)  # type: ignore[arg-type]

    digits, table = int8_factors(circuit), native_table(circuit)
    if digits is not None and digits.groups:
        yield _Job(digits_work(size, digits.pairs, len(digits.groups), on_tiles()), run("native_factorised"), True)
    elif table is not None and table.exact is None:
        yield _Job(native_parts(circuit, size)["native_lookup"][0], run("native_lookup"), True)


def _torch_jobs(
    circuit: Multiplier, x_codes: torch.Tensor, w_codes: torch.Tensor, stride: int, size: Size
) -> Iterator[_Job]:
    x, w = table_index(x_codes, signed=True), table_index(w_codes, signed=True)
    steps, kernel, matrix = ((stride, stride), (1, 1)), (w.shape[2], w.shape[3]), x.shape[2:] == (1, 1)
    out = conv_output_size(x, w, *steps)

    def rows() -> tuple[torch.Tensor, torch.Tensor]:
        return unfold(x, kernel, *steps, out, size.groups), w.reshape(size.groups, size.n, size.k)

    factors, digits = torch_factors(circuit), int8_factors(circuit)
    if factors is None:
        yield _Job(lookup_work(size), lambda: matmul_lookup(circuit, *rows(), torch.int32))
        return
    for name in ("float32", "float64"):
        floats, rank = getattr(torch, name), factors.f.shape[1]
        if not one_chunk(factors, floats, size.window):
            continue
        part = floats_work(size, name, rank, max(1, chunks_needed(factors, floats, size.k)))
        if matrix:
            yield _Job(part, partial(matmul_factorised, factors, *rows(), floats, torch.int32))
        else:
            call = partial(conv2d_factorised, factors, x, w, *steps, size.groups, floats, torch.int32)
            yield _Job(part, call)
    if digits is not None and int8_is_exact():
        part = int8_work(size, digits.pairs, len(digits.groups))
        if size.groups == 1 and not matrix:
            yield _Job(part, lambda: conv2d_int8(digits, x, w, *steps, out, torch.int32))
        else:
            yield _Job(part, lambda: matmul_int8(digits, *rows(), torch.int32))
