"""The export page says what the code does: every step is described, its attributes and arrays by name."""

from __future__ import annotations

import re
from pathlib import Path

import torch
from torch import nn

from axdnn import approximate
from axdnn.export import STEPS, lower
from axdnn.export.aten import RULES as TORCH_RULES
from axdnn.export.onnx_rules import RULES as ONNX_RULES
from axdnn.layers import Recipe

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "export.md").read_text()


def rows() -> dict[str, str]:
    """Step -> its row of the page's table."""
    found: dict[str, str] = {}
    for line in PAGE.splitlines():
        cells = line.split("|")
        if len(cells) == 6:
            found |= dict.fromkeys(re.findall(r"`(\w+)`", cells[1]), line)
    return found


def test_every_step_has_a_row_and_a_rule_in_every_format() -> None:
    assert set(STEPS) == set(ONNX_RULES) == set(TORCH_RULES) == set(rows()) - {"op"}


def test_attributes_and_arrays_are_named_in_the_row() -> None:
    """The conv and linear steps of a network with a zero point of the weights, and pooling."""
    torch.manual_seed(0)
    layers = (nn.Conv2d(1, 2, 3), nn.ReLU(), nn.MaxPool2d(2), nn.AvgPool2d(2), nn.Tanh(), nn.Flatten(), nn.Linear(8, 3))
    model = approximate(
        nn.Sequential(*layers).eval(), "mul8u_R36", torch.rand(4, 1, 10, 10), recipe=Recipe(unsigned_coding="unsigned")
    )
    seen = set()
    for step in lower(model).steps:
        seen.add(step.op)
        assert {f"`{name}`" for name in (*step.attrs, *step.arrays)} <= set(re.findall(r"`\w+`", rows()[step.op])), step
    assert {"conv", "linear", "quantise", "pool_sum", "max_pool", "lookup", "reshape", "scale"} <= seen
