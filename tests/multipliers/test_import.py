"""Imported tables: files read, statements checked against a*b, files kept and noticed when they change."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from axdnn.multipliers import (
    Figures,
    Multiplier,
    family_multiplier,
    import_table,
    list_multipliers,
    load_multiplier,
    load_set,
    load_table,
    pinned_set,
    power_ratio,
    readings,
    require_own_name,
    save_multiplier,
)
from axdnn.records import InvalidInputError, RecordError

CODES = np.arange(256)
UNSIGNED = load_multiplier("mul8u_GTR")  # not symmetric
SIGNED = load_multiplier("mul8s_1KX5")  # not symmetric
OURS = {"name": "mine", "order": "ab"}


def stored(multiplier: Multiplier, index: str | None) -> np.ndarray[Any, Any]:
    """The table as a file of that convention holds it, written from the definition."""
    if index != "twos-complement":
        return multiplier.table
    rows = [[multiplier.table[(a + 128) % 256, (b + 128) % 256] for b in range(256)] for a in range(256)]
    return np.array(rows)


# --- files ----------------------------------------------------------------------------------------------------------


def write(table: np.ndarray[Any, Any], path: Path) -> str | None:
    """Write a table in the format of the file's name; return the dtype to state."""
    kind = path.suffix
    if kind == ".npy":
        np.save(path, table.reshape(-1) if "flat" in path.name else table)
    elif kind == ".bin":
        dtype = path.stem
        table.astype({"int16": "<i2", "uint16": "<u2", "int32": "<i4", "uint32": "<u4"}[dtype]).tofile(path)
        return dtype
    elif kind == ".csv":
        path.write_text("\n".join(",".join(map(str, row)) for row in table.tolist()), encoding="utf-8-sig")
    else:
        path.write_text(" ".join(f"{v}.0" if v % 2 else str(v) for v in table.reshape(-1).tolist()))
    return None


@pytest.mark.parametrize("file", ["t.npy", "flat.npy", "t.csv", "t.txt", "int32.bin", "uint32.bin", "uint16.bin"])
def test_every_format_gives_the_same_numbers(file: str, tmp_path: Path) -> None:
    dtype = write(UNSIGNED.table, tmp_path / file)
    np.testing.assert_array_equal(load_table(tmp_path / file, dtype), UNSIGNED.table)


def test_signed_16_bit(tmp_path: Path) -> None:
    small = np.clip(SIGNED.table, -(2**15), 2**15 - 1)
    np.testing.assert_array_equal(load_table(tmp_path / "int16.bin", write(small, tmp_path / "int16.bin")), small)


def with_entry(value: float) -> np.ndarray[Any, Any]:
    table = UNSIGNED.table.astype(float)
    table[3, 7] = value
    return table


def broken(path: Path) -> dict[str, Any]:
    """Write every kind of wrong file; name -> arguments of `load_table`."""
    np.save(path / "half.npy", with_entry(0.5))
    np.save(path / "nan.npy", with_entry(np.nan))
    np.save(path / "inf.npy", with_entry(np.inf))
    np.save(path / "large.npy", with_entry(2.0**31))
    np.save(path / "u64.npy", np.full((256, 256), 2**64 - 1, dtype=np.uint64))
    np.save(path / "shape.npy", np.zeros((256, 255), dtype=int))
    np.save(path / "complex.npy", np.zeros((256, 256), dtype=complex))
    np.save(path / "objects.npy", np.array([{1: 2}], dtype=object), allow_pickle=True)
    np.savez(path / "several.npz", a=UNSIGNED.table)
    (path / "several.npz").rename(path / "several.npy")
    np.save(path / "whole.npy", UNSIGNED.table)
    (path / "cut.npy").write_bytes((path / "whole.npy").read_bytes()[:-1000])
    (path / "empty.npy").write_bytes(b"")
    (path / "short.txt").write_text("1 2 3")
    (path / "words.txt").write_text("x " * 65536)
    (path / "late.txt").write_text("1 " * 65535 + "0x1F")
    (path / "nan.txt").write_text("1 " * 65535 + "nan")
    (path / "huge.txt").write_text("1 " * 65535 + "9" * 30)
    (path / "vast.txt").write_text("1 " * 65535 + "9" * 4000)
    (path / "binary.txt").write_bytes(bytes(range(256)) * 16)
    (path / "short.bin").write_bytes(b"\0" * 131071)
    (path / "folder.txt").mkdir()
    files = [p.name for p in path.iterdir() if p.name != "whole.npy"]
    return {name: {"dtype": "int16"} if name.endswith(".bin") else {} for name in (*files, "absent.npy", "absent.txt")}


