"""The server side of forkserver.py: one thread, which forks, reaps, and ends what is over its time."""

import contextlib
import gc
import json
import os
import signal
import socket
import time
from dataclasses import dataclass
from select import select
from typing import NoReturn

from . import child, reference
from .errors import AnnotationError

TICK = 0.25  # seconds between looks at the clock and at the parent
STDERR_TAIL = 2000  # bytes


@dataclass
class Running:
    """A child and what the server holds of it."""

    pipe: int
    stderr: int
    deadline: float
    reason: str | None = None


def serve(control: socket.socket) -> None:
    """Serves one client until its end of the socket is closed or it is gone; then ends all children."""
    client = os.getppid()
    with contextlib.suppress(AnnotationError):  # a missing reference is told to whoever asks for it
        for name in reference.DEFAULTS:
            reference.load(name)
    gc.freeze()  # what is loaded now stays shared with the children
    woken, wake = os.pipe()
    inputs: list[int] = [control.fileno(), woken]
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    running: dict[int, Running] = {}
    while os.getppid() == client:
        ready, _, _ = select(inputs, [], [], TICK)
        if control.fileno() in ready and not _handle(control, running):
            break
        if woken in ready:
            os.read(woken, 4096)
        _reap(running)
        _end_overdue(running)
    for pid in running:
        _kill(pid)


def _handle(control: socket.socket, running: dict[int, Running]) -> bool:
    """Takes one message: {"kill": pid}, or a request with the pipe for its answers. False at the end."""
    message, pipes, _, _ = socket.recv_fds(control, 1 << 17, 1)
    if not message:
        return False
    asked = json.loads(message)
    if "kill" in asked:
        if run := running.get(asked["kill"]):
            run.reason = "killed"
            _kill(asked["kill"])
        return True
    request = child.Request(**{**asked, "limits": child.Limits(**asked["limits"])})
    wall = request.limits.wall_seconds
    run = Running(pipes[0], os.memfd_create("stderr"), float("inf") if wall is None else time.monotonic() + wall)
    server = os.getpid()
    pid = os.fork()
    if not pid:
        _become_child(request, run, server)
    running[pid] = run
    return True


def _become_child(request: child.Request, run: Running, server: int) -> NoReturn:
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    os.dup2(run.stderr, 2)
    # nothing of the server or of other runs may be kept open from here
    os.closerange(3, run.pipe)
    os.closerange(run.pipe + 1, os.sysconf("SC_OPEN_MAX"))
    child.run(request, run.pipe, server)


def _reap(running: dict[int, Running]) -> None:
    for pid in list(running):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            run = running.pop(pid)
            size = os.fstat(run.stderr).st_size
            stderr = os.pread(run.stderr, STDERR_TAIL, max(0, size - STDERR_TAIL)).decode(errors="replace")
            end = {"status": status, "reason": run.reason, "stderr": stderr}
            # a client that does not read must not stop the server; it will see the end of the pipe
            with contextlib.suppress(OSError):
                os.set_blocking(run.pipe, False)
                os.write(run.pipe, json.dumps({"exit": end}).encode() + b"\n")
            os.close(run.stderr)
            os.close(run.pipe)


def _end_overdue(running: dict[int, Running]) -> None:
    for pid, run in running.items():
        if time.monotonic() > run.deadline and not run.reason:
            run.reason = "too_much_time"
            _kill(pid)


def _kill(pid: int) -> None:
    """Ends the child and its process group; it is not reaped yet, so the id is still its own."""
    for kill in (os.killpg, os.kill):  # the child may not have got to setsid() yet
        with contextlib.suppress(ProcessLookupError):
            kill(pid, signal.SIGKILL)
