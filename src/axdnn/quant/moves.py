"""Operators that only move values: reshapes, permutations, slices. Codes go through them unchanged."""

from __future__ import annotations

from typing import Any

import torch

from axdnn.quant.rejected import Rejected

# Shapes of the result say everything about these; the one axis that depends on the batch becomes -1.
RESHAPES = {"view", "reshape", "_unsafe_view", "flatten", "squeeze", "unsqueeze", "unflatten"}
PERMUTES = {"permute", "transpose", "t", "numpy_T", "mT", "movedim", "swapaxes", "swapdims"}
# Called as they are, with the arguments of the user's call.
SELECTIONS = {
    "select", "slice", "narrow", "flip", "roll", "pixel_shuffle", "pixel_unshuffle", "channel_shuffle", "repeat",
    "repeat_interleave", "index_select", "upsample_nearest2d",
}  # fmt: skip
# Their results are taken apart by later nodes.
PARTS = {"chunk", "split", "split_with_sizes", "unbind", "tensor_split"}


class Reshape:
    """Reshape to sizes of which one, the one that depends on the batch, is -1."""

    def __init__(self, sizes: tuple[int, ...]) -> None:
        self.sizes = sizes

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Return the reshaped tensor."""
        return x.reshape(self.sizes)


class Permute:
    """Permute the axes."""

    def __init__(self, order: tuple[int, ...]) -> None:
        self.order = order

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Return the permuted tensor."""
        return x.permute(self.order)


class Expand:
    """Repeat along axes of size 1 without a copy; -1 keeps an axis."""

    def __init__(self, sizes: tuple[int, ...]) -> None:
        self.sizes = sizes

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Return the expanded tensor."""
        return x.expand(self.sizes)


class Select:
    """A selection by one of torch's operators, and of its results one part.

    Args:
        operator: name in `torch.ops.aten`, overload included: `select.int`.
        arguments: of the call after the tensor, by name.
        part: index where the operator returns several tensors, else None.
    """

    def __init__(self, operator: str, arguments: dict[str, Any], part: int | None = None) -> None:
        self.operator, self.arguments, self.part = operator, arguments, part

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Return what is selected."""
        name, _, overload = self.operator.partition(".")
        call = getattr(getattr(torch.ops.aten, name), overload or "default")
        # Nearest neighbours of int8 have no kernel: the bytes are moved as unsigned ones.
        turned = x.view(torch.uint8) if x.dtype == torch.int8 else x
        result = call(turned, **self.arguments)
        picked = result if self.part is None else result[self.part]
        return picked.view(x.dtype) if x.dtype == torch.int8 else picked  # type: ignore[no-any-return]


def is_fixed(size: Any) -> bool:
    """Whether a size does not depend on the batch."""
    return isinstance(size, int)


def reshape_attrs(name: str, after: tuple[Any, ...]) -> dict[str, Any]:
    """Return a reshape whose one axis that depends on the batch is -1.

    Args:
        name: of the operator.
        after: shape of the result.
    """
    sizes = tuple(s if is_fixed(s) else -1 for s in after)
    if sizes.count(-1) != 1 or 0 in sizes:
        raise Rejected(f"aten.{name} to sizes that do not follow from the batch size")
    return {"apply": Reshape(sizes)}


def permute_attrs(name: str, a: dict[str, Any], rank: int) -> dict[str, Any]:
    """Return a permutation of axes.

    Args:
        name: one of `PERMUTES`.
        a: call arguments.
        rank: of the input.
    """
    return {"apply": Permute(tuple(_order(name, a, rank)))}


def _order(name: str, a: dict[str, Any], rank: int) -> list[int]:
    if name == "permute":
        return [int(d) % rank for d in a["dims"]]
    order = list(range(rank))
    if name == "movedim":
        sources, targets = ([v] if isinstance(v, int) else list(v) for v in (a["source"], a["destination"]))
        moved = {target % rank: source % rank for source, target in zip(sources, targets, strict=True)}
        others = iter(i for i in range(rank) if i not in moved.values())
        return [moved[i] if i in moved else next(others) for i in range(rank)]
    swapped = [a[key] for key in ("dim0", "dim1", "axis0", "axis1") if key in a] or [-2, -1]
    first, second = (int(d) for d in swapped)
    order[first], order[second] = order[second], order[first]
    return order


def expand_attrs(after: tuple[Any, ...]) -> dict[str, Any]:
    """Return an expansion of axes that do not depend on the batch."""
    return {"apply": Expand(tuple(s if is_fixed(s) else -1 for s in after))}
