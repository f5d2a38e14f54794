"""Which terms of a layer fall on rows of the array that keep exact multipliers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from axdnn.hardware import Accelerator, exact_terms
from axdnn.kernels import EXACT


@dataclass(frozen=True)
class RowMapping:
    """How the terms of a sum lie on the rows of a pod; see `axdnn.hardware.exact_terms`.

    Attributes:
        rows: of a pod. exact_rows: how many of them multiply exactly; 0 for a wholly approximate pod.
        fill: where a fold that does not fill the array begins.
    """

    rows: int = 1
    exact_rows: int = 0
    fill: str = "top"

    @classmethod
    def of(cls, chip: Accelerator) -> RowMapping:
        """Return the mapping of an accelerator."""
        return cls(chip.rows, chip.exact_rows, chip.fill)

    @property
    def key(self) -> str:
        """Content key; empty without exact rows, whatever their number."""
        return f"{self.rows}/{self.exact_rows}/{self.fill}" if self.exact_rows else ""

    def terms(self, weight_shape: Sequence[int], absent: Sequence[int] = ()) -> torch.Tensor | None:
        """Return what each term is, uint8 `(k,)` as `approx_matmul` takes it; None if every row is approximate.

        Args:
            weight_shape: `(c_out, c_in / groups, kh, kw)` or `(out, in)`.
            absent: input channels or features that are left out: the others close up.
        """
        if self.exact_rows == 0:
            return None
        inputs, window = weight_shape[1], int(np.prod(weight_shape[2:]))
        present = np.ones((inputs, window), dtype=bool)
        present[list(absent)] = False
        kinds = np.zeros(present.size, dtype=np.uint8)
        place = present.ravel()
        kinds[place] = np.where(exact_terms(int(place.sum()), self.rows, self.exact_rows, self.fill), EXACT, 0)
        return torch.from_numpy(kinds)
