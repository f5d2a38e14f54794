"""Workers on a Ray cluster of two nodes: one is lost, the leader is killed or interrupted, requests cannot be met."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from search_evaluations import notes
from search_grid import OBJECTIVES, SPACE, check, grid_search, values
from search_leaders import Begin, kill_all, wait_for
from search_nodes import OTHER, Nodes, parents, two_nodes
from search_postgresql import Server

from axdnn.records import ClusterError, InvalidInputError
from axdnn.search import Cluster, delete_study, load_history, ray_workers, search

pytestmark = pytest.mark.xdist_group("postgresql")  # one worker runs the tests that start servers


@pytest.fixture(scope="module")
def running() -> Iterator[Nodes]:
    """A cluster for all tests here; the last one breaks it."""
    with two_nodes() as cluster:
        yield cluster


@pytest.fixture
def nodes(running: Nodes, environment: dict[str, str]) -> Nodes:
    """The cluster, with what leaders need to connect in their environment."""
    environment.update({name: value for name, value in running.environment.items() if name.startswith("RAY_")})
    return running


def ask(environment: dict[str, str], code: str, folder: Path | None = None) -> str:
    """Run a few lines in a process of their own."""
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, timeout=120, cwd=folder
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def ends_evaluating(log: Path, pid: int) -> bool:
    """Whether a process has ended all that it began."""
    return len([p for p, _ in notes(str(log), "begin") if p == pid]) == len(
        [p for p, _ in notes(str(log), "end") if p == pid]
    )


def test_what_cannot_work_is_refused_before_ray_is_asked(tmp_path: Path) -> None:
    for wrong in ({"address": "rya"}, {"address": "host:port"}, {"cores": 0}, {"cores": 1.5}, {"gpus": -1.0},
                  {"gpus": 1.5}, {"code": tmp_path / "none"}):  # fmt: skip
        with pytest.raises(InvalidInputError):
            Cluster(**wrong)
    for storage, said in ((None, "storage that they share"), ("sqlite://", "not one in memory"), (":x://", "URL")):
        with pytest.raises(InvalidInputError, match=said):
            grid_search(storage, None, 4, str(tmp_path / "log"), cluster="ray")
    with pytest.raises(InvalidInputError, match="evaluate must be a function of a module"):
        search(SPACE, lambda c, run: {"a": 0, "b": 0}, OBJECTIVES, trials=3, storage=tmp_path / "s", cluster="ray")
    assert not (tmp_path / "s").exists()
    room = [{"Alive": True, "Resources": {"CPU": 7.0, "GPU": 1.0}}, {"Alive": False, "Resources": {"CPU": 99.0}}]
    asked = (Cluster(cores=2), Cluster(cores=2, gpus=0.5), Cluster(cores=8))
    assert [cluster.room(room) for cluster in asked] == [3, 2, 0]


class FakeRay:
    """Nodes and tasks in the imagination of a test; tasks wait until they are cancelled."""

    def __init__(self) -> None:
        self.cpus, self.cancelled = [1.0], []

    def nodes(self) -> list[dict[str, object]]:
        return [{"Alive": True, "Resources": {"CPU": has}} for has in self.cpus]

    def remote(self, **options: object) -> Callable[[object], object]:
        return lambda function: SimpleNamespace(remote=lambda *arguments: object())

    def wait(self, handles: list[object], num_returns: int, timeout: float) -> tuple[list[object], list[object]]:
        return [], handles

    def cancel(self, handle: object, force: bool) -> None:
        self.cancelled.append(handle)


def test_nodes_that_join_and_a_cluster_that_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_workers, "COUNT_S", 0.0)
    ray = FakeRay()
    crew = ray_workers.RayCrew(ray, Cluster(), "storage", "study", None, most=3)
    crew.start(done=0)
    ray.cpus = [1.0, 8.0]
    crew.look(done=0, busy=1)
    assert len(crew.members) == 3  # no more than are needed
    monkeypatch.setattr(ray_workers, "NO_NODE_S", 0.0)
    ray.cpus = []
    crew.look(done=0, busy=1)  # leases of those that ran are not over
    with pytest.raises(ClusterError, match="those that had are gone; what was evaluated is kept"):
        crew.look(done=0, busy=0)


def test_workers_without_room_do_not_hold_up_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_workers, "END_S", 0.0)
    ray = FakeRay()
    crew = ray_workers.RayCrew(ray, Cluster(), "storage", "study", time.monotonic() - 1, most=None)
    crew.start(done=0)
    crew.look(done=0, busy=1)
    assert ray.cancelled == []  # another one still evaluates
    crew.look(done=0, busy=0)
    crew.look(done=0, busy=0)
    assert ray.cancelled
    assert crew.reason == "time"


def test_without_ray_the_extra_is_named(environment: dict[str, str], tmp_path: Path) -> None:
    code = "import sys; sys.modules['ray'] = None\n" + REQUESTS
    said = ask(environment, code.format(clusters=["ray"], storage=str(tmp_path / "s"), log=str(tmp_path / "log")))
    assert said.startswith("MissingPackageError")
    assert "pip install 'axdnn[ray]'" in said
    loaded = "import sys, axdnn.search.loop, axdnn.search.cluster; print('ray' in sys.modules)"
    assert ask(environment, loaded) == "False\n"


REQUESTS = """
from search_grid import *
from axdnn.records import AxdnnError
from axdnn.search import Cluster
for cluster in {clusters}:
    try:
        print("done", grid_search({storage!r}, None, 4, {log!r}, cluster=cluster).evaluations)
    except AxdnnError as error:
        print(type(error).__name__, str(error).replace(chr(10), " "))
