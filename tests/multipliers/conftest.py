"""Shared: the shipped index as plain JSON, read without the package's own reader."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

import pytest


@pytest.fixture(scope="session")
def index() -> dict[str, Any]:
    return json.loads(files("axdnn.multipliers").joinpath("data/evoapprox8b.json").read_text())
