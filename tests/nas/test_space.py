"""The space of networks: size, limits, repair, fixed topologies, hooks that other processes find, bad input."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from axdnn.multipliers import power_ratio
from axdnn.nas import SpaceOptions, error_of, ladder_of, layout_of, network_space, repaired, why_not
from axdnn.records import AxdnnError, InvalidInputError
from axdnn.search import crossover, mutate

KINDS = ("mul8s_1KV6", "mul8u_T83")


def tiny(**changes: Any) -> SpaceOptions:
    given: dict[str, Any] = {
        "image": (1, 12, 12), "classes": 10, "multipliers": KINDS, "least": 1, "most": 2, "kernels": (3,),
        "strides": (1, 2), "channels": (2, 4), "skips": (0.0, 0.5), "readouts": ("average",), "least_map": 1,
    }  # fmt: skip
    return SpaceOptions(**{**given, **changes})


def test_size_is_what_enumeration_counts() -> None:
    space = network_space(tiny(operators=("conv", "residual")))
    loose = [c for n in (1, 2) for c in blocks(n)]
    assert space.size == len({space.key(c) for c in loose}) == len(loose)
    assert {space.key(c) for c in space.all()} == {space.key(c) for c in loose if not why_not(c, tiny())}


def blocks(count: int) -> list[dict[str, Any]]:
    """Every candidate, put together without the space."""
    conv = [("conv", s, c) for s in (1, 2) for c in (2, 4)]
    one = [(op, skip, m) for op in [*conv, ("residual",)] for skip in (0.0, 0.5) for m in KINDS]
    found = []
    for chosen in itertools.product(one, repeat=count):
        for head in KINDS:
            c: dict[str, Any] = {"layers": count, "readout": "average", "head_multiplier": head}
            for i, (op, skip, m) in enumerate(chosen):
                c |= {f"layers/{i}/operator": op[0], f"layers/{i}/kernel": 3, f"layers/{i}/skip": skip}
                c |= {f"layers/{i}/multiplier": m}
                if op[0] == "conv":
                    c |= {f"layers/{i}/stride": op[1], f"layers/{i}/channels": op[2]}
            found.append(c)
    return found


def test_samples_mutations_and_crossovers_keep_the_limits(options: SpaceOptions) -> None:
    space, rng = network_space(options), np.random.default_rng(0)
    parents = [space.sample(rng) for _ in range(40)]
    children = [mutate(space, p, rng, fields=2) for p in parents]
    children += [crossover(space, a, b, rng) for a, b in itertools.pairwise(parents)]
    assert len({p["layers"] for p in parents}) == 3
    for c in parents + children:
        assert space.why_invalid(c) == ""
        layout = layout_of(c, options)
        assert layout.weights <= options.most_weights
        assert layout.macs <= options.most_macs
        assert min(layout.blocks[-1].out_map) >= options.least_map
        assert len(set(layout.multipliers.values())) <= options.most_kinds


def test_repair_makes_valid_what_the_fields_allow(options: SpaceOptions) -> None:
    space, rng = network_space(options), np.random.default_rng(1)
    broken = [c for c in (space.complete({}, rng) for _ in range(300)) if why_not(c, options)]
    assert len(broken) > 100
    mended = [space.complete(repaired(c, options), rng) for c in broken]
    assert sum(space.why_invalid(c) == "" for c in mended) / len(mended) > 0.95
    valid = next(space.sample(rng) for _ in range(1))
    assert repaired(valid, options) == valid


def test_each_limit_says_what_was_broken(candidate: dict[str, Any], options: SpaceOptions) -> None:
    plain = options.as_dict()
    for changes, text in (
        ({"least_map": 9}, "maps must be at least 9 wide"), ({"most_weights": 100}, "at most 100 weights"),
        ({"most_macs": 100}, "at most 100 products"), ({"most_kinds": 1}, "at most 1 kinds"),
    ):  # fmt: skip
        assert text in str(why_not(candidate, SpaceOptions.from_dict({**plain, **changes})))
    assert "shortcut" in str(why_not({**candidate, "layers/0/operator": "residual"}, options))


def test_a_fixed_topology_leaves_multipliers_and_shares() -> None:
    topology = ({"operator": "conv", "kernel": 3, "stride": 2, "channels": 4}, {"operator": "residual", "kernel": 3})
    fixed = tiny(topology=topology)
    space = network_space(fixed)
    assert space.size == (2 * 2) ** 2 * 2 == sum(1 for _ in space.all())
    layouts = {layout_of(c, fixed).topology for c in space.all()}
    assert len(layouts) == 1
    with pytest.raises(InvalidInputError, match="must have operator"):
        network_space(tiny(topology=({"operator": "conv"},)))
    with pytest.raises(InvalidInputError, match="must keep the limits"):
        network_space(tiny(topology=topology, most_macs=10))


def test_hooks_are_found_by_name_in_another_process(options: SpaceOptions, candidate: dict[str, Any]) -> None:
    space = network_space(options)
    plain = space.check.plain()  # type: ignore[union-attr]
    from axdnn.search import Named

    assert Named(**plain).make()({**candidate, "layers/0/operator": "residual"})
    assert SpaceOptions.from_dict(options.as_dict()) == options


def test_the_ladder_goes_down_in_power_and_up_in_error() -> None:
    ladder = ladder_of("evoapprox8b")
    assert ladder[0].name == "mul8s_1KV6"
    assert 5 <= len(ladder) <= 12
    errors, powers = [error_of(m) for m in ladder], [power_ratio(m) for m in ladder]
    assert errors == sorted(errors)
    assert errors[0] == 0.0
    assert powers == sorted(powers, reverse=True)
    assert {m.name for m in ladder_of("mul8u_T83,mul8u_185Q")} == {"mul8s_1KV6", "mul8u_T83", "mul8u_185Q"}


@pytest.mark.parametrize(
    "changes",
    [
        {"kernels": (4,)}, {"operators": ("pool",)}, {"operators": ("conv", "caps")}, {"readouts": ("sum",)},
        {"channels": ()}, {"channels": (4, 4)}, {"skips": (1.0,)}, {"least": 0}, {"most": 0}, {"image": (1, 28)},
        {"most_kinds": 0},
    ],
)  # fmt: skip
def test_bad_options_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(AxdnnError, match=r"must|unknown|no "):
        tiny(**changes)
