"""`axdnn report --paper-table` on saved results."""

import json

import msgspec
import pytest

from axdnn.cli.main import run
from axdnn.records import GenerationResult, from_json, save_record, to_json
from axdnn.report import TABLE_ONE


@pytest.fixture
def folders(tmp_path, skipping, small):
    paths = []
    for name, result in (("a", skipping), ("b", small)):
        plain = msgspec.structs.replace(result, model="lenet5", data="mnist")
        saved = from_json(GenerationResult, to_json(plain).replace("mul8s_1KV8", "mul8s_1KV6"))
        save_record(tmp_path / name / "result.json", saved)
        paths.append(str(tmp_path / name))
    return paths


def test_several_runs(folders, tmp_path, capsys):
    assert run(["report", *folders, "--paper-table", "--format", "json"]) == 0
    comparison, choices, *_, own = json.loads(capsys.readouterr().out)
    assert [row["strategy"] for row in comparison["rows"]] == ["paper, minimising paper_literal", "integer"]
    assert sum(row["row"].startswith("published") for row in choices["rows"]) == len(TABLE_ONE)
    assert [row["kind"] for row in own["rows"]] == ["both", "multipliers only"]
    assert choices["rows"][3]["multipliers"].startswith("M1, M6, M6, M6")
    page = (tmp_path / "comparison.html").read_text()
    assert "Table I of XAI-Gen beside ours" in page
    assert (tmp_path / "figures" / "profile.png").exists()


def test_one_run(folders, tmp_path, capsys):
    assert run(["report", folders[0], "--paper-table", "--out", str(tmp_path / "page")]) == 0
    out = capsys.readouterr().out
    assert "Table I of XAI-Gen beside ours: accuracy" in out
    assert str(tmp_path / "page" / "comparison.html") in out
    assert run(["report", folders[0]]) == 0
    assert "beside ours" not in capsys.readouterr().out
