"""Recurrent layers written out step by step: one layer for the inputs of all steps, one for the state.

The layer of the state is called once a step with the same weights, codes and multiplier. Gates and cell state stay
exact: they are computed from the real values of the sums; only what is multiplied with weights is coded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from axdnn.quant.functions import function_attrs
from axdnn.quant.fx_nodes import dims_of
from axdnn.quant.layer_rules import add_linear
from axdnn.quant.moves import Select
from axdnn.quant.rejected import Rejected

if TYPE_CHECKING:
    from axdnn.quant.builder import Builder

CELLS = {"lstm": "lstm_cell", "gru": "gru_cell", "rnn_tanh": "rnn_tanh_cell", "rnn_relu": "rnn_relu_cell"}


def add_recurrent(builder: Builder, node: Any, name: str, a: dict[str, Any]) -> None:
    """Add the nodes of a recurrent layer with all its levels and directions.

    Args:
        builder: receives the nodes; results are kept for the `getitem` nodes that follow.
        node: of the torch graph.
        name: key of `CELLS`.
        a: call arguments.
    """
    if "batch_sizes" in a:
        raise Rejected("a recurrent layer over packed sequences")
    if a["dropout"] and a["train"]:
        raise Rejected("recurrent dropout that is active in eval mode")
    _Unrolled(builder, node, name, a).build()


class _Unrolled:
    def __init__(self, builder: Builder, node: Any, name: str, a: dict[str, Any]) -> None:
        self.builder, self.node, self.kind, self.a = builder, node, name, a
        self.time = 1 if a["batch_first"] else 0
        self.steps = int(dims_of(a["input"])[self.time])
        self.directions = 2 if a["bidirectional"] else 1
        self.per_level = 4 if a["has_biases"] else 2
        if len(a["params"]) != self.per_level * self.directions * a["num_layers"]:
            raise Rejected("a recurrent layer with projections")

    def build(self) -> None:
        states = self.a["hx"] if isinstance(self.a["hx"], list | tuple) else [self.a["hx"]]
        sequence = self.builder.value(self.a["input"])
        last: list[list[str]] = []
        for level in range(self.a["num_layers"]):
            outputs = []
            for direction in range(self.directions):
                index = level * self.directions + direction
                start = [self._initial(state, index) for state in states]
                steps, ends = self._run(sequence, index, direction == 1, start)
                outputs.append(steps)
                last.append(ends)
            steps = [self._joined(parts) for parts in zip(*outputs, strict=True)]
            sequence = self._add("stack", steps, {"dim": self.time})
        finals = [self._add("stack", [ends[i] for ends in last], {"dim": 0}) for i in range(len(states))]
        self.builder.lists[self.node.name] = [sequence, *finals]

    def _joined(self, parts: tuple[str, ...]) -> str:
        return parts[0] if len(parts) == 1 else self._add("cat", parts, {"dim": -1})

    def _initial(self, state: Any, index: int) -> str:
        """Return the initial state of one level and direction, `(b, hidden)`."""
        return self._select(self.builder.value(state), 0, index)

    def _run(self, sequence: str, index: int, backward: bool, start: list[str]) -> tuple[list[str], list[str]]:
        """Return the states h of all steps, in order of time, and the final states."""
        params = self.a["params"][index * self.per_level : (index + 1) * self.per_level]
        weights, biases = params[:2], params[2:] or [None, None]
        inputs = add_linear(self.builder, self.node, sequence, weights[0], biases[0])
        state, found = list(start), {}
        for t in reversed(range(self.steps)) if backward else range(self.steps):
            recurrent = add_linear(self.builder, self.node, state[0], weights[1], biases[1])
            state = self._cell(self._select(inputs, self.time, t), recurrent, state)
            found[t] = state[0]
        return [found[t] for t in range(self.steps)], state

    def _cell(self, inputs: str, recurrent: str, state: list[str]) -> list[str]:
        read = {"lstm": state[1:], "gru": state[:1]}.get(self.kind, [])
        cell = self._add("function", [inputs, recurrent, *read], function_attrs(CELLS[self.kind]))
        return [self._select(cell, 0, 0), self._select(cell, 0, 1)] if self.kind == "lstm" else [cell]

    def _select(self, source: str, dim: int, index: int) -> str:
        return self._add("reshape", [source], {"apply": Select("select.int", {"dim": dim, "index": index})})

    def _add(self, op: str, inputs: list[str] | tuple[str, ...], attrs: dict[str, Any]) -> str:
        return self.builder.add(f"{self.node.name}_{op}", op, tuple(inputs), attrs)
