"""Prices of a network with skipped neurons: exactly what is left out is not paid."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from axdnn.hardware import estimate, load_accelerator, paper_literal, thinned
from axdnn.records import Assignment, InvalidInputError, Layer, Network, UnknownNameError


@pytest.fixture(scope="module")
def net() -> Network:
    """Convolutions with windows, a grouped and a depthwise one, linear layers; words as the shapes have them."""

    def layer(name: str, side: int, c_in: int, c_out: int, kernel: int, groups: int = 1) -> Layer:
        return Layer(
            name=name, kind="conv2d" if kernel else "linear", m=side * side, k=c_in // groups * max(kernel, 1) ** 2,
            n=c_out // groups, groups=groups, kernel=(max(kernel, 1),) * 2, input_words=c_in * side * side,
            output_words=c_out * side * side, in_shape=(c_in, side, side), out_shape=(c_out, side, side),
        )  # fmt: skip

    layers = (
        layer("conv1", 12, 3, 16, 3), layer("deep", 12, 16, 16, 3, groups=16), layer("wide", 12, 16, 24, 3, groups=2),
        layer("point", 6, 24, 40, 1), layer("fc1", 1, 40, 30, 0), layer("fc2", 1, 30, 10, 0),
    )  # fmt: skip
    return Network(name="net", layers=layers, peak_activation_words=4608)


def drawn(net: Network, seed: int) -> Assignment:
    rng = np.random.default_rng(seed)
    names = rng.choice(["mul8s_1KV6", "mul8s_1L2N", "QKX_sm"], len(net.layers))
    skip, absent = {}, {}
    for layer in net.layers:
        outputs, inputs = layer.n * layer.groups, layer.k * layer.groups // layer.kernel[0] ** 2
        skip[layer.name] = tuple(rng.choice(outputs, int(rng.integers(0, outputs)), replace=False).tolist())
        absent[layer.name] = tuple(rng.choice(inputs, int(rng.integers(0, inputs)), replace=False).tolist())
    return Assignment(multipliers=dict(zip(net.layer_names, names.tolist(), strict=True)), skip=skip, absent=absent)


def plain(assignment: Assignment) -> Assignment:
    return Assignment(multipliers=assignment.multipliers)


@pytest.mark.parametrize("seed", range(6))
def test_what_is_left_is_counted_weight_by_weight(net: Network, seed: int) -> None:
    """Weights of dense layers one by one; of a depthwise one the groups; of a grouped one the largest group."""
    assignment = drawn(net, seed)
    for before, after in zip(net.layers, thinned(net, assignment).layers, strict=True):
        skip, absent = set(assignment.skip[before.name]), set(assignment.absent[before.name])
        window, outputs = before.kernel[0] ** 2, before.n * before.groups
        inputs = before.k * before.groups // window
        kept = [o for o in range(outputs) if o not in skip]
        if before.groups == 1:
            weights = sum(window for o in kept for i in range(inputs) if i not in absent)
            assert after.k * after.n == weights
            assert before.m * before.k * before.n - after.m * after.k * after.n == before.m * (
                before.k * before.n - weights
            )
        else:
            per_group = [sum(o // before.n == g for o in kept) for g in range(before.groups)]
            assert (after.groups, after.n) == (sum(c > 0 for c in per_group), max(per_group))
            assert after.k == before.k
            assert after.groups * after.n >= len(kept)
        assert after.output_words * outputs == before.output_words * len(kept)
        assert after.input_words * inputs == before.input_words * (inputs - len(absent))
        assert (after.m, after.kernel, after.kind, after.name) == (before.m, before.kernel, before.kind, before.name)


@pytest.mark.parametrize("chip", ["tpu_v4", "xai_gen", "sosa_32x32"])
@pytest.mark.parametrize("seed", range(3))
def test_a_skip_is_the_smaller_network(net: Network, multipliers: Any, chip: str, seed: int) -> None:
    """In both cost models and readings, and what is skipped twice or in another order is the same."""
    assignment = drawn(net, seed)
    small = thinned(net, assignment)
    for reading in ("buildable", "ideal"):
        by_hand = estimate(small, plain(assignment), chip, multipliers=multipliers, reading=reading)
        found = estimate(net, assignment, chip, multipliers=multipliers, reading=reading)
        assert found == by_hand
        assert (
            found.energy_j < estimate(net, plain(assignment), chip, multipliers=multipliers, reading=reading).energy_j
        )
    again = msgspec.structs.replace(assignment, skip={n: which[::-1] * 2 for n, which in assignment.skip.items()})
    assert thinned(net, again) == small
    by_hand = paper_literal(small, plain(assignment), multipliers=multipliers)
    assert paper_literal(net, assignment, multipliers=multipliers) == by_hand
    assert by_hand.energy_j <= paper_literal(net, plain(assignment), multipliers=multipliers).energy_j


def test_each_skipped_neuron_costs_no_more(net: Network, multipliers: Any) -> None:
    """Skipping one neuron after another never raises energy, latency or memory; fewer weights are stored."""
    chip = load_accelerator("tpu_v4").replace(rows=8, columns=8)
    for name, count in (("conv1", 16), ("deep", 16), ("wide", 24), ("fc1", 30)):
        seen: list[tuple[float, float, float, float]] = []
        for skipped in range(0, count, 3):
            assignment = Assignment(
                multipliers=dict.fromkeys(net.layer_names, "mul8s_1L2N"), skip={name: tuple(range(skipped))}
            )
            report = estimate(net, assignment, chip, multipliers=multipliers)
            paper = paper_literal(net, assignment, multipliers=multipliers).energy_j
            seen.append((report.energy_j, report.multiplier_energy_j, report.latency_s, paper))
        assert (np.diff(np.array(seen), axis=0) <= 1e-12 * np.array(seen)[:-1]).all(), name
        assert seen[-1][1] < seen[0][1]


def test_nothing_left_out_is_the_network_itself(net: Network) -> None:
    names = dict.fromkeys(net.layer_names, "mul8s_1KV6")
    assert thinned(net, Assignment(multipliers=names)) is net
    assert thinned(net, Assignment(multipliers=names, skip={"conv1": ()}, absent={"fc1": ()})) is net


@pytest.mark.parametrize(
    ("part", "error", "text"),
    [
        ({"skip": {"conv9": (0,)}}, UnknownNameError, "conv1"),
        ({"absent": {"fc3": (0,)}}, UnknownNameError, "fc"),
        ({"skip": {"conv1": (16,)}}, InvalidInputError, "0..15"),
        ({"skip": {"conv1": (-1,)}}, InvalidInputError, "0..15"),
        ({"skip": {"conv1": tuple(range(16))}}, InvalidInputError, "at least one"),
        ({"skip": {"wide": (24,)}}, InvalidInputError, "0..23"),
        ({"absent": {"conv1": (3,)}}, InvalidInputError, "0..2"),
        ({"absent": {"wide": (16,)}}, InvalidInputError, "0..15"),
        ({"absent": {"fc2": tuple(range(30))}}, InvalidInputError, "at least one"),
    ],
)
def test_what_is_refused(net: Network, multipliers: Any, part: Any, error: type[Exception], text: str) -> None:
    assignment = Assignment(multipliers=dict.fromkeys(net.layer_names, "mul8s_1KV6"), **part)
    for call in (
        lambda: thinned(net, assignment),
        lambda: estimate(net, assignment, multipliers=multipliers),
        lambda: paper_literal(net, assignment, multipliers=multipliers),
    ):
        with pytest.raises(error, match=text):
            call()
