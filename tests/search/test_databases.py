"""Databases: a real PostgreSQL server, started here, and SQLite; four processes on one study."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
from search_grid import check, grid_search, values
from search_leaders import Begin, kill_all, wait_for
from search_postgresql import Server

from axdnn.records import MissingPackageError, StorageError
from axdnn.search import delete_study, list_studies, load_history
from axdnn.search.gate import DatabaseGate, FileGate
from axdnn.search.storage import open_storage, patiently


@pytest.mark.xdist_group("postgresql")
class TestPostgreSQL:
    def test_four_processes_find_what_one_finds(self, server: Server, tmp_path: Path) -> None:
        alone = grid_search(tmp_path / "one.journal", 1, 24, str(tmp_path / "one.log"))
        log = tmp_path / "four.log"
        shared = grid_search(server.url, 4, 24, str(log), 0.2)
        check(shared, 24, log, most_begun=24)
        assert shared.evaluations == alone.evaluations
        assert values(shared) == values(alone)
        assert {t.key for t in shared.trials if t.evaluated} == {t.key for t in alone.trials if t.evaluated}
        assert list_studies(server.url)[0].evaluations == 24
        assert load_history(server.url, "grid") == shared
        delete_study(server.url, "grid")
        assert list_studies(server.url) == []

    @pytest.mark.slow
    def test_a_killed_leader_and_its_workers_resume(self, server: Server, tmp_path: Path, begin: Begin) -> None:
        log = tmp_path / "log"
        for ends in (3, 7):
            leader = begin(server.url, 3, 16, log, 0.3)
            wait_for(leader, log, ends)
            kill_all(leader)
        found = grid_search(server.url, 2, 16, str(log), 0.3)
        check(found, 16, log, most_begun=16 + 2 * 3)
        assert found.lost <= 2 * 3
        assert values(found) == values(grid_search(tmp_path / "one.journal", 1, 16, str(tmp_path / "one.log")))
        delete_study(server.url, "grid")

    def test_the_gate_lets_one_in_and_dies_with_its_connection(self, server: Server) -> None:
        engine = open_storage(server.url).storage._backend.engine  # type: ignore[attr-defined]
        one, other = DatabaseGate(engine, "study"), DatabaseGate(engine, "study")
        with one, pytest.raises(TooLong):
            enter_within(other, 0.3)
        with DatabaseGate(engine, "another study"), one:
            pass
        one.__enter__()
        one._drop()  # as when its process is killed
        enter_within(other, 10.0)
        other.__exit__(None, None, None)

    def test_a_server_that_goes_down_is_waited_for(self, server: Server) -> None:
        opened = open_storage(server.url)
        assert patiently(opened.storage.get_all_studies, opened.place) == []
        server.stop()
        with pytest.raises(StorageError, match="must be a database that answers"):
            open_storage(server.url)
        with pytest.raises(StorageError, match=r"did not for 1 s.*the study is unharmed"):
            patiently(opened.storage.get_all_studies, opened.place, patience_s=1.0)
        server.start()
        assert patiently(opened.storage.get_all_studies, opened.place) == []


@pytest.mark.slow
def test_mysql_with_three_processes(tmp_path: Path) -> None:
    """MariaDB's server, started here: the same front as one process."""
    assert shutil.which("mariadbd"), "install MariaDB: apt-get install mariadb-server"
    with tempfile.TemporaryDirectory(prefix="axdnn-my-") as folder:
        place = Path(folder)
        as_nobody: list[str] = []
        if os.geteuid() == 0:
            user = pwd.getpwnam("nobody")
            os.chown(place, user.pw_uid, user.pw_gid)
            as_nobody = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
        make = ["mariadb-install-db", f"--datadir={place}/data", "--auth-root-authentication-method=normal"]
        subprocess.run([*as_nobody, *make], check=True, stdout=subprocess.DEVNULL)
        run = ["mariadbd", "--no-defaults", f"--datadir={place}/data", f"--socket={place}/s", "--skip-networking"]
        with subprocess.Popen([*as_nobody, *run, f"--pid-file={place}/pid"], stderr=subprocess.DEVNULL) as server:
            try:
                ask = ["mariadb", "-S", f"{place}/s", "-u", "root", "-e", "CREATE DATABASE axdnn"]
                deadline = time.monotonic() + 60
                while subprocess.run(ask, stderr=subprocess.DEVNULL, check=False).returncode:
                    assert time.monotonic() < deadline, "the server does not come up"
                    time.sleep(0.2)
                log = tmp_path / "log"
                found = grid_search(f"mysql://root@/axdnn?unix_socket={place}/s", 3, 24, str(log), 0.1)
                check(found, 24, log, most_begun=24)
                assert values(found) == values(grid_search(tmp_path / "one", 1, 24, str(tmp_path / "one.log")))
            finally:
                server.terminate()


class TooLong(Exception):
    """The gate stayed shut."""


def enter_within(gate: DatabaseGate | FileGate, seconds: float) -> None:
    """Enter a gate, or give up as a user would."""
    import signal

    def alarm(*_: object) -> None:
        raise TooLong

    before = signal.signal(signal.SIGALRM, alarm)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        gate.__enter__()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)


def test_sqlite_and_a_password_that_is_not_shown(tmp_path: Path) -> None:
    url, log = f"sqlite:///{tmp_path}/study.db", tmp_path / "log"
    found = grid_search(url, 1, 10, str(log))
    check(found, 10, log, most_begun=10)
    with pytest.raises((StorageError, MissingPackageError)) as caught:
        open_storage("postgresql://user:secret@/postgres?host=/nowhere")
    assert "secret" not in str(caught.value)


def test_a_missing_driver_is_named() -> None:
    with pytest.raises(MissingPackageError, match="driver of oracle"):
        open_storage("oracle://user@/x")


def test_the_gate_of_a_file_lets_one_in(tmp_path: Path) -> None:
    one, other = FileGate(tmp_path / "gate"), FileGate(tmp_path / "gate")
    with one, pytest.raises(TooLong):
        enter_within(other, 0.2)
    with other:
        pass
