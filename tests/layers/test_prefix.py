"""Shared work changes no bit, computes exactly what is new, and stays within its limit."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from axdnn.layers import ActivationCache, ApproxModel, Calibration, Recipe, build, fit_coding, outputs_of, prefix_order
from axdnn.multipliers import load_multiplier
from axdnn.quant import capture, fold_batch_norm, network_of
from axdnn.records import InvalidInputError

CIRCUITS = ("exact", "mul8s_1L12", "mul8u_QKX", "mul8u_13QR")
RECIPES = [
    Recipe(fit_rows=64),
    Recipe(fit_rows=64, in_order=False),
    Recipe(fit_rows=64, compensate=False),
    Recipe(fit_rows=64, unsigned_coding="unsigned"),
]


class Tangled(nn.Module):
    """Two additions, a concatenation, pooling of both kinds, a value with four readers, a layer nobody reads."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.bn = nn.Conv2d(2, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4)
        self.left, self.right = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 1, groups=2)
        self.joined, self.unread = nn.Conv2d(8, 4, 3, padding=1, bias=False), nn.Conv2d(4, 2, 1)
        self.fc1, self.fc2 = nn.Linear(4 * 9, 6), nn.Linear(6, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = F.relu(self.bn(self.stem(x)))
        z = torch.cat([F.relu6(self.left(y)), self.right(y)], 1)
        self.unread(y)
        y = F.max_pool2d(F.relu(y + self.joined(z)), 2)
        y = F.adaptive_avg_pool2d(y, 3).flatten(1)
        y = F.leaky_relu(self.fc1(y))
        return self.fc2(y + torch.tanh(y))


@pytest.fixture(scope="module")
def ready(nets: SimpleNamespace) -> SimpleNamespace:
    """`make(kind, recipe)`: a calibration, its network, and the codings of every layer and circuit."""
    models = {"tangled": (nets.lively(Tangled()), nets.images(12, 2, 12, 12)), "chain": nets.chain[:2]}
    known = {}

    def make(kind: str, recipe: Recipe) -> SimpleNamespace:
        if (kind, recipe) not in known:
            model, images = models[kind]
            captured = fold_batch_norm(capture(model, images))
            data = Calibration(captured, images, recipe.fit_rows, recipe.seed)
            codings = {
                (name, c): fit_coding(data.samples[name], load_multiplier(c), recipe)
                for name in captured.layer_names
                for c in CIRCUITS
            }
            network = network_of(captured, kind)
            known[kind, recipe] = SimpleNamespace(data=data, network=network, codings=codings, recipe=recipe, fresh=[])
        return known[kind, recipe]

    return SimpleNamespace(make=make)


def built(case: SimpleNamespace, candidate: tuple, cache: ActivationCache | None = None) -> ApproxModel:
    circuits, skip, absent = candidate
    codings = {n: case.codings[n, c] for n, c in zip(case.network.layer_names, circuits, strict=True)}
    return build(case.data, codings, case.network, case.recipe, skip=skip, absent=absent, cache=cache)


def candidates(case: SimpleNamespace, count: int, seed: int) -> list[tuple]:
    """Random choices, half of them a change of one layer of an earlier one; some leave something out."""
    rng = np.random.default_rng(seed)
    names, found = case.network.layer_names, []
    for i in range(count):
        circuits = list(rng.choice(CIRCUITS, len(names)))
        if i and rng.random() < 0.6:
            circuits = list(found[rng.integers(i)][0])
            circuits[rng.integers(len(names))] = str(rng.choice(CIRCUITS))
        skip = {str(rng.choice(names[:-1])): (int(rng.integers(2)),)} if rng.random() < 0.3 else {}
        absent = {str(rng.choice(names)): (int(rng.integers(2)),)} if rng.random() < 0.3 else {}
        found.append((tuple(map(str, circuits)), skip, absent))
    return found


def gathered(models: list[ApproxModel], images: torch.Tensor, *args: object) -> list[torch.Tensor]:
    parts: list[list[torch.Tensor]] = [[] for _ in models]
    for i, outputs in outputs_of(models, images, *args):  # type: ignore[arg-type]
        parts[i].append(outputs.clone())
    return [torch.cat(p) for p in parts]


@pytest.mark.parametrize("limit", [1, 3_000, 40_000, 1 << 30])
@pytest.mark.parametrize("recipe", RECIPES, ids=["in order", "on exact inputs", "as they are", "unsigned weights"])
def test_shared_equals_fresh(ready: SimpleNamespace, nets: SimpleNamespace, recipe: Recipe, limit: int) -> None:
    """Outputs, scales and biases, one by one and together, whatever was evicted, in batches or not."""
    case = ready.make("tangled", recipe)
    images = nets.images(7, 2, 12, 12, seed=9) * 1.3
    cache = ActivationCache(case.data, limit)
    chosen = candidates(case, 8, seed=1)
    if not case.fresh:
        case.fresh += [(model, model(images)) for model in (built(case, c) for c in chosen)]
    fresh, wanted = zip(*case.fresh, strict=True)
    shared = []
    for candidate, expected, outputs in zip(chosen, fresh, wanted, strict=True):
        model = built(case, candidate, cache)
        for name in model.layer_names:
            assert torch.equal(model.layer(name).scale, expected.layer(name).scale), name
            assert torch.equal(model.layer(name).bias, expected.layer(name).bias), name
        assert torch.equal(gathered([model], images, cache, 3)[0], outputs)
        assert cache.held_bytes <= limit
        shared.append(model)
    for batch in (2, 7):
        held = cache.held_bytes
        for found, outputs in zip(gathered(shared, images, cache, batch), wanted, strict=True):
            assert torch.equal(found, outputs)
        assert cache.held_bytes <= held, "what was held for the candidates at once is gone with them"
    assert len({tuple(o.flatten().tolist()) for o in wanted}) >= 5, "the test needs candidates that differ"


def test_a_second_look_computes_nothing(ready: SimpleNamespace, nets: SimpleNamespace) -> None:
    case = ready.make("tangled", RECIPES[0])
    cache, images = ActivationCache(case.data), nets.images(7, 2, 12, 12, seed=9)
    candidate = candidates(case, 1, seed=0)[0]
    first = gathered([built(case, candidate, cache)], images, cache)
    computed = cache.computed.copy()
    assert torch.equal(gathered([built(case, candidate, cache)], images, cache)[0], first[0])
    assert cache.computed == computed
    assert set(cache.recalled) == set(case.network.layer_names)


@pytest.mark.parametrize("recipe", RECIPES[:3], ids=["in order", "on exact inputs", "as they are"])
def test_every_layer_is_computed_once_a_prefix(ready: SimpleNamespace, nets: SimpleNamespace, recipe: Recipe) -> None:
    """In a chain: once for each distinct choice up to the layer, and coding of what the next one reads."""
    case = ready.make("chain", recipe)
    names, images = case.network.layer_names, nets.images(9, 1, 14, 12, seed=9)
    chosen = [(c, {}, {}) for c, _, _ in candidates(case, 12, seed=4)]
    cache = ActivationCache(case.data)
    order = prefix_order([c for c, _, _ in chosen])
    models = [built(case, chosen[i], cache) for i in order]
    calibrated = cache.computed.copy()
    gathered(models, images, cache, 4)
    for i, name in enumerate(names):
        after = names[i + 1] if i + 1 < len(names) else None
        distinct = {(c[: i + 1], after and case.codings[after, c[i + 1]].encoding) for c, _, _ in chosen}
        assert calibrated[name] == (len(distinct) * 24 if recipe.compensate and recipe.in_order else 0)
        assert cache.computed[name] - calibrated[name] == len(distinct) * 9
        total = len(chosen) * (9 + (24 if recipe.compensate and recipe.in_order else 0))
        assert cache.computed[name] + cache.recalled[name] == total
    assert cache.recalled[names[0]] > len(chosen), "the test needs prefixes that are shared"


def test_only_what_is_changed_is_computed(ready: SimpleNamespace, nets: SimpleNamespace) -> None:
    """A change of a layer's weights, its coding of activations the same, leaves everything before it alone."""
    case = ready.make("tangled", RECIPES[2])
    images, names = nets.images(7, 2, 12, 12, seed=9), case.network.layer_names
    base = {n: case.codings[n, "exact"] for n in names}
    after = {"stem": set(names) - {"unread"}, "right": {"right", "joined", "fc1", "fc2"}, "fc1": {"fc1", "fc2"}}
    for layer, expected in after.items():
        cache = ActivationCache(case.data)
        gathered([build(case.data, base, case.network, case.recipe, cache=cache)], images, cache)
        before = cache.computed.copy()
        changed = replace(base[layer], w_codes=-base[layer].w_codes.clamp(min=-127))
        model = build(case.data, {**base, layer: changed}, case.network, case.recipe, cache=cache)
        gathered([model], images, cache)
        assert {n for n in names if cache.computed[n] > before[n]} == expected


def test_every_ingredient_is_in_the_key(ready: SimpleNamespace, nets: SimpleNamespace) -> None:
    """One thing in one layer is changed at a time, all in one cache, calibrated in every way."""
    case = ready.make("tangled", RECIPES[2])
    images = nets.images(7, 2, 12, 12, seed=9)
    base = {n: case.codings[n, "mul8u_QKX"] for n in case.network.layer_names}
    own = base["joined"]
    codings = {
        "nothing": own,
        "circuit": replace(own, multiplier=case.codings["joined", "mul8u_13QR"].multiplier),
        "weights": replace(own, w_codes=own.w_codes.flip(-1)),
        "weight scale": replace(own, w_scale=own.w_scale * 1.5),
        "weight zero": replace(own, w_zero=3),
        "exact terms": replace(own, terms=torch.tensor([1] * 30 + [0] * 42, dtype=torch.uint8)),
        "scale": replace(own, encoding=replace(own.encoding, scale=own.encoding.scale * 1.5)),
        "zero point": replace(own, encoding=replace(own.encoding, zero_point=own.encoding.zero_point + 9)),
        "steps": replace(own, encoding=replace(own.encoding, step_bits=3)),
    }
    variants = [(name, {**base, "joined": coding}, {}, {}) for name, coding in codings.items()]
    variants += [("skip", base, {"joined": (1,)}, {}), ("absent", base, {}, {"joined": (1,)})]
    cache, seen = ActivationCache(case.data), {}
    for recipe in RECIPES[:3]:
        for name, chosen, skip, absent in variants:
            arguments = (case.data, chosen, case.network, recipe, (), skip, absent)
            expected = build(*arguments)(images)
            assert torch.equal(gathered([build(*arguments, cache)], images, cache)[0], expected), name
            seen.setdefault(tuple(expected.flatten().tolist()), []).append((name, recipe.compensate, recipe.in_order))
    shows = [same for same in seen.values() if len(same) == 1]
    assert len(shows) >= 3 * len(variants) - 4, "what is changed must show"


def test_the_limit_holds_at_every_step(ready: SimpleNamespace, nets: SimpleNamespace) -> None:
    case = ready.make("tangled", RECIPES[0])
    limit, held = 30_000, []
    cache = ActivationCache(case.data, limit)
    put = cache.put
    cache.put = lambda *a: (put(*a), held.append(cache.held_bytes))[0]  # type: ignore[method-assign]
    models = [built(case, c, cache) for c in candidates(case, 6, seed=2)]
    gathered(models, nets.images(7, 2, 12, 12, seed=9), cache, 4)
    assert max(held) <= limit
    assert max(held) > limit / 2
    assert cache.held_bytes == sum(h.value.nbytes for h in cache._held.values())


def test_a_cache_serves_one_calibration(ready: SimpleNamespace) -> None:
    first, second = ready.make("tangled", RECIPES[0]), ready.make("tangled", RECIPES[1])
    candidate = candidates(first, 1, seed=0)[0]
    with pytest.raises(InvalidInputError, match="another one"):
        built(first, candidate, ActivationCache(second.data))
    with pytest.raises(InvalidInputError, match="another one"):
        list(outputs_of([built(first, candidate)], first.data.images, ActivationCache(second.data)))
    with pytest.raises(InvalidInputError, match="-1"):
        ActivationCache(first.data, -1)


def test_prefix_order_is_a_walk_through_the_tree() -> None:
    """Each prefix occurs in one run without a gap, and branches keep the order of their first occurrence."""
    rng = np.random.default_rng(0)
    choices = [tuple(map(str, rng.integers(0, 3, 5))) for _ in range(60)]
    order = prefix_order(choices)
    assert sorted(order) == list(range(60))
    assert order[0] == 0
    for depth in range(1, 6):
        prefixes = [choices[i][:depth] for i in order]
        changes = 1 + sum(a != b for a, b in pairwise(prefixes))
        assert changes == len(set(prefixes))
    assert prefix_order([]) == []
