"""A split graph computes what the whole one does, with as many products, in layers whose names can be used."""

from __future__ import annotations

from fnmatch import fnmatchcase

import pytest
import torch
from torch import nn

from axdnn.channels import split_channels
from axdnn.importance import channel_conductance
from axdnn.quant import CapturedModel, capture, network_of
from axdnn.records import InvalidInputError

Example = tuple[CapturedModel, torch.Tensor]
WHOLE = {"up", "pair", "few"}  # too few channels or groups for four parts; products of activations are never split


@pytest.mark.parametrize("groups", [2, 3, 4])
def test_a_split_graph_computes_the_same_with_as_many_products(kinds: Example, groups: int) -> None:
    captured, images = kinds
    importance = {n: torch.rand(len(captured.layer(n).weight)).tolist() for n in ("stem", "depthwise", "shared")}
    split = split_channels(captured, groups, importance)
    torch.testing.assert_close(split.model(images), captured(images), rtol=1e-5, atol=1e-5)
    whole, parts = network_of(captured, "n"), network_of(split.model, "n")
    assert parts.macs == whole.macs
    assert parts.weights == whole.weights
    for layer in whole.layers:
        own = [p for p in parts.layers if p.name == layer.name or p.name.startswith(f"{layer.name}.part")]
        assert sum(p.macs for p in own) == layer.macs
        assert len(own) == (1 if layer.name not in {p.layer for p in split.parts.values()} else groups)
        assert {p.calls for p in own} == {layer.calls}


def test_what_cannot_be_split_stays_whole(kinds: Example) -> None:
    split = split_channels(kinds[0], 4)
    left = {name for name in split.model.layer_names if name not in split.parts}
    assert {name for name in left if kinds[0].nodes[name].op != "matmul"} == WHOLE
    assert len(left) == len(WHOLE) + 1
    assert {p.layer for p in split.parts.values()} == {"stem", "depthwise", "grouped", "shared", "out"}


def test_parts_share_out_all_channels_the_most_important_first(kinds: Example) -> None:
    captured = kinds[0]
    importance = {"stem": [3.0, 9.0, 1.0, 8.0, 2.0, 7.0, 6.0, 0.0], "depthwise": [float(i) for i in range(16)]}
    split = split_channels(captured, 3, importance)
    assert [split.parts[f"stem.part{i}"].channels for i in range(3)] == [(1, 3), (0, 5, 6), (2, 4, 7)]
    blocks = [split.parts[f"depthwise.part{i}"].blocks for i in range(3)]
    assert blocks == [(6, 7), (3, 4, 5), (0, 1, 2)], "both channels of an input stay together"
    for name in ("stem", "depthwise", "grouped", "shared", "out"):
        own = [p.channels for p in split.parts.values() if p.layer == name]
        assert sorted(c for channels in own for c in channels) == list(range(len(captured.layer(name).weight)))
        assert max(map(len, own)) - min(map(len, own)) <= (2 if name in ("depthwise", "grouped") else 1)


def test_one_group_leaves_the_graph_as_it_is(kinds: Example) -> None:
    split = split_channels(kinds[0], 1)
    assert split.model is kinds[0]
    assert not split.parts


@pytest.mark.parametrize("groups", [0, -1, 2.0, True, "2", 17])
def test_numbers_that_are_no_number_of_groups_are_refused(kinds: Example, groups: int) -> None:
    with pytest.raises(InvalidInputError, match="channel_groups"):
        split_channels(kinds[0], groups)


def test_an_importance_must_have_a_value_a_channel(kinds: Example) -> None:
    with pytest.raises(InvalidInputError, match="'stem' must have 8 values"):
        split_channels(kinds[0], 2, {"stem": [1.0, 2.0]})


def test_names_of_parts_fit_patterns_and_hide_nothing() -> None:
    """A user's own `conv.part0` keeps its name."""

    class Taken(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(1, 4, 3)
            self.conv.add_module("part0", nn.Linear(16, 4))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            inner: nn.Module = self.conv.part0  # type: ignore[assignment]
            return inner(torch.relu(nn.functional.conv2d(x, self.conv.weight, self.conv.bias)).mean(1).flatten(1))

    images = torch.rand(3, 1, 6, 6)
    captured = capture(Taken().eval(), images)
    assert set(captured.layer_names) == {"conv", "conv.part0"}
    split = split_channels(captured, 2)
    assert split.model.layer_names == ("conv.part_0", "conv.part_1", "conv.part0.part0", "conv.part0.part1")
    torch.testing.assert_close(split.model(images), captured(images))
    assert all(fnmatchcase(name, "conv.*") for name in split.model.layer_names)


def test_scores_of_channels_are_those_of_the_parts(kinds: Example) -> None:
    """Importance of neurons in the split network is that of the same neurons in the whole one."""
    captured, images = kinds
    split = split_channels(captured, 2, {"stem": [0.0, 1.0] * 4})
    whole, _ = channel_conductance(captured, images[:4], classes=(0, 1), steps=4)
    parts, _ = channel_conductance(split.model, images[:4], classes=(0, 1), steps=4)
    for name, part in split.parts.items():
        assert parts[name] == pytest.approx(whole[part.layer][list(part.channels)], rel=1e-3, abs=1e-7)
