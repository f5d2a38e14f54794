"""What a path has to do for a product: counts of the steps that take its time.

A path's predicted time is the sum of its counts times a cost each (see `rates`). Counts follow from sizes and table
alone; costs belong to a machine. Padding to whole blocks of the kernels is counted, for small shapes consist of it.
"""

from __future__ import annotations

from typing import NamedTuple

PANEL, STEP, FOUR = 16, 64, 4  # outputs, and bytes of a window on tiles or else, that native kernels take at once
FOLDED = {1: 7 / 11, 2: 13 / 18}  # vector steps of a folded look-up / of another, by bytes of an entry
WINDOW_3X3 = 9  # terms of the depthwise windows that native kernels slide along a row
PIXELS, LANES, TERMS_AT_ONCE = 256, 64, 256  # native look-ups: pixels or outputs at once, terms of a partial sum


class Size(NamedTuple):
    """Sizes of a product of codes.

    Attributes:
        m: rows of the activations of one group (a convolution has batch * output pixels).
        k: terms of a sum.
        n: rows of the weights of one group (output channels).
        groups: independent products of that size, 1 or more.
        window: terms that belong to one input channel, 1 for a matrix product.
        inputs: activation codes read, those of the border included.
    """

    m: int
    k: int
    n: int
    groups: int
    window: int
    inputs: int

    @property
    def depthwise(self) -> bool:
        """Whether each group has a single input channel."""
        return self.groups > 1 and self.k == self.window


class Work(NamedTuple):
    """A part of a path: what it is, and how often each of its steps is done."""

    kind: str
    counts: dict[str, float]


def digits_work(size: Size, pairs: int, scales: int, tiles: bool = False) -> Work:
    """Native digit products: codes looked up once a pair, weights packed, products, sums.

    Args:
        size: of the product.
        pairs: digit pairs of the table.
        scales: different scales among them.
        tiles: whether products are those of tile registers, for which windows are laid out in whole steps; else they
            are read in place, each contiguous piece of them in whole fours.
    """
    rows, terms = float(size.m) * size.groups, size.k * pairs
    common = {"call": 1.0, "group": float(size.groups), "inputs": float(size.inputs) * pairs}
    if size.depthwise:
        kind = "digits_3x3" if size.window == WINDOW_3X3 else "digits_depthwise"  # kernels of their own, mostly
        return Work(kind, {**common, "products": rows * terms * size.n, "sums": rows * size.n * scales})
    pieces, panels = max(1, round(size.window**0.5)), _up(size.n, PANEL)  # of a square window
    padded = _up(terms, STEP) if tiles else pairs * pieces * _up(-(-size.k // pieces), FOUR)
    counts = {
        "products": rows * padded * panels, "layout": rows * terms * tiles, "pieces": rows * pairs * pieces,
        "packed": float(size.groups) * panels * padded, "sums": rows * size.n * scales,
    }  # fmt: skip
    return Work("digits", {**common, **counts})


def planes_work(size: Size, planes: int, permutes: bool, folded: bool = False) -> Work:
    """Native look-ups of entries byte by byte, for many pixels at once or, where there are many, for many outputs.

    Args:
        size: of the product.
        planes: bytes of an entry.
        permutes: whether the processor looks bytes up in registers.
        folded: whether negative weights find complements, which takes fewer steps where outputs are lanes.
    """
    rows, lanes = float(size.m) * size.groups, _up(size.n, LANES)
    counts = {"call": 1.0, "inputs": float(size.inputs), "packed": float(size.groups) * size.k * size.n,
              "sums": rows * size.n * -(-size.k // TERMS_AT_ONCE)}  # fmt: skip
    if permutes and size.n >= LANES and 3 * lanes <= 4 * size.n:
        looked_up = rows * size.k * lanes * (FOLDED[planes] if folded else 1.0)
        return Work(f"planes{planes}_outputs", {**counts, "looked_up": looked_up, "layout": rows * size.k})
    blocks = float(_up(size.m, PIXELS)) * size.groups
    counts |= {"looked_up": blocks * size.k * size.n, "layout": rows * size.k, "blocks": blocks / PIXELS * size.n}
    return Work(f"planes{planes}{'_depthwise' if size.depthwise else ''}", counts)


def rows_work(size: Size) -> Work:
    """Native look-ups of rows of products: laid out once for all pixels, then added for each."""
    outputs = _up(size.n, PANEL) * float(size.groups)
    counts = {"call": 1.0, "inputs": float(size.inputs), "laid_out": size.k * outputs,
              "products": float(size.m) * size.k * outputs}  # fmt: skip
    return Work("rows", counts)


def floats_work(size: Size, floats: str, rank: int, chunks: int) -> Work:
    """Products of factors by torch, in floats.

    Args:
        size: of the product.
        floats: `float32` or `float64`.
        rank: factors of the table.
        chunks: pieces that the sum is cut into.
    """
    rows = float(size.m) * size.groups
    counts = {
        "call": 1.0, "group": float(size.groups), "inputs": float(size.inputs) * rank,
        "products": rows * size.k * rank * _up(size.n, PANEL), "layout": rows * size.k * rank / size.window**0.5,
        "packed": float(size.groups) * size.k * size.n * rank, "sums": rows * size.n * chunks,
    }  # fmt: skip
    return Work(floats, counts)


def int8_work(size: Size, pairs: int, scales: int) -> Work:
    """Products of digits by torch, which unfolds them: arguments as in `digits_work`."""
    rows, terms = float(size.m) * size.groups, size.k * pairs
    counts = {
        "call": 1.0, "group": float(size.groups), "inputs": float(size.inputs) * pairs, "layout": rows * terms,
        "products": rows * terms * _up(size.n, PANEL), "packed": float(size.groups) * size.n * terms,
        "sums": rows * size.n * scales,
    }  # fmt: skip
    return Work("int8", counts)


def lookup_work(size: Size) -> Work:
    """Look-ups by torch: the operand of fewer rows becomes a matrix of 256 rows a term, rows of it are summed."""
    many, few = (size.m, size.n) if size.n <= size.m else (size.n, size.m)
    rows = float(many) * size.groups
    counts = {
        "call": 1.0, "products": rows * size.k * _up(few, PANEL), "layout": rows * size.k, "rows": rows,
        "table": 256.0 * size.k * few * size.groups,
    }  # fmt: skip
    return Work("lookup", counts)


def _up(value: int, unit: int) -> int:
    return -(-value // unit) * unit