def test_wrong_files_are_refused_with_their_name(tmp_path: Path) -> None:
    for name, arguments in broken(tmp_path).items():
        with pytest.raises(InvalidInputError) as caught:
            load_table(tmp_path / name, **arguments)
        assert name in str(caught.value)
        with pytest.raises(InvalidInputError):
            import_table(tmp_path / name, **OURS, coding="unsigned", **arguments)


def test_the_first_wrong_entry_is_named(tmp_path: Path) -> None:
    broken(tmp_path)
    for name, parts in {"half.npy": ("row 3, column 7", "0.5"), "late.txt": ("row 255, column 255", "0x1F")}.items():
        with pytest.raises(InvalidInputError) as caught:
            load_table(tmp_path / name)
        assert all(part in str(caught.value) for part in parts)


@pytest.mark.parametrize(("file", "dtype"), [("t.bin", None), ("t.bin", "int8"), ("t.npy", "int16"), ("t.txt", "x")])
def test_dtype_belongs_to_bin_alone(file: str, dtype: str | None) -> None:
    with pytest.raises(InvalidInputError, match="uint16"):
        load_table(file, dtype)


# --- statements -----------------------------------------------------------------------------------------------------

STATED = [(UNSIGNED, None), (SIGNED, "offset"), (SIGNED, "twos-complement")]


@pytest.mark.parametrize(("multiplier", "index"), STATED, ids=str)
@pytest.mark.parametrize("order", ["ab", "ba"])
def test_order_and_index_are_undone(multiplier: Multiplier, index: str | None, order: str) -> None:
    table = stored(multiplier, index)
    table = table.T if order == "ba" else table
    done = import_table(table, name="mine", order=order, coding=multiplier.coding, index=index)  # type: ignore[arg-type]
    np.testing.assert_array_equal(done.multiplier.table, multiplier.table)
    assert done.multiplier == multiplier
    for a, b, product, exact in done.samples:
        shift = 128 if multiplier.a_signed else 0
        assert product == multiplier.table[a + shift, b + shift]
        assert exact == a * b
    (note,) = done.notes
    assert "cannot be checked" in note
    assert f"{int((multiplier.table != multiplier.table.T).sum()):,}" in note


def test_a_symmetric_table_needs_no_remark_on_order() -> None:
    assert import_table(family_multiplier("roba").table, **OURS, coding="unsigned").notes == ()


def wrong_statements() -> list[tuple[Multiplier, str | None, dict[str, Any]]]:
    ways: list[dict[str, Any]] = [
        {"coding": "unsigned"},
        {"coding": "signed", "index": "offset"},
        {"coding": "signed", "index": "twos-complement"},
    ]
    return [
        (multiplier, index, way)
        for multiplier, index in STATED
        for way in ways
        if way != {"coding": multiplier.coding, **({"index": index} if index else {})}
    ]


@pytest.mark.parametrize(("multiplier", "index", "way"), wrong_statements(), ids=str)
def test_wrong_coding_or_index_is_caught_unless_forced(
    multiplier: Multiplier, index: str | None, way: dict[str, Any]
) -> None:
    table = stored(multiplier, index)
    right = "unsigned" if index is None else f"signed, index {index}"
    with pytest.raises(InvalidInputError, match=rf"read as \({right}\)"):
        import_table(table, **OURS, **way)
    forced = import_table(table, **OURS, **way, force=True)
    assert any("force" in note for note in forced.notes)


