"""What is left of a network's shapes when neurons are skipped: fewer columns, and fewer rows where inputs go."""

from __future__ import annotations

import msgspec

from axdnn.records import Assignment, InvalidInputError, Layer, Network, unknown_name


def thinned(network: Network, assignment: Assignment) -> Network:
    """Return the network with the shapes that are computed under an assignment.

    A skipped neuron is a column of weights that is neither stored nor multiplied, so n falls; inputs that are left out
    are rows, so k falls. Of a grouped convolution n falls to the largest group that is left (a depthwise one loses
    groups), and k stays: groups close up differently.

    Args:
        network: shapes of the whole network.
        assignment: with `skip` and `absent`, see `Assignment`.

    Raises:
        UnknownNameError: a layer that the network does not have.
        InvalidInputError: channels that a layer does not have, or nothing left of it.
    """
    if not any(assignment.skip.values()) and not any(assignment.absent.values()):
        return network
    for name in (*assignment.skip, *assignment.absent):
        if name not in network.layer_names:
            raise unknown_name("layer", name, network.layer_names, f"the network is {network.name!r}")
    layers = [
        _without(layer, assignment.skip.get(layer.name, ()), assignment.absent.get(layer.name, ()))
        for layer in network.layers
    ]
    return msgspec.structs.replace(network, layers=tuple(layers))


def _without(layer: Layer, skipped: tuple[int, ...], absent: tuple[int, ...]) -> Layer:
    outputs, inputs = layer.out_channels, layer.in_channels
    columns, rows = layer.n * layer.groups // outputs, layer.k * layer.groups // inputs  # of one channel
    for kind, which, count in (("skipped outputs", skipped, outputs), ("absent inputs", absent, inputs)):
        if which and not (min(which) >= 0 and max(which) < count and len(set(which)) < count):
            raise InvalidInputError(
                f"{kind} of {layer.name!r} must lie in 0..{count - 1} and leave at least one, "
                f"but got {len(set(which))}: {min(which)}..{max(which)}"
            )
    n, groups, k = layer.n, layer.groups, layer.k
    if groups == 1:
        n -= len(set(skipped)) * columns
        k -= len(set(absent)) * rows
    elif n == columns:
        groups -= len(set(skipped))
    else:
        left = [layer.n] * groups
        for channel in set(skipped):
            left[channel // (outputs // layer.groups)] -= columns
        n, groups = max(left), sum(count > 0 for count in left)
    return msgspec.structs.replace(
        layer, n=n, k=k, groups=groups,
        output_words=layer.output_words // outputs * (outputs - len(set(skipped))),
        input_words=layer.input_words // inputs * (inputs - len(set(absent))),
    )  # fmt: skip
