"""Where the images of a batch lie in the values of a network: transformers and recurrent layers move them about."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from axdnn.quant import CapturedModel, Node


@dataclass(frozen=True)
class BatchAxis:
    """The axis that holds the images.

    Attributes:
        dim: the axis.
        rows: how many places of the axis an image takes.
        outer: whether the places of one image lie together, or those of one row.
    """

    dim: int = 0
    rows: int = 1
    outer: bool = True

    def front(self, values: torch.Tensor) -> torch.Tensor:
        """Return values with the images on the first axis, `(b, ...)`."""
        if self.rows == 1:
            return values.movedim(self.dim, 0)
        apart = values.unflatten(self.dim, (-1, self.rows) if self.outer else (self.rows, -1))
        return apart.movedim(self.dim + (not self.outer), 0)

    def back(self, values: torch.Tensor) -> torch.Tensor:
        """Undo `front`."""
        if self.rows == 1:
            return values.movedim(0, self.dim)
        return values.movedim(0, self.dim + (not self.outer)).flatten(self.dim, self.dim + 1)


@torch.no_grad()
def batch_axes(model: CapturedModel) -> dict[str, BatchAxis]:
    """Return the axis of the images for the value of each node.

    Found by sending not-a-number through the network beside zeros: it reaches every value of its own image only.

    Args:
        model: captured float network.
    """
    alone: dict[str, torch.Size] = {}
    axes: dict[str, BatchAxis] = {}

    def keep(node: Node, _: tuple[torch.Tensor, ...], value: torch.Tensor) -> None:
        alone[node.name] = value.shape

    def compare(node: Node, _: tuple[torch.Tensor, ...], value: torch.Tensor) -> None:
        axes[node.name] = _axis(alone[node.name], value)

    model.run(model.example(), keep)
    marked = tuple(torch.cat([x, torch.full_like(x, torch.nan)]) for x in model.example())
    model.run(marked, compare)
    return axes


def _axis(one: torch.Size, two: torch.Tensor) -> BatchAxis:
    dim = next((d for d in range(len(one)) if one[d] != two.shape[d]), 0)
    return BatchAxis(dim, one[dim], not bool(two.narrow(dim, 0, one[dim]).isnan().any()))