def test_values_of_the_wrong_signedness_are_caught() -> None:
    with pytest.raises(InvalidInputError, match="two's complement"):
        import_table(SIGNED.table % 2**16, **OURS, coding="signed", index="offset")
    with pytest.raises(InvalidInputError, match="unsigned 16-bit"):
        import_table(UNSIGNED.table.astype(np.int16), **OURS, coding="unsigned")


def test_mixed_signedness_is_recognised() -> None:
    table = np.multiply.outer(CODES, CODES - 128)
    with pytest.raises(InvalidInputError, match="one coding for both"):
        import_table(table, **OURS, coding="unsigned")


def test_no_circuit_of_the_catalogue_or_of_a_family_is_refused_under_its_own_reading() -> None:
    rough = ["drum:k=2", "compressor:columns=13", "truncated:columns=14", "bam:h=6,v=12", "operands:a_bits=1,b_bits=1"]
    rough += ["operands:a_bits=2,b_bits=2,coding=signed", "drum:k=2,coding=signed", "recursive2x2", "mitchell", "roba"]
    for name in [*(row.name for row in list_multipliers()), *rough]:
        multiplier = load_multiplier(name)
        for index in ("offset", "twos-complement") if multiplier.a_signed else (None,):
            done = import_table(stored(multiplier, index), **OURS, coding=multiplier.coding, index=index)  # type: ignore[arg-type]
            assert done.multiplier == multiplier


def test_readings_measure_the_mean_error_relative_to_the_mean_product() -> None:
    exact = np.multiply.outer(CODES - 128, CODES - 128)
    best, *others = readings(exact + 40)
    assert (best.rows, best.columns) == ("signed, index offset",) * 2
    assert best.error == pytest.approx(40 / 4096, rel=1e-12)  # mean |a| is 64
    assert all(other.error > 1 for other in others)
    assert any("checked" in n for n in import_table(np.zeros((256, 256), int), **OURS, coding="unsigned").notes)


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"coding": "ternary"}, "coding"), ({"order": "abc"}, "order"), ({"index": "none"}, "index"),
        ({"coding": "signed"}, "needs an index"), ({"index": "offset"}, "signed tables only"),
        ({"name": "mul8u_QKX"}, "catalogue"), ({"name": "mul8s_1KV8"}, "catalogue"), ({"name": "exact"}, "catalogue"),
        ({"name": "evoapprox8b"}, "catalogue"), ({"name": "drum"}, "catalogue"), ({"name": "mitchell"}, "catalogue"),
        ({"name": "a,b"}, "letters"), ({"name": ""}, "letters"), ({"name": "x.T"}, "letters"),
        ({"name": "a:b"}, "letters"), ({"name": "../x"}, "letters"), ({"name": "x" * 65}, "letters"),
    ],
)  # fmt: skip
def test_wrong_statements_are_refused(change: dict[str, Any], part: str) -> None:
    with pytest.raises(InvalidInputError, match=part):
        import_table(UNSIGNED.table, **{**OURS, "coding": "unsigned", **change})


# --- functions ------------------------------------------------------------------------------------------------------

FUNCTIONS = """
TABLE = [[(a & ~1) * b for b in range(256)] for a in range(256)]

def arrays(a, b):
    return (a & ~1) * b

def numbers(a, b):
    return TABLE[a][b] if b > 1 else (a & ~1) * b

def differs(a, b):
    return (a & ~1) * b if isinstance(a, int) else a * b

def text(a, b):
    return "1"

def half(a, b):
    return a * b + 0.5

def fails(a, b):
    raise RuntimeError("no")

def leaves(a, b):
    raise SystemExit(3)

def nothing(a, b):
    pass

def wide(a, b):
    return a * b << 20

number = 3
"""


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "circuit_of_a_test.py").write_text(FUNCTIONS)
    (tmp_path / "exits.py").write_text("raise SystemExit(1)")
    (tmp_path / "syntax.py").write_text("def f(a b):")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", ["arrays", "numbers", "differs"])
