"""The services that tests start are there, do not run as root, and leave nothing behind."""

import os
import signal
import sys
from pathlib import Path

import psycopg
import pytest

from gas.testing import require
from gas.testing.postgres import PostgresCluster
from gas.testing.processes import Process, wait_until
from gas.testing.require import needs

MODULE = [sys.executable, "-m", "gas.testing.postgres"]
PROJECT = Path(__file__).resolve().parents[2]


def gone(pid):
    """Whether the process has ended, also when nobody has asked for its exit status yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_a_cluster_serves_and_leaves_nothing():
    needs("postgresql")
    with PostgresCluster() as cluster:
        with psycopg.connect(cluster.url()) as connection:
            row = connection.execute("SELECT current_database(), current_user, pg_backend_pid()").fetchone()
            assert row[:2] == ("gas", "gas")
            server = int((cluster.folder / "data" / "postmaster.pid").read_text().split()[0])
            assert Path(f"/proc/{server}").stat().st_uid != 0
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(cluster.url().replace("gas:", "gas:x"))
    assert gone(server)
    assert not cluster.folder.exists()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(cluster.url())


def test_two_clusters_at_a_time():
    needs("postgresql")
    with PostgresCluster() as one, PostgresCluster() as other:
        assert one.url() != other.url()
        for cluster in (one, other):
            psycopg.connect(cluster.url()).close()


def test_a_start_that_fails_leaves_nothing(monkeypatch):
    needs("postgresql")
    monkeypatch.setattr("gas.testing.postgres.UNSAFE", ["no_such_setting=1"])
    cluster = PostgresCluster()
    with pytest.raises(RuntimeError, match="no_such_setting"), cluster:
        pass
    assert not cluster.folder.exists()


def test_the_command_gets_a_database_and_its_status_is_ours():
    needs("postgresql")
    script = "import os, psycopg, sys; psycopg.connect(os.environ['DATABASE_URL']).close(); sys.exit(3)"
    with Process([*MODULE, "--", sys.executable, "-c", script], cwd=PROJECT) as process:
        assert process.wait(60) == 3, process.output()


def whole_line(output: str) -> bool:
    """Unbuffered, print writes its words one by one."""
    return output.endswith("\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_and_the_cluster_end_on_a_signal(number):
    needs("postgresql")
    script = "import os, time; print('pid', os.getpid(), os.environ['DATABASE_URL'], flush=True); time.sleep(60)"
    with Process([*MODULE, "--", sys.executable, "-c", script], cwd=PROJECT) as process:
        line = process.wait_for(whole_line).split()
        pid, url = int(line[1]), line[2]
        psycopg.connect(url).close()
        os.kill(process.pid, number)
        assert process.wait(30) == 128 + number, process.output()
        assert gone(pid)
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(url)


def test_a_process_leaves_no_child_behind():
    script = (
        "import subprocess, sys, time; child = subprocess.Popen(['sleep', '60']); "
        "print('child', child.pid, flush=True); time.sleep(60)"
    )
    with Process([sys.executable, "-c", script]) as process:
        child = int(process.wait_for(whole_line).split()[1])
        assert process.children() == [child]
        assert not gone(child)
    wait_until(lambda: gone(child), "end of the child")


def test_a_process_that_ends_too_early_shows_its_output():
    with (
        Process([sys.executable, "-c", "print('what went wrong')"]) as process,
        pytest.raises(RuntimeError, match="what went wrong"),
    ):
        process.wait_for("never printed")


def test_a_process_that_takes_too_long_shows_its_output():
    script = "import time; print('so far', flush=True); time.sleep(60)"
    with Process([sys.executable, "-c", script]) as process:
        process.wait_for("so far")
        with pytest.raises(TimeoutError, match="so far"):
            process.wait_for("never printed", timeout=0.1)


def test_what_is_missing_is_left_out_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setitem(require.PROGRAMS, "chromium", (lambda: False, "the tests in a browser"))
    monkeypatch.delenv("GAS_TEST_ALL", raising=False)
    with pytest.raises(pytest.skip.Exception, match=r"the tests in a browser .* apt-get install -y chromium"):
        needs("chromium")
    monkeypatch.setenv("GAS_TEST_ALL", "1")
    with pytest.raises(pytest.fail.Exception, match="leaves nothing out"):
        needs("chromium")