"""


def test_requests_that_the_cluster_cannot_meet(nodes: Nodes, environment: dict[str, str], tmp_path: Path) -> None:
    storage = tmp_path / "study.journal"
    nobody = f"{nodes.address.rpartition(':')[0]}:1"
    clusters = f"(Cluster({nodes.address!r}, cores=2), Cluster({nodes.address!r}, gpus=0.5), {nobody!r}, 'ray', 'auto')"
    environment["RAY_ADDRESS"] = nobody
    said = ask(environment, REQUESTS.format(clusters=clusters, storage=str(storage), log="")).splitlines()
    assert [line.split()[0] for line in said] == ["ClusterError"] * 5
    assert "must have 2 cores and 0 GPUs for one worker, but none does" in said[0]
    assert "0.5 GPUs" in said[1]
    assert all(f"head node of a Ray cluster at {nobody}" in line for line in said[2:])
    assert not storage.exists()


def test_ctrl_c_ends_workers_that_sleep(
    nodes: Nodes, tmp_path: Path, begin: Begin, environment: dict[str, str]
) -> None:
    storage, log = tmp_path / "study.journal", tmp_path / "log"
    leader = begin(storage, 0, 12, log, 120, nodes.address)
    wait_for(leader, log, 2, "begin")
    began = time.monotonic()
    os.killpg(leader.pid, signal.SIGINT)
    _, err = leader.communicate(timeout=60)
    assert leader.returncode != 0
    assert "KeyboardInterrupt" in err
    assert time.monotonic() - began < 15
    found = load_history(storage, "grid")
    assert [(trial.outcome, trial.reason) for trial in found.trials] == [("lost", "interrupted")] * 2


@pytest.mark.slow
def test_a_killed_leader_takes_its_workers_along_and_resumes(nodes: Nodes, tmp_path: Path, begin: Begin) -> None:
    storage, log = tmp_path / "study.journal", tmp_path / "log"
    for ends in (3, 8):
        leader = begin(storage, 0, 16, log, 0.4, nodes.address)
        wait_for(leader, log, ends)
        kill_all(leader)
        deadline = time.monotonic() + 20
        while any(Path(f"/proc/{pid}/stat").exists() for pid, _ in notes(str(log), "begin")):
            assert time.monotonic() < deadline, "workers go on without their leader"
            time.sleep(0.05)
    leader = begin(storage, 2, 16, log, 0.4, nodes.address)
    wait_for(leader, log, 11)
    victim = next(pid for pid, _ in reversed(notes(str(log), "begin")) if not ends_evaluating(log, pid))
    os.kill(victim, signal.SIGKILL)  # a worker alone
    out, err = leader.communicate(timeout=120)
    assert "16 budget" in out, err
    found = load_history(storage, "grid")
    check(found, 16, log, most_begun=16 + 2 * 2 + 1)
    assert values(found) == values(grid_search(tmp_path / "one.journal", 1, 16, str(tmp_path / "one.log")))


@pytest.mark.slow
@pytest.mark.parametrize("client", [False, True])
def test_code_is_copied_to_the_nodes(nodes: Nodes, environment: dict[str, str], tmp_path: Path, client: bool) -> None:
    """The folder with the code is on the path of the leader under another name than on the nodes."""
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "copied.py").write_text(
        "import os\n\n\ndef evaluate(candidate, run):\n    run.note('file', __file__)\n"
        "    run.note('threads', os.environ['OMP_NUM_THREADS'])\n    return {'a': candidate['x'], 'b': 0.0}\n"
    )
    address = nodes.client if client else nodes.address
    storage = tmp_path / "study.journal"
    ask(environment, f"""
import sys; sys.path.insert(0, "code")
from copied import evaluate
from search_grid import *
from axdnn.search import Cluster
cluster = Cluster({address!r}, code="code")
search(SPACE, evaluate, OBJECTIVES, trials=4, sampler="random", storage="study.journal", name="c", cluster=cluster)
""", tmp_path)  # fmt: skip
    found = load_history(storage, "c")
    assert found.evaluations == 4
    assert found.failed == 0
    assert all("working_dir_files" in str(trial.notes["file"]) for trial in found.trials)
    assert {trial.notes["threads"] for trial in found.trials} == {"1"}


def test_a_lost_node(server: Server, nodes: Nodes, tmp_path: Path, begin: Begin) -> None:
    """Last, for it breaks the cluster: as many results, none twice, the front of one process."""
    alone = grid_search(tmp_path / "one.journal", 1, 20, str(tmp_path / "one.log"))
    log = tmp_path / "log"
    leader = begin(server.url, 0, 20, log, 0.4, nodes.address)
    wait_for(leader, log, 4)
    node = parents()
    assert {node[pid] for pid, _ in notes(str(log), "begin")} == set(nodes.raylets), "both nodes must have worked"
    (there,) = {pid for pid, _ in notes(str(log), "begin") if node[pid] == nodes.raylets[1]}
    while ends_evaluating(log, there):
        time.sleep(0.01)
    nodes.kill_second()
    within = not ends_evaluating(log, there)
    out, err = leader.communicate(timeout=120)
    assert "20 budget" in out, err

    found = load_history(server.url, "grid")
    check(found, 20, log, most_begun=21)
    indices = [trial.index for trial in found.trials if trial.evaluated]
    assert len(indices) == len(set(indices))
    assert values(found) == values(alone)
    assert {t.key for t in found.trials if t.evaluated} == {t.key for t in alone.trials if t.evaluated}
    assert found.lost == 1 if within else found.lost <= 1
    assert [t.reason for t in found.trials if t.outcome == "lost"] == ["lease expired"] * found.lost
    assert {OTHER in trial.worker for trial in found.trials if trial.evaluated} == {True, False}
    delete_study(server.url, "grid")
