"""A PostgreSQL cluster for tests; `python -m gas.testing.postgres -- COMMAND ...` runs a command with one."""

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from types import FrameType, TracebackType
from typing import NoReturn, Self

from gas.testing.aws import free_port
from gas.testing.processes import Process

# a test's data need not outlive it
UNSAFE = ["fsync=off", "synchronous_commit=off", "full_page_writes=off"]
PLAIN = {"LC_ALL": "C", "PGOPTIONS": ""}


def binary(name: str) -> Path | None:
    """Where `name` (initdb, postgres, ...) of the newest PostgreSQL is: Debian keeps them out of PATH."""
    found = shutil.which(name)
    versions = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: float(path.parts[-3]))
    return Path(found) if found else versions[-1] if versions else None


def available() -> bool:
    return all(binary(name) for name in ("initdb", "postgres", "psql"))


def unprivileged_user() -> str | None:
    """Whom to run the server as: it refuses root. None: whoever we are."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


class PostgresCluster:
    """A server on a Unix socket and a loopback port, its files in a temporary folder; nothing of it stays.

    It has one role, `gas`, a superuser whose password is in `url()`, and one empty database, `gas`.
    """

    def __enter__(self) -> Self:
        self.user = unprivileged_user()
        self.port = free_port()
        self._password = secrets.token_hex(16)
        with ExitStack() as cleanup:
            self.folder = Path(tempfile.mkdtemp(prefix="gas-postgres-"))
            cleanup.callback(shutil.rmtree, self.folder)
            if self.user:
                shutil.chown(self.folder, self.user)
            self._initialise()
            server = cleanup.enter_context(self._server())
            server.wait_for("ready to accept connections", timeout=60)
            self._run("createdb", "-h", self.folder, "-p", self.port, "-U", "gas", "gas")
            self._cleanup = cleanup.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._cleanup.close()

    def url(self, database: str = "gas") -> str:
        return f"postgres://gas:{self._password}@127.0.0.1:{self.port}/{database}"

    def _initialise(self) -> None:
        password = self.folder / "password"
        password.write_text(self._password)
        if self.user:
            shutil.chown(password, self.user)
        who = ["--username=gas", "--auth-local=trust", "--auth-host=scram-sha-256", f"--pwfile={password}"]
        self._run("initdb", "-D", self.folder / "data", *who, "--encoding=UTF8", "--locale=C", "--no-sync")

    def _server(self) -> Process:
        options = [*UNSAFE, "listen_addresses=127.0.0.1", f"unix_socket_directories={self.folder}"]
        return Process(
            [_found("postgres"), "-D", self.folder / "data", "-p", str(self.port), *_each("-c", options)],
            env=PLAIN,
            cwd=self.folder,
            user=self.user,
            stop_signal=signal.SIGQUIT,  # at once: SIGTERM would wait for the clients
        )

    def _run(self, name: str, *arguments: object) -> None:
        command: list[str | Path] = [_found(name), *map(str, arguments)]
        with Process(command, env=PLAIN, cwd=self.folder, user=self.user) as process:
            if process.wait(60):
                raise RuntimeError(f"{name} failed:\n{process.output()}")


def _found(name: str) -> Path:
    path = binary(name)
    if path is None:
        raise FileNotFoundError(f"PostgreSQL's {name} is not installed: sudo apt-get install -y postgresql")
    return path


def _each(flag: str, values: list[str]) -> list[str]:
    return [word for value in values for word in (flag, value)]


def _end(signum: int, _: FrameType | None) -> NoReturn:
    """Leave through the context managers; what follows may not interrupt the cleaning up."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    raise SystemExit(128 + signum)


def main(arguments: list[str]) -> int:
    """Run the command with DATABASE_URL naming a fresh cluster; returns its exit status."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _end)
    command = arguments[1:] if arguments[:1] == ["--"] else arguments
    with PostgresCluster() as cluster:
        child = subprocess.Popen(command, env={**os.environ, "DATABASE_URL": cluster.url()})
        try:
            return child.wait()
        finally:
            child.terminate()
            try:
                child.wait(20)
            except subprocess.TimeoutExpired:
                child.kill()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
