"""What only moves values, as steps: reshapes, permutations, selections, borders, stored tensors.

A selection becomes `take` axis by axis where each axis of its result follows one axis of its input, else one `take`
over all values of an example.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from axdnn.export.program import Array
from axdnn.export.shapes import Shape, dtype_of
from axdnn.quant import Node
from axdnn.quant.moves import Expand, Permute, Reshape
from axdnn.records import UnsupportedOperatorError

if TYPE_CHECKING:
    from axdnn.export.lowering import Lowering


@dataclass(frozen=True, eq=False)
class Move:
    """A step that moves values: operator, shape of the result, and the step's attributes and arrays."""

    op: str
    shape: Shape
    attrs: dict[str, Any]
    arrays: dict[str, Array] = field(default_factory=dict)


def lower_reshape(low: Lowering, node: Node) -> None:
    """Write a reshape, permutation, expansion or selection."""
    apply, before, after = node.attrs["apply"], low.shapes[node.inputs[0]], low.shapes[node.name]
    if isinstance(apply, Permute):
        moves = [_transposed(before, apply.order)]
    elif isinstance(apply, Reshape):
        moves = [_reshaped(after)]
    elif isinstance(apply, Expand):
        moves = _expanded(before, after)
    else:
        moves = _selected(node, apply, before, after)
    for form in low.model.requests[node.name]:
        low.names[node.name, form] = _moved(low, node, low.names[node.inputs[0], form], dtype_of(form), moves)


def lower_cat(low: Lowering, node: Node) -> None:
    """Write a concatenation."""
    low.pass_on(node, "concat", {"axis": node.attrs["dim"] % len(low.shapes[node.name])})


def lower_stack(low: Lowering, node: Node) -> None:
    """Write a concatenation of values that have one axis more."""
    shape, axis = low.shapes[node.name], node.attrs["dim"] % len(low.shapes[node.name])
    one = (*shape[:axis], 1, *shape[axis + 1 :])
    for form in low.model.requests[node.name]:
        parts = [_moved(low, node, low.names[i, form], dtype_of(form), [_reshaped(one)]) for i in node.inputs]
        low.names[node.name, form] = low.step(node, "concat", parts, dtype_of(form), attrs={"axis": axis})


def lower_pad(low: Lowering, node: Node) -> None:
    """Write a border of zeros, of codes the code of zero; a negative border leaves values out."""
    shape = low.shapes[node.inputs[0]]
    sides = list(zip(node.attrs["sizes"][::2], node.attrs["sizes"][1::2], strict=True))[::-1]
    sides = [(0, 0)] * (len(shape) - len(sides)) + sides
    moves: list[Move] = []
    for axis, (before, after) in enumerate(sides):
        if before < 0 or after < 0:
            index = np.arange(max(0, -before), shape[axis] + min(0, after))
            moves.append(_taken(shape, axis, index))
            shape = moves[-1].shape
    borders = {key: [max(0, side[i]) for side in sides] for i, key in enumerate(("before", "after"))}
    for form in low.model.requests[node.name]:
        value = form.emit(torch.zeros(())).item()
        value = float(value) if form.encoding is None else int(value)
        border = Move("pad", low.shapes[node.name], {**borders, "value": value})
        source = low.names[node.inputs[0], form]
        low.names[node.name, form] = _moved(low, node, source, dtype_of(form), [*moves, border])


def lower_constant(low: Lowering, node: Node) -> None:
    """Write a stored tensor, once for each example; the network's first input says how many there are."""
    axis, source = node.attrs["dim"], next(iter(low.inputs))
    value = {"value": node.attrs["value"].unsqueeze(axis).contiguous().numpy()}
    low.emit(node, low.step(node, "constant", [source], "float32", attrs={"axis": axis}, arrays=value))


def _moved(low: Lowering, node: Node, value: str, dtype: str, moves: list[Move]) -> str:
    for move in moves:
        value = low.step(node, move.op, [value], dtype, shape=move.shape, attrs=move.attrs, arrays=move.arrays)
    return value


def _reshaped(shape: Shape) -> Move:
    return Move("reshape", shape, {"sizes": list(shape)})


def _transposed(shape: Shape, order: tuple[int, ...]) -> Move:
    order = tuple(axis % len(shape) for axis in order)
    return Move("transpose", tuple(shape[axis] for axis in order), {"order": list(order)})


def _taken(shape: Shape, axis: int, index: Array) -> Move:
    after = (*shape[:axis], len(index), *shape[axis + 1 :])
    return Move("take", after, {"axis": axis}, {"index": index.astype(np.int64)})


def _expanded(before: Shape, after: Shape) -> list[Move]:
    shape = (1,) * (len(after) - len(before)) + before
    moves = [_reshaped(shape)] if shape != before else []
    for axis, (size, wanted) in enumerate(zip(shape, after, strict=True)):
        if size != wanted:
            moves.append(_taken(shape, axis, np.zeros(wanted)))
            shape = moves[-1].shape
    return moves


def _selected(node: Node, apply: Callable[[torch.Tensor], torch.Tensor], before: Shape, after: Shape) -> list[Move]:
    """Find out where the values of a selection come from by selecting from their places.

    Raises:
        UnsupportedOperatorError: it mixes examples.
    """
    full, batch, place = tuple(2 if size < 0 else size for size in before), before.index(-1), after.index(-1)
    places = apply(torch.arange(math.prod(full), dtype=torch.float64).reshape(full)).long().numpy()
    came = np.unravel_index(places, full)
    example = np.arange(2).reshape([2 if axis == place else 1 for axis in range(len(after))])
    if places.shape[place] != 2 or (came[batch] != example).any():
        raise UnsupportedOperatorError(f"no export rule for {node.name!r} ({node.op}): it mixes examples of a batch")
    varies = [[d for d in range(c.ndim) if (c != c.take([0], d)).any()] for c in came]  # along which axes of the result
    follows = [axis for axes in varies for axis in axes]
    covered = math.prod(places.shape[axis] for axis in follows) == places.size
    if covered and follows == sorted(follows) and all(len(axes) < 2 for axes in varies):
        lines = [tuple(slice(None) if d in axes else 0 for d in range(places.ndim)) for axes in varies]
        return _by_axis(before, after, batch, [c[line].ravel() for c, line in zip(came, lines, strict=True)])
    others = [size for axis, size in enumerate(full) if axis != batch]
    index = np.ravel_multi_index([c for axis, c in enumerate(came) if axis != batch], others).take(0, place).ravel()
    front = (batch, *(axis for axis in range(len(before)) if axis != batch))
    moves = [] if batch == 0 else [_transposed(before, front)]
    moves += [_reshaped((-1, math.prod(others))), _taken((-1, math.prod(others)), 1, index)]
    shape = (-1, *(size for axis, size in enumerate(after) if axis != place))
    moves.append(_reshaped(shape))
    back = (*range(1, place + 1), 0, *range(place + 1, len(after)))
    return moves if place == 0 else [*moves, _transposed(shape, back)]


def _by_axis(before: Shape, after: Shape, batch: int, indices: list[Array]) -> list[Move]:
    moves: list[Move] = []
    shape = before
    for axis, index in enumerate(indices):
        if axis != batch and not np.array_equal(index, np.arange(shape[axis])):
            moves.append(_taken(shape, axis, index))
            shape = moves[-1].shape
    return moves if shape == after else [*moves, _reshaped(after)]