@pytest.mark.parametrize("way", ["circuit_of_a_test.py", "circuit_of_a_test"])
def test_functions_by_file_and_by_module(name: str, way: str, code: Path) -> None:
    wanted = np.multiply.outer(CODES & ~1, CODES)
    done = import_table(f"{way}:{name}", **OURS, coding="unsigned")
    np.testing.assert_array_equal(done.multiplier.table, wanted)
    swapped = import_table(f"{way}:{name}", name="mine", order="ba", coding="unsigned")
    np.testing.assert_array_equal(swapped.multiplier.table, wanted.T)


def test_signed_functions_get_signed_numbers(code: Path) -> None:
    done = import_table("circuit_of_a_test.py:arrays", **OURS, coding="signed")
    values = CODES - 128
    np.testing.assert_array_equal(done.multiplier.table, np.multiply.outer(values & ~1, values))
    with pytest.raises(InvalidInputError, match=r"read as \(unsigned\)"):
        import_table(lambda a, b: (a % 256) * (b % 256), **OURS, coding="signed")
    with pytest.raises(InvalidInputError, match="called on numbers"):
        import_table("circuit_of_a_test.py:arrays", **OURS, coding="signed", index="offset")


@pytest.mark.parametrize(
    ("source", "part"),
    [
        ("text", "whole number"), ("half", "whole numbers"), ("fails", "no"), ("leaves", "SystemExit"),
        ("nothing", "NoneType"), ("wide", "int32"), ("number", "function"), ("absent", "function"),
    ],
)  # fmt: skip
def test_wrong_functions(source: str, part: str, code: Path) -> None:
    with pytest.raises(InvalidInputError, match=part):
        import_table(f"circuit_of_a_test.py:{source}", **OURS, coding="unsigned")


@pytest.mark.parametrize("source", ["absent.py:f", "absent_module_x:f", "exits.py:f", "syntax.py:f"])
def test_wrong_modules(source: str, code: Path) -> None:
    with pytest.raises(InvalidInputError, match="cannot import"):
        import_table(source, **OURS, coding="unsigned")


# --- kept files -----------------------------------------------------------------------------------------------------

