"""The warm server: outcomes, limits, kill, many at once, and nothing left behind when somebody dies."""

import gc
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from jobs.annotation.child import Limits
from jobs.annotation.forkserver import ForkServer
from jobs.annotation.reference import CHECKOUT

# the server with its engine replaced by something that is easy to time
STAND_IN = """
import os, signal, socket, sys, time
from jobs.annotation import child, server
def annotate(*_, progress, **__):
    {body}
child.annotate = annotate
server.serve(socket.socket(fileno=int(sys.argv[1])))
"""
SLEEP = "progress(3, 10); time.sleep(60)"


@pytest.fixture
def server():
    server = ForkServer()
    yield server
    server.close()


@pytest.fixture
def stand_in():
    """A server whose runs execute these lines in place of annotate()."""
    servers = []

    def make(body):
        server = ForkServer()
        server.COMMAND = (sys.executable, "-c", STAND_IN.format(body=body))
        servers.append(server)
        return server

    yield make
    for server in servers:
        server.close()


@pytest.fixture
def path(vcf):
    return vcf(("MT", 3243, "A", "G"))


@pytest.fixture
def large(vcf):
    return vcf(*[("2", pos, "A", "G", f"X={pos * 7919}") for pos in range(1, 60_000)], name="large.vcf")


def alive(pid):
    """Whether the process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_until(condition, seconds=10):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return condition()


def children(pid):
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def descriptors(pid="self"):
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def test_success(server, path, out):
    run = server.start(path, out, stem="mine")
    outcome = run.wait(60)
    assert (outcome.ok, outcome.code, outcome.faults, outcome.stderr) == (True, "", [], "")
    assert outcome.summary == json.loads((out / "summary.json").read_text())
    assert outcome.summary["genes"] == {"MT-TL1": 1}
    assert run.progress == (1, 1)
    assert (out / "mine.annot.vcf.gz.tbi").is_file()
    assert run.wait(0) == outcome
    run.kill()  # after the end nothing happens
    assert run.wait() == outcome


def test_faults(server, vcf, out):
    outcome = server.start(vcf(("MT", "x", "A", "G")), out).wait(60)
    assert (outcome.ok, outcome.code, outcome.summary) == (False, "bad_records", {})
    assert outcome.faults == ["Line 3: POS is 'x', expected a whole number from 0 to 536,870,911."]


def test_crash_of_csq(stand_in, path, out):
    outcome = stand_in("os.kill(os.getpid(), signal.SIGSEGV)").start(path, out).wait(60)
    assert (outcome.ok, outcome.code) == (False, "engine_crashed")
    assert outcome.faults == [
        "The annotation process ended without a result (SIGSEGV); the file may be in order, so it is worth another try."
    ]


def test_fault_of_the_engine_is_in_stderr_only(stand_in, path, out):
    outcome = stand_in("raise ValueError('0/1')").start(path, out).wait(60)
    assert outcome.code == "engine_failed"
    assert outcome.faults == ["The engine failed unexpectedly (ValueError)."]
    assert "Traceback" in outcome.stderr


def test_stderr_is_bounded(stand_in, path, out):
    outcome = stand_in("os.write(2, b'x' * 10_000_000); os._exit(3)").start(path, out).wait(60)
    assert (outcome.code, len(outcome.stderr)) == ("engine_crashed", 2000)


def test_limit_on_memory(server, large, out):
    outcome = server.start(large, out, limits=Limits(address_space=60 << 20)).wait(60)
    assert (outcome.ok, outcome.code) == (False, "too_much_memory")
    assert outcome.faults == ["The run needed more memory than a job may use."]


def test_limit_on_file_size(server, large, out):
    outcome = server.start(large, out, limits=Limits(file_size=100_000)).wait(60)
    assert (outcome.ok, outcome.code) == (False, "output_too_large")
    assert outcome.faults == ["Writing the results failed: the file grew beyond the size allowed for a result."]


@pytest.mark.parametrize(
    ("body", "limits"),
    [("while True: pass", Limits(cpu_seconds=1)), (SLEEP, Limits(wall_seconds=0.5))],
)
def test_limit_on_time(body, limits, stand_in, path, out):
    started = time.monotonic()
    outcome = stand_in(body).start(path, out, limits=limits).wait(60)
    assert (outcome.code, outcome.faults) == ("too_much_time", ["The run took longer than a job may take."])
    assert time.monotonic() - started < 20


def test_child_is_confined(stand_in, path, out):
    body = (
        "import resource as r, json\n"
        "    facts = [r.getrlimit(r.RLIMIT_CORE), os.nice(0), os.getsid(0) == os.getpgid(0) == os.getpid()]\n"
        "    facts += [sorted(map(int, os.listdir('/proc/self/fd')))]\n"
        "    sys.stderr.write(json.dumps(facts)); sys.stderr.flush(); os._exit(1)"
    )
    server = stand_in(body)
    other = server.start(path, out)
    facts = json.loads(server.start(path, out).wait(60).stderr)
    other.wait(60)
    assert facts[:3] == [[0, 0], 10, True]
    assert len(facts[3]) == 5  # 0, 1, 2, the pipe of the run, and the listing itself


def test_progress_and_kill(stand_in, path, out):
    run = stand_in(SLEEP).start(path, out)
    assert wait_until(lambda: run.progress == (3, 10))
    assert run.wait(0.05) is None
    assert alive(run.pid)
    run.kill()
    outcome = run.wait(10)
    assert (outcome.ok, outcome.code, outcome.faults) == (
        False,
        "killed",
        ["The run was ended from outside."],
    )
    assert not alive(run.pid)


def test_kill_takes_the_whole_group(stand_in, path, out):
    run = stand_in("pid = os.fork(); pid and progress(pid, 0); time.sleep(60)").start(path, out)
    assert wait_until(lambda: run.progress[0])
    grandchild = run.progress[0]
    assert alive(grandchild)
    run.kill()
    assert run.wait(10).code == "killed"
    assert wait_until(lambda: not alive(grandchild))


def test_nobody_reads_the_progress(stand_in, path, out):
    """A full pipe must stop neither the child nor the server."""
    body = "[progress(n, 0) for n in range(100_000)]; raise ValueError"
    server = stand_in(body)
    lazy = server.start(path, out)
    assert server.start(path, out).wait(60).code == "engine_failed"
    assert wait_until(lambda: not alive(lazy.pid), 60)
    assert lazy.wait(0).code == "engine_failed"


def test_many_threads_share_one_server(server, path, tmp_path):
    outcomes, before = [], children(os.getpid())

    def work(number):
        for turn in range(3):
            outcomes.append(server.start(path, tmp_path / f"{number}-{turn}").wait(60))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [outcome.ok for outcome in outcomes] == [True] * 24
    assert len(set(children(os.getpid())) - set(before)) <= 1


def test_no_descriptor_and_no_zombie_is_left(server, path, out):
    server.start(path, out).wait(60)
    gc.collect()
    before = descriptors(), descriptors(server._process.pid)
    for _ in range(10):
        server.start(path, out).wait(60)
    assert wait_until(lambda: children(server._process.pid) == [])
    assert (descriptors(), descriptors(server._process.pid)) == before


def test_close_ends_server_and_runs(stand_in, path, out):
    server = stand_in(SLEEP)
    run = server.start(path, out)
    pid = server._process.pid
    server.close()
    assert not alive(pid)
    assert run.wait(10).code == "engine_crashed"
    assert wait_until(lambda: not alive(run.pid))


def test_death_of_the_server(stand_in, path, out):
    server = stand_in(SLEEP)
    runs = [server.start(path, out) for _ in range(2)]
    os.kill(server._process.pid, signal.SIGKILL)
    for run in runs:
        outcome = run.wait(10)
        assert (outcome.ok, outcome.code) == (False, "engine_crashed")
        assert outcome.faults == [
            "The annotation process ended without a result; the file may be in order, so it is worth another try."
        ]
        assert wait_until(lambda run=run: not alive(run.pid))
    again = server.start(path, out)  # a new server
    assert alive(again.pid)


def test_server_that_does_not_start(path, out):
    server = ForkServer()
    server.COMMAND = (sys.executable, "-c", "raise SystemExit(1)")
    with pytest.raises(RuntimeError, match="cannot be started"):
        server.start(path, out)
    server.close()


CLIENT = """
import sys, os, time
from jobs.annotation.forkserver import ForkServer
class Server(ForkServer):
    COMMAND = (sys.executable, "-c", sys.argv[3])
