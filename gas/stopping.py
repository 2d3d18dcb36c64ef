"""No new work for a worker that was told to end."""

import threading
from typing import Any

import dramatiq
from dramatiq.middleware import SkipMessage


class NoNewWork(dramatiq.Middleware):
    """Skips the messages that idle threads still take while others give their jobs back.

    Without it a worker takes back the job that it has just given back, and does not hear that it must end. Stands before
    ShutdownNotifications. What is skipped is a hint: the dispatcher sends another.
    """

    def __init__(self) -> None:
        self._stopping = threading.Event()

    def before_worker_boot(self, *_: Any) -> None:
        self._stopping.clear()

    def before_worker_shutdown(self, *_: Any) -> None:
        self._stopping.set()

    def before_process_message(self, *_: Any) -> None:
        if self._stopping.is_set():
            raise SkipMessage("this worker is about to end")
