"""Programs that a test starts, watches, kills and always cleans up."""

import os
import pwd
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile
from types import TracebackType
from typing import Self


def wait_until(condition: Callable[[], object], what: str, timeout: float = 20) -> None:
    """Return as soon as `condition()` is true; TimeoutError naming `what` after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"after {timeout} s still no {what}")
        time.sleep(0.02)


def peak_memory() -> float:
    """The most memory that this program has had in use so far, MB.

    Not getrusage's ru_maxrss: that begins with what the process had in use that started the program.
    """
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


class Process:
    """A command in a process group of its own; its output, stdout and stderr together, goes to a file.

    `env` is added to this process's environment; `user` is whom to run it as, for which we must be root. As a
    context manager it starts on entry, and on exit nothing of its group is left.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        user: str | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
    ) -> None:
        self.command = [str(word) for word in command]
        self.env = {**os.environ, "PYTHONUNBUFFERED": "1", **(env or {})}
        self.cwd = cwd
        self.user = user
        self.stop_signal = stop_signal

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.terminate()
        self._output.close()

    def start(self) -> None:
        self._output = TemporaryFile()  # noqa: SIM115 (__exit__ closes it)
        self._process = subprocess.Popen(
            self.command,
            env=self.env,
            cwd=self.cwd,
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            user=self.user,
            group=pwd.getpwnam(self.user).pw_gid if self.user else None,
            extra_groups=[] if self.user else None,
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def output(self) -> str:
        size = os.fstat(self._output.fileno()).st_size
        return os.pread(self._output.fileno(), size, 0).decode(errors="replace")  # the child shares the offset

    def wait_for(self, what: str | Callable[[str], object], timeout: float = 20) -> str:
        """Wait until the output has the text `what`, or `what(output)` is true; returns the output."""
        found = what if callable(what) else lambda output: what in output
        try:
            wait_until(lambda: found(self.output()) or not self.running, repr(what), timeout)
        except TimeoutError as error:
            raise TimeoutError(f"{error} from {self.command}:\n{self.output()}") from None
        if not found(self.output()):
            raise RuntimeError(f"{self.command} ended with {self._process.returncode}:\n{self.output()}")
        return self.output()

    def wait(self, timeout: float = 20) -> int:
        """The exit status."""
        return self._process.wait(timeout)

    def children(self) -> list[int]:
        """Process ids of the direct children."""
        path = Path(f"/proc/{self.pid}/task/{self.pid}/children")
        return [int(pid) for pid in path.read_text().split()]

    def terminate(self, timeout: float = 10) -> None:
        """The stop signal to the process; then, also when it obeyed, SIGKILL to what is left of its group."""
        self._process.send_signal(self.stop_signal)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout)
        self.kill()

    def kill(self) -> None:
        """SIGKILL to the whole group."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
