"""Workers of a study on a Ray cluster: tasks without end, each an ordinary worker, watched by the leader here.

Ray starts them where there is room and says when one or its node has died; what is evaluated by whom is decided by the
study's storage alone, so nothing that Ray loses is lost.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from axdnn.records import ClusterError, InvalidInputError, SearchHistory
from axdnn.search.cluster import Cluster, connected
from axdnn.search.crew import LEAVE_S, LOOK_S, Crew, Member, Word, lead
from axdnn.search.loop import Show, begin
from axdnn.search.storage import open_storage
from axdnn.search.task import Task

COUNT_S = 5.0  # between two looks at which nodes there are
NO_NODE_S = 60.0  # without a node that could run a worker, after which a search gives up
END_S = 5.0  # for idle workers to see that a study has ended, before they are cancelled


def lead_on_ray(
    cluster: str | Cluster,
    storage: str,
    name: str,
    task: Task,
    trials: int,
    workers: int | None,
    until: float | None,
    progress: Show | None,
) -> SearchHistory:
    """Begin or resume a study and lead its workers on a Ray cluster; as `search`.

    Raises:
        InvalidInputError: nodes cannot reach the storage, or cannot find a function of the task.
        ClusterError: the cluster cannot be reached, has no room, or lost all nodes that had.
        MissingPackageError: Ray is not installed.
        StorageError: a worker gave up, or workers end as soon as they start.
        KeyboardInterrupt: after the workers have given back what they ran.
    """
    cluster = Cluster(cluster) if isinstance(cluster, str) else cluster
    _require_names(task)
    place = absolute(storage)
    with connected(cluster) as ray:
        nodes = ray.nodes()
        room = cluster.require_room(nodes)
        if place.startswith("sqlite") and len({n["NodeManagerAddress"] for n in nodes if n["Alive"]}) > 1:
            raise InvalidInputError(
                "SQLite is for one machine, and this cluster has several: give a journal in a folder that all nodes "
                "share, or a PostgreSQL or MySQL database"
            )
        opened = open_storage(place)
        begin(opened, name, task, trials)
        crew = RayCrew(ray, cluster, place, name, until, trials if workers is None else None)
        return lead(opened, name, task, crew, min(workers or room, trials), progress)


class RayCrew(Crew):
    """Tasks on a Ray cluster.

    Args:
        ray: the module, connected.
        cluster: what each worker gets.
        storage: path or URL that every node reaches.
        name: of the study.
        until: `time.monotonic()` after which no candidate is begun; None for no limit.
        most: start more workers when nodes join, up to so many; None: never.
    """

    def __init__(
        self, ray: Any, cluster: Cluster, storage: str, name: str, until: float | None, most: int | None
    ) -> None:
        super().__init__()
        self._ray, self._cluster, self._most = ray, cluster, most
        self._until = until
        ends = None if until is None else time.time() + until - time.monotonic()
        self._arguments = (storage, name, ends, _folders(), cluster.cores)
        # A lost worker is replaced by us, once what happened is known, and each gets a process of its own.
        self._task = ray.remote(
            num_cpus=cluster.cores, num_gpus=cluster.gpus, max_retries=0, max_calls=1, scheduling_strategy="SPREAD"
        )(_work())
        self._counted = self._room_at = time.monotonic()
        self._ended_at: float | None = None

    def launch(self) -> Any:
        """Ask Ray for one worker; it starts when there is room."""
        return self._task.remote(*self._arguments)

    def ended(self) -> list[tuple[Member, Word]]:
        """Wait a moment and return those that ended."""
        by_handle = {member.handle: member for member in self.members}
        done, _ = self._ray.wait(list(by_handle), num_returns=len(by_handle), timeout=LOOK_S)
        return [(by_handle[handle], self._last_word(handle)) for handle in done]

    def look(self, done: int, busy: int) -> None:
        """Also start workers on nodes that have joined, and end those that only wait.

        Raises:
            StorageError: a worker gave up, or workers end as soon as they start.
            ClusterError: no node has had room for a worker for a minute.
        """
        super().look(done, busy)
        now = time.monotonic()
        over = not busy and (bool(self.reason) or (self._until is not None and now >= self._until))
        if not over:
            self._ended_at = None
            if now - self._counted >= COUNT_S:
                self._counted = now
                self._count(done, busy)
            return
        # What waits for room, while others use the cluster, would keep the leader waiting as well.
        self.reason = self.reason or "time"
        self._ended_at = self._ended_at or now
        if now - self._ended_at > END_S:
            self._cancel(force=False)
            self._ended_at = now

    def _count(self, done: int, busy: int) -> None:
        room = self._cluster.room(self._ray.nodes())
        if room or busy:
            self._room_at = self._counted
        elif self._counted - self._room_at > NO_NODE_S:
            raise ClusterError(
                f"a node of the cluster must have {self._cluster.cores} cores and {self._cluster.gpus:g} GPUs, but "
                "those that had are gone; what was evaluated is kept, run again to go on"
            )
        while self._most is not None and not self.reason and len(self.members) < min(room, self._most):
            self.start(done)

    def leave(self) -> None:
        """End all workers: ask, as Ctrl-C does, then insist."""
        for force, patience_s in ((False, LEAVE_S), (True, 2.0)):
            self._cancel(force)
            handles = [member.handle for member in self.members]
            if not handles or not self._ray.wait(handles, num_returns=len(handles), timeout=patience_s)[1]:
                return

    def _cancel(self, force: bool) -> None:
        for member in self.members:
            self._ray.cancel(member.handle, force=force)

    def _last_word(self, handle: Any) -> Word:
        from ray.exceptions import RayError, RuntimeEnvSetupError, TaskCancelledError

        try:
            kind, text = self._ray.get(handle)
            return Word(error=text) if kind == "error" else Word(reason=text)
        except TaskCancelledError:
            return Word()
        except RuntimeEnvSetupError as error:
            return Word(error=f"its code could not be brought to the node: {error}")
        except RayError as error:
            said = str(error).strip().splitlines() or [type(error).__name__]
            return Word(fault=f"with {type(error).__name__} ({said[0][:200]} ... {said[-1][:200]})")


def _work() -> Callable[..., tuple[str, str]]:
    """Return what a task runs: sent as it is, so that it sets the threads before anything loads NumPy there."""

    def axdnn_worker(storage: str, name: str, ends: float | None, folders: list[str], cores: int) -> tuple[str, str]:
        import os
        import sys

        for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
            os.environ[threads] = str(cores)
        sys.path += [folder for folder in folders if folder not in sys.path and os.path.isdir(folder)]
        try:
            from axdnn.search.on_node import serve
        except ImportError as error:
            return "error", f"axdnn must be installed on every node of the cluster, but: {error}"
        return serve(storage, name, ends)

    return axdnn_worker


def _folders() -> list[str]:
    """Return where this process finds modules, but for what is installed: nodes have installations of their own."""
    installed = (sys.prefix, sys.base_prefix)
    folders = [os.path.abspath(entry) for entry in sys.path]
    return [f for f in dict.fromkeys(folders) if not f.startswith(installed) and "site-packages" not in f]


def _require_names(task: Task) -> None:
    plain = task.plain()
    nameless = [role for role in ("evaluate", "check", "repair", "guidance") if plain[role] == ""]
    if nameless or plain["evaluate"] is None:
        raise InvalidInputError(
            f"on a cluster, {', '.join(nameless) or 'evaluate'} must be a function of a module or `Named`, for each "
            "node imports it by name"
        )


def absolute(storage: str) -> str:
    """Return a storage so that processes in other folders find the same one.

    Raises:
        InvalidInputError: it is in the memory of one process, or no URL.
    """
    if "://" not in storage:
        return str(Path(storage).resolve())
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        url = make_url(storage)
    except ArgumentError as error:
        raise InvalidInputError(f"a storage must be a path or a URL of a database, but got {storage!r}") from error
    if not url.drivername.startswith("sqlite"):
        return storage
    if not url.database or url.database == ":memory:":
        raise InvalidInputError("several workers need a storage that they share, not one in memory: give a file")
    return url.set(database=str(Path(url.database).resolve())).render_as_string(hide_password=False)
