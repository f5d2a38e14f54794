"""The walk-through with a model of the user's: its blocks run, in order, in one folder, and do what the text says."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from axdnn.records import GenerationResult, load_record

PAGE = Path(__file__).resolve().parents[2] / "docs" / "your_own_model.md"
LAYERS = 21  # 17 convolutions of 3x3, three shortcuts of 1x1, one linear layer


def blocks(page: Path) -> list[tuple[str, str]]:
    """Return (language, text) of each fenced block in order."""
    return re.findall(r"^```(\w+)\n(.*?)^```$", page.read_text(), flags=re.DOTALL | re.MULTILINE)


def run(language: str, text: str, folder: Path) -> str:
    """Run a block as a user would, with the programs of this environment first; return what it printed."""
    programs = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    command = ["bash", "-euo", "pipefail", "-c", text] if language == "sh" else [sys.executable, "-c", text]
    environment = {**os.environ, "PATH": programs, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if "pip download" in text and done.returncode and "No matching distribution" in done.stderr:
        pytest.skip("no package index can be reached")
    assert done.returncode == 0, f"{text}\n{done.stderr[-3000:]}"
    return done.stdout


def test_every_block_is_run() -> None:
    """Only languages that the test below knows, and one fence for each end."""
    found = blocks(PAGE)
    assert [language for language, _ in found] == ["sh", "sh", "sh", "sh", "python"]
    assert PAGE.read_text().count("```") == 2 * len(found)
    text = "".join(body for _, body in found)
    assert {"estimate", "explain", "generate"} <= set(re.findall(r"^axdnn (\w+)", text, flags=re.MULTILINE))


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.usefixtures("cache")
def test_the_walk_through(tmp_path: Path) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    download, price, importance, choice, python = [run(language, text, folder) for language, text in blocks(PAGE)]
    assert download == ""
    for layer in ("conv1", "layer1.0.conv1", "layer4.0.shortcut.0", "linear"):
        assert layer in price
        assert layer in importance
    assert "Cost of scores" in importance
    scores = json.loads((folder / "runs" / "explain" / "scores.json").read_text())
    assert [score["score"] for score in scores] == ["conductance", "gradient_x_activation"]
    assert all(len(score["values"]) == LAYERS for score in scores)
    assert (folder / "runs" / "explain" / "importance.png").read_bytes().startswith(b"\x89PNG")
    result = load_record(GenerationResult, folder / "runs" / "resnet18" / "result.json")
    assert str(result.multiplier_set) in "".join(text for _, text in blocks(PAGE))
    assert result.images == {"search": 200, "accept": 200, "test": 200, "calibration": 256}
    assert len(result.assignment) == LAYERS
    assert result.float_accuracy > 0.9  # published weights: 94 % of all test images
    assert result.model == "resnet.py:ResNet18"
    if result.status == "met":
        assert result.multiplier_energy_j < result.baseline_multiplier_energy_j
        assert result.chosen.accuracy["accept"].loss_bound <= result.max_accuracy_loss / 100
    assert (folder / "runs" / "resnet18" / "report.html").exists()
    assert choice.strip()
    lines = python.strip().splitlines()
    assert lines[0].startswith(result.status)
    exact, approximate = (float(line.split(":")[1]) for line in lines[-2:])
    assert exact > 0.88
    assert approximate > 0.8
