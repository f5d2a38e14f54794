"""The Python example of the page runs on the shipped LeNet-5 and real images."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.data
PAGE = Path(__file__).resolve().parents[2] / "docs" / "robustness.md"


def test_the_example_of_the_page_runs(lenet, capsys):
    names = {"model": lenet.model, "calibration_images": lenet.calibration, "images": lenet.images[:25],
             "labels": lenet.labels[:25]}  # fmt: skip
    (block,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    exec(compile(block, PAGE.name, "exec"), names)
    assert names["robust"][0.2] < names["robust"][0.1] < names["clean"]
    assert len(capsys.readouterr().out.split()) == 2
    assert names["report"].sound
