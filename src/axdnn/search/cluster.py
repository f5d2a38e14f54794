"""`Cluster`: which Ray cluster runs the workers of a search, and what each of them gets. Ray is imported when used."""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from axdnn.records import ClusterError, InvalidInputError, MissingPackageError, require_finite

ANSWER_S = 10.0  # for the head node to accept a connection


@dataclass(frozen=True)
class Cluster:
    """A Ray cluster and what each worker gets of it; a worker evaluates one candidate at a time.

    Attributes:
        address: `ray`: the cluster that this process is connected to, that RAY_ADDRESS names or that `ray start` began
            here, or else one of this machine alone, for the time of the search; `auto`: the same, but never start one;
            `local`: always start one; `HOST:PORT` of a head node; `ray://HOST:PORT`, Ray Client, from a machine that
            is not part of the cluster.
        cores: processor cores of a worker, which are also its threads; at least 1.
        gpus: GPUs of a worker; a part, like 0.25, lets workers share one.
        code: folder with the modules that evaluate, copied to every node (Ray's `working_dir`); None where nodes have
            them, installed or in the same folders of a shared file system.

    Raises:
        InvalidInputError: a value is out of range.
    """

    address: str = "ray"
    cores: int = 1
    gpus: float = 0.0
    code: str | os.PathLike[str] | None = None

    def __post_init__(self) -> None:
        """Check."""
        host, _, port = self.address.removeprefix("ray://").rpartition(":")
        if self.address not in ("ray", "auto", "local") and not (host and port.isdecimal()):
            raise InvalidInputError(
                f"a cluster must be ray, auto, local, HOST:PORT or ray://HOST:PORT, but got {self.address!r}"
            )
        if require_finite("cores", self.cores, 1) != int(self.cores):
            raise InvalidInputError(f"cores of a worker must be a whole number, but got {self.cores}")
        if require_finite("gpus", self.gpus, 0.0) > 1 and self.gpus != int(self.gpus):
            raise InvalidInputError(f"GPUs of a worker must be a whole number, or less than 1, but got {self.gpus}")
        if self.code is not None and not Path(self.code).is_dir():
            raise InvalidInputError(f"code must be a folder, but got {os.fspath(self.code)!r}")

    def room(self, nodes: list[dict[str, Any]]) -> int:
        """Return how many workers the living ones of Ray's `nodes()` have room for, whatever else runs there."""
        alive = [node["Resources"] for node in nodes if node["Alive"]]
        return sum(
            min(
                int(has.get("CPU", 0.0) / self.cores + 1e-9),
                int(has.get("GPU", 0.0) / self.gpus + 1e-9) if self.gpus else 10**9,
            )
            for has in alive
        )

    def require_room(self, nodes: list[dict[str, Any]]) -> int:
        """Return `room`, at least 1.

        Raises:
            ClusterError: no node can run a worker.
        """
        room = self.room(nodes)
        if not room:
            most = "; ".join(
                f"{node['NodeManagerHostname']} {node['Resources'].get('CPU', 0):g} and "
                f"{node['Resources'].get('GPU', 0):g}"
                for node in nodes
                if node["Alive"]
            )
            raise ClusterError(
                f"a node must have {self.cores} cores and {self.gpus:g} GPUs for one worker, but none does ({most}); "
                "ask for less, or start a node that has them first"
            )
        return room


@contextlib.contextmanager
def connected(cluster: Cluster) -> Iterator[Any]:
    """Be connected to a cluster; gives the module `ray`. A connection that was there before is used, and stays.

    Raises:
        MissingPackageError: Ray is not installed.
        ClusterError: the cluster cannot be reached.
        InvalidInputError: this process is connected to a cluster already, and that cannot be changed.
    """
    try:
        ray = importlib.import_module("ray")
    except ImportError as error:
        raise MissingPackageError("a search on a cluster needs the package ray: pip install 'axdnn[ray]'") from error
    if ray.is_initialized():
        if cluster.address not in ("ray", "auto") or cluster.code is not None:
            raise InvalidInputError(
                "this process is connected to a Ray cluster already: say 'ray' to use it, without code, which belongs "
                "into that ray.init; or call ray.shutdown() first"
            )
        yield ray
        return
    _connect(ray, cluster)
    try:
        yield ray
    finally:
        ray.shutdown()


def _connect(ray: Any, cluster: Cluster) -> None:
    options: dict[str, Any] = {"logging_level": logging.WARNING}
    if cluster.code is not None:
        options["runtime_env"] = {"working_dir": str(Path(cluster.code).resolve())}
    address = cluster.address
    try:
        if ":" in address:
            _require_answer(address)
            ray.init(address, **options)
        elif address != "local" and _is_known():
            ray.init(**options)
        elif address == "auto":
            raise ClusterError(
                "this machine must be part of a Ray cluster, by `ray start` or RAY_ADDRESS, but it is not"
            )
        else:
            # Nobody asked for a cluster that reports its use to Ray's makers, or that serves pages.
            os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
            ray.init("local", include_dashboard=False, **options)
    except ImportError as error:
        raise MissingPackageError(f"Ray Client needs pip install 'axdnn[ray]', but: {error}") from error
    except ClusterError:
        raise
    except (ray.exceptions.RayError, RuntimeError, ValueError, OSError) as error:
        said = str(error).strip().splitlines() or [type(error).__name__]
        raise ClusterError(f"the Ray cluster {address!r} must accept this process, but: {said[0]}") from error


def _is_known() -> bool:
    """Whether Ray would find a cluster by itself: the one of RAY_ADDRESS, else that of the last `ray start` here."""
    named = os.environ.get("RAY_ADDRESS", "")
    if named and named != "auto":
        _require_answer(named)
        return True
    try:
        last = importlib.import_module("ray._private.utils").read_ray_address()
    except (ImportError, AttributeError):  # not public, so it may be gone one day
        return True
    try:
        if last:
            _require_answer(last)
    except ClusterError:  # it was not stopped, it died
        return False
    return bool(last)


def _require_answer(address: str) -> None:
    """Ask before Ray does, for it tries without end."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWER_S).close()
    except (ValueError, OSError, OverflowError) as error:
        raise ClusterError(f"there must be the head node of a Ray cluster at {address}, but: {error}") from error
