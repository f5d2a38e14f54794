"""A real Ray cluster of two nodes on this machine, in processes of its own, until its input ends.

As a script it prints, as JSON, the address of the head, that of Ray Client, and the processes of the raylets, each the
parent of what runs on its node.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

QUICK = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 500, "health_check_failure_threshold": 4}
SMALL = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
OTHER = "another machine"


@dataclass(frozen=True)
class Nodes:
    """Two nodes of one core each; `environment` is what a process needs to connect."""

    address: str
    client: str
    raylets: tuple[int, int]
    environment: dict[str, str]

    def kill_second(self) -> None:
        """Kill all of the second node at once, as when its power is cut."""
        for pid in family(self.raylets[1]):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def parents() -> dict[int, int]:
    """Process -> its parent, of all processes of this machine."""
    found = {}
    for place in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            found[int(place.parent.name)] = int(place.read_text().rpartition(")")[2].split()[1])
    return found


def family(root: int) -> list[int]:
    """A process and all that descend from it."""
    known, pids = parents(), [root]
    for pid in pids:
        pids += [child for child, parent in known.items() if parent == pid]
    return pids


@contextlib.contextmanager
def two_nodes() -> Iterator[Nodes]:
    """Start a cluster, and leave nothing of it behind."""
    with tempfile.TemporaryDirectory(prefix="axr-") as folder:  # a short path: names of sockets are
        quiet = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(16)}
        environment = {**os.environ, **quiet, "RAY_TMPDIR": folder, "OMP_NUM_THREADS": "1"}
        environment.pop("RAY_ADDRESS", None)
        with (Path(folder) / "errors").open("w+") as errors:
            command = [sys.executable, __file__]
            started = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment,
                start_new_session=True,
            )  # fmt: skip
            try:
                assert started.stdout is not None
                line = started.stdout.readline()
                assert line, Path(errors.name).read_text()
                said = json.loads(line)
                yield Nodes(said["address"], said["client"], tuple(said["raylets"]), {**environment})
            finally:
                left = family(started.pid)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    started.communicate(timeout=20)
                for pid in left:  # what was started here and outlived it
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                started.wait()


def main() -> None:
    import socket

    from ray.cluster_utils import Cluster

    with socket.socket() as free:
        free.bind(("", 0))
        client_port = free.getsockname()[1]
    head = {
        "include_dashboard": False, "_system_config": QUICK, "ray_client_server_port": client_port,
    }  # fmt: skip
    cluster = Cluster(initialize_head=True, connect=False, head_node_args={**SMALL, **head})
    other = cluster.add_node(**SMALL, env_vars={"AXDNN_TEST_MACHINE": OTHER})
    raylets = [node.all_processes["raylet"][0].process.pid for node in (cluster.head_node, other)]
    host = cluster.address.rpartition(":")[0]
    print(json.dumps({"address": cluster.address, "client": f"ray://{host}:{client_port}", "raylets": raylets}))
    sys.stdout.flush()
    sys.stdin.read()
    cluster.shutdown()


if __name__ == "__main__":
    main()
