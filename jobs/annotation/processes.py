"""Child processes: tied to their parent's life, and what their end means."""

import ctypes
import gc
import os
import signal
import sys
import traceback
from collections.abc import Callable

from .errors import AnnotationError

PR_SET_PDEATHSIG = 1
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # malloc.h
KEPT = 256 << 20  # bytes


def call_in_child(function: Callable[[], object]) -> int:
    """Calls the function in a forked child, for its effects on files. For processes of one thread.

    Returns the wait status: 0 when the function returned, exit code 1 when it raised, or a signal.
    """
    parent = os.getpid()
    pid = os.fork()
    if not pid:
        try:
            die_with(parent)
            function()
        except BaseException:  # noqa: BLE001 - a child of a fork must not return into its parent's code
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return os.waitpid(pid, 0)[1]


def die_with(parent: int) -> None:
    """Has the system kill this process as soon as its parent is dead."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before the line above
            os._exit(1)


def keep_memory() -> None:
    """Has glibc keep what is freed: the next block needs as much again, and each new page costs a fault.

    And has Python look for cycles seldom: a block is many small objects, and next to no cycles.
    """
    gc.set_threshold(100_000)
    if mallopt := getattr(ctypes.CDLL(None), "mallopt", None):
        mallopt(M_MMAP_THRESHOLD, KEPT)
        mallopt(M_TRIM_THRESHOLD, KEPT)


def crashed(what: str, status: int | None) -> AnnotationError:
    """The error for a process that ended without a result; `status` is its wait status, None when unknown."""
    number = os.WTERMSIG(status) if status is not None and os.WIFSIGNALED(status) else None
    if number == signal.SIGXCPU:
        return AnnotationError("too_much_time", "The run took longer than a job may take.")
    how = ""
    if number == signal.SIGKILL:
        how = " (killed, as the system does when memory runs out)"
    elif number:
        how = f" ({signal.Signals(number).name})"
    again = "the file may be in order, so it is worth another try"
    return AnnotationError("engine_crashed", f"{what} ended without a result{how}; {again}.")