server = Server()
runs = [server.start(sys.argv[1], sys.argv[2]) for _ in range(2)]
{then}
print(server._process.pid, *[run.pid for run in runs], flush=True)
time.sleep(60)
"""


FORK = "if os.fork() == 0: time.sleep(3); os._exit(0)"


@pytest.mark.parametrize("then", ["", FORK, f"os.dup(server._socket.fileno())\n{FORK}"])
def test_kill_9_of_the_client_leaves_no_process(then, path, out):
    """Also when a child that the client forked lives on, even with a copy of the client's socket."""
    command = [sys.executable, "-c", CLIENT.format(then=then), path, out, STAND_IN.format(body=SLEEP)]
    with subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True) as client:
        pids = [int(pid) for pid in client.stdout.readline().split()]
        assert len(pids) == 3
        assert all(map(alive, pids))
        client.kill()
        started = time.monotonic()
        assert wait_until(lambda: not any(map(alive, pids)))
        assert time.monotonic() - started < 2  # below 0.3 s on an idle machine


def test_forked_client_starts_a_server_of_its_own(server, path, out):
    assert server.start(path, out).wait(60).ok
    first = server._process.pid
    pid = os.fork()
    if not pid:
        status = 1
        try:
            status = not (server.start(path, out).wait(60).ok and server._process.pid != first)
            server.close()
        finally:
            os._exit(status)
    assert os.waitpid(pid, 0)[1] == 0
    assert server.start(path, out).wait(60).ok
    assert server._process.pid == first
