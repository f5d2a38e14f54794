"""Skipped neurons in the integer network: nothing skipped changes nothing, the rest against literal references."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from axdnn.kernels import ABSENT, APPROXIMATE, EXACT
from axdnn.layers import ApproxModel, Calibration, Recipe, build, fit_coding
from axdnn.models import build_model
from axdnn.multipliers import load_multiplier
from axdnn.quant import CapturedModel, capture, dead_inputs, fold_batch_norm, network_of
from axdnn.records import InvalidInputError, Multiplier, UnknownNameError

PLAIN = Recipe(fit_rows=64, compensate=False)
Skip = Mapping[str, tuple[int, ...]]
SKIPS: dict[str, Skip] = {
    "chain": {"conv1": (0, 3), "conv2": (1, 5, 6), "fc1": (2, 7, 11)},
    "residual": {"stem": (1, 4), "wide": (0, 5), "deep": (1, 4)},
}
CIRCUITS = ("exact", "mul8s_1L2N", "mul8s_1L2H", "mul8u_QKX", "mul8u_13QR")  # f(a, 0) is not 0 in 1L2H's table
BOTH = pytest.mark.parametrize("net", ["chain", "residual"])


class Made:
    """A captured network with codings of one circuit, from which networks with skips are built."""

    def __init__(
        self, model: nn.Module, images: torch.Tensor, circuit: Multiplier | str = "exact", recipe: Recipe = PLAIN,
        terms: Mapping[str, torch.Tensor] | None = None,
    ) -> None:  # fmt: skip
        self.captured: CapturedModel = fold_batch_norm(capture(model, images))
        self.data = Calibration(self.captured, images, recipe.fit_rows)
        self.network, self.recipe = network_of(self.captured, "net"), recipe
        one = load_multiplier(circuit) if isinstance(circuit, str) else circuit
        self.codings = {
            name: fit_coding(replace(self.data.samples[name], terms=(terms or {}).get(name)), one, recipe)
            for name in self.captured.layer_names
        }

    def build(self, skip: Skip | None = None, absent: Skip | None = None) -> ApproxModel:
        return build(self.data, self.codings, self.network, self.recipe, skip=skip, absent=absent)


def zeroed(model: nn.Module, skip: Skip) -> nn.Module:
    """The module with weights and biases of the skipped channels set to 0 (a copy)."""
    found = copy.deepcopy(model)
    with torch.no_grad():
        for name, channels in skip.items():
            layer = found.get_submodule(name)
            layer.weight[list(channels)] = 0
            if layer.bias is not None:
                layer.bias[list(channels)] = 0
    return found


@BOTH
@pytest.mark.parametrize("circuit", CIRCUITS)
def test_skipping_nothing_is_the_plain_network(net: str, circuit: str, nets: SimpleNamespace) -> None:
    model, calibration, images = getattr(nets, net)
    for recipe in (PLAIN, Recipe(fit_rows=64)):
        made = Made(model, calibration, circuit, recipe)
        plain = made.build()(images)
        for nothing in ({}, dict.fromkeys(made.captured.layer_names, ())):
            assert torch.equal(made.build(nothing, nothing)(images), plain)


def test_skipping_is_zeroed_weights_and_bias(nets: SimpleNamespace) -> None:
    """Exact circuit, same codings: the network whose torch weights of these channels were 0, bit for bit."""
    model, calibration, images = nets.chain
    skip = SKIPS["chain"]
    made, other = Made(model, calibration), Made(zeroed(model, skip), calibration)
    for name, coding in made.codings.items():
        codes = coding.w_codes.clone()
        codes[0, list(skip.get(name, ()))] = 0
        other.codings[name] = replace(coding, w_codes=codes)
    other.data.encodings = made.data.encodings
    assert torch.equal(made.build(skip)(images), other.build()(images))
    assert not torch.equal(made.build(skip)(images), made.build()(images))


@BOTH
@pytest.mark.parametrize("circuit", CIRCUITS)
def test_a_network_with_skips_is_the_literal_one(net: str, circuit: str, nets: SimpleNamespace) -> None:
    """The law written out in NumPy, with the sums of skipped channels set to 0."""
    model, calibration, images = getattr(nets, net)
    for recipe in (PLAIN, Recipe(fit_rows=64)):
        found = Made(model, calibration, circuit, recipe).build(SKIPS[net])
        literal = nets.literal(found)
        assert np.array_equal(found(images).numpy(), _skipping(literal, SKIPS[net], net)(images))


def _skipping(literal: Any, skip: Skip, net: str) -> Any:
    for kind in ("conv", "linear"):
        original = getattr(literal, kind)

        def skipped(name: str, *args: Any, original: Any = original, kind: str = kind, **options: Any) -> np.ndarray:
            sums = original(name, *args, **options)
            sums[:, list(skip.get(name, ()))] = 0
            return sums

        setattr(literal, kind, skipped)
    return getattr(literal, net)


@BOTH
@pytest.mark.parametrize("circuit", CIRCUITS)
def test_every_path_is_the_reference(net: str, circuit: str, nets: SimpleNamespace) -> None:
    """Skips, absent inputs and exact terms together, depthwise and grouped convolutions among them."""
    model, calibration, images = getattr(nets, net)
    bare = Made(model, calibration)
    generator = torch.Generator().manual_seed(4)
    terms = {
        name: torch.where(torch.rand(bare.data.samples[name].weight.shape[2], generator=generator) < 0.5,
                          EXACT, APPROXIMATE).to(torch.uint8)
        for name in bare.captured.layer_names
    }  # fmt: skip
    for recipe, marked in ((PLAIN, None), (PLAIN, terms), (Recipe(fit_rows=64), terms)):
        made = Made(model, calibration, circuit, recipe, marked)
        found = made.build(SKIPS[net], dead_inputs(made.captured, SKIPS[net]))
        fast = found(images)
        assert torch.isfinite(fast).all()
        assert torch.equal(torch.cat([found(one) for one in images.split(3)]), fast)
        found.path = "reference"
        assert torch.equal(found(images), fast)


def removed_equals_masked(made: Made, skip: Skip, images: torch.Tensor) -> None:
    dead = dead_inputs(made.captured, skip)
    assert dead
    masked, removed = made.build(skip), made.build(skip, dead)
    assert any(layer.terms is not None for layer in map(removed.layer, removed.layer_names))
    assert torch.equal(removed(images), masked(images))
    assert not torch.equal(masked(images), made.build()(images))


@BOTH
def test_removal_is_masking(net: str, nets: SimpleNamespace) -> None:
    model, calibration, images = getattr(nets, net)
    removed_equals_masked(Made(model, calibration), SKIPS[net], images)


@pytest.mark.parametrize(("name", "channels", "size"), [("lenet5", 1, 28), ("resnet8", 3, 32)])
def test_removal_is_masking_in_known_networks(name: str, channels: int, size: int, nets: SimpleNamespace) -> None:
    model = nets.lively(build_model(name, channels, 10, size))
    made = Made(model, nets.images(6, channels, size, size))
    rng, skip = np.random.default_rng(0), {}
    for layer in made.captured.layer_names[:-1]:
        count = made.captured.layer(layer).weight.shape[0]
        skip[layer] = tuple(sorted(rng.choice(count, count // 3, replace=False).tolist()))
    removed_equals_masked(made, skip, nets.images(3, channels, size, size, seed=5))


@BOTH
def test_absent_terms_are_no_products(net: str, nets: SimpleNamespace) -> None:
    """Whatever an absent input holds, and whatever the circuit makes of zero, the sums do not see it."""
    model, calibration, _ = getattr(nets, net)
    for circuit in CIRCUITS:
        made = Made(model, calibration, circuit)
        name = "conv2" if net == "chain" else "wide"
        layer = made.build(absent={name: (0, 2)}).layer(name)
        generator = torch.Generator().manual_seed(1)
        e = layer.coding.encoding
        codes = torch.randint(-128 if e.signed else 0, 128 if e.signed else 256, (2, 6, 7, 6), generator=generator)
        codes = codes.to(torch.int8 if e.signed else torch.uint8)
        other = codes.clone()
        other[:, [0, 2]] = e.zero_point
        assert torch.equal(layer.sums(codes), layer.sums(other))
        kept = made.build().layer(name)
        assert not torch.equal(kept.sums(codes), kept.sums(other))


def test_absent_inputs_of_a_depthwise_layer_keep_its_bias(nets: SimpleNamespace) -> None:
    model, calibration, images = nets.residual
    made = Made(model, calibration)
    layer = made.build(absent={"deep": (2,)}).layer("deep")
    assert (layer.terms[2] == ABSENT).all()
    assert not layer.terms[[0, 1, 3, 4, 5]].any()
    codes = layer.coding.encoding.quantise(images[:, :1].expand(-1, 6, -1, -1))
    sums = layer.sums(codes)
    assert (sums[:, 2] == layer.bias[2]).all()
    assert torch.equal(sums[:, 3], made.build().layer("deep").sums(codes)[:, 3])


@pytest.mark.parametrize("kind", ["skip", "absent"])
def test_what_is_not_there_is_refused(kind: str, nets: SimpleNamespace) -> None:
    model, calibration, _ = nets.chain
    made = Made(model, calibration)
    with pytest.raises(UnknownNameError, match="conv1"):
        made.build(**{kind: {"conv9": (0,)}})
    for which in ((8,), (-1,), tuple(range(8))):
        with pytest.raises(InvalidInputError, match="at least one"):
            made.build(**{kind: {"conv2": which}})
