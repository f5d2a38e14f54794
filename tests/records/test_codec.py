from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import axdnn.records
from axdnn.records import (
    Assignment,
    LayerScores,
    Multiplier,
    Network,
    Record,
    RecordError,
    Study,
    from_json,
    load_record,
    remove_leftovers,
    save_record,
    to_json,
    write_atomic,
)


def fields(record: Record) -> dict[str, Any]:
    return {name: getattr(record, name) for name in record.__struct_fields__ if name != "table"}


def test_there_is_an_example_of_every_record(examples: tuple[Record, ...]) -> None:
    kinds = {value for value in vars(axdnn.records).values() if isinstance(value, type) and issubclass(value, Record)}
    assert {type(example) for example in examples} == kinds - {Record}


def test_round_trip(record: Record, tmp_path: Path) -> None:
    kind, text = type(record), to_json(record)
    path = save_record(tmp_path / "deep" / "record.json", record)
    for back in (from_json(kind, text), load_record(kind, path)):
        assert type(back) is kind
        assert fields(back) == fields(record)
        assert back == record
        assert to_json(back) == text
    assert path.read_text(encoding="utf-8") == text


def test_multiplier_round_trip_keeps_the_table(examples: tuple[Record, ...]) -> None:
    (made,) = (example for example in examples if isinstance(example, Multiplier))
    back = from_json(Multiplier, to_json(made))
    assert (back.table == made.table).all()
    assert back.table.dtype == made.table.dtype
    with pytest.raises(ValueError, match="read-only"):
        back.table[0, 0] = 1


def test_records_are_tagged_and_numbered(record: Record) -> None:
    data = json.loads(to_json(record))
    assert data["_type"] == type(record).__name__
    assert data["_version"] == 1


def test_records_are_frozen(record: Record) -> None:
    name = next(n for n in record.__struct_fields__ if n != "version")
    with pytest.raises(AttributeError):
        setattr(record, name, getattr(record, name))


def test_another_kind_is_refused(record: Record) -> None:
    other = Assignment if not isinstance(record, Assignment) else Network
    with pytest.raises(RecordError, match=f"_type '{other.__name__}', but got '{type(record).__name__}'"):
        from_json(other, to_json(record))


@pytest.mark.parametrize("version", [0, 2, "1", None])
def test_another_version_is_refused(record: Record, version: object) -> None:
    data = json.loads(to_json(record))
    data["_version"] = version
    with pytest.raises(RecordError, match="_version 1") as error:
        from_json(type(record), json.dumps(data), where="there.json")
    assert "there.json" in str(error.value)
    assert repr(version) in str(error.value)


def test_another_version_inside_is_refused(examples: tuple[Record, ...]) -> None:
    (network,) = (example for example in examples if isinstance(example, Network))
    data = json.loads(to_json(network))
    data["layers"][0]["_version"] = 2
    with pytest.raises(RecordError, match="Layer with _version 1, but got 2"):
        from_json(Network, json.dumps(data))


