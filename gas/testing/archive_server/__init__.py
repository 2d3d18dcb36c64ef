"""A stand-in for S3's archive classes and for Amazon Glacier: a process on loopback that fails as it is told.

S3 is moto behind a front that does right what moto does not: retrievals that take their time and expire, the checksums
of what is sent. Glacier is all our own. Its delays are seconds, its clock can be put forward, and it forgets all when it
ends. `s3.py` and `glacier.py` say what is faithful.
"""

import json
import sys
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from gas.testing.aws import LocalAWS, answers, free_port
from gas.testing.processes import Process, wait_until

# a fault that is no error code of AWS
LOST_REPLY = "lost-reply"  # it is done, but the connection breaks before the answer
DAMAGED = "damaged"  # one bit of the body changes on its way, to us or from us
CUT = "cut"  # the connection breaks in the middle of the answer's body
WRONG_CHECKSUM = "wrong-checksum"  # the answer names another checksum than that of the bytes


class ArchiveServer:
    """The process; `aws` is the moto that is behind its S3."""

    def __init__(self, aws: LocalAWS, folder: Path) -> None:
        self.aws, self.port = aws, free_port()
        where = ["--port", str(self.port), "--s3", str(aws.port), "--folder", str(folder)]
        self._server = Process([sys.executable, "-m", "gas.testing.archive_server", *where])

    def __enter__(self) -> Self:
        self._server.start()
        wait_until(lambda: answers(self.port), "archive server", timeout=60)
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
        """What boto3 reads: S3 and Glacier are here, all else is `aws`."""
        return self.aws.environment | {"AWS_ENDPOINT_URL_S3": self.url, "AWS_ENDPOINT_URL_GLACIER": self.url}

    def fail(self, operation: str, code: str, *, times: int = 1, tier: str = "") -> None:
        """The next `times` calls of an API operation ("RestoreObject"), of one tier or all, answer with this error."""
        self._control("fail", operation=operation, code=code, times=times, tier=tier)

    def delay(self, seconds: Mapping[str, float]) -> None:
        """How long retrievals that begin from now on take, for each tier; inventories take as long as Standard."""
        self._control("delay", seconds=dict(seconds))

    def advance(self, seconds: float) -> None:
        """Put its clock forward."""
        self._control("advance", seconds=seconds)

    def calls(self, operation: str) -> int:
        """How often it was called since the last `reset`, however that ended."""
        count: int = self._control("calls", operation=operation)
        return count

    def reset(self) -> None:
        """No faults, delays of 0.2, 0.4 and 0.6 s, no calls counted; what is stored stays."""
        self._control("reset")

    def _control(self, what: str, **arguments: Any) -> Any:
        body = json.dumps({"what": what, **arguments}).encode()
        request = urllib.request.Request(f"{self.url}/_control", body, method="POST")
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)
