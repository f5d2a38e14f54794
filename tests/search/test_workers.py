"""Real processes on one study, killed without notice: nothing finished is lost, nothing is counted twice."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from search_evaluations import notes
from search_grid import OBJECTIVES, check, grid_search, values
from search_leaders import Begin, kill_all, wait_for

from axdnn.records import InvalidInputError, StorageError
from axdnn.search import Integer, Named, Space, list_studies, load_history, search
from axdnn.search.crew import FUTILE, Crew, Member, Word
from axdnn.search.leases import expired, gone, new_worker, retire

HERE = Path(__file__).parent


def busy(log: Path, dead: list[int]) -> int:
    """The process of a worker that is within an evaluation."""
    while True:
        begun, ended = notes(str(log), "begin"), notes(str(log), "end")
        for pid, key in reversed(begun):
            if (pid, key) not in ended and pid not in dead:
                return pid
        time.sleep(0.01)


def test_workers_share_a_study(tmp_path: Path) -> None:
    alone = grid_search(tmp_path / "one.journal", 1, 24, str(tmp_path / "one.log"))
    log = tmp_path / "three.log"
    shared = grid_search(tmp_path / "three.journal", 3, 24, str(log), 0.05)
    check(shared, 24, log)
    assert values(shared) == values(alone)
    assert {t.key for t in shared.trials if t.evaluated} == {t.key for t in alone.trials if t.evaluated}
    processes = {pid for pid, _ in notes(str(log), "end")}
    assert len(processes) > 1
    assert os.getpid() not in processes
    assert Counter(key for _, key in notes(str(log), "begin")).most_common(1)[0][1] == 1


def test_a_killed_leader_and_its_workers_resume(tmp_path: Path, begin: Begin) -> None:
    storage, log = tmp_path / "study.journal", tmp_path / "log"
    rng = random.Random(1)
    for round_ in range(2):
        leader = begin(storage, 2, 20, log, 0.15)
        wait_for(leader, log, 4 * (round_ + 1))
        time.sleep(rng.random() * 0.1)
        kill_all(leader)
    before = load_history(storage, "grid")
    finished = {t.number: t for t in before.trials if t.evaluated}
    found = grid_search(storage, 1, 20, str(log), 0.15)
    check(found, 20, log)
    assert {n: t for n, t in ((t.number, t) for t in found.trials) if n in finished} == finished
    alone = grid_search(tmp_path / "one.journal", 1, 20, str(tmp_path / "one.log"))
    assert values(found) == values(alone)
    # At most what each of the two workers ran at the two kills was evaluated again.
    assert sum(Counter(key for _, key in notes(str(log), "begin")).values()) <= 20 + 4


def test_killed_workers_are_replaced(tmp_path: Path, begin: Begin) -> None:
    storage, log = tmp_path / "study.journal", tmp_path / "log"
    leader = begin(storage, 2, 16, log, 0.2)
    dead: list[int] = []
    for ends in (3, 7):
        wait_for(leader, log, ends)
        dead.append(busy(log, dead))
        os.kill(dead[-1], signal.SIGKILL)
    out, err = leader.communicate(timeout=120)
    assert out.split() == ["16", "budget"], err
    check(load_history(storage, "grid"), 16, log)
    assert load_history(storage, "grid").lost in (1, 2)  # a victim may have just ended its evaluation


@pytest.mark.slow
def test_a_killed_leader_leaves_workers_that_end(tmp_path: Path, begin: Begin) -> None:
    storage, log = tmp_path / "study.journal", tmp_path / "log"
    leader = begin(storage, 2, 60, log, 0.2)
    wait_for(leader, log, 2)
    leader.kill()
    leader.wait()
    workers = {pid for pid, _ in notes(str(log), "begin")}
    deadline = time.monotonic() + 20
    while any(Path(f"/proc/{pid}/cmdline").exists() and _running(pid) for pid in workers):
        assert time.monotonic() < deadline, "workers go on without their leader"
        time.sleep(0.05)
    leader.communicate()
    assert list_studies(storage)[0].running == 0  # they ended what they ran
    done = load_history(storage, "grid").evaluations
    check(grid_search(storage, 1, done + 3, str(log), 0.2), done + 3, log)


def _running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except OSError:
        return False


@pytest.mark.slow
def test_a_candidate_that_kills_its_workers_is_given_up(tmp_path: Path) -> None:
    storage, log = tmp_path / "study.journal", tmp_path / "log"
    space = Space((Integer(name="x", low=0, high=3), Integer(name="y", low=0, high=0)))
    found = search(
        space, Named("search_evaluations:traced", {"log": str(log), "deadly": 2}), OBJECTIVES, trials=4,
        sampler="random", storage=storage, name="deadly", workers=2, retries=1,
    )  # fmt: skip
    assert found.evaluations == 4
    dead = [trial for trial in found.trials if trial.outcome == "failed"]
    assert [trial.candidate for trial in dead] == [{"x": 2, "y": 0}]
    assert "its worker ended 2 times" in dead[0].reason
    assert found.lost == 1


def test_ctrl_c_gives_back_what_ran(tmp_path: Path, begin: Begin) -> None:
    storage, log = tmp_path / "study.journal", tmp_path / "log"
    for workers in (1, 2):
        before = len(notes(str(log), "end"))
        leader = begin(storage, workers, 30, log, 0.3)
        wait_for(leader, log, before + 2)
        os.killpg(leader.pid, signal.SIGINT)  # as a terminal does
        _, err = leader.communicate(timeout=60)
        assert leader.returncode != 0
        assert "KeyboardInterrupt" in err
    found = load_history(storage, "grid")
    assert not [trial for trial in found.trials if trial.outcome == "running"]
    assert {trial.reason for trial in found.trials if trial.outcome == "lost"} <= {"interrupted", "lease expired"}
    check(grid_search(storage, 1, 12, str(log), 0.3), 12, log)


def test_what_cannot_be_sent_is_refused(tmp_path: Path) -> None:
    space = Space((Integer(name="x", low=0, high=3),))
    with pytest.raises(InvalidInputError, match="functions of a module or `Named`"):
        search(space, lambda c, run: {"a": 0, "b": 0}, OBJECTIVES, trials=3, storage=tmp_path / "s", workers=2)
    with pytest.raises(InvalidInputError, match="storage that they share"):
        search(space, lambda c, run: {"a": 0, "b": 0}, OBJECTIVES, trials=3, workers=2)
    with pytest.raises(InvalidInputError, match=r"importable here.*no_such_module"):
        search(space, Named("no_such_module:make"), OBJECTIVES, trials=3, storage=tmp_path / "s", workers=2, name="n")


def test_leases() -> None:
    worker = new_worker()
    assert not gone(worker)
    assert not expired(worker, time.time() + 10)
    assert expired(worker, time.time() - 1)
    retire(worker)
    assert gone(worker)
    done = subprocess.run(
        [sys.executable, "-c", "from axdnn.search.leases import new_worker; print(new_worker())"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert gone(done.stdout.strip())  # a process of this machine that has ended
    host, _, pid, start, token = done.stdout.strip().split("/")
    assert not gone("/".join((host, "another", pid, start, token)))  # nothing is known of other machines
    assert not gone("something else")


class Acted(Crew):
    """Workers that end as a test says: a list of words for each look."""

    def __init__(self, looks: list[list[Word]]) -> None:
        super().__init__()
        self.looks, self.launched = looks, 0

    def launch(self) -> int:
        self.launched += 1
        return self.launched

    def ended(self) -> list[tuple[Member, Word]]:
        return list(zip(self.members, self.looks.pop(0), strict=False))

    def leave(self) -> None:
        self.members.clear()


def test_many_workers_may_die_at_once_but_not_as_soon_as_they_start() -> None:
    dead = Word(fault="killed")
    crew = Acted([[dead] * 8, [dead] * 8, [Word(reason="budget")]])
    for _ in range(8):
        crew.start(done=0)
    crew.look(done=5, busy=0)  # all of a machine, after some evaluations
    crew.look(done=5, busy=0)  # and again at once
    assert (crew.launched, len(crew.members)) == (24, 8)
    crew.look(done=9, busy=0)
    assert (crew.reason, len(crew.members)) == ("budget", 7)
    crew = Acted([[dead]] * 9)
    crew.start(done=0)
    for _ in range(FUTILE):
        crew.look(done=0, busy=0)
    with pytest.raises(StorageError, match="as soon as they start, killed"):
        crew.look(done=0, busy=0)
