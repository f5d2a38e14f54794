"""Several inferences at a time: the shapes of a batch."""

from __future__ import annotations

import msgspec

from axdnn.records import ExactOperator, InvalidInputError, Layer, Network


def batched(network: Network, batch: int) -> Network:
    """Return the shapes of `batch` inferences computed together: layers share weights, so their rows grow.

    A product of two activations has its own second operand in every inference, so its groups grow.

    Raises:
        InvalidInputError: a batch below 1 or not whole.
    """
    if isinstance(batch, bool) or not isinstance(batch, int) or batch < 1:
        raise InvalidInputError(f"`batch` must be a whole number >= 1, but got {batch!r}")
    if batch == 1:
        return network
    layers = tuple(_grown(layer, batch) for layer in network.layers)
    operators = tuple(_repeated(operator, batch) for operator in network.exact_operators)
    peak = network.peak_activation_words * batch
    return msgspec.structs.replace(network, layers=layers, exact_operators=operators, peak_activation_words=peak)


def _grown(layer: Layer, batch: int) -> Layer:
    rows, groups = (1, batch) if layer.kind == "matmul" else (batch, 1)
    return msgspec.structs.replace(
        layer, m=layer.m * rows, groups=layer.groups * groups,
        input_words=layer.input_words * batch, output_words=layer.output_words * batch,
    )  # fmt: skip


def _repeated(operator: ExactOperator, batch: int) -> ExactOperator:
    counts = ("input_words", "output_words", "operations", "transcendental")
    return msgspec.structs.replace(operator, **{name: batch * getattr(operator, name) for name in counts})
