"""The layers of a network as arrays, so that formulas run over all of them at once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from axdnn.hardware.systolic import Ints
from axdnn.records import InvalidInputError, Layer, Network


class LayerArrays(NamedTuple):
    """The layers of a network as arrays.

    `input_words` are distinct values of the first operand. `from_input`/`to_output` mark layers joined to the network's
    ends, `is_product` products of activations, whose second operand is no weight: it comes from where activations live.
    """

    groups: Ints
    m: Ints
    k: Ints
    n: Ints
    input_words: Ints
    output_words: Ints
    from_input: npt.NDArray[np.bool_]
    to_output: npt.NDArray[np.bool_]
    peak_activation_bytes: int
    is_product: npt.NDArray[np.bool_]

    @property
    def macs(self) -> Ints:
        """Products of each layer."""
        return self.groups * self.m * self.k * self.n


def layer_arrays(network: Network) -> LayerArrays:
    """Read the shapes of a network.

    Without edges the first layer reads the network's input and the last writes its output. Without a peak of live
    activations the largest input + output of a layer stands in.

    Raises:
        InvalidInputError: no layers, or a dimension below 1.
    """
    layers = network.layers
    if not layers:
        raise InvalidInputError(f"a network needs at least one layer to be priced, but {network.name!r} has none")
    for layer in layers:
        for label in ("m", "k", "n", "groups", "input_words", "output_words"):
            if (value := getattr(layer, label)) < 1:
                raise InvalidInputError(f"layer {layer.name!r}: {label} >= 1 must hold, but got {value}")
    names = network.layer_names
    first = {b for a, b in network.edges if a == "input"} or {names[0]}
    last = {a for a, b in network.edges if b == "output"} or {names[-1]}
    peak = network.peak_activation_words or max(layer.input_words + layer.output_words for layer in layers)
    return LayerArrays(
        groups=np.array([layer.groups for layer in layers], dtype=np.int64),
        m=np.array([layer.m for layer in layers], dtype=np.int64),
        k=np.array([layer.k for layer in layers], dtype=np.int64),
        n=np.array([layer.n for layer in layers], dtype=np.int64),
        input_words=np.array([_first_operand_words(layer) for layer in layers], dtype=np.int64),
        output_words=np.array([layer.output_words for layer in layers], dtype=np.int64),
        from_input=np.array([name in first for name in names]),
        to_output=np.array([name in last for name in names]),
        peak_activation_bytes=peak,
        is_product=np.array([layer.kind == "matmul" for layer in layers]),
    )


def _first_operand_words(layer: Layer) -> int:
    """Distinct values of the first operand; one that all groups of a product share counts once a group."""
    return layer.groups * layer.m * layer.k if layer.kind == "matmul" else layer.input_words
