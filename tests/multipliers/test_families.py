"""Families against slow literal descriptions, written from the papers bit by bit; published error figures; names."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from functools import cache

import numpy as np
import pytest

from axdnn.multipliers import (
    Multiplier,
    error_metrics,
    family_multiplier,
    list_families,
    list_multipliers,
    load_multiplier,
    load_set,
)
from axdnn.multipliers.families.compressor import STAGES, compress
from axdnn.records import InvalidInputError, UnknownNameError

Product = Callable[[int, int], int]


def bits(x: int) -> list[int]:
    """Bits of 0..255 (or a 16-bit number), the lowest first."""
    return [int(c) for c in reversed(f"{x:016b}")]


# --- literal descriptions -------------------------------------------------------------------------------------------


def literal_truncated(columns: int) -> Product:
    """Column by column: add up the AND gates of each column that is kept."""

    def product(a: int, b: int) -> int:
        x, y = bits(a), bits(b)
        heights = {c: sum(x[c - j] & y[j] for j in range(8) if 0 <= c - j < 8) for c in range(columns, 15)}
        return sum(height << c for c, height in heights.items())

    return product


def literal_array(h: int, v: int) -> Product:
    """The carry-save array cell by cell: an omitted cell gives neither sum nor carry (null, as in the paper)."""

    def product(a: int, b: int) -> int:
        x, y = bits(a), bits(b)
        sums = [0] * 17  # by column
        carries = [0] * 17
        for row in range(8):
            next_sums, next_carries = [0] * 17, [0] * 17
            for column in range(17):
                cell = 0 <= column - row < 8
                if cell and (row < h or column < v):
                    continue  # above the horizontal or right of the vertical break level
                total = sums[column] + carries[column] + (x[column - row] & y[row] if cell else 0)
                next_sums[column] = total % 2
                if total >= 2:
                    next_carries[column + 1] = 1
            sums, carries = next_sums, next_carries
        return sum((s + c) << i for i, (s, c) in enumerate(zip(sums, carries, strict=True)))

    return product


def literal_operands(a_bits: int, b_bits: int) -> Product:
    """Round down to a multiple of the step, as numbers."""

    def product(a: int, b: int) -> int:
        steps = 2 ** (8 - a_bits), 2 ** (8 - b_bits)
        return math.floor(a / steps[0]) * steps[0] * math.floor(b / steps[1]) * steps[1]

    return product


def literal_drum(k: int) -> Product:
    """On strings of bits: from the first 1 on keep k digits, make the last of them 1, fill up with 0."""

    def seen(x: int) -> int:
        text = f"{x:b}"
        return x if len(text) <= k else int(text[: k - 1] + "1" + "0" * (len(text) - k), 2)

    return lambda a, b: seen(a) * seen(b)


def mitchell(a: int, b: int) -> int:
    """The paper's logarithms as exact fractions, the result rounded down."""
    if not a or not b:
        return 0

    def logarithm(x: int) -> Fraction:
        k = len(f"{x:b}") - 1
        return k + Fraction(x, 2**k) - 1

    total = logarithm(a) + logarithm(b)
    whole = math.floor(total)
    return math.floor(2**whole * (1 + total - whole))


def roba(a: int, b: int) -> int:
    """The nearest power of two by looking at all of them; among two alike the larger, but 2 for 3."""

    def near(x: int) -> int:
        if x in (0, 3):
            return {0: 0, 3: 2}[x]
        return min((2**p for p in range(10)), key=lambda power: (abs(power - x), -power))

    return near(a) * b + near(b) * a - near(a) * near(b)


def literal_recursive(blocks: int) -> Product:
    """Gates of the 2x2 block with three outputs, composed by halves: AH BH, AH BL, AL BH, AL BL."""

    def block(a: int, b: int, position: int) -> int:
        if position >= blocks:
            return a * b
        a1, a0, b1, b0 = a >> 1, a & 1, b >> 1, b & 1
        return (a1 & b1) * 4 + ((a1 & b0) | (a0 & b1)) * 2 + (a0 & b0)

    def compose(a: int, b: int, size: int, position: int) -> int:
        if size == 2:
            return block(a, b, position)
        half = size // 2
        (ah, al), (bh, bl) = divmod(a, 2**half), divmod(b, 2**half)
        up = half // 2  # base-4 digits in half an operand
        high = compose(ah, bh, half, position + 2 * up)
        middle = compose(ah, bl, half, position + up) + compose(al, bh, half, position + up)
        return high * 2**size + middle * 2**half + compose(al, bl, half, position)

    return lambda a, b: compose(a, b, 8, 0)


