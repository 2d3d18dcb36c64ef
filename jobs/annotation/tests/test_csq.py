"""csq in children of a small process: each call in a fresh one, which may crash, and nothing is left behind."""

import os
import resource
import signal
import time
from pathlib import Path

import pytest

from jobs.annotation import annotate, csq, lines
from jobs.annotation.errors import AnnotationError
from jobs.annotation.tests.test_haplotypes import phased, write

SPENT = 0.1  # seconds of CPU, by each call


def is_there(pid):
    """Whether the process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def cost_of_children():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


@pytest.fixture
def said(monkeypatch, tmp_path):
    """Has csq, in its child, append the process id, that of its parent, and its arguments to a file."""
    path = tmp_path / "said"

    def run_csq(*arguments):
        with path.open("a") as file:
            file.write(f"{os.getpid()} {os.getppid()} {arguments}\n")
        if arguments == ("crash",):
            signal.signal(signal.SIGSEGV, signal.SIG_DFL)  # without a trace
            os.kill(os.getpid(), signal.SIGSEGV)
        if arguments == ("fail",):
            os._exit(3)
        if arguments == ("wait",):
            time.sleep(60)

    monkeypatch.setattr(csq, "run_csq", run_csq)
    return lambda: [line.split(" ", 2) for line in path.read_text().splitlines()]


def wait_until(true):
    for _ in range(1000):
        if true():
            return
        time.sleep(0.01)
    raise AssertionError("waited ten seconds")


def test_each_call_has_a_child_of_the_same_server(said):
    with csq.csq_server():
        statuses = [csq.call_csq(what) for what in ("one", "crash", "fail", "two")]
    assert statuses == [0, signal.SIGSEGV, 3 << 8, 0]
    pids, parents, arguments = zip(*said(), strict=True)
    assert len(set(pids)) == 4
    assert len(set(parents)) == 1
    assert int(parents[0]) != os.getpid()
    assert arguments == ("('one',)", "('crash',)", "('fail',)", "('two',)")
    assert not any(map(is_there, parents))


def test_without_a_server_the_process_forks_itself(said):
    assert csq.call_csq("one") == 0
    assert said()[0][1] == str(os.getpid())


def test_a_server_that_was_killed(said):
    with csq.csq_server():
        csq.call_csq("one")
        os.kill(int(said()[0][1]), signal.SIGKILL)
        with pytest.raises(AnnotationError, match="bcftools csq ended without a result") as raised:
            csq.call_csq("two")
    assert raised.value.code == "engine_crashed"


def test_both_die_with_the_engine(said, tmp_path):
    pid = os.fork()
    if not pid:
        with csq.csq_server():
            csq.call_csq("wait")
        os._exit(0)
    wait_until(lambda: (tmp_path / "said").exists() and said())
    child, server, _ = said()[0]
    assert is_there(child)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    wait_until(lambda: not is_there(server) and not is_there(child))


@pytest.mark.parametrize("processes", [1, 2])
def test_each_process_of_the_engine_has_a_server(made, monkeypatch, tmp_path, processes):
    """And none of them is left when the engine is done."""
    real, said = csq.run_csq, tmp_path / "said"

    def run_csq(*arguments):
        with said.open("a") as file:
            file.write(f"{os.getppid()}\n")
        real(*arguments)
        while time.process_time() < SPENT:
            pass

    monkeypatch.setattr(csq, "run_csq", run_csq)
    monkeypatch.setattr(lines, "BLOCK", 2000)
    path = write(made, tmp_path / "in.vcf", phased(made, 500, 7, 2), 2)
    before = cost_of_children()
    annotate(path, tmp_path / "out", processes=processes)
    cost = cost_of_children() - before
    servers = said.read_text().splitlines()
    assert len(servers) > 5
    assert str(os.getpid()) not in servers
    assert 1 <= len(set(servers)) <= (1 if processes == 1 else 3)  # of the workers, and of the engine for haplotypes
    assert not any(map(is_there, servers))
    assert cost > 0.8 * SPENT * len(servers)  # whoever waits for the engine is told
