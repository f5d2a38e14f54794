"""The documents hold: computed parts are current, links lead somewhere, Python examples run."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])


def test_computed_parts_are_current() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "make_docs.py"), "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr + "run `make docs`"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_named_files_exist(page: Path) -> None:
    text = page.read_text()
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
    for target in re.findall(r"`((?:src|tests|tools|benchmarks|examples)/[\w./*-]+)`", text):
        assert list(ROOT.glob(target.rstrip("/"))), f"{page.name} names {target}"


def test_make_targets_named_in_the_documents_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    for page in PAGES:
        for target in re.findall(r"(?:`|^    )make ([a-z-]+)", page.read_text(), flags=re.MULTILINE):
            assert target in targets, f"{page.name}: make {target}"


@pytest.mark.data
def test_readme_python_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The README's Python blocks, in order, on the shipped LeNet-5 and real images."""
    monkeypatch.chdir(tmp_path)
    import numpy as np
    import torch

    from axdnn.data import load_dataset
    from axdnn.models import load_model

    data = load_dataset("mnist")
    a = np.arange(256)
    names = {
        "model": load_model("lenet5", "mnist").model,
        "calibration_images": data.tensors("calibration", 64)[0],
        **dict(zip(("images", "labels"), data.tensors("search", 400), strict=True)),
        **dict(zip(("more_images", "more_labels"), data.tensors("accept", 400), strict=True)),
        **dict(zip(("test_images", "test_labels"), data.tensors("test", 400), strict=True)),
        "table": np.multiply.outer(a & ~7, a & ~3),
        "x_codes": torch.randint(-128, 128, (4, 32), dtype=torch.int8),
        "w_codes": torch.randint(-128, 128, (5, 32), dtype=torch.int8),
    }
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)
    assert len(blocks) == 4
    for block in blocks:
        exec(compile(block, "README.md", "exec"), names)
    assert names["logits"].shape == (400, 10)
    assert len(names["found"].results) == 2
    assert (tmp_path / "runs/mine/10/network.pt2").is_file()


def test_readme_commands_are_those_of_the_program() -> None:
    text = (ROOT / "README.md").read_text()
    commands = {tuple(line.split()[1:3]) for line in re.findall(r"^    (axdnn .*)$", text, flags=re.MULTILINE)}

    def shown(*group: str) -> str:
        command = [sys.executable, "-m", "axdnn.cli.main", *group, "--help"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    every, groups = (
        shown(),
        {first: shown(first) for first, second in commands if not second.startswith(("--", "runs/"))},
    )
    for first, second in commands:
        assert first in every
        if first in groups and not second.startswith(("--", "runs/")):
            assert re.search(rf"\b{re.escape(second)}\b", groups[first]), (first, second)
