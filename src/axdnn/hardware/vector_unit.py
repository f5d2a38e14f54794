"""The vector unit: what the operators cost that are no multiply-accumulate layers, on one chip.

Two ways to run. Fused: activation functions, additions, scales and requantisation stream through the post-processor
behind the array, a value a column and cycle; their time is hidden behind the layer before them and their result is the
one that the layer is charged for anyway, so only a second operand is read. A pass of its own: everything else reads
its operands from, and writes its result to, where activations live; lanes and ports work side by side.

Assumptions: values between operators are bytes, so softmax and normalisation read codes, not 32-bit sums; kinds have
the widths of `BITS`; an operator follows a layer whenever its kind is fused; moves in a new order (permutations, joins)
are passes. All functions are closed forms over arrays of operators, shape `(N,)`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from axdnn.hardware.accelerator import Accelerator
from axdnn.hardware.components import Floats
from axdnn.hardware.parameters import OPTIONAL
from axdnn.hardware.systolic import Ints, ceil_div
from axdnn.records import ExactOperator, InvalidInputError, OperatorKind

OPERATOR_COMPONENTS = ("vector", "sram", "dram")
FUSED: tuple[OperatorKind, ...] = ("activation", "elementwise")
"""Kinds that stream behind the array."""
BITS: dict[OperatorKind, int] = {
    "activation": 8, "gather": 8, "movement": 8, "pooling": 16, "elementwise": 32, "normalisation": 32, "softmax": 32,
    "reduction": 32, "other": 32,
}  # fmt: skip
"""Width of the operations of a kind, assumption: codes in 8 bits, sums of a window in 16, real values in 32."""
COMPARED = ("max_pool", "amax", "amin", "argmax", "argmin", "maximum", "minimum")
"""Operators that compare codes, in 8 bits whatever their kind."""
HOMES = ("buffer", "backing", "dram")
SUMS_J: dict[int, float] = {8: 0.03 / 0.1, 16: (0.4 + 1.1) / 2 / 0.1, 32: (0.9 + 3.7) / 2 / 0.1}
"""Joules of an operation relative to an int32 addition: int8 addition, means of fp16 and fp32 addition and product;
45 nm, Horowitz, ISSCC 2014."""
ACCESSES = 1.5
"""Register accesses of an operation in pairs of a write and a read: two operands read, one result written."""
POLYNOMIAL_J = 2 * (0.9 + 3.7) / 0.1
"""Joules of a transcendental relative to an int32 addition, assumption: 2 fp32 products and 2 sums; same source."""
POLYNOMIAL_CYCLES = 4


class VectorUnit(NamedTuple):
    """A vector unit in SI units, of the whole chip.

    Attributes:
        lanes: values worked on at a time.
        operations: operations that a lane starts in a cycle.
        transcendental_cycles: cycles that a transcendental occupies a lane.
        operation_j: width in bits -> joules of one operation, registers included.
        transcendental_j: joules of one transcendental.
        read_j_word, write_j_word: of the activation buffer, a word is a byte.
        words_cycle: words a cycle between the unit and the activation buffer, both ways together.
    """

    lanes: int
    operations: int
    transcendental_cycles: int
    operation_j: dict[int, float]
    transcendental_j: float
    read_j_word: float
    write_j_word: float
    words_cycle: float


class OperatorArrays(NamedTuple):
    """Costs of N operators, shape `(N,)`; `latency_s` is what they add to an inference, 0 where fused."""

    fused: npt.NDArray[np.bool_]
    cycles: Ints
    latency_s: Floats
    vector_j: Floats
    sram_j: Floats
    dram_j: Floats


def vector_unit(chip: Accelerator) -> VectorUnit:
    """Return the vector unit of a chip; what its file does not give is assumed.

    Assumed are one lane a column of every pod, one operation a lane and cycle, a transcendental as a polynomial on the
    lane itself, and energies relative to the chip's int32 addition as at 45 nm, each with its registers.
    """
    register_j = {bits: ACCESSES * bits * chip.register_j_bit for bits in SUMS_J}
    given = {8: chip.vector_8bit_j, 16: chip.vector_16bit_j, 32: chip.vector_32bit_j}
    own = {bits: chip.add_j * ratio + register_j[bits] for bits, ratio in SUMS_J.items()}
    polynomial_j = chip.add_j * POLYNOMIAL_J + POLYNOMIAL_CYCLES * register_j[32]
    return VectorUnit(
        lanes=_or(chip.vector_lanes, chip.pods * chip.columns),
        operations=_or(chip.vector_operations, 1),
        transcendental_cycles=_or(chip.vector_transcendental_cycles, POLYNOMIAL_CYCLES),
        operation_j={bits: own[bits] if joules is None else joules for bits, joules in given.items()},
        transcendental_j=polynomial_j if chip.vector_transcendental_j is None else chip.vector_transcendental_j,
        read_j_word=chip.buffer_read_j_b,
        write_j_word=chip.buffer_write_j_b,
        words_cycle=chip.pods * chip.buffer_bandwidth_b_s / chip.clock_hz,
    )


def _or(value: int | None, default: int) -> int:
    return default if value is None else value


def vector_sources(chip: Accelerator) -> dict[str, str]:
    """Source of every parameter of the vector unit that is assumed because the chip's file does not give it."""
    unit = vector_unit(chip)
    derived = "relative to energy.add as at 45 nm (Horowitz, ISSCC 2014), registers added"
    joules = {f"vector_{bits}bit_j": value for bits, value in unit.operation_j.items()}
    said = {
        "vector_lanes": f"{unit.lanes}; assumption: one a column of every pod",
        "vector_operations": f"{unit.operations}; assumption",
        "vector_transcendental_cycles": f"{unit.transcendental_cycles}; assumption: a polynomial on the lane itself",
        **{field: f"{1e12 * value:.4g} pJ; assumption: {derived}" for field, value in joules.items()},
        "vector_transcendental_j": f"{1e12 * unit.transcendental_j:.4g} pJ; assumption: a polynomial, {derived}",
    }
    paths = {p.field: p.path for p in OPTIONAL}
    return {paths[field]: text for field, text in said.items() if getattr(chip, field) is None}


