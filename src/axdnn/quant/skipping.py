"""Which inputs of a layer are always zero because the neurons that make them are skipped."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch

from axdnn.quant.graph import CapturedModel, Node, apply_float
from axdnn.records import InvalidInputError, unknown_name


def check_skip(model: CapturedModel, skip: Mapping[str, Sequence[int]]) -> None:
    """Check that `skip` names output channels of layers and leaves each layer at least one.

    Raises:
        UnknownNameError: no such layer.
        InvalidInputError: no such channel, or all of them.
    """
    for name, channels in skip.items():
        _check(model, name, "skipped channels", channels, lambda node, shape: shape[0])


def check_absent(model: CapturedModel, absent: Mapping[str, Sequence[int]]) -> None:
    """Check that `absent` names input channels (of a linear layer: features) of layers and leaves each at least one.

    Raises:
        UnknownNameError: no such layer.
        InvalidInputError: no such input, or all of them.
    """
    for name, inputs in absent.items():
        _check(model, name, "absent inputs", inputs, lambda node, shape: shape[1] * node.attrs.get("groups", 1))


def _check(
    model: CapturedModel, name: str, kind: str, which: Sequence[int], count_of: Callable[[Node, torch.Size], int]
) -> None:
    if name not in model.layer_names:
        raise unknown_name("layer", name, model.layer_names)
    if model.nodes[name].op == "matmul":
        raise InvalidInputError(f"{kind} need a layer with weights, but {name!r} multiplies two activations")
    count = count_of(model.nodes[name], model.layer(name).weight.shape)
    if any(not 0 <= c < count for c in which) or len(set(which)) >= count:
        raise InvalidInputError(
            f"{kind} of {name!r} must lie in 0..{count - 1} and leave at least one, but got "
            f"{len(set(which))} of them: {sorted(set(which))[:8]}"
        )


def dead_inputs(model: CapturedModel, skip: Mapping[str, Sequence[int]]) -> dict[str, tuple[int, ...]]:
    """Return, for each layer, the input channels (of a linear layer: features) that are 0 whatever the image.

    Zero is followed through the graph by marking each value live (1) or dead (0): a clamp around 0, pooling, reshapes
    and concatenation keep dead values dead, an addition needs both sides dead. What is left out here cannot change the
    network (tested), so leaving out the products is a real removal.

    Args:
        model: captured graph.
        skip: layer name -> output channels that hand on 0.
    """
    check_skip(model, skip)
    dead: dict[str, tuple[int, ...]] = {}
    live: dict[str, torch.Tensor] = {}

    def visit(node: Node, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        marks = [live[i] for i in node.inputs]
        if node.is_layer:
            found = _dead_channels(node, marks[0]) if node.op != "matmul" else ()
            name = node.layer_name  # what is left out must be dead in every call
            dead[name] = tuple(c for c in found if name not in dead or c in dead[name])
        live[node.name] = _marks(node, marks, output, skip)

    with torch.no_grad():
        model.run(model.example(), visit)
    return {name: found for name, found in dead.items() if found}


def _dead_channels(node: Node, marks: torch.Tensor) -> tuple[int, ...]:
    each = marks.transpose(0, 1).flatten(1) if node.channel_dim == 1 else marks.reshape(-1, marks.shape[-1]).T
    return tuple(torch.nonzero(each.amax(dim=1) == 0).flatten().tolist())


def _marks(
    node: Node, marks: list[torch.Tensor], output: torch.Tensor, skip: Mapping[str, Sequence[int]]
) -> torch.Tensor:
    """Mark the values of a node's output as live or dead."""
    every = torch.ones_like(output)
    if node.is_layer:
        channels = torch.tensor(list(skip.get(node.layer_name, ())), dtype=torch.long)
        return every.index_fill_(node.channel_dim, channels, 0)
    a = node.attrs
    if node.op == "clamp":
        low, high = a["min"], a["max"]
        return marks[0] if (low is None or low <= 0) and (high is None or high >= 0) else every
    if node.op == "add":
        return torch.maximum(*torch.broadcast_tensors(*marks))
    if node.op == "unary":
        return marks[0] if float(a["apply"](torch.zeros(1))) == 0.0 else every
    if node.op in ("max_pool2d", "avg_pool2d", "reshape", "cat", "stack", "pad"):
        return (apply_float(node, tuple(marks)) > 0).float()
    return every  # the input, and what makes something of 0, as the shift of batch norm does
