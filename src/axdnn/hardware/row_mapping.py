"""Which terms of a layer's sums land on the rows of a pod that keep exact multipliers.

The one place that decides: the bit-exact simulation and the cost model both read it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from axdnn.hardware.accelerator import Accelerator
from axdnn.hardware.parameters import FILLS
from axdnn.records.errors import InvalidInputError, unknown_name


def exact_terms(k: int, rows: int, exact_rows: int, fill: str = "top") -> npt.NDArray[np.bool_]:
    """Which of the K terms of a weight-stationary product are multiplied on exact rows.

    Term `t` is in the order of the flattened weight `(c_in, kh, kw)`. Folds take `rows` terms each; a full fold puts
    its term `q = t mod rows` on row `q`, and rows `0 .. exact_rows - 1` are exact. XAI-Gen (ISQED 2025) has the upper
    half of every pod exact and does not say where a fold lies that does not fill the rows, which decides for every
    layer with fewer terms than rows.

    Args:
        k: terms, at least 0.
        rows: of a pod, at least 1.
        exact_rows: the first rows, exact; 0..rows.
        fill: `top`: a partial fold of s terms takes rows `0 .. s - 1`, exact ones first. `bottom`: it takes the last s
            rows, in order, approximate ones first filled; with s up to `rows - exact_rows` all of it is approximate.

    Returns:
        Shape `(k,)`, True where the multiplier is exact.

    Raises:
        InvalidInputError: a number out of range.
        UnknownNameError: another `fill`.
    """
    for label, value, low in (("k", k, 0), ("rows", rows, 1), ("exact_rows", exact_rows, 0)):
        if isinstance(value, bool) or int(value) != value or value < low:
            raise InvalidInputError(f"`{label}` must be a whole number >= {low}, but got {value!r}")
    if exact_rows > rows:
        raise InvalidInputError(f"`exact_rows` must be at most `rows` = {rows}, but got {exact_rows}")
    if fill not in FILLS:
        raise unknown_name("fill", fill, FILLS)
    row = np.arange(k) % rows
    partial = k % rows
    if fill == "bottom" and partial:
        row[k - partial :] += rows - partial
    return np.asarray(row < exact_rows)


def term_counts(k: int, chip: Accelerator) -> tuple[int, int]:
    """Terms of a K-term product on exact and on other rows of a chip: `(exact, approximate)`, together `k`."""
    exact = int(exact_terms(k, chip.rows, chip.exact_rows, chip.fill).sum()) if chip.exact_rows else 0
    return exact, k - exact