# Inputs (x1, x2, x3, x4) -> value of sum and carry where it is wrong; elsewhere it is the number of ones.
WRONG = {(0, 0, 0, 0): 1, (1, 1, 0, 0): 1, (0, 0, 1, 1): 1, (1, 1, 1, 1): 3}


def literal_compressor(columns: int) -> Product:
    """Queues of bits, two stages: first to four rows, then to two; exact columns by arithmetic on what is in them."""

    def product(a: int, b: int) -> int:
        x, y = bits(a), bits(b)
        value = 0
        queue = [[x[c - j] & y[j] for j in range(8) if 0 <= c - j < 8] for c in range(16)]
        for first in (True, False):
            done: list[list[int]] = []
            carry_in: list[int] = []
            for c in range(columns):
                waiting, out, carry_out = queue[c] + carry_in, [], []
                for size in cells(first, c):
                    group, waiting = tuple(waiting[:size]), waiting[size:]
                    total = WRONG.get(group, sum(group)) if size == 4 else sum(group)  # type: ignore[call-overload]
                    out.append(total % 2)
                    carry_out.append(total // 2)
                done.append(out + waiting)
                carry_in = carry_out
            value += sum(carry_in) << columns
            queue = done + queue[columns:]
        return value + sum(sum(column) << c for c, column in enumerate(queue))

    return product


def cells(first: bool, column: int) -> list[int]:
    """Cells of a column by their inputs: 4 compressor, 3 full adder, 2 half adder."""
    if first:
        return {4: [2], 5: [4], 6: [4, 2], 7: [4, 4], 8: [4, 4], 9: [4, 3], 10: [4], 11: [3]}.get(column, [])
    return [2] if column == 2 else [4] if 3 <= column <= 12 else [3] if column == 13 else []


def signed(core: Product) -> Product:
    """Magnitudes through the unsigned circuit, the sign put back."""
    return lambda a, b: (-1 if (a < 0) != (b < 0) else 1) * core(abs(a), abs(b))


CASES: dict[str, Product] = {
    **{f"truncated:columns={c}": literal_truncated(c) for c in (0, 5, 14)},
    **{f"bam:h={h},v={v}": literal_array(h, v) for h, v in ((0, 0), (2, 7), (5, 9))},
    **{f"operands:a_bits={a},b_bits={b}": literal_operands(a, b) for a, b in ((8, 8), (5, 7), (1, 3))},
    **{f"operands:a_bits={a},b_bits={b},coding=signed": literal_operands(a, b) for a, b in ((8, 8), (5, 5), (2, 8))},
    **{f"drum:k={k}": literal_drum(k) for k in (2, 4, 7)},
    **{f"drum:k={k},coding=signed": signed(literal_drum(k)) for k in (3, 6)},
    "mitchell": mitchell,
    "roba": roba,
    "roba:coding=signed": signed(roba),
    **{f"recursive2x2:blocks={d}": literal_recursive(d) for d in (1, 3, 7)},
    **{f"compressor:columns={c}": literal_compressor(c) for c in (4, 7, 13)},
}


@pytest.mark.parametrize("name", CASES)
def test_every_product_is_that_of_the_literal_description(name: str) -> None:
    multiplier = family_multiplier(name)
    wanted = [[CASES[name](int(a), int(b)) for b in multiplier.w_values] for a in multiplier.a_values]
    np.testing.assert_array_equal(multiplier.table, wanted)
    assert multiplier.name == name


def test_every_family_is_checked() -> None:
    checked = {name.partition(":")[0] for name in CASES}
    assert checked == {family.name for family in list_families()}
    with_sign = {name.partition(":")[0] for name in CASES if "coding=signed" in name}
    assert with_sign == {family.name for family in list_families() if family.signed}


# --- limits and published figures -----------------------------------------------------------------------------------

EXACT = (
    "truncated:columns=0", "bam:h=0,v=0", "operands:a_bits=8,b_bits=8", "operands:a_bits=8,b_bits=8,coding=signed",
    "drum:k=8", "drum:k=8,coding=signed", "compressor:columns=0", "recursive2x2:blocks=0",
)  # fmt: skip


@pytest.mark.parametrize("name", EXACT)
def test_limits_are_exact(name: str) -> None:
    assert family_multiplier(name).is_exact


def test_truncation_is_a_broken_array_without_horizontal_level_and_loses_a_known_amount() -> None:
    for c in range(16):
        assert family_multiplier(f"truncated:columns={c}") == family_multiplier(f"bam:h=0,v={c}")
        # Column k has min(k, 14 - k) + 1 bits, each 1 for a quarter of the pairs.
        lost = sum((min(k, 14 - k) + 1) * 2**k for k in range(min(c, 15)))
        metrics = error_metrics(family_multiplier(f"truncated:columns={c}"))
        assert metrics.mean_error == -lost / 4
        assert metrics.wce == lost


def test_signed_truncated_operands_are_circuits_of_evoapprox8b() -> None:
    reduced = [r for r in list_multipliers("evoapprox8b-signed") if r.classification.kind == "reduced_precision"]
    assert len({row.id for row in reduced}) >= 6
    for row in reduced:
        kind = row.classification
        name = f"operands:a_bits={kind.a_bits},b_bits={kind.w_bits},coding=signed"
        assert load_multiplier(name) == load_multiplier(row.name)


def test_kulkarni_published_errors() -> None:
    """3 x 3 alone is wrong; at most 22.22 %; 3.25 % on average over all pairs of 8 bits (the paper's table)."""
    multiplier = family_multiplier("recursive2x2")
    low = multiplier.table[:4, :4] - multiplier.exact_table[:4, :4]
    assert {(int(a), int(b)): int(low[a, b]) for a, b in np.argwhere(low)} == {(3, 3): -2}
    metrics = error_metrics(multiplier)
    assert metrics.wcre_pct == pytest.approx(200 / 9, rel=1e-12)
    exact = np.maximum(multiplier.exact_table, 1)
    assert round(100 * float((np.abs(multiplier.table - multiplier.exact_table) / exact).mean()), 2) == 3.25


def test_mitchell_never_exceeds_the_product_and_misses_at_most_a_ninth() -> None:
    multiplier = family_multiplier("mitchell")
    assert (multiplier.table <= multiplier.exact_table).all()
    assert error_metrics(multiplier).wcre_pct == pytest.approx(100 / 9, rel=1e-12)
    powers = 2 ** np.arange(8)
    assert (multiplier.table[powers] == multiplier.exact_table[powers]).all()


def test_roba_error_is_the_product_of_the_rounding_errors() -> None:
    """Published: 11.1 % at most, on either side; powers of two are exact."""
    for name in ("roba", "roba:coding=signed"):
        multiplier = family_multiplier(name)
        assert error_metrics(multiplier).wcre_pct == pytest.approx(100 / 9, rel=1e-12)
        error = multiplier.table - multiplier.exact_table
        assert error.min() < 0 < error.max()
    assert np.linalg.matrix_rank((multiplier.table - multiplier.exact_table).astype(float)) == 1


@pytest.mark.parametrize("k", range(2, 8))
def test_drum_worst_relative_error(k: int) -> None:
    """The operand 2^t is seen as 2^t (1 + 2^(1-k)), the worst case of the paper: 56.25 % for k = 3, 6.35 % for 6."""
    worst = 100 * ((1 + 2.0 ** (1 - k)) ** 2 - 1)
    for end in ("", ",coding=signed"):
        assert error_metrics(family_multiplier(f"drum:k={k}{end}")).wcre_pct == pytest.approx(worst, rel=1e-12)


def test_the_literal_drum_has_the_published_mean_error_at_16_bits() -> None:
    """Hashemi et al.: mean relative error 1.47 % for k = 6 at 16 bits. Ties our description to the paper's figure."""
    rng = np.random.default_rng(0)
    pairs = rng.integers(1, 2**16, (20_000, 2)).tolist()
    product = literal_drum(6)
    mean = sum(abs(product(a, b) - a * b) / (a * b) for a, b in pairs) / len(pairs)
    assert 100 * mean == pytest.approx(1.47, abs=0.03)


def test_compressor_is_wrong_for_4_of_16_inputs_and_the_tree_has_the_published_cells() -> None:
    grid = np.indices((2, 2, 2, 2)).reshape(4, 16)
    total, carry = compress(*grid)
    value = dict(zip(map(tuple, grid.T.tolist()), (total + 2 * carry).tolist(), strict=True))
    assert {x: v for x, v in value.items() if v != sum(x)} == WRONG
    counts = [[sum(cells.count(size) for cells in stage.values()) for size in (4, 2, 3)] for stage in STAGES]
    assert counts == [[8, 2, 2], [10, 1, 1]]
    nothing = family_multiplier("compressor:columns=13").table[0, 0]
    assert nothing > 0, "a compressor of zeros gives 1"


# --- names ----------------------------------------------------------------------------------------------------------


def test_names_are_canonical_and_members_are_not_priced() -> None:
    member = load_multiplier(" bam : v = 4 , h=1 ")
    assert member.name == "bam:h=1,v=4"
    assert member == load_multiplier("bam:h=1,v=4")
    assert member.figures is None
    assert "Mahdiani" in member.origin
    assert "unknown" in member.origin
    assert load_multiplier("recursive2x2").name == "recursive2x2:blocks=7"
    assert load_multiplier("drum:k=4,coding=unsigned").name == "drum:k=4"
    assert load_multiplier("drum:coding=signed,k=4").coding == "signed"
    for family in list_families():
        assert family.source
        assert family.usage.startswith(family.name)


def test_lists_mix_families_and_circuits() -> None:
    found = load_set("mul8u_QKX,bam:h=0,v=4, roba,drum:k=4,coding=signed,exact, bam:v=4,h=0")
    assert [m.name for m in found] == ["mul8u_QKX", "bam:h=0,v=4", "roba", "drum:k=4,coding=signed", "mul8s_1KV6"]


def test_transposed_members() -> None:
    swapped = load_multiplier("operands:a_bits=3,b_bits=6.T")
    assert swapped == load_multiplier("operands:a_bits=6,b_bits=3")
    assert swapped.name == "operands:a_bits=3,b_bits=6.T"
    with pytest.raises(InvalidInputError, match="symmetric"):
        load_multiplier("drum:k=4.T")


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("drum", ("'k' is missing", "drum:k=2..8")),
        ("drum:", ("'k' is missing",)),
        ("drum:k=1", ("2..8",)),
        ("drum:k=9", ("2..8",)),
        ("drum:k=-3", ("2..8",)),
        ("drum:k=4.5", ("2..8",)),
        ("drum:k=four", ("2..8",)),
        ("drum:k=99999999999999999999", ("2..8",)),
        ("drum:k", ("parameter=value",)),
        ("drum:k=", ("parameter=value",)),
        ("drum:k=4,k=5", ("twice",)),
        ("drum:k=4,m=2", ("'m'", "drum:k=2..8")),
        ("drum:k=4,coding=ternary", ("coding=ternary", "unsigned or signed")),
        ("mitchell:coding=signed", ("coding=signed",)),
        ("mitchell:k=3", ("'k'",)),
        ("bam:h=9,v=0", ("h", "0..8")),
        ("truncated:columns=16", ("0..15",)),
        ("k=4", ("without a family",)),
    ],
)
def test_refused_names_say_what_is_allowed(name: str, parts: tuple[str, ...]) -> None:
    with pytest.raises(InvalidInputError) as caught:
        load_multiplier(name)
    for part in parts:
        assert part in str(caught.value)


def test_unknown_families_list_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="drum"):
        load_multiplier("drm:k=4")
    with pytest.raises(UnknownNameError, match="mitchell"):
        load_multiplier("mitchel")


@cache
def _all() -> tuple[Multiplier, ...]:
    ranges = {f.name: [range(p.low, p.high + 1) for p in f.parameters] for f in list_families()}
    names = {f.name: [p.name for p in f.parameters] for f in list_families()}
    found = []
    for family, spans in ranges.items():
        for values in np.ndindex(*(len(span) for span in spans)):
            chosen = ",".join(f"{n}={s[v]}" for n, s, v in zip(names[family], spans, values, strict=True))
            found.append(load_multiplier(f"{family}:{chosen}" if chosen else family))
    return tuple(found)


def test_every_member_fits_the_output_of_a_circuit() -> None:
    """All parameters within range build, and no product needs more than 16 bits."""
    assert len(_all()) > 200
    for multiplier in _all():
        assert multiplier.table.min() >= 0
        assert multiplier.table.max() < 2**16
