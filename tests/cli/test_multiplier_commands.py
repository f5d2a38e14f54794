"""`axdnn multipliers families`, `import`, `compare`, and families and files wherever a multiplier is named."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from axdnn.multipliers import import_table, list_families, load_multiplier, save_multiplier
from axdnn.records import Figures

Command = Callable[..., Any]
SIGNED, UNSIGNED = load_multiplier("mul8s_1KX5"), load_multiplier("mul8u_GTR")
PRICED = ("--power-mW", "0.2", "--area-um2", "400", "--delay-ns", "1.2", "--figures-source", "a test")
IMPORT = ("multipliers", "import", "t.npy", "--name", "mine", "--order", "ab", "--coding", "unsigned")
GENERATE = ("generate", "--model", "lenet5", "--data", "mnist", "--out", "out", "--multipliers")


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    """The tables that commands import, in the current folder."""
    np.save(tmp_path / "t.npy", UNSIGNED.table)
    np.save(tmp_path / "twos.npy", np.roll(SIGNED.table, 128, (0, 1)))
    UNSIGNED.table.astype("<i4").tofile(tmp_path / "t.bin")
    (tmp_path / "short.txt").write_text("1 2 3\n")
    np.save(tmp_path / "objects.npy", np.array([None]), allow_pickle=True)
    (tmp_path / "code.py").write_text(
        "def f(a, b):\n    print('loud')\n    return a * b - (a & 1)\n\ndef g(a):\n    return a\n"
    )
    return tmp_path


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file() and p.suffix != ".pyc"}


def test_families_are_listed_with_parameters_and_source(axdnn: Command) -> None:
    text = axdnn("multipliers", "families")
    assert text.code == 0
    rows = json.loads(axdnn("multipliers", "families", "--format", "json").out)
    assert [row["family"] for row in rows] == [family.name for family in list_families()]
    flat = " ".join(text.out.split())
    for row in rows:
        assert row["usage"] in text.out
        assert row["source"] in flat
        for parameter in row["parameters"]:
            assert f"{parameter['name']}={parameter['low']}..{parameter['high']}" in text.out
    assert "not priced" in flat


def test_import_shows_back_what_was_stated_and_the_file_is_a_name(axdnn: Command, tables: Path) -> None:
    done = axdnn(
        "multipliers", "import", "twos.npy", "--name", "mine", "--order", "ba", "--coding", "signed",
        "--index", "twos-complement", "--format", "json", *PRICED,
    )  # fmt: skip
    assert done.code == 0, done.err
    facts = json.loads(done.out)
    assert facts["id"] == load_multiplier("mul8s_1KX5.T").id
    assert facts["statement"]["order"] == "ba"
    assert facts["statement"]["index"] == "twos-complement"
    assert {"a": 100, "b": -7, "product": int(SIGNED.table[-7 + 128, 228]), "exact": -700} in facts["samples"]
    assert "cannot be checked" in done.err
    assert "wrote mine.axmul" in done.err
    loaded = load_multiplier("mine.axmul")
    assert loaded.id == facts["id"]
    assert loaded.figures == Figures(power_w=0.2 * 1e-3, area_m2=400 * 1e-12, delay_s=1.2 * 1e-9, source="a test")
    assert axdnn("multipliers", "show", "mine.axmul", "--format", "json").code == 0
    assert (tables / "mine.png").read_bytes().startswith(b"\x89PNG")
    rows = json.loads(axdnn("multipliers", "list", "--set", "mine.axmul,drum:k=4", "--format", "json").out)
    assert rows[0]["mae"] == facts["mae"]
    assert rows[0]["power_ratio"] == facts["power_ratio"] > 0
    assert rows[1]["name"] == "drum:k=4"
    assert rows[1]["power_ratio"] is None
    assert rows[1]["area_ratio"] is None


def test_import_as_a_table_and_from_a_loud_function(axdnn: Command, tables: Path) -> None:
    done = axdnn("multipliers", "import", "code.py:f", "--name", "mine", "--order", "ab", "--coding", "signed")
    assert done.code == 0, done.err
    assert "loud" not in done.out
    for part in ("rows (first operand) are operand a, the activation", "-128..127", "unknown", "mine.axmul"):
        assert part in done.out
    assert "not priced" in done.err
    again = axdnn("multipliers", "import", "code.py:f", "--name", "mine", "--order", "ab", "--coding", "signed")
    assert again.code == 2
    assert "--overwrite" in again.err
    raw = ("multipliers", "import", "t.bin", "--dtype", "int32", "--name", "mine", "--order", "ab")
    assert axdnn(*raw, "--coding", "unsigned", "--overwrite", "--out", "mine.axmul").code == 0
    assert load_multiplier("mine.axmul") == UNSIGNED


def test_a_refuted_reading_can_be_forced(axdnn: Command, tables: Path) -> None:
    wrong = ("multipliers", "import", "twos.npy", "--name", "mine", "--order", "ab", "--coding", "unsigned")
    assert axdnn(*wrong).code == 2
    done = axdnn(*wrong, "--force")
    assert done.code == 0
    assert "imported by force" in done.err


BAD: dict[str, tuple[tuple[object, ...], tuple[str, ...]]] = {
    "missing file": ((*IMPORT[:2], "absent.npy", *IMPORT[3:]), ("absent.npy", "No such file")),
    "a folder": ((*IMPORT[:2], ".", *IMPORT[3:]), ("cannot read",)),
    "wrong size": ((*IMPORT[:2], "short.txt", *IMPORT[3:]), ("short.txt", "65,536")),
    "pickled": ((*IMPORT[:2], "objects.npy", *IMPORT[3:]), ("objects.npy",)),
    "no dtype": ((*IMPORT[:2], "t.bin", *IMPORT[3:]), ("dtype", "int16")),
    "wrong dtype": ((*IMPORT[:2], "t.bin", *IMPORT[3:], "--dtype", "int16"), ("131,072", "262,144")),
    "dtype of npy": ((*IMPORT, "--dtype", "int16"), ("dtype",)),
    "wrong coding": ((*IMPORT[:-1], "signed", "--index", "offset"), ("read as (unsigned)",)),
    "wrong index": (
        (
            "multipliers",
            "import",
            "twos.npy",
            "--name",
            "mine",
            "--order",
            "ab",
            "--coding",
            "signed",
            "--index",
            "offset",
        ),
        ("read as (signed, index twos-complement)",),
    ),
    "no index": ((*IMPORT[:-1], "signed"), ("offset", "twos-complement")),
    "index of unsigned": ((*IMPORT, "--index", "offset"), ("index", "unsigned")),
    "odd coding": ((*IMPORT[:-1], "both"), ("coding",)),
    "odd order": ((*IMPORT, "--order", "wa"), ("order",)),
    "no order": ((*IMPORT[:5], "--coding", "unsigned"), ("--order",)),
    "no coding": ((*IMPORT[:7],), ("--coding",)),
    "no name": ((*IMPORT[:3], *IMPORT[5:]), ("--name",)),
    "catalogue's name": ((*IMPORT, "--name", "mul8u_QKX"), ("mul8u_QKX", "another name")),
    "family's name": ((*IMPORT, "--name", "drum"), ("drum", "another name")),
    "path as name": ((*IMPORT, "--name", "a/b"), ("letters",)),
    "some figures": ((*IMPORT, "--power-mW", 0.3), ("--area-um2", "--figures-source")),
    "figures without source": ((*IMPORT, *PRICED[:-2]), ("--figures-source",)),
    "negative power": ((*IMPORT, *PRICED, "--power-mW", -1), ("--power-mW", "-1")),
    "NaN area": ((*IMPORT, *PRICED, "--area-um2", "nan"), ("--area-um2",)),
    "suffix": ((*IMPORT, "--out", "mine.npy"), (".axmul",)),
    "comma in the file": ((*IMPORT, "--out", "a,b.axmul"), ("comma",)),
    "out below a file": ((*IMPORT, "--out", "t.npy/x.axmul"), ("t.npy is a file",)),
    "out is a folder": ((*IMPORT, "--out", "folder.axmul"), ("folder",)),
    "no such module": ((*IMPORT[:2], "absent_module_x:f", *IMPORT[3:]), ("absent_module_x",)),
    "no such function": ((*IMPORT[:2], "code.py:h", *IMPORT[3:]), ("'h'",)),
    "function of one operand": ((*IMPORT[:2], "code.py:g", *IMPORT[3:]), ("code.py:g",)),
    "unknown family": (("multipliers", "show", "drm:k=4"), ("drum", "multipliers families")),
    "parameter": (("multipliers", "show", "drum:m=4"), ("'m'", "drum:k=2..8")),
    "range": (("multipliers", "list", "--set", "exact,bam:h=9,v=1"), ("0..8",)),
    "parameter alone": (("multipliers", "list", "--set", "exact,k=4"), ("without a family",)),
    "no such multiplier file": (("multipliers", "show", "absent.axmul"), ("absent.axmul",)),
    "not a multiplier file": (("multipliers", "show", "fake.axmul"), ("fake.axmul", "JSON")),
    "compare one": (("multipliers", "compare", "exact", "mul8s_1KV6"), ("2 to 12", "got 1")),
    "compare unknown": (("multipliers", "compare", "exact", "mul8u_QKY"), ("mul8u_QKX",)),
    "compare none": (("multipliers", "compare"), ("names",)),
    "compare many": (("multipliers", "compare", *(f"truncated:columns={c}" for c in range(13))), ("got 13",)),
    "compare into a file": (("multipliers", "compare", "exact", "roba", "--out", "t.npy"), ("t.npy is a file",)),
    "estimate without figures": (
        ("estimate", "--model", "lenet5", "--multiplier", "drum:k=4"),
        ("drum:k=4", "figures"),
    ),
    "generate without figures": ((*GENERATE, "exact,drum:k=4"), ("drum:k=4", "figures")),
    "generate: parameter": ((*GENERATE, "exact,drum:k=1"), ("2..8",)),
    "generate: no such file": ((*GENERATE, "exact,absent.axmul"), ("absent.axmul",)),
}


@pytest.mark.parametrize("case", BAD)
def test_refused_in_one_line_and_nothing_written(case: str, axdnn: Command, tables: Path) -> None:
    (tables / "folder.axmul").mkdir()
    (tables / "fake.axmul").write_text("no JSON")
    before = content(tables)
    arguments, parts = BAD[case]
    done = axdnn(*arguments)
    assert done.code == 2, done
    assert done.out == ""
    assert done.err.count("\n") == 1
    assert "Traceback" not in done.err
    for part in parts:
        assert part in done.err
    assert content(tables) == before


def test_compare_shows_metrics_and_draws_two_figures(axdnn: Command, tables: Path) -> None:
    save_multiplier("mine.axmul", import_table(UNSIGNED.table, name="mine", order="ab", coding="unsigned").multiplier)
    names = ("mul8u_QKX", "mul8s_1L2N", "drum:k=4", "mine.axmul", "exact")
    done = axdnn("multipliers", "compare", *names, "--out", "new/folder", "--format", "json")
    assert done.code == 0, done.err
    rows = json.loads(done.out)
    assert [row["id"] for row in rows] == [load_multiplier(name).id for name in names]
    assert [row["power_ratio"] is None for row in rows] == [False, False, True, True, False]
    for figure in ("error-maps.png", "pareto.png"):
        with Image.open(io.BytesIO((tables / "new" / "folder" / figure).read_bytes())) as image:
            assert min(image.size) > 400
    text = axdnn("multipliers", "compare", *names)
    assert "Not priced, power unknown: drum:k=4, mine.axmul#" in text.out
    assert not text.err, "no figures without --out"


def test_show_writes_into_the_current_folder_and_its_help_says_so(axdnn: Command, tables: Path) -> None:
    assert "current folder" in axdnn("multipliers", "show", "--help").out
    assert axdnn("multipliers", "show", "bam:h=1,v=3").code == 0
    assert (tables / "bam_h=1,v=3.png").exists()


def test_estimate_prices_an_imported_multiplier(axdnn: Command, tables: Path) -> None:
    assert axdnn(*IMPORT, *PRICED).code == 0
    done = axdnn("estimate", "--model", "lenet5", "--multiplier", "mine.axmul", "--format", "json")
    assert done.code == 0, done.err
    assert "mine.axmul#" in done.out


@pytest.mark.data
def test_generate_resumes_with_the_same_file_and_refuses_a_changed_one(axdnn_data: Command, tables: Path) -> None:
    """A whole run over an imported circuit; its result is redrawn by name; the file changes, and the rerun says so."""
    assert axdnn_data(*IMPORT, *PRICED).code == 0
    run = (*GENERATE, "exact,mine.axmul", "--strategy", "uniform", "--evaluations", 3, "--score", "none", "--quiet")
    done = axdnn_data(*run)
    assert done.code == 0, done.err
    result = json.loads((tables / "out" / "result.json").read_text())
    used = set(result["assignment"].values())
    assert used <= {"mul8s_1KV6", load_multiplier("mine.axmul").name}
    assert axdnn_data("report", "out").code == 0
    assert "finished already" in axdnn_data(*run).err
    np.save("t.npy", load_multiplier("mul8u_QKX").table)
    assert axdnn_data(*IMPORT, *PRICED, "--overwrite").code == 0
    changed = axdnn_data(*run)
    assert changed.code == 2
    assert "another run" in changed.err
    assert "mine.axmul#" in changed.err
