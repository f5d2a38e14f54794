"""Limits of a network, as hooks of a space: `check` says what is broken, `repair` mends it after a crossover."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from axdnn.nas.layout import HEAD_MULTIPLIER, layout_of
from axdnn.nas.options import SpaceOptions
from axdnn.records import Scalar
from axdnn.search import Named

Candidate = Mapping[str, Scalar]


class Hook(Named):
    """A hook of a space that keeps its settings with it, so that a worker elsewhere can make it again."""

    def __call__(self, candidate: Candidate) -> Any:
        """Call the function that the factory makes."""
        return _made(self.name, repr(dict(self.settings)), self)(candidate)

    def __hash__(self) -> int:
        """Hash by name and settings, which are plain data."""
        return hash((self.name, repr(dict(self.settings))))


@lru_cache(maxsize=32)
def _made(name: str, settings: str, hook: Hook) -> Callable[..., Any]:
    return hook.make()


def checker(**options: Any) -> Callable[[Candidate], str | None]:
    """Return the hook `check` of a space with these options."""
    asked = SpaceOptions.from_dict(options)
    return lambda candidate: why_not(candidate, asked)


def repairer(**options: Any) -> Callable[[Candidate], Candidate]:
    """Return the hook `repair` of a space with these options."""
    asked = SpaceOptions.from_dict(options)
    return lambda candidate: repaired(candidate, asked)


def why_not(candidate: Candidate, options: SpaceOptions) -> str | None:
    """Return which limit a candidate breaks and by how much, or None."""
    layout = layout_of(candidate, options)
    if layout.blocks[0].operator == "residual":
        return "layers/0/operator must be conv or pool: there is nothing beside which a shortcut could lie"
    smallest = min(layout.blocks[-1].out_map)
    if smallest < options.least_map:
        return f"the last maps must be at least {options.least_map} wide, but are {smallest}"
    if layout.weights > options.most_weights:
        return f"at most {options.most_weights} weights are allowed, but there are {layout.weights}"
    if layout.macs > options.most_macs:
        return f"at most {options.most_macs} products are allowed, but there are {layout.macs}"
    kinds = len(set(layout.multipliers.values()))
    return f"at most {options.most_kinds} kinds of multipliers fit, but there are {kinds}" if (
        kinds > options.most_kinds) else None  # fmt: skip


def repaired(candidate: Candidate, options: SpaceOptions) -> dict[str, Scalar]:
    """Return a candidate near a given one that keeps the limits, where steps down the offered values lead there.

    In this order: the first layer becomes a `conv` if it is residual; strides and pooling go, last layers first, until
    the maps are large enough; the layer with most products gets more stride where the map allows, or fewer channels, or
    a smaller kernel, until weights and products are few enough; the rarest kinds of multipliers become the nearest of
    those that stay.
    """
    found = dict(candidate)
    if not options.topology:
        _mend_first(found, options)
        _widen_maps(found, options)
        _lighten(found, options)
    _merge_kinds(found, options)
    return found


def _mend_first(found: dict[str, Scalar], options: SpaceOptions) -> None:
    if found["layers/0/operator"] == "residual":
        found["layers/0/operator"] = "conv"
        found.setdefault("layers/0/channels", min(options.channels))
        found.setdefault("layers/0/stride", max(options.strides))


def _widen_maps(found: dict[str, Scalar], options: SpaceOptions) -> None:
    for i in reversed(range(int(found["layers"]))):
        if min(layout_of(found, options).blocks[-1].out_map) >= options.least_map:
            return
        place = f"layers/{i}/"
        if found[f"{place}operator"] == "pool":
            found[f"{place}operator"], found[f"{place}stride"] = "conv", min(options.strides)
        elif found[f"{place}operator"] == "conv":
            found[f"{place}stride"] = min(options.strides)


def _lighten(found: dict[str, Scalar], options: SpaceOptions) -> None:
    """Step down the heaviest layer that can step down, while there are too many weights or products."""
    for _ in range(100):
        layout = layout_of(found, options)
        heavy_weights, heavy_macs = layout.weights > options.most_weights, layout.macs > options.most_macs
        if not (heavy_weights or heavy_macs):
            return
        flat = layout.readout == "flatten" and "average" in options.readouts
        if heavy_weights and flat and 2 * layout.features * layout.classes > layout.weights:
            found["readout"] = "average"
            continue
        order = sorted(range(len(layout.blocks)), key=lambda i: -_load(layout.blocks[i], heavy_macs))
        if not any(_step_down(found, options, i, heavy_macs) for i in order):
            return


def _load(block: Any, heavy_macs: bool) -> int:
    return int(block.macs if heavy_macs else block.weights)


def _step_down(found: dict[str, Scalar], options: SpaceOptions, i: int, heavy_macs: bool) -> bool:
    place = f"layers/{i}/"
    if heavy_macs and found[f"{place}operator"] == "conv" and found[f"{place}stride"] != max(options.strides):
        tried = {**found, f"{place}stride": max(options.strides)}
        if min(layout_of(tried, options).blocks[-1].out_map) >= options.least_map:
            found[f"{place}stride"] = max(options.strides)
            return True
    for name, offered in (("channels", options.channels), ("kernel", options.kernels)):
        smaller = [v for v in offered if f"{place}{name}" in found and v < found[f"{place}{name}"]]  # type: ignore[operator]
        if smaller:
            found[f"{place}{name}"] = max(smaller)
            return True
    return False


def _merge_kinds(found: dict[str, Scalar], options: SpaceOptions) -> None:
    places = [f"layers/{i}/multiplier" for i in range(int(found["layers"]))] + [HEAD_MULTIPLIER]
    rank = {name: i for i, name in enumerate(options.multipliers)}
    while True:
        uses = Counter(str(found[place]) for place in places)
        if len(uses) <= options.most_kinds:
            return
        rarest = min(uses, key=lambda name: (uses[name], -rank[name]))
        nearest = min((name for name in uses if name != rarest), key=lambda name: (abs(rank[name] - rank[rarest]),
                                                                                    rank[name]))  # fmt: skip
        for place in places:
            if found[place] == rarest:
                found[place] = nearest