def test_a_part_of_a_record_is_refused(record: Record) -> None:
    text = to_json(record)
    for keep in (0, 1, len(text) // 2, len(text) - 3):
        with pytest.raises(RecordError, match="must be JSON"):
            from_json(type(record), text[:keep])


@pytest.mark.parametrize("text", ["[]", "null", "1", '"x"', "{}", '{"_type": "Study"}', "[" * 100_000, b"\xff\xfe{"])
def test_other_json_is_refused(text: str | bytes) -> None:
    with pytest.raises(RecordError):
        from_json(Study, text)


def test_missing_and_wrong_fields_are_named() -> None:
    with pytest.raises(RecordError, match="values"):
        from_json(LayerScores, '{"_type": "LayerScores", "_version": 1, "score": "x"}')
    with pytest.raises(RecordError, match="values"):
        from_json(LayerScores, '{"_type": "LayerScores", "_version": 1, "score": "x", "values": {"a": "much"}}')


@pytest.mark.parametrize(
    "change",
    [
        {"zlib_base64": "AAAA"},
        {"zlib_base64": "!"},
        {"zlib_base64": 3},
        {"dtype": "strange"},
        {"shape": [3]},
        {"dtype": "|O"},
    ],
)
def test_a_damaged_table_is_refused(examples: tuple[Record, ...], change: dict[str, object]) -> None:
    (made,) = (example for example in examples if isinstance(example, Multiplier))
    data = json.loads(to_json(made))
    data["table"].update(change)
    with pytest.raises(RecordError):
        from_json(Multiplier, json.dumps(data))
    for table in ("text", {}, 5):
        with pytest.raises(RecordError):
            from_json(Multiplier, json.dumps({**data, "table": table}))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_only_finite_numbers_are_written(value: float, tmp_path: Path) -> None:
    scores = LayerScores(score="x", values={"a": value})
    with pytest.raises(RecordError, match="finite"):
        to_json(scores)
    with pytest.raises(RecordError, match="finite"):
        save_record(tmp_path / "x.json", scores)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999"])
def test_only_finite_numbers_are_read(literal: str) -> None:
    with pytest.raises(RecordError, match="finite"):
        from_json(LayerScores, f'{{"_type": "LayerScores", "_version": 1, "score": "x", "values": {{"a": {literal}}}}}')


@given(st.dictionaries(st.text(max_size=8), st.floats(allow_nan=False, allow_infinity=False), max_size=4))
def test_numbers_and_names_are_kept_to_the_last_bit(values: dict[str, float]) -> None:
    back = from_json(LayerScores, to_json(LayerScores(score="x", values=values)).encode("utf-8", "surrogatepass"))
    assert back.values == values
    assert [math.copysign(1, v) for v in back.values.values()] == [math.copysign(1, v) for v in values.values()]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"absent\.json"):
        load_record(Study, tmp_path / "absent.json")
    with pytest.raises(RecordError, match="cannot read"):
        load_record(Study, tmp_path)


def test_what_a_record_cannot_hold() -> None:
    with pytest.raises(TypeError, match="cannot hold"):
        to_json(LayerScores(score="x", values={"a": object()}))  # type: ignore[dict-item]


@pytest.mark.parametrize("step", ["fsync", "chmod", "replace"])
@pytest.mark.parametrize("failure", [KeyboardInterrupt, OSError("no space left")])
def test_an_interrupted_write_leaves_the_old_file(
    step: str, failure: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_atomic(tmp_path / "file", "old")

    def fail(*_: object) -> None:
        raise failure

    with monkeypatch.context() as patch:
        patch.setattr(os, step, fail)
        with pytest.raises(type(failure) if isinstance(failure, BaseException) else failure):
            write_atomic(path, "new and longer")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
    assert write_atomic(path, b"new").read_bytes() == b"new"


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_files_get_usual_permissions(mask: int, mode: int, tmp_path: Path) -> None:
    before = os.umask(mask)
    try:
        path = write_atomic(tmp_path / "file", "x")
        assert os.umask(mask) == mask
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == mode


def test_replace_makes_a_new_record(examples: tuple[Record, ...]) -> None:
    (study,) = (example for example in examples if isinstance(example, Study))
    changed = msgspec.structs.replace(study, wall_s=2.0)
    assert (changed.wall_s, study.wall_s) == (2.0, 1.5)
    assert changed != study


def test_leftovers_of_killed_writers(tmp_path):
    """A writer killed before the last step leaves a part; it goes when it is old enough to be nobody's."""
    code = (
        "import os, signal, sys\n"
        "from axdnn.records import write_atomic\n"
        "os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "write_atomic(sys.argv[1], b'new')\n"
    )
    file = tmp_path / "a[1].json"
    file.write_text("old")
    assert subprocess.run([sys.executable, "-c", code, str(file)], check=False).returncode == -9
    (part,) = set(tmp_path.iterdir()) - {file}
    assert file.read_text() == "old"
    remove_leftovers(tmp_path)
    assert part.exists(), "a young one may be written just now"
    remove_leftovers(tmp_path, "b.json", older_than_s=0.0)
    assert part.exists(), "of another file"
    remove_leftovers(tmp_path, file.name, older_than_s=0.0)
    assert [path.name for path in tmp_path.iterdir()] == [file.name]
    part.write_text("")
    os.utime(part, (0, 0))
    remove_leftovers(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [file.name]
    remove_leftovers(tmp_path / "absent")
