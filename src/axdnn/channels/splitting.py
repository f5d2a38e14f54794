"""Split each layer of a captured model into groups of output channels, so that each group can have its own multiplier.

A layer becomes one layer a group, `conv1.part0`, `conv1.part1`, whose outputs are joined and put back in place by moves
of codes under the name `conv1`. All that reads a network sees ordinary layers; what it computes stays the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch

from axdnn.quant import CapturedModel, FloatLayer, Node
from axdnn.quant.moves import Select
from axdnn.records import InvalidInputError


@dataclass(frozen=True)
class Part:
    """A group of output channels of a layer.

    Attributes:
        layer: name of the whole layer.
        channels: which of its output channels, ascending.
        blocks: of a grouped convolution, which of its groups these channels make up, ascending; None of a dense layer,
            every channel of which reads all inputs.
    """

    layer: str
    channels: tuple[int, ...]
    blocks: tuple[int, ...] | None


@dataclass(frozen=True, eq=False)
class SplitModel:
    """A captured model whose layers are split by channels.

    Attributes:
        whole: the model as captured.
        model: the same with a layer for each part; layers that are not split keep their names.
        parts: name of a layer of `model` -> which part of `whole` it is; layers that are not split are left out.
        calls: node of `whole` that calls a split layer -> the nodes of `model` that call its parts.
    """

    whole: CapturedModel
    model: CapturedModel
    parts: Mapping[str, Part]
    calls: Mapping[str, tuple[str, ...]]


def split_channels(
    captured: CapturedModel, groups: int, importance: Mapping[str, Sequence[float]] | None = None
) -> SplitModel:
    """Split every layer with weights into groups of output channels of nearly equal size.

    Of a grouped convolution whole groups stay together, since each has inputs of its own. Products of activations, and
    layers with fewer channels (or groups of a convolution) than asked for, stay whole.

    Args:
        captured: graph, batch norm folded.
        groups: of channels in each layer; 1 leaves the graph as it is.
        importance: layer name -> value of each output channel: the most important ones come into part 0, so that alike
            channels share a part. Layers not named are cut in the order of their channels.

    Raises:
        InvalidInputError: `groups` is not a whole number of at least 1, or more than any layer can be split into; an
            importance that does not fit its layer.
    """
    require_groups(groups)
    divided = {} if groups == 1 else _divided(captured, groups, importance or {})
    if groups > 1 and not divided:
        most = max((_units(captured, name) for name in captured.layer_names), default=0)
        raise InvalidInputError(
            f"`channel_groups` must be at most {most}, the most channels of a layer that can be told apart, "
            f"but got {groups}"
        )
    if not divided:
        return SplitModel(captured, captured, {}, {})
    named = {
        name: dict(zip(_part_names(captured, name, groups), parts, strict=True)) for name, parts in divided.items()
    }
    nodes: list[Node] = []
    layers: dict[str, FloatLayer] = {}
    calls: dict[str, tuple[str, ...]] = {}
    for node in captured.nodes.values():
        name, made = node.layer_name, [node]
        if node.is_layer and name in named:
            made = _written_out(captured, node, named[name])
            calls[node.name] = tuple(n.name for n in made if n.is_layer)
        for own in (n.layer_name for n in made if n.is_layer):
            part = named.get(name, {}).get(own)
            if own not in layers:
                layers[own] = captured.layer(name) if part is None else _cut(captured.layer(name), part)
        nodes += made
    parts = {own: part for of_layer in named.values() for own, part in of_layer.items()}
    return SplitModel(captured, captured.rebuilt(nodes, layers), parts, calls)


def require_groups(groups: int) -> None:
    """Check a number of channel groups.

    Raises:
        InvalidInputError: not a whole number of at least 1.
    """
    if not isinstance(groups, int) or isinstance(groups, bool) or groups < 1:
        raise InvalidInputError(f"`channel_groups` must be a whole number of at least 1, but got {groups!r}")


def _units(captured: CapturedModel, name: str) -> int:
    """Into how many parts a layer could be split."""
    if captured.nodes[name].op == "matmul":
        return 1
    blocks = int(captured.nodes[name].attrs.get("groups", 1))
    return blocks if blocks > 1 else len(captured.layer(name).weight)


def _divided(
    captured: CapturedModel, groups: int, importance: Mapping[str, Sequence[float]]
) -> dict[str, tuple[Part, ...]]:
    """Return the parts of each layer that is split."""
    found = {}
    for name in captured.layer_names:
        if _units(captured, name) >= max(groups, 2):
            found[name] = _parts(captured, name, groups, importance.get(name))
    return found


def _parts(captured: CapturedModel, name: str, groups: int, importance: Sequence[float] | None) -> tuple[Part, ...]:
    """Share out the channels of a layer, the most important ones first; what reads the same inputs stays together."""
    units, channels = _units(captured, name), len(captured.layer(name).weight)
    values = torch.zeros(channels) if importance is None else torch.tensor(list(importance)).double()
    if len(values) != channels:
        raise InvalidInputError(
            f"the importance of {name!r} must have {channels} values, one a channel, but has {len(values)}"
        )
    each = channels // units
    order = values.view(units, each).sum(dim=1).argsort(descending=True, stable=True).tolist()
    blocked = int(captured.nodes[name].attrs.get("groups", 1)) > 1
    parts = []
    for i in range(groups):
        members = sorted(order[i * units // groups : (i + 1) * units // groups])
        own = tuple(m * each + j for m in members for j in range(each))
        parts.append(Part(name, own, tuple(members) if blocked else None))
    return tuple(parts)


def _part_names(captured: CapturedModel, name: str, count: int) -> tuple[str, ...]:
    """Name the parts of a layer as no node of the graph is named."""
    stem = f"{name}.part"
    while any(node.startswith(stem) for node in captured.nodes):
        stem += "_"
    return tuple(f"{stem}{i}" for i in range(count))


def _cut(layer: FloatLayer, part: Part) -> FloatLayer:
    """Return a layer with the output channels of a part alone."""
    index = torch.tensor(part.channels)
    bias = layer.bias[index] if layer.has_bias else None
    return FloatLayer(layer.op, layer.weight[index], bias, _attrs(layer.attrs, part))


def _attrs(attrs: Mapping[str, object], part: Part) -> dict[str, object]:
    return {**attrs, "groups": len(part.blocks)} if part.blocks is not None else dict(attrs)


def _written_out(captured: CapturedModel, node: Node, parts: Mapping[str, Part]) -> list[Node]:
    """Return a call of a layer as calls of its parts, joined under its own name."""
    made: list[Node] = []
    own = {name: name if not node.layer else f"{node.name}{name.removeprefix(node.layer)}" for name in parts}
    for name, part in parts.items():
        call = own[name]
        source = node.inputs
        if part.blocks is not None:
            made.append(_selection(f"{call}.inputs", source[0], 1, _inputs(captured, part)))
            source = (made[-1].name,)
        attrs = _attrs(node.attrs, part)
        made.append(replace(node, name=call, inputs=source, attrs=attrs, layer=name if call != name else ""))
    order = [c for part in parts.values() for c in part.channels]
    in_place = order == sorted(order)
    joined = node.name if in_place else f"{node.name}.joined"
    made.append(Node(joined, "cat", tuple(own.values()), {"dim": node.channel_dim}))
    if not in_place:
        back = torch.tensor(order).argsort().tolist()
        made.append(_selection(node.name, joined, node.channel_dim, back))
    return made


def _inputs(captured: CapturedModel, part: Part) -> list[int]:
    """Return the input channels that the groups of a convolution read."""
    assert part.blocks is not None
    each = captured.layer(part.layer).weight.shape[1]
    return [block * each + j for block in part.blocks for j in range(each)]


def _selection(name: str, source: str, dim: int, index: Sequence[int]) -> Node:
    """Return a move that takes channels in a given order."""
    arguments = {"dim": dim, "index": torch.tensor(index)}
    return Node(name, "reshape", (source,), {"apply": Select("index_select", arguments)})
