"""One annotation in a process of its own, which a crash of csq, a limit or a kill may end without harm.

The process writes JSON lines into a pipe: {"pid": n}, {"progress": [done, total]}, {"outcome": {...}}.
"""

import json
import os
import resource
import select
import signal
import traceback
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from .engine import annotate
from .errors import AnnotationError
from .processes import crashed, die_with, keep_memory

NICENESS = 10


@dataclass(frozen=True)
class Limits:
    """What one run may use; None leaves a thing unlimited."""

    address_space: int | None = None  # bytes, of the process as a whole: about 50 MiB are taken at the start
    cpu_seconds: int | None = None
    file_size: int | None = None  # bytes, of each file written
    wall_seconds: float | None = None


@dataclass(frozen=True)
class Request:
    """The arguments of annotate(), and the limits."""

    input_path: str
    output_dir: str
    stem: str | None = None
    reference: str | None = None
    processes: int = 1
    lift_from: str | None = None
    limits: Limits = Limits()


@dataclass(frozen=True)
class Outcome:
    """How a run ended: `summary` when ok, else `code` and `faults` as in AnnotationError.

    `stderr` is what the process wrote there, for operators: not for users, it may quote the file.
    """

    ok: bool
    code: str = ""
    faults: list[str] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    stderr: str = ""


def run(request: Request, pipe: int, parent: int) -> NoReturn:
    """Never returns: annotates in this fresh child of `parent`, reports into `pipe`, exits."""
    try:
        _confine(request.limits, parent)
        keep_memory()
        _send(pipe, {"pid": os.getpid()})
        _send(pipe, {"outcome": asdict(_outcome(request, pipe))})
    except BaseException:  # noqa: BLE001 - a child of a fork must not return into its parent's code
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def _confine(limits: Limits, parent: int) -> None:
    die_with(parent)
    os.nice(NICENESS)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for kind, value in (
        (resource.RLIMIT_AS, limits.address_space),
        (resource.RLIMIT_CPU, limits.cpu_seconds),
        (resource.RLIMIT_FSIZE, limits.file_size),
    ):
        if value is not None:
            resource.setrlimit(kind, (value, resource.getrlimit(kind)[1]))


def _outcome(request: Request, pipe: int) -> Outcome:
    def progress(done: int, total: int) -> None:
        # a full pipe means that nobody is looking: go on without telling
        if select.select([], [pipe], [], 0)[1]:
            _send(pipe, {"progress": [done, total]})

    try:
        summary = annotate(
            Path(request.input_path),
            Path(request.output_dir),
            reference=request.reference,
            lift_from=request.lift_from,
            stem=request.stem,
            progress=progress,
            processes=request.processes,
        )
    except AnnotationError as error:
        return Outcome(False, error.code, error.faults)
    except MemoryError:
        unlimited = resource.getrlimit(resource.RLIMIT_AS)[1]
        resource.setrlimit(resource.RLIMIT_AS, (unlimited, unlimited))
        return Outcome(False, "too_much_memory", ["The run needed more memory than a job may use."])
    except Exception as error:  # noqa: BLE001 - a fault of ours: the sentence for the user, the trace for the log
        traceback.print_exc()
        return Outcome(False, "engine_failed", [f"The engine failed unexpectedly ({type(error).__name__})."])
    return Outcome(True, summary=asdict(summary))


def _send(pipe: int, message: dict[str, Any]) -> None:
    data = json.dumps(message).encode() + b"\n"
    while data:
        data = data[os.write(pipe, data) :]


def ended_without_outcome(status: int | None, reason: str | None = None) -> Outcome:
    """The outcome of a process that wrote none.

    `status` is its wait status, None when unknown; `reason` is the code of whoever killed it on purpose.
    """
    if reason == "killed":
        return Outcome(False, reason, ["The run was ended from outside."])
    if reason == "too_much_time":
        status = signal.SIGXCPU  # the limit on wall-clock time reads as that on CPU time
    error = crashed("The annotation process", status)
    return Outcome(False, error.code, error.faults)


def run_alone(request: Request) -> Outcome:
    """Forks, annotates in the child, waits for it. For a process of one thread, as the command line is."""
    reader, writer = os.pipe()
    stderr = os.memfd_create("stderr")
    parent = os.getpid()
    pid = os.fork()
    if not pid:
        os.dup2(stderr, 2)
        run(request, writer, parent)
    os.close(writer)
    outcome = None
    with open(reader, "rb") as lines:  # noqa: PTH123 - a descriptor
        for line in lines:
            outcome = json.loads(line).get("outcome", outcome)
    _, status = os.waitpid(pid, 0)
    os.close(stderr)
    return Outcome(**outcome) if outcome else ended_without_outcome(status)