FIGURES = Figures(power_w=0.2e-3, area_m2=400e-12, delay_s=1e-9, source="a test")


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A multiplier in a file, in the current folder."""
    monkeypatch.chdir(tmp_path)
    done = import_table(UNSIGNED.table, **OURS, coding="unsigned", figures=FIGURES)
    save_multiplier("mine.axmul", done.multiplier, done.statement)
    return "mine.axmul"


def test_a_kept_multiplier_is_a_name(kept: str) -> None:
    loaded = load_multiplier(kept)
    assert loaded == UNSIGNED
    assert loaded.name.startswith("mine.axmul#")
    assert loaded.aliases == ("mine",)
    assert loaded.figures == FIGURES
    assert power_ratio(loaded) == FIGURES.power_w / load_multiplier("mul8u_1JJQ").figures.power_w
    assert [m.name for m in load_set(f"exact,{kept},bam:h=1,v=2")] == ["mul8s_1KV6", loaded.name, "bam:h=1,v=2"]
    swapped = load_multiplier(f"{kept}.T")
    np.testing.assert_array_equal(swapped.table, UNSIGNED.table.T)
    assert load_multiplier(swapped.name) == swapped
    (row,) = list_multipliers(loaded.name)
    assert row.id == loaded.id
    assert row.power_ratio == power_ratio(loaded)


def test_its_name_loads_it_in_another_process(kept: str) -> None:
    code = "import sys; from axdnn.multipliers import load_multiplier as l; print(l(sys.argv[1]).id)"
    done = subprocess.run(
        [sys.executable, "-c", code, load_multiplier(kept).name], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == UNSIGNED.id


@pytest.mark.parametrize("change", ["table", "figures"])
def test_a_changed_file_is_noticed(change: str, kept: str, tmp_path: Path) -> None:
    before, pinned = load_multiplier(kept).name, pinned_set(f"exact,{kept}")
    other = load_multiplier("mul8u_QKX").table if change == "table" else UNSIGNED.table
    figures = FIGURES if change == "table" else msgspec.structs.replace(FIGURES, power_w=1e-3)
    save_multiplier(kept, import_table(other, **OURS, coding="unsigned", figures=figures).multiplier)
    assert pinned_set(f"exact,{kept}") != pinned
    assert load_multiplier(kept).name != before
    code = "import sys; from axdnn.multipliers import load_multiplier as l; l(sys.argv[1])"
    done = subprocess.run([sys.executable, "-c", code, before], capture_output=True, text=True, check=False)
    assert "RecordError" in done.stderr
    assert "has changed" in done.stderr
    assert load_multiplier(before) == UNSIGNED, "this process knows what the pinned name meant"


def test_pinning_leaves_other_names_alone(kept: str) -> None:
    for spec in ("evoapprox8b", "mul8u_QKX, exact", "drum:k=4,bam:h=0,v=1"):
        assert pinned_set(spec) == spec
    assert pinned_set(f"mul8u_QKX,{kept}.T") == f"mul8u_QKX,{load_multiplier(kept).name}.T"


@pytest.mark.parametrize("damage", ["cut", "empty", "edited", "other record", "packed", "label", "missing"])
def test_damaged_files_are_refused(damage: str, kept: str, tmp_path: Path) -> None:
    file = tmp_path / "hurt.axmul"
    shutil.copy(kept, file)
    data = json.loads(file.read_text())
    if damage == "cut":
        file.write_text(file.read_text()[:-200])
    elif damage == "empty":
        file.write_bytes(b"")
    elif damage == "missing":
        file.unlink()
    else:
        if damage == "edited":
            data["multiplier"]["figures"]["power_w"] = 1e-9
        elif damage == "label":
            data["multiplier"]["name"] = "other"
        elif damage == "packed":
            data["multiplier"]["table"]["zlib_base64"] = data["multiplier"]["table"]["zlib_base64"][:-8]
        else:
            data["_type"] = "Figures"
        file.write_text(json.dumps(data))
    with pytest.raises(RecordError, match=r"hurt\.axmul"):
        load_multiplier("hurt.axmul")


def test_a_result_from_another_folder_says_what_its_name_means(kept: str) -> None:
    with pytest.raises(RecordError, match="folder where it was first named"):
        load_multiplier("elsewhere.axmul#0123456789ab")


def test_files_that_cannot_be_names_are_not_written(tmp_path: Path) -> None:
    mine = msgspec.structs.replace(UNSIGNED, name="mine")
    for path in ("mine.json", "a,b.axmul"):
        with pytest.raises(InvalidInputError, match="axmul"):
            save_multiplier(tmp_path / path, mine)
    with pytest.raises(InvalidInputError, match="catalogue"):
        save_multiplier(tmp_path / "x.axmul", UNSIGNED)
    assert not list(tmp_path.iterdir())


def test_a_member_of_a_family_gets_figures_by_being_kept(tmp_path: Path) -> None:
    drum = msgspec.structs.replace(load_multiplier("drum:k=4"), name="drum4-of-mine", figures=FIGURES)
    loaded = load_multiplier(str(save_multiplier(tmp_path / "drum.axmul", drum)))
    assert loaded == load_multiplier("drum:k=4")
    assert "Hashemi" in loaded.origin
    assert loaded.figures == FIGURES


def test_borrowed_names_are_refused(kept: str) -> None:
    for known in ("mul8u_QKX", "drum:k=4", "mul8u_QKX.T", load_multiplier(kept).name):
        loaded = load_multiplier(known)
        require_own_name(loaded)
        require_own_name(loaded.sign_magnitude())
        with pytest.raises(InvalidInputError, match="another circuit"):
            require_own_name(msgspec.structs.replace(load_multiplier("roba"), name=known))
    with pytest.raises(InvalidInputError, match="another circuit"):
        require_own_name(msgspec.structs.replace(SIGNED, name="mul8s_1KV8"))
    require_own_name(msgspec.structs.replace(SIGNED, name="anything else"))
