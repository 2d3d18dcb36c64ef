"""A local S3 and SQS, and a proxy that can take them away."""

import select
import socket
import sys
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

from gas.testing.processes import Process, wait_until

_BLOCK = 65536


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


class LocalAWS:
    """A moto server as a process. It forgets all when it ends: to make it unreachable, use `Proxy`."""

    region = "us-east-1"

    def __init__(self) -> None:
        self.port = free_port()
        self._server = Process([sys.executable, "-W", "ignore", "-m", "moto.server", "-p", str(self.port)])

    def __enter__(self) -> Self:
        self._server.start()
        wait_until(lambda: answers(self.port), "local AWS", timeout=60)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._server.__exit__(kind, error, where)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """What boto3 and the settings read."""
        return environment(self.url, self.region)


def environment(url: str, region: str = LocalAWS.region) -> dict[str, str]:
    """Variables that send boto3 to `url` only: no configuration files, no search for credentials."""
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


class Proxy:
    """A TCP proxy before a loopback port. `stop()` drops all connections, refusing more until `resume()`."""

    def __init__(self, target_port: int) -> None:
        self.target_port = target_port
        self.port = free_port()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self.resume()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.stop()

    def resume(self) -> None:
        self._stopping = threading.Event()
        self._server = socket.create_server(("127.0.0.1", self.port))
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def stop(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        with self._server:
            while not self._stopping.is_set():
                if select.select([self._server], [], [], 0.05)[0]:
                    client = self._server.accept()[0]
                    thread = threading.Thread(target=self._forward, args=[client])
                    self._threads.append(thread)
                    thread.start()

    def _forward(self, client: socket.socket) -> None:
        with client, suppress(OSError), socket.create_connection(("127.0.0.1", self.target_port)) as server:
            while not self._stopping.is_set():
                for source in select.select([client, server], [], [], 0.05)[0]:
                    block = source.recv(_BLOCK)
                    if not block:
                        return
                    (server if source is client else client).sendall(block)
