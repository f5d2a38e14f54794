"""Reading and changing what the layers of a captured model hand on; nothing stays on the model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import cycle

import torch

from axdnn.quant import CapturedModel, Node

Change = Callable[[Node, tuple[torch.Tensor, ...], torch.Tensor], torch.Tensor | None]


@contextmanager
def changed_outputs(model: CapturedModel, change: Change) -> Iterator[None]:
    """Let each call of a layer hand on `change(node, inputs, output)` in place of its output; None leaves it as it is.

    The output is the one before the activation function. A layer that is called several times is changed at each call,
    with the node of that call.
    """
    handles = []
    try:
        for name in model.layer_names:
            calls = cycle(model.calls(name))

            def hook(
                _: object, inputs: tuple[torch.Tensor, ...], output: torch.Tensor, calls: Iterator[Node] = calls
            ) -> torch.Tensor | None:
                return change(next(calls), inputs, output)

            handles.append(model.layer(name).register_forward_hook(hook))
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def layer_outputs(model: CapturedModel, values: dict[str, torch.Tensor]) -> Iterator[None]:
    """Collect the output of every call of a layer under the name of its node."""

    def keep(node: Node, _: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        values[node.name] = output

    with changed_outputs(model, keep):
        yield
