"""Rules that count operators: against numbers that count what is done to them, and by hand."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from axdnn.quant import capture, network_of
from axdnn.quant.functions import FUNCTIONS
from axdnn.quant.network import EXACT_REASONS
from axdnn.quant.operator_counts import RULES
from axdnn.records import ExactOperator, Network, from_json


class Number:
    """A number that counts what is done to numbers of its kind."""

    done: Counter = Counter()

    def __init__(self, value: float) -> None:
        self.value = float(value)

    def _with(self, other, function, what="operations"):
        Number.done[what] += 1
        return Number(function(self.value, other.value if isinstance(other, Number) else float(other)))

    def __add__(self, other):
        return self._with(other, lambda a, b: a + b)

    def __sub__(self, other):
        return self._with(other, lambda a, b: a - b)

    def __mul__(self, other):
        return self._with(other, lambda a, b: a * b)

    def larger(self, other):
        return self._with(other, max)

    def special(self, function):
        return self._with(0.0, lambda a, _: function(a), "transcendental")


def total(values: Iterable[Number]) -> Number:
    result = Number(0.0)
    for value in values:
        result = result + value
    return result


def largest(values: list[Number]) -> Number:
    result = values[0]
    for value in values[1:]:
        result = result.larger(value)
    return result


def softmax(row):
    top = largest(row)
    powers = [(x - top).special(math.exp) for x in row]
    inverse = total(powers).special(lambda v: 1 / v)
    return [p * inverse for p in powers]


def log_softmax(row):
    top = largest(row)
    shifted = [x - top for x in row]
    log = total([x.special(math.exp) for x in shifted]).special(math.log)
    return [x - log for x in shifted]


def layer_norm(row, weight, bias, eps=1e-5):
    mean = total(row) * (1 / len(row))
    centred = [x - mean for x in row]
    inverse = (total([x * x for x in centred]) * (1 / len(row)) + eps).special(lambda v: v**-0.5)
    scaled = [x * inverse for x in centred]
    scaled = [x * w for x, w in zip(scaled, weight, strict=True)] if weight is not None else scaled
    return [x + b for x, b in zip(scaled, bias, strict=True)] if bias is not None else scaled


def rms_norm(row, weight, eps):
    inverse = (total([x * x for x in row]) * (1 / len(row)) + eps).special(lambda v: v**-0.5)
    return [x * inverse * w for x, w in zip(row, weight, strict=True)]


def sigmoid(x):
    return x.special(lambda v: 1 / (1 + math.exp(-v)))


def tanh(x):
    return x.special(math.tanh)


def lstm_unit(inputs, recurrent, c):
    i, f, g, o = (a + b for a, b in zip(inputs, recurrent, strict=True))
    c = sigmoid(f) * c + sigmoid(i) * tanh(g)
    return [sigmoid(o) * tanh(c), c]


def gru_unit(inputs, recurrent, h):
    r, z = (sigmoid(a + b) for a, b in zip(inputs[:2], recurrent[:2], strict=True))
    n = tanh(inputs[2] + r * recurrent[2])
    return [(Number(1.0) - z) * n + z * h]


def numbers(tensor):
    return [Number(v) for v in tensor.flatten().tolist()]


def rows(function, x, *more):
    """Apply a function of rows to the last axis."""
    return [v for row in x.reshape(-1, x.shape[-1]) for v in function(numbers(row), *more)]


def windows(function, x):
    """Apply a function of a window to 2 x 2 windows of `(1, c, h, w)`."""
    parts = F.unfold(x, 2, stride=2).reshape(x.shape[1], 4, -1).transpose(1, 2)
    return [function(numbers(part)) for part in parts.reshape(-1, 4)]


WEIGHT, BIAS = torch.linspace(0.5, 1.5, 6), torch.linspace(-1.0, 1.0, 6)
IMAGE, TOKENS, PIXELS = (1, 3, 4, 6), (1, 5, 6), (1, 6, 2, 2)
LITERAL = {
    "softmax": (TOKENS, lambda x: torch.softmax(x, -1), lambda x: rows(softmax, x)),
    "log_softmax": (TOKENS, lambda x: F.log_softmax(x, -1), lambda x: rows(log_softmax, x)),
    "layer_norm": (TOKENS, lambda x: F.layer_norm(x, (6,), WEIGHT, BIAS), lambda x: rows(layer_norm, x, WEIGHT, BIAS)),
    "layer_norm alone": (TOKENS, lambda x: F.layer_norm(x, (6,)), lambda x: rows(layer_norm, x, None, None)),
    "rms_norm": (TOKENS, lambda x: F.rms_norm(x, (6,), WEIGHT, 1e-5), lambda x: rows(rms_norm, x, WEIGHT, 1e-5)),
    "group_norm": (PIXELS, lambda x: F.group_norm(x, 2),
                   lambda x: rows(layer_norm, x.reshape(1, 2, 12), None, None)),
    "max_pool2d": (IMAGE, lambda x: F.max_pool2d(x, 2), lambda x: windows(largest, x)),
    "avg_pool2d": (IMAGE, lambda x: F.avg_pool2d(x, 2), lambda x: windows(lambda w: total(w) * 0.25, x)),
    "avg_pool2d whole": (PIXELS, lambda x: x.mean((2, 3)), lambda x: windows(lambda w: total(w) * 0.25, x)),
    "mean": (TOKENS, lambda x: x.mean(-1), lambda x: rows(lambda r: [total(r) * (1 / 6)], x)),
    "sum": (TOKENS, lambda x: x.sum(-1), lambda x: rows(lambda r: [total(r)], x)),
    "amax": (TOKENS, lambda x: x.amax(-1), lambda x: rows(lambda r: [largest(r)], x)),
    "clamp": (IMAGE, F.relu6, lambda x: [Number(-(v.larger(0).value)).larger(-6) for v in numbers(x)]),
    "div": (TOKENS, lambda x: x / (x.flip(-1) + 9), lambda x: [v.special(abs) for v in numbers(x)]),
    "combine": (TOKENS, lambda x: x - x.flip(-1), lambda x: [v - v for v in numbers(x)]),
    "affine": (TOKENS, lambda x: x * WEIGHT + BIAS, lambda x: rows(
        lambda r: [v * w + b for v, w, b in zip(r, WEIGHT.tolist(), BIAS.tolist(), strict=True)], x)),
    "batch_norm": (IMAGE, lambda x: x * torch.full((3, 1, 1), 2.0), lambda x: [v * 2 for v in numbers(x)]),
    "unary": (TOKENS, F.gelu, lambda x: [v + 0 for v in numbers(x)]),  # one look-up a value
}  # fmt: skip


def operators(function, shape, made) -> tuple[ExactOperator, ...]:
    """The operators of a function as captured; shape without the batch."""
    return network_of(capture(made(lambda s, x: function(x)), torch.rand(2, *shape) + 0.1), "net").exact_operators


@pytest.mark.parametrize("name", LITERAL)
def test_rules_are_the_literal_algorithms(name, made):
    shape, function, literal = LITERAL[name]
    x = torch.rand(shape) + 0.1
    Number.done = Counter()
    found = literal(x)
    wanted = dict(Number.done)
    if name not in ("clamp", "div", "combine", "unary"):  # these only count
        assert torch.allclose(torch.tensor([v.value for v in found]), function(x).flatten(), atol=1e-5)
    counted = [o for o in operators(function, shape[1:], made) if o.operator == name.split(" ")[0]]
    assert sum(o.operations for o in counted) == wanted.get("operations", 0)
    assert sum(o.transcendental for o in counted) == wanted.get("transcendental", 0)
    assert counted[0].output_words == function(x).numel()
    assert counted[-1].input_words == x.numel() * (2 if name in ("div", "combine") else 1)


@pytest.mark.parametrize(("cell", "literal", "per_unit"), [(nn.LSTM, lstm_unit, 4), (nn.GRU, gru_unit, 3)])
def test_gates_of_recurrent_cells(cell, literal, per_unit, made):
    steps, hidden = 3, 5
    module = made(lambda s, x: s.rnn(x)[0], rnn=cell(4, hidden, num_layers=2, bidirectional=True, batch_first=True))
    network = network_of(capture(module, torch.rand(2, steps, 4)), "net")
    cells = [o for o in network.exact_operators if o.kind == "other"]
    assert len(cells) == steps * 2 * 2  # layers and directions
    Number.done = Counter()
    gates = [Number(0.3 * i) for i in range(per_unit)]
    results = literal(gates, gates, Number(0.7))
    for one in cells:
        assert one.operations == hidden * Number.done["operations"]
        assert one.transcendental == hidden * Number.done["transcendental"]
        assert one.input_words == hidden * (2 * per_unit + 1)
        assert one.output_words == hidden * len(results)


def test_views_move_nothing_and_copies_move_their_words(made):
    def moved(function, *shape):
        found = operators(function, shape, made)
        assert {(o.kind, o.operations, o.transcendental) for o in found} == {("movement", 0, 0)}
        return sum(o.input_words for o in found), sum(o.output_words for o in found)

    assert moved(lambda x: x.flatten(1), 3, 4) == (0, 0)
    assert moved(lambda x: x[:, 1], 3, 4) == (0, 0)
    assert moved(lambda x: x.chunk(2, 1)[0], 4, 4) == (0, 0)
    assert moved(lambda x: x.transpose(1, 2), 3, 4) == (12, 12)
    assert moved(lambda x: x.transpose(1, 2), 1, 4) == (0, 0)
    assert moved(lambda x: x.flip(2), 3, 4) == (12, 12)
    assert moved(lambda x: F.pad(x, (1, 1)), 3, 4) == (12, 18)
    assert moved(lambda x: torch.cat([x, x], 1), 3, 4) == (24, 24)


def test_an_embedding_reads_its_indices_and_rows():
    network = network_of(capture(nn.Embedding(9, 4), torch.randint(0, 9, (2, 7))), "net")
    (gather,) = network.exact_operators
    assert (gather.kind, gather.input_words, gather.output_words, gather.operations) == ("gather", 7 + 28, 28, 0)


def test_every_operator_has_a_rule():
    assert set(RULES) == {*EXACT_REASONS, *FUNCTIONS} - {"function"}


def test_records_from_before_there_were_counts_still_load():
    text = '{"_type": "Network", "_version": 1, "name": "old", "layers": [], "exact_operators": [{"_type":'
    text += ' "ExactOperator", "_version": 1, "name": "relu", "operator": "clamp", "reason": "a clamp of codes"}]}'
    (old,) = from_json(Network, text).exact_operators
    assert (old.kind, old.input_words, old.output_words, old.operations, old.transcendental) == ("other", 0, 0, 0, 0)
    assert not old.is_counted
