"""The output folder: one run's own, locked while it works, whole at any moment."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from axdnn.methods import RunFolder
from axdnn.records import Assignment, Evaluation, OutputFolderError, RecordError, Study, load_record

SETTINGS = {"model": "lenet5", "seed": "0"}
BEST = Evaluation(
    assignment=Assignment(multipliers={"conv1": "m"}), accuracy={}, energy_j=1.0, latency_s=1.0, memory_bytes=1,
    area_m2=1.0, multiplier_energy_j=1.0, accepted=True,
)  # fmt: skip


def study(evaluations: int = 1) -> Study:
    return Study(settings={}, evaluations=(BEST,) * evaluations, full_evaluations=evaluations)


def test_nothing_is_made_before_it_is_entered(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "a" / "b", SETTINGS)
    folder.check()
    assert folder.study() is None
    assert folder.result() is None
    assert folder.drawn() == []
    assert not list(tmp_path.iterdir())


def test_settings_are_kept(tmp_path: Path) -> None:
    with RunFolder(tmp_path / "a" / "b", SETTINGS) as folder:
        assert json.loads((folder.path / "run.json").read_text()) == SETTINGS
    with RunFolder(tmp_path / "a" / "b", SETTINGS):
        pass


@pytest.mark.parametrize("other", [{**SETTINGS, "seed": "1"}, {"model": "lenet5"}, {**SETTINGS, "new": "x"}, {}])
def test_another_run_is_refused_with_what_differs(other: dict[str, str], tmp_path: Path) -> None:
    with RunFolder(tmp_path, other):
        pass
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(OutputFolderError, match=r"another run .*(seed|new|model)"):
        RunFolder(tmp_path, SETTINGS).check()
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_foreign_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(OutputFolderError, match="not of a run"), RunFolder(tmp_path, SETTINGS):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_an_empty_folder_is_fine(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with RunFolder(tmp_path / "empty", SETTINGS) as folder:
        assert folder.study() is None


def test_what_a_run_killed_at_its_start_leaves_is_fine(tmp_path: Path) -> None:
    (tmp_path / ".lock").touch()
    (tmp_path / ".run.json.x8f2").write_text('{"mo')
    with RunFolder(tmp_path, SETTINGS) as folder:
        assert (folder.path / "run.json").exists()


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for out in ("file", "file/x", "file/x/y"):
        with pytest.raises(OutputFolderError, match="file"):
            RunFolder(tmp_path / out, SETTINGS).check()
    if os.geteuid() != 0:
        (tmp_path / "closed").mkdir(mode=0o500)
        with pytest.raises(OutputFolderError, match="writable"):
            RunFolder(tmp_path / "closed" / "x", SETTINGS).check()


def test_one_process_at_a_time(tmp_path: Path) -> None:
    with RunFolder(tmp_path, SETTINGS):
        with pytest.raises(OutputFolderError, match="another process"), RunFolder(tmp_path, SETTINGS):
            pass
        with pytest.raises(OutputFolderError, match="another process"), RunFolder(tmp_path, SETTINGS):
            pass
    with RunFolder(tmp_path, SETTINGS):
        pass


def test_the_lock_goes_with_an_error(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), RunFolder(tmp_path, SETTINGS):
        raise KeyboardInterrupt
    with RunFolder(tmp_path, SETTINGS):
        pass


def test_the_best_so_far_is_kept_and_time_adds_up(tmp_path: Path) -> None:
    with RunFolder(tmp_path, SETTINGS) as folder:
        folder.checkpoint(study(2), BEST)
        first = load_record(Study, tmp_path / "study.json")
    assert first.best == BEST
    assert first.full_evaluations == 2
    with RunFolder(tmp_path, SETTINGS) as folder:
        assert folder.study() == first
        assert folder.wall_s >= first.wall_s > 0
        folder.checkpoint(study(3), None)
    assert load_record(Study, tmp_path / "study.json").wall_s >= first.wall_s


def test_a_damaged_history_is_as_good_as_none(tmp_path: Path) -> None:
    with RunFolder(tmp_path, SETTINGS) as folder:
        folder.checkpoint(study(), BEST)
    (tmp_path / "study.json").write_text('{"_type": "Stu')
    with RunFolder(tmp_path, SETTINGS) as folder:
        assert folder.study() is None
        folder.checkpoint(study(), BEST)
    assert load_record(Study, tmp_path / "study.json").best == BEST


def test_a_damaged_result_says_what_to_do(tmp_path: Path) -> None:
    with RunFolder(tmp_path, SETTINGS) as folder:
        (tmp_path / "result.json").write_text("{}")
        with pytest.raises(RecordError, match=r"result\.json.*Delete the file"):
            folder.result()


def test_a_second_interrupt_while_replaying_keeps_the_saved_history(tmp_path: Path) -> None:
    """A resumed run sees its evaluations again from the start; what is saved already must not shrink meanwhile."""
    settings = {"a": "1"}
    saved = Study(settings={}, full_evaluations=9, network_images=90)
    with RunFolder(tmp_path / "run", settings) as folder:
        folder.checkpoint(saved, None)
    with RunFolder(tmp_path / "run", settings) as folder:
        folder.checkpoint(Study(settings={}, full_evaluations=2), None)
        found = folder.study()
        assert found is not None
        assert (found.full_evaluations, found.network_images) == (9, 90)
        folder.checkpoint(Study(settings={}, full_evaluations=10), None)
        found = folder.study()
        assert found is not None
        assert found.full_evaluations == 10


def test_a_partial_check_looks_at_the_given_settings_alone(tmp_path: Path) -> None:
    with RunFolder(tmp_path / "run", {"a": "1", "data_sha256": "x"}):
        pass
    RunFolder(tmp_path / "run", {"a": "1"}).check(partial=True)
    with pytest.raises(OutputFolderError, match="another run"):
        RunFolder(tmp_path / "run", {"a": "2"}).check(partial=True)
    with pytest.raises(OutputFolderError, match="data_sha256"):
        RunFolder(tmp_path / "run", {"a": "1"}).check()


def test_leftovers_of_killed_runs_go_and_nothing_else(tmp_path: Path) -> None:
    with RunFolder(tmp_path, SETTINGS):
        pass
    gone = [tmp_path / name for name in (".study.json.abcd1234.part", "cache/.x.bits.abcd1234.part",
                                         "figures/.cost.png.abcd1234.part")]  # fmt: skip
    kept = [tmp_path / name for name in ("cache/x.bits", "figures/cost.png", ".mine", "part")]
    for file in (*gone, *kept):
        file.parent.mkdir(exist_ok=True)
        file.write_text("x")
    RunFolder(tmp_path, SETTINGS).check()
    assert all(file.exists() for file in gone), "only who holds the lock knows that nobody writes them"
    with RunFolder(tmp_path, SETTINGS):
        assert not any(file.exists() for file in gone)
        assert all(file.exists() for file in kept)
