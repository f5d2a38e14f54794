"""From a captured network: which layers suit cores that keep weights in their memory cells, and the edges."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

from axdnn.hardware.components import Floats
from axdnn.hardware.mapping.problem import Bools
from axdnn.records import InvalidInputError, Layer, Network, unknown_name

Suits = Literal["fine", "poor", "illegal"]


class Legality(NamedTuple):
    """Pairs of layer and core `(L, C)`: forbidden ones with reasons, and ones whose weights can never stay.

    Use as `Problem(latency_s=np.where(forbidden, inf, ...), need=np.where(never_stays, inf, ...), reasons=reasons)`,
    and give the pairs of `never_stays` a finite reload, the writing of the second operand.
    """

    forbidden: Bools
    never_stays: Bools
    reasons: dict[tuple[int, int], str]


def legality(
    layers: Sequence[Layer],
    weight_stationary: Sequence[bool] | npt.NDArray[np.bool_],
    *,
    depthwise: Suits = "illegal",
    activation_products: Suits = "illegal",
) -> Legality:
    """Rules for cores whose weights lie in memory cells (compute-in-memory).

    A product of two activations has no static weights: `poor` = it runs, but its second operand is written in every
    inference. A depthwise layer uses few rows and columns of a cell array: `poor` = it runs at whatever its latency and
    energy say, which must count the idle cells.

    Args:
        layers: of the network.
        weight_stationary: of each core, whether the rules hold for it.
        depthwise: `fine`, `poor` or `illegal`, for layers of one channel a group.
        activation_products: the same for `matmul` layers; `fine` = as `poor`, the second operand has no other way.

    Raises:
        UnknownNameError: another rule.
    """
    for rule in (depthwise, activation_products):
        if rule not in get_args(Suits):
            raise unknown_name("rule", rule, get_args(Suits))
    stationary = np.asarray(weight_stationary, dtype=bool)
    forbidden = np.zeros((len(layers), len(stationary)), dtype=bool)
    never = forbidden.copy()
    reasons: dict[tuple[int, int], str] = {}
    for row, layer in enumerate(layers):
        text = ""
        if layer.kind == "matmul":
            never[row] = stationary
            if activation_products == "illegal":
                text = "a product of two activations has no weights to keep in memory cells"
        elif is_depthwise(layer) and depthwise == "illegal":
            text = "a depthwise layer leaves nearly all memory cells idle"
        if text:
            forbidden[row] = stationary
            reasons.update({(row, int(core)): text for core in np.flatnonzero(stationary)})
    return Legality(forbidden, never, reasons)


def is_depthwise(layer: Layer) -> bool:
    """Whether every group of a layer has one input channel."""
    return layer.kind != "matmul" and layer.groups > 1 and layer.in_channels == layer.groups


def network_edges(network: Network, bytes_per_word: float = 1.0) -> tuple[tuple[tuple[int, int], ...], Floats]:
    """Edges of a network as index pairs, and the bytes on each: all outputs of the producer.

    Ends called `input` and `output` are left out; a network without edges is a chain.

    Raises:
        InvalidInputError: an edge names a layer that the network does not have.
    """
    names = list(network.layer_names)
    ends = {*names, "input", "output"}
    for pair in network.edges:
        if missing := [name for name in pair if name not in ends]:
            raise InvalidInputError(f"edges of {network.name!r} must join its layers, but got {missing[0]!r} in {pair}")
    named = [pair for pair in network.edges if pair[0] in names and pair[1] in names]
    pairs = [(names.index(p), names.index(c)) for p, c in dict.fromkeys(named)]
    if not network.edges:
        pairs = [(i, i + 1) for i in range(len(names) - 1)]
    sizes = [network.layers[producer].output_words * bytes_per_word for producer, _ in pairs]
    return tuple(pairs), np.array(sizes, dtype=np.float64)