def operator_costs(operators: Sequence[ExactOperator], chip: Accelerator, home: str = "buffer") -> OperatorArrays:
    """Price operators, one inference at batch 1; every array has shape `(N,)`.

    Args:
        operators: with their counts; one without counts costs nothing.
        chip: accelerator, see `vector_unit`.
        home: where activations live between layers, see `axdnn.hardware.traffic.activation_home`.

    Raises:
        InvalidInputError: a negative count, or an unknown home.
    """
    if home not in HOMES:
        raise InvalidInputError(f"`home` must be one of {', '.join(HOMES)}, but got {home!r}")
    unit = vector_unit(chip)
    counts = np.array(
        [(o.operations, o.transcendental, o.input_words, o.output_words) for o in operators], dtype=np.int64
    ).reshape(-1, 4)
    if counts.size and counts.min() < 0:
        worst = operators[int(counts.min(axis=1).argmin())]
        raise InvalidInputError(f"counts of an operator must be >= 0, but got {worst}")
    operations, transcendental, read, written = counts.T
    fused = np.array([o.kind in FUSED for o in operators], dtype=bool)
    bits = [8 if o.operator.startswith(COMPARED) else BITS[o.kind] for o in operators]
    each_j = np.array([unit.operation_j[b] for b in bits], dtype=np.float64)
    # A fused operator's first operand comes from the array and its result goes where the layer's result goes.
    loaded = np.where(fused, np.maximum(read - written, 0), read).astype(np.float64)
    stored = np.where(fused, 0, written).astype(np.float64)
    cycles = np.where(
        fused, ceil_div(written, chip.pods * chip.columns),
        _pass_cycles(unit, chip, home, operations, transcendental, loaded + stored),
    )  # fmt: skip
    sram_j = loaded * unit.read_j_word + stored * unit.write_j_word
    if home == "backing":
        sram_j = sram_j + loaded * chip.backing_read_j_b + stored * chip.backing_write_j_b
    if home != "buffer":  # through the buffer on the way in and out
        sram_j = sram_j + loaded * unit.write_j_word + stored * unit.read_j_word
    outside = loaded + stored if home == "dram" else np.zeros(len(operators))
    return OperatorArrays(
        fused=fused,
        cycles=cycles.astype(np.int64),
        latency_s=np.where(fused, 0.0, cycles / chip.clock_hz),
        vector_j=operations * each_j + transcendental * unit.transcendental_j,
        sram_j=sram_j,
        dram_j=8 * outside * chip.dram_j_bit,
    )


def _pass_cycles(
    unit: VectorUnit, chip: Accelerator, home: str, operations: Ints, transcendental: Ints, words: Floats
) -> Floats:
    """Cycles of a pass of its own: the slowest of lanes, buffer port and the memory where activations live."""
    lanes = (operations / unit.operations + transcendental * unit.transcendental_cycles) / unit.lanes
    slowest = np.maximum(lanes, words / unit.words_cycle)
    if home != "buffer":
        bandwidth = chip.backing_bandwidth_b_s if home == "backing" else chip.dram_bandwidth_b_s
        slowest = np.maximum(slowest, words / bandwidth * chip.clock_hz)
    return np.where(slowest > 0, np.maximum(np.ceil(slowest - 1e-6), 1), 0)
