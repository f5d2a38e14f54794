"""Decoding, inheriting, training and integers of one candidate."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

import axdnn
from axdnn.data import Dataset
from axdnn.nas import Shelf, SpaceOptions, Training, build_network, inherit, layout_of, module_name
from axdnn.records import CheckpointError, InvalidInputError


def changed(candidate: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {**candidate, **{name.replace("__", "/"): value for name, value in fields.items()}}


def test_shapes_are_those_that_are_priced(trained: SimpleNamespace) -> None:
    layout, network = trained.layout, trained.integer.shapes
    assert network.layer_names == tuple(map(module_name, layout.layer_names))
    assert network.weights == layout.weights
    assert network.macs == layout.macs
    for block, layer in zip(layout.blocks, network.layers, strict=False):
        assert layer.out_shape == (block.channels, *block.conv_map)
        assert layer.in_shape == (block.in_channels, *block.in_map)
        assert layer.kernel == (block.kernel, block.kernel)
        assert layer.macs == block.macs
    assert network.layers[-1].k == layout.features
    report = trained.integer.cost(trained.integer.evaluator.baseline)
    assert [part.macs for part in report.layers] == [layer.macs for layer in network.layers]


@pytest.mark.parametrize("readout", ["average", "flatten"])
def test_a_network_maps_images_to_classes(readout: str, candidate: dict[str, Any], options: SpaceOptions) -> None:
    layout = layout_of(changed(candidate, readout=readout), options)
    network = build_network(layout, torch.Generator().manual_seed(0)).eval()
    assert network(torch.zeros(2, 1, 28, 28)).shape == (2, 10)
    assert network.fc.in_features == layout.features


def test_weights_are_inherited_where_shapes_agree(
    trained: SimpleNamespace, candidate: dict[str, Any], options: SpaceOptions
) -> None:
    parent = trained.network.state_dict()
    wider = layout_of(changed(candidate, layers__2__channels=4, layers__1__kernel=5), options)
    child = build_network(wider, torch.Generator().manual_seed(5))
    fresh = {name: value.clone() for name, value in child.state_dict().items()}
    share = inherit(child, parent)
    own = child.state_dict()
    agree = [name for name in own if own[name].shape == parent[name].shape]
    assert "blocks.block0.conv.weight" in agree
    assert "blocks.block1.conv.weight" not in agree
    assert all(torch.equal(own[name], parent[name]) for name in agree)
    middle = own["blocks.block1.conv.weight"]
    assert torch.equal(middle[:, :, 1:-1, 1:-1], parent["blocks.block1.conv.weight"])
    assert torch.equal(middle[:, :, 0], fresh["blocks.block1.conv.weight"][:, :, 0])
    assert torch.equal(own["blocks.block2.conv.weight"], parent["blocks.block2.conv.weight"][:4])
    assert torch.equal(own["fc.weight"], fresh["fc.weight"])
    assert 0.5 < share < 1.0


def test_a_topology_is_trained_once_and_the_same_by_seed(
    trained: SimpleNamespace, digits: Dataset, options: SpaceOptions, candidate: dict[str, Any], tmp_path: Any
) -> None:
    again = Shelf(tmp_path, digits, trained.shelf.training, seed=3).trained(trained.layout)
    assert again.images == 600
    for name, value in trained.network.state_dict().items():
        assert torch.equal(value, again.network.state_dict()[name]), name
    other = layout_of(changed(candidate, layers__0__skip=0.5, head_multiplier="mul8u_T83"), options)
    taken = trained.shelf.trained(other)
    assert (taken.images, taken.topology) == (0, trained.layout.topology)
    child = layout_of(changed(candidate, layers__2__channels=4), options)
    inherited = trained.shelf.trained(child, parents=("nobody", "key"))
    assert 0.5 < inherited.inherited < 1.0
    alone = Shelf(tmp_path, digits, trained.shelf.training, seed=3).trained(child, parents=("nobody",))
    assert alone.inherited == 0.0
    assert not torch.equal(alone.network.fc.weight, inherited.network.fc.weight)


def test_all_exact_is_the_exact_integer_network(trained: SimpleNamespace, digits: Dataset) -> None:
    images = digits.tensors("test", 64)[0]
    integer = trained.integer
    plain = axdnn.approximate(trained.network, "exact", trained.calibration)
    built = integer.model(integer.evaluator.baseline)
    with torch.no_grad():
        assert torch.equal(built(images), plain(images))


def test_skipped_channels_are_zero_and_least_important(trained: SimpleNamespace, digits: Dataset) -> None:
    integer, layout = trained.integer, trained.layout
    assignment = integer.assignment(layout)
    layer = module_name("block2.conv")
    sizes = integer.weight_sizes()[layer]
    skipped = assignment.skip[layer]
    assert len(skipped) == 3
    assert max(sizes[list(skipped)]) <= min(size for i, size in enumerate(sizes) if i not in skipped)
    assert assignment.absent["fc"] == skipped
    model = integer.model(assignment)
    sums: dict[str, torch.Tensor] = {}

    def visit(part: Any, codes: tuple[torch.Tensor, ...]) -> None:
        sums[part.node.name] = part.raw_sums(*codes)

    with torch.no_grad():
        model.run(digits.tensors("test", 8)[0], visit)
    cut = model.layer(layer)
    assert [bool((sums[layer][:, c] == 0).all() and cut.bias[c] == 0) for c in range(6)] == [
        c in skipped for c in range(6)
    ]
    whole = integer.cost(integer.evaluator.uniform("mul8u_185Q"))
    assert integer.cost(assignment).memory_bytes < whole.memory_bytes


def test_damage_and_bad_settings_are_said(
    trained: SimpleNamespace, digits: Dataset, tmp_path: Any, options: SpaceOptions
) -> None:
    shelf = Shelf(tmp_path, digits, Training(epochs=1, images=64), seed=3)
    path = shelf.path(trained.layout.topology)
    path.parent.mkdir()
    path.write_bytes(b"not weights")
    with pytest.raises(CheckpointError, match="delete the file"):
        shelf.trained(trained.layout)
    path.unlink()
    with pytest.raises(InvalidInputError, match="images <= 50000"):
        Shelf(tmp_path, digits, Training(images=60_000), seed=0).trained(trained.layout)
    with pytest.raises(InvalidInputError, match="loss must stay finite"):
        Shelf(tmp_path, digits, Training(epochs=4, images=640, learning_rate=100.0, weight_decay=1.0), seed=0).trained(
            trained.layout
        )
    with pytest.raises(InvalidInputError, match="epochs"):
        Training(epochs=0)
