"""Renews the lease of a row for as long as a long step with it goes on."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Self

from django.conf import settings
from django.db import DatabaseError, connection

from gas.objects import Readable

log = logging.getLogger(__name__)
BEAT_SECONDS = 1.0


class LeaseLost(Exception):
    """Whoever works must end: the row is somebody else's now, or no longer wanted."""


class Heartbeat:
    """Calls `renew` every second from a thread of its own, with a row of its own.

    When it says False, or the database was out of reach for as long as the lease lasts, `stopped` is set: whoever works
    looks at it with `check` and ends.
    """

    def __init__(self, renew: Callable[[], bool], name: str) -> None:
        self.stopped = threading.Event()
        self._renew, self._name = renew, name
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, name=f"heartbeat of {name}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def check(self) -> None:
        """Raises LeaseLost."""
        if self.stopped.is_set():
            raise LeaseLost(self._name)

    def _beat(self) -> None:
        renewed = time.monotonic()
        try:
            while not self._over.wait(BEAT_SECONDS):
                begun = time.monotonic()
                try:
                    alive = self._renew()
                    renewed = begun
                except DatabaseError:
                    log.warning("%s: no heartbeat, the database is out of reach", self._name)
                    connection.close()
                    alive = time.monotonic() - renewed < settings.JOB_LEASE.total_seconds()
                if not alive:
                    return
        finally:
            if not self._over.is_set():  # an unexpected error, too: nobody renews the lease any more
                self.stopped.set()
            connection.close()


class CheckedReads:
    """A stream that ends with LeaseLost when the lease is lost."""

    def __init__(self, stream: Readable, heartbeat: Heartbeat) -> None:
        self._stream, self._heartbeat = stream, heartbeat

    def read(self, size: int, /) -> bytes:
        self._heartbeat.check()
        return self._stream.read(size)
