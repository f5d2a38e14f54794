"""In which form each value of a trainable network is wanted: requests travel backward, one for every consumer."""

from __future__ import annotations

from axdnn.layers.emission import Emission
from axdnn.quant import LAYER_OPS, PASSING_OPS, CapturedModel, Inputs, Node
from axdnn.records import UnsupportedOperatorError
from axdnn.retraining.operators import EXACT, PASSING

Key = tuple[str, int]  # a layer or operator and which of its inputs
Request = tuple[Key | None, Emission]  # for whom (None: real values), and bounds of clamps on the way
REAL: Request = (None, Emission(None))
SUPPORTED = {"input", "output", "constant", "function", "pad", *LAYER_OPS, *PASSING, *EXACT}


def before(node: Node, request: Request) -> Request:
    """Return what a passing operator asks of its producer so that it can hand on `request`."""
    key, bounds = request
    return (key, bounds.clamped(node.attrs["min"], node.attrs["max"])) if node.op == "clamp" else request


def requests(graph: CapturedModel) -> dict[str, tuple[Request, ...]]:
    """Return what is wanted of each node's value: as `requests_of`, but every operator has ranges of its own.

    Raises:
        UnsupportedOperatorError: an operator that cannot be trained through.
    """
    wanted: dict[str, dict[Request, None]] = {name: {} for name in graph.nodes}
    for node in reversed(list(graph.nodes.values())):
        if node.op not in SUPPORTED:
            raise UnsupportedOperatorError(
                f"operator {node.name!r} ({node.op}) cannot be trained through; "
                f"supported: {', '.join(sorted(SUPPORTED))}"
            )
        for i, source in enumerate(node.inputs):
            if node.op in ("output", "function"):
                new: list[Request] = [REAL]
            elif node.op == "constant":  # reads nothing but the size of the batch
                new = []
            elif node.op in PASSING_OPS:
                new = [before(node, request) for request in wanted[node.name]]
            else:
                new = [((node.layer_name, i), Emission(None))]
            wanted[source].update(dict.fromkeys(new))
    return {name: tuple(requests) for name, requests in wanted.items()}


def require_trainable(graph: CapturedModel) -> None:
    """Refuse a network that has an operator no gradient goes through, before any work.

    Raises:
        UnsupportedOperatorError: names the operator.
    """
    requests(graph)


def few(inputs: Inputs) -> Inputs:
    """Return the first of a batch, enough to capture a network."""
    return tuple(x[:1] for x in inputs) if isinstance(inputs, tuple) else inputs[:1]
