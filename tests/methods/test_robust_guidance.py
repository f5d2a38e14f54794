"""Explanations bias mutation: which layer, which way; seeds follow them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from axdnn.methods.robust_xai_nas import (
    BASE,
    Explained,
    base_candidate,
    guidance_of,
    guide,
    leaning,
    nearest,
    save_explained,
    seeds_of,
    shapes_of,
)
from axdnn.nas import SpaceOptions, layout_of, network_space
from axdnn.search import mutate

KINDS = ("mul8s_1KV6", "mul8u_2AC", "mul8u_185Q", "mul8u_12N4", "mul8u_T83")
OPTIONS = SpaceOptions(image=(1, 28, 28), classes=10, multipliers=KINDS, skips=(0.0, 0.25, 0.5), most_kinds=5)


def middle() -> dict[str, Any]:
    """The base network with the middle rung of every ladder."""
    base = base_candidate(OPTIONS, BASE, "flatten")
    base |= {f"layers/{i}/multiplier": KINDS[2] for i in range(3)} | {"head_multiplier": KINDS[2]}
    return base | {f"layers/{i}/skip": 0.25 for i in range(3)}


def explained(values: tuple[float, float, float, float], topology: str = "") -> Explained:
    layout = layout_of(middle(), OPTIONS)
    names = [f"blocks.block{i}.conv" for i in range(3)] + ["fc"]
    scores = dict(zip(names, values, strict=True))
    return Explained(
        topology=topology or layout.topology, shapes=shapes_of(layout), clean=scores, attacked=scores,
        importance=scores, channels={}, images=1, network_images=1,
    )  # fmt: skip


def test_the_layer_that_matters_least_is_changed_most_and_made_coarser() -> None:
    space, rng, base = network_space(OPTIONS), np.random.default_rng(0), middle()
    found = guidance_of(layout_of(base, OPTIONS), explained((0.2, 1.0, 2.4, 0.4)), OPTIONS)
    changes: Counter[int] = Counter()
    coarser: Counter[tuple[int, bool]] = Counter()
    for _ in range(1000):
        child = mutate(space, base, rng, 1, found)
        for i in range(3):
            path = f"layers/{i}/multiplier"
            if child.get(path) != base[path] and path in child:
                changes[i] += 1
                coarser[i, KINDS.index(str(child[path])) > 2] += 1
    assert changes[0] > 3 * changes[1] > 3 * changes[2] > 0
    assert coarser[0, True] > 3 * coarser[0, False]
    assert coarser[2, False] > 1.5 * coarser[2, True]
    plain = sum(
        mutate(space, base, rng, 1).get("layers/0/multiplier") != base["layers/0/multiplier"] for _ in range(500)
    )
    assert changes[0] / 1000 > 1.5 * plain / 500


def test_leaning_shares_the_chance_between_the_sides() -> None:
    found = leaning((0, 1, 2, 3), 1, 0.75)
    assert found[0] == pytest.approx(0.25)
    assert found[2] + found[3] == pytest.approx(0.75)
    assert found[2] == pytest.approx(2 * found[3])
    assert set(leaning((0, 1), 1, 1.0)) == {0}


def test_seeds_spend_error_where_it_matters_least() -> None:
    base = base_candidate(OPTIONS, BASE, "flatten")
    space = network_space(OPTIONS)
    guided, plain = seeds_of(OPTIONS, base, explained((0.2, 1.0, 2.4, 0.4))), seeds_of(OPTIONS, base, None)
    assert guided[0] == plain[0] == base
    assert (len(guided), len(plain)) == (3, 2), "of this short ladder two rungs are the same"
    for seed in (*guided, *plain):
        assert space.why_invalid(seed) == ""
    strong = guided[2]
    rungs = [KINDS.index(str(strong[f"layers/{i}/multiplier"])) for i in range(3)]
    assert rungs[0] > rungs[1] > rungs[2] == 0
    assert strong["layers/0/skip"] > 0.0 == strong["layers/2/skip"]
    assert len(set(layout_of(plain[-1], OPTIONS).multipliers.values())) == 1


def test_guidance_reads_what_is_there_and_takes_the_nearest(tmp_path: Path) -> None:
    from axdnn.search import Guidance

    guidance = guide(str(tmp_path), OPTIONS.as_dict())
    base = middle()
    assert guidance(base) == Guidance()
    save_explained(tmp_path / "a.json", explained((0.2, 1.0, 2.4, 0.4)))
    (tmp_path / "b.json").write_text("{")
    assert guidance(base).weights["layers/0/multiplier"] == 4.0
    wider = layout_of({**base, "layers/2/channels": 12}, OPTIONS)
    other = explained((1.0, 1.0, 1.0, 1.0), topology="f" * 16)
    own = explained((0.2, 1.0, 2.4, 0.4))
    assert nearest(layout_of(base, OPTIONS), [other, own]) is own
    assert nearest(wider, [own]) is own
    assert nearest(wider, []) is None
