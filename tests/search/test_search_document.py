"""docs/search.md does what it says: its module and its commands are run, in order."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

from axdnn.records import SearchHistory, load_record

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "search.md"


def test_every_command_of_the_document(tmp_path: Path) -> None:
    text = DOCUMENT.read_text()
    (module,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    (tmp_path / "my_search.py").write_text(module)
    commands = [line for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL) for line in block.splitlines()]
    assert len(commands) == 8
    programs = {"python": [sys.executable], "axdnn": [sys.executable, "-m", "axdnn"]}
    printed = []
    for command in commands:
        program, *arguments = shlex.split(command)
        done = subprocess.run(
            [*programs[program], *arguments], cwd=tmp_path, capture_output=True, text=True, check=False,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        assert done.returncode == 0, f"{command}: {done.stderr}"
        printed.append(done.stdout)
    assert printed[0].startswith("7380 candidates; 40 evaluations")
    assert "'blocks': [{" in printed[0]
    assert printed[1].startswith("widths: 40 of 40 evaluations")
    assert "widths" in printed[2]
    history = load_record(SearchHistory, tmp_path / "widths.json")
    assert history.evaluations == 40
    assert all(trial.values["area_m2"] <= 2e-6 for trial in history.front_trials)
    assert (tmp_path / "widths.html").read_text().count("<svg") == 6
    assert len((tmp_path / "widths.csv").read_text().splitlines()) == 1 + len(history.trials)
