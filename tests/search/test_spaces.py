"""Spaces under the laws of the kit, counting against enumeration on drawn spaces, and errors that name the fault."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from axdnn.records import InfeasibleError, InvalidInputError, RecordError, Scalar
from axdnn.search import Categorical, Guidance, Integer, Named, Real, Repeat, Space, When, from_unit, mutate
from axdnn.search.problems import dtlz2, stacks, zdt1
from axdnn.testing import SpaceLaws
from axdnn.testing.search_samplers import law_space


class TestFlat(SpaceLaws):
    def make_space(self) -> Space:
        return zdt1(3, 5).space


class TestContinuous(SpaceLaws):
    def make_space(self) -> Space:
        return dtlz2().space


class TestBlocks(SpaceLaws):
    def make_space(self) -> Space:
        return stacks(3).space


class TestEveryKindWithARule(SpaceLaws):
    def make_space(self) -> Space:
        return law_space()


class TestNestedBlocks(SpaceLaws):
    def make_space(self) -> Space:
        layer = (
            Categorical(name="op", values=("conv", "pool", "skip")),
            Integer(name="kernel", low=1, high=5, step=2, when=(When(field="op", values=("conv",)),)),
            Real(name="skip", low=0.0, high=0.2, step=0.1, when=(When(field="mode", values=("deep",)),)),
        )
        stage = (Repeat(name="layers", least=0, most=2, fields=layer), Categorical(name="stride", values=(1, 2)))
        return Space(
            (
                Categorical(name="mode", values=("deep", "flat")),
                Repeat(name="stages", least=1, most=2, fields=stage, when=(When(field="mode", values=("deep",)),)),
                Integer(name="head", low=8, high=512, log=True, when=(When(field="stages", values=(2,)),)),
            )
        )


def even(candidate: Mapping[str, Scalar]) -> str | None:
    return "a + b must be even" if (int(candidate["a"]) + int(candidate["b"])) % 2 else None


def make_even(candidate: Mapping[str, Scalar]) -> Mapping[str, Scalar]:
    return {**candidate, "b": candidate["a"]}


class TestMended(SpaceLaws):
    def make_space(self) -> Space:
        fields = (Integer(name="a", low=0, high=9), Integer(name="b", low=0, high=9))
        return Space(fields, check=even, repair=make_even)


@st.composite
def spaces(draw: st.DrawFn, depth: int = 2, outer: tuple[Any, ...] = ()) -> tuple[Any, ...]:
    """Fields with random conditions on those before them, blocks included."""
    fields: list[object] = []
    known = list(outer)
    for i in range(draw(st.integers(1, 3))):
        name = f"f{depth}{i}"
        conditions = []
        if known and draw(st.booleans()):
            other, values = draw(st.sampled_from(known))
            conditions.append(When(field=other, values=tuple(draw(st.sets(st.sampled_from(values), min_size=1)))))
        when = tuple(conditions)
        kind = draw(st.sampled_from(("categorical", "integer", "real", *(("repeat",) if depth else ()))))
        if kind == "categorical":
            values = tuple(range(draw(st.integers(1, 3))))
            fields.append(Categorical(name=name, values=values, when=when))
            known.append((name, values))
        elif kind == "integer":
            fields.append(Integer(name=name, low=1, high=3, when=when))
            known.append((name, (1, 2, 3)))
        elif kind == "real":
            fields.append(Real(name=name, low=0.0, high=0.2, step=0.1, when=when))
        else:
            least = draw(st.integers(0, 1))
            inner = draw(spaces(depth=0, outer=tuple(known)))
            fields.append(Repeat(name=name, least=least, most=2, fields=inner, when=when))
            known.append((name, tuple(range(least, 3))))
    return tuple(fields)


@settings(max_examples=60)
@given(spaces())
def test_counting_is_enumeration(fields: tuple[Categorical, ...]) -> None:
    space = Space(fields)
    if space.size > 20_000:
        return
    found = [tuple(candidate.items()) for candidate in space.all()]
    assert len(found) == len(set(found)) == space.size
    assert not [c for c in found[:200] if space.why_invalid(dict(c))]


def test_sizes_of_large_spaces() -> None:
    layers = tuple(Categorical(name=f"layer{i}", values=tuple(range(36))) for i in range(54))
    assert Space(layers).size == 36**54
    assert Space(layers).size_text == str(36**54)
    assert dtlz2().space.size == math.inf
    assert dtlz2().space.size_text == "inf"
    optional = Real(name="x", low=0.0, high=1.0, when=(When(field="n", values=(2,)),))
    assert Space((Integer(name="n", low=0, high=2), optional)).size == math.inf
    began = time.monotonic()
    block = stacks(2).space.fields[0]
    assert isinstance(block, Repeat)
    assert Space((Repeat(name="blocks", least=50, most=50, fields=block.fields),)).size == 13**50
    print(f"counted 50 blocks in {time.monotonic() - began:.2f} s")


def test_preferences_of_values() -> None:
    space, rng = zdt1(4, 11).space, np.random.default_rng(0)
    start = dict.fromkeys((f"x{i}" for i in range(4)), 5)
    guidance = Guidance({"x0": 0.0, "x1": 3.0}, {"x1": {7: 3.0, 9: 1.0}, "x2": {0: 1.0}})
    children = [mutate(space, start, rng, 1, guidance) for _ in range(2000)]
    changed = [next(path for path in child if child[path] != 5) for child in children]
    assert "x0" not in changed
    assert 0.54 < changed.count("x1") / 2000 < 0.66  # 3 of 5
    sevens = [child["x1"] for child in children if child["x1"] != 5]
    assert set(sevens) == {7, 9}
    assert 0.70 < sevens.count(7) / len(sevens) < 0.80
    assert {child["x2"] for child in children} == {5, 0}


def test_a_space_without_valid_candidates() -> None:
    space = Space((Integer(name="a", low=0, high=1),), check=lambda c: "nothing pleases")
    with pytest.raises(InfeasibleError, match="1000 draws were refused; the last: nothing pleases"):
        space.sample(np.random.default_rng(0))
    lonely = Space((Categorical(name="a", values=("x",)),))
    with pytest.raises(InfeasibleError, match="second value"):
        mutate(lonely, {"a": "x"}, np.random.default_rng(0))


A = Categorical(name="a", values=("x", "y"))
R = Real(name="r", low=0.0, high=1.0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Space(()), "at least one field"),
        (lambda: Space((A, A)), "names of fields must differ.*a twice"),
        (lambda: Categorical(name="a/b", values=(1,)), "name without '/'"),
        (lambda: Categorical(name="a", values=()), "at least one value"),
        (lambda: Categorical(name="a", values=(1, True)), "values of a must differ"),
        (lambda: Categorical(name="a", values=(math.nan,)), "finite"),
        (lambda: Integer(name="a", low=3, high=2), "low <= high must hold for a, but got low=3, high=2"),
        (lambda: Integer(name="a", low=0, high=5, step=2), "multiple of step"),
        (lambda: Integer(name="a", low=0, high=5, log=True), "logarithmic a"),
        (lambda: Real(name="a", low=0.0, high=1.0, step=0.3), "multiple of step"),
        (lambda: Real(name="a", low=0.0, high=1.0, log=True), "low > 0"),
        (lambda: Real(name="a", low=0.0, high=math.inf), "finite"),
        (lambda: Repeat(name="a", least=2, most=1, fields=(A,)), "least <= most"),
        (lambda: Repeat(name="a", least=0, most=1, fields=()), "must have fields"),
        (lambda: When(field="a", values=()), "at least one value"),
        (lambda: Space((Integer(name="b", low=0, high=1, when=(When(field="c", values=(1,)),)), A)), "field before it"),
        (lambda: Space((A, Integer(name="b", low=0, high=1, when=(When(field="a", values=("z",)),)))), "a='z'"),
        (
            lambda: Space((R, Categorical(name="b", values=(1,), when=(When(field="r", values=(1.0,)),)))),
            "or an integer",
        ),
    ],
)
def test_faults_of_a_space_are_named(make: object, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        make()  # type: ignore[operator]


def test_faults_of_candidates_are_named() -> None:
    space = stacks(2).space
    good = {"blocks": 1, "blocks/0/kind": "pool"}
    assert space.why_invalid(good) == ""
    assert space.why_invalid({**good, "blocks": 3}) == "blocks must be a whole number from 1 to 2, but got 3"
    assert space.why_invalid({**good, "blocks": True}).startswith("blocks must be a whole number")
    reason = space.why_invalid({**good, "blocks/0/width": 1})
    assert reason == "blocks/0/width exists only with blocks in ['1', '2'] and blocks/0/kind in ['conv']"
    with pytest.raises(InvalidInputError, match="no field of the space"):
        space.flat({"blocks": [{"kind": "pool", "depth": 3}]})
    with pytest.raises(InvalidInputError, match="7 numbers"):
        from_unit(space, [0.5])
    with pytest.raises(RecordError, match="SpaceFields"):
        Space.from_json('{"_type": "Space", "_version": 1}')
    with pytest.raises(RecordError, match="low <= high"):
        Space.from_json(Space((Integer(name="n", low=0, high=7),)).to_json().replace('"low": 0', '"low": 9'))


def test_equal_spaces_and_candidates_have_equal_digests() -> None:
    assert stacks(2).space.digest == stacks(2).space.digest != stacks(3).space.digest
    space = Space((Real(name="x", low=0.0, high=1.0, step=0.1), Integer(name="n", low=0, high=3)))
    assert space.key({"x": 0.1 + 0.2, "n": 1}) == space.key({"n": 1, "x": 0.3})
    assert space.exact({"x": 0.1 + 0.2, "n": 1}) == {"x": 0.3, "n": 1}
    assert Named("a:b").plain() == {"name": "a:b", "settings": {}}
