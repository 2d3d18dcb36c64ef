"""A warm process that forks one child for each annotation: start and imports are most of a small job.

    client (an actor's thread)          server (python -m jobs.annotation.forkserver)       child
    ForkServer.start() --request, pipe--> fork ------------------------------------------> annotate()
    Run.wait() <--{"pid"}, {"progress"}, {"outcome"}------------------------- pipe <-------------'
               <--{"exit"}---------------- reaped it

Each run has a pipe of its own, so any number of threads wait without a common reader. When the client dies,
the server sees the end of its socket (or another parent process) and exits; when the server dies, the system
kills its children (PR_SET_PDEATHSIG) and the pipes end, which every waiting Run takes for `engine_crashed`.
Linux only.
"""

import json
import os
import select
import socket
import subprocess
import sys
import threading
import time
import weakref
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .child import Limits, Outcome, Request, ended_without_outcome
from .reference import CHECKOUT


class Run:
    """One annotation under way. One thread waits; any thread may kill()."""

    def __init__(self, server: "ForkServer", reader: int) -> None:
        self.pid = 0
        self._server = server
        self._pipe: int | None = reader
        self._buffer = b""
        self._progress = (0, 0)
        self._messages: dict[str, Any] = {}
        self._lock = threading.Lock()
        self._close = weakref.finalize(self, os.close, reader)

    @property
    def progress(self) -> tuple[int, int]:
        """(done, total) records, the latest that is known."""
        with self._lock:
            self._receive(0)
            return self._progress

    def wait(self, timeout: float | None = None) -> Outcome | None:
        """The outcome, or None when the run is not over after `timeout` seconds."""
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._lock:
            while self._pipe is not None:
                left = None if deadline is None else max(0.0, deadline - time.monotonic())
                if not self._receive(left):
                    return None
        return self._outcome()

    def kill(self) -> None:
        """Ends the run and everything it started; wait() then returns code `killed`."""
        if self._pipe is not None:
            self._server.kill(self.pid)

    def started(self) -> bool:
        """Waits until the child tells its process id; False when the server died before that."""
        with self._lock:
            while self._pipe is not None and not self.pid:
                self._receive(None)
        return bool(self.pid)

    def _receive(self, timeout: float | None) -> bool:
        """Reads what is there; False when nothing came in `timeout` seconds."""
        if self._pipe is None:
            return True
        poll = select.poll()
        poll.register(self._pipe, select.POLLIN)
        if not poll.poll(None if timeout is None else timeout * 1000):
            return False
        data = os.read(self._pipe, 1 << 16)
        if not data:
            self._pipe = None
            self._close()
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        for line in lines:
            self._messages |= json.loads(line)
        self.pid = self._messages.get("pid", 0)
        done, total = self._messages.get("progress", (0, 0))
        self._progress = done, total
        return True

    def _outcome(self) -> Outcome:
        end = self._messages.get("exit", {})
        if end.get("reason") or "outcome" not in self._messages:
            ended = asdict(ended_without_outcome(end.get("status"), end.get("reason")))
        else:
            ended = self._messages["outcome"]
        return Outcome(**{**ended, "stderr": end.get("stderr", "")})


class ForkServer:
    """The client: starts the server when first needed and again when it has died. Threads may share one."""

    COMMAND = (sys.executable, "-m", "jobs.annotation.forkserver")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        # a process forked from this one must not use, nor keep open, the socket of its parent
        forget = weakref.WeakMethod(self._forget)
        os.register_at_fork(after_in_child=lambda: (method := forget()) and method())

    def start(  # noqa: PLR0913 - all but the paths by name
        self,
        input_path: Path | str,
        output_dir: Path | str,
        *,
        stem: str | None = None,
        reference: str | None = None,
        lift_from: str | None = None,
        limits: Limits | None = None,
    ) -> Run:
        """Starts annotate() in a child of the server. Raises RuntimeError when no server can be had."""
        paths = os.path.abspath(input_path), os.path.abspath(output_dir)  # noqa: PTH100 - no symlink is followed
        asked = Request(*paths, stem=stem, reference=reference, lift_from=lift_from, limits=limits or Limits())
        request = json.dumps(asdict(asked)).encode()
        for _ in range(2):  # a server that died unnoticed is replaced once
            reader, writer = os.pipe()
            run = Run(self, reader)
            try:
                self._send(request, [writer])
            finally:
                os.close(writer)
            if run.started():
                return run
        raise RuntimeError("the annotation server cannot be started")

    def kill(self, pid: int) -> None:
        """Ends the run whose child has this process id, if it is still there."""
        with self._lock:
            if self._socket:
                try:
                    self._socket.send(json.dumps({"kill": pid}).encode())
                except OSError:  # the server is dead and its children with it
                    return

    def close(self) -> None:
        """Ends the server and all its children."""
        with self._lock:
            self._stop()

    def _send(self, request: bytes, pipes: list[int]) -> None:
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                self._stop()
                self._launch()
            try:
                assert self._socket
                socket.send_fds(self._socket, [request], pipes)
            except OSError:
                self._stop()

    def _launch(self) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        path = os.pathsep.join(filter(None, [str(CHECKOUT), os.environ.get("PYTHONPATH")]))
        with theirs:
            self._process = subprocess.Popen(
                [*self.COMMAND, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # Ctrl-C is for the client, which then ends the server
                env={**os.environ, "PYTHONPATH": path},
            )

    def _stop(self) -> None:
        if self._socket:
            self._socket.close()
        if self._process:
            self._process.kill()
            self._process.wait()
        self._socket = None
        self._process = None

    def _forget(self) -> None:
        if self._socket:
            self._socket.close()
        if self._process:
            self._process.returncode = 0  # not a child of this process: Popen must not wait for it
        self._lock = threading.Lock()
        self._socket = None
        self._process = None


if __name__ == "__main__":
    from .server import serve

    serve(socket.socket(fileno=int(sys.argv[1])))
