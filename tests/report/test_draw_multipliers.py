"""Figures that compare multipliers: which points form the front, and what is drawn where."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from axdnn.records import InvalidInputError, Multiplier
from axdnn.report import ParetoPoint, draw_error_maps, draw_pareto, error_map_data, front, to_png

SMALL = st.integers(0, 6).map(float)
POINTS = st.lists(
    st.builds(ParetoPoint, st.text("ab", max_size=2), st.sampled_from(("signed", "unsigned")), SMALL, SMALL,
              st.one_of(st.none(), SMALL)), max_size=12,
)  # fmt: skip


@given(POINTS)
def test_the_front_is_what_nothing_beats(points: Sequence[ParetoPoint]) -> None:
    priced = [(p.power_ratio, p.mae_pct) for p in points if p.power_ratio is not None]
    unbeaten = {(x, y) for x, y in priced if not any((u, v) != (x, y) and u <= x and v <= y for u, v in priced)}
    found = front(points, "mae_pct")
    assert [(p.power_ratio, p.mae_pct) for p in found] == sorted(unbeaten)


def multiplier(name: str, error: int) -> Multiplier:
    exact = np.multiply.outer(np.arange(256), np.arange(256))
    return Multiplier.from_table(exact + error * (exact > 0), signed=False, name=name)


def test_every_named_multiplier_is_in_the_legend_and_unpriced_ones_in_the_note() -> None:
    library = [ParetoPoint(f"lib{i}", "unsigned", 10.0**-i, 10.0 ** (1 - i), i / 4) for i in range(5)]
    named = [
        ParetoPoint("priced one", "signed", 0.5, 5.0, 0.3),
        ParetoPoint("without power", "unsigned", 0.25, 2.5, None),
        ParetoPoint("exact one", "unsigned", 0.0, 0.0, 1.0),
    ]
    figure = draw_pareto(library, named)
    (legend,) = figure.legends
    assert {p.name for p in named} <= {text.get_text() for text in legend.get_texts()}
    note = figure._supxlabel.get_text()  # type: ignore[attr-defined]
    assert "without power (mean |error| 0.25" in note
    assert "priced one" not in note
    for axes, error in zip(figure.axes, ("mae_pct", "mre_pct"), strict=True):
        low, high = axes.get_ylim()
        drawn = {
            (round(float(x), 9), float(y))
            for c in axes.collections
            for x, y in np.asarray(c.get_offsets(), dtype=float)
        }
        for point in (*library, *named):
            assert low < getattr(point, error) < high
            if point.power_ratio is not None:
                assert (round(100 * point.power_ratio, 9), getattr(point, error)) in drawn
        assert any(y == getattr(named[1], error) for _, y in drawn)


def test_many_names_and_long_ones_stay_apart() -> None:
    named = [
        ParetoPoint(f"a/very/long/path/to/some/circuit{i:02}.axmul#0123456789ab", "signed", 1.0, 1.0, None)
        for i in range(12)
    ]
    labels = [text.get_text() for text in draw_pareto([], named).legends[0].get_texts()]
    assert len(set(labels)) == len(labels)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 12])
def test_error_maps_share_one_scale_that_holds_the_worst(count: int) -> None:
    errors = [0, 3, -50_000, 1, 2, 7, -7, 100, 5, 5, 6, 9][:count]
    maps = [error_map_data(multiplier(f"m{i}", e)) for i, e in enumerate(errors)]
    figure = draw_error_maps(maps)
    images = [image for axes in figure.axes for image in axes.get_images() if axes.get_title(loc="left")]
    assert len(images) == count
    worst = max(1, *(data.worst for data in maps))
    for image, data in zip(images, maps, strict=True):
        np.testing.assert_array_equal(np.asarray(image.get_array()), data.error)
        assert image.get_clim() == (-worst, worst)
    with Image.open(io.BytesIO(to_png(figure))) as picture:
        assert picture.width > picture.height / 2


def test_nothing_to_draw_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="named"):
        draw_pareto([], [])
    with pytest.raises(InvalidInputError, match="maps"):
        draw_error_maps([])
