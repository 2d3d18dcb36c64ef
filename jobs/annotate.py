"""One attempt at one job: fetch the input, run the annotator in a process of its own, store the result, complete the row."""

import atexit
import fcntl
import hashlib
import logging
import os
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from django.conf import settings

from gas.heartbeat import Heartbeat, LeaseLost
from gas.objects import ObjectNotFound, StorageUnavailable, objects
from jobs.annotation.child import Limits
from jobs.annotation.forkserver import ForkServer
from jobs.annotation.liftover.files import AS_HEADER
from jobs.external import command_server
from jobs.models import Job
from jobs.models.job import Result

log = logging.getLogger(__name__)
engine = ForkServer()  # one per worker process, started at its first job
atexit.register(engine.close)

# the file may be in order: it was this machine, or this moment
WORTH_ANOTHER_TRY = {
    "command_missing",
    "disk_full",
    "engine_crashed",
    "engine_failed",
    "killed",
    "output_unwritable",
    "reference_missing",
}
SCRATCH_GRACE = 60  # seconds between making a folder and locking it, at the very most
WAIT_SECONDS = 0.5  # how long a wait may last before Python looks at signals and at Dramatiq's interrupts


def worker_name() -> str:
    return f"{socket.gethostname()}:{os.getpid()}:{threading.get_ident() % 10_000}"


class JobHeartbeat(Heartbeat):
    """Also notes the progress of the run."""

    def __init__(self, job: Job) -> None:
        self.progress: tuple[int | None, int | None] = (None, None)
        row = Job.objects.get(pk=job.pk)
        super().__init__(lambda: row.heartbeat(*self.progress), f"job {job.pk}")


def annotate(job: Job) -> None:
    """Carry out the attempt that `job` was claimed for; every outcome is written to the row, if it is still ours."""
    try:
        with scratch_folder(job) as scratch, JobHeartbeat(job) as heartbeat:
            _attempt(job, scratch, heartbeat)
    except LeaseLost:
        _delete_results(job, job.attempt)
    except StorageUnavailable:
        log.warning("job %s: storage is out of reach", job.pk, exc_info=True)
        job.wait_for_storage()
    except ObjectNotFound:
        job.fail("input_missing", ["The uploaded file is no longer in the store; please upload it again."])
    finally:
        mine = Job.objects.filter(pk=job.pk, status=Job.Status.RUNNING, attempt=job.attempt).first()
        if mine and mine.cancelled_by_owner:
            mine.cancelled()


def _attempt(job: Job, scratch: Path, heartbeat: JobHeartbeat) -> None:
    source = scratch / "input" / job.file_name  # so that the log names the file as its owner does
    output = scratch / "output"
    source.parent.mkdir()
    output.mkdir()
    objects("uploads").fetch_file(job.input_key, source)
    heartbeat.check()
    run = _annotator().start(
        source,
        output,
        stem=job.stem,
        reference=job.reference or None,
        lift_from=AS_HEADER if job.lift_over else None,
        limits=_limits(),
    )
    try:
        while (outcome := run.wait(WAIT_SECONDS)) is None:
            heartbeat.check()
            if run.progress[1]:
                heartbeat.progress = run.progress
    finally:
        run.kill()
    heartbeat.check()
    if not outcome.ok:  # what it wrote is for operators only: it may quote the file
        log.warning("job %s: %s; it wrote: %s", job.pk, outcome.code, outcome.stderr or "nothing")
    if outcome.ok:
        _store(job, output, outcome.summary, heartbeat)
    elif outcome.code in WORTH_ANOTHER_TRY:
        job.try_again(outcome.code, outcome.faults)
    else:
        job.fail(outcome.code, outcome.faults)


def _annotator() -> ForkServer:
    """What annotates here: the engine, or the program of ANNOTATOR_COMMAND."""
    return command_server(settings.ANNOTATOR_COMMAND) if settings.ANNOTATOR == "command" else engine


def _store(job: Job, output: Path, summary: dict[str, object], heartbeat: JobHeartbeat) -> None:
    result, index, count_log = (output / name for name in (job.result_name, f"{job.result_name}.tbi", job.log_name))
    keys = {result: "annotated.vcf.gz", index: "annotated.vcf.gz.tbi", count_log: "count.log"}
    skipped = output / "skipped.tsv"
    if summary.get("skipped", 0):
        keys[skipped] = "skipped.tsv"
    keys = {path: job.attempt_key(name) for path, name in keys.items()}
    store = objects("results")
    for path, key in keys.items():
        store.put_file(key, path)
        heartbeat.check()
    completed = job.complete(
        Result(
            result_key=keys[result],
            result_size=result.stat().st_size,
            result_sha256=_sha256(result),
            index_key=keys[index],
            log_key=keys[count_log],
            log_size=count_log.stat().st_size,
            log_sha256=_sha256(count_log),
            skipped_key=keys.get(skipped, ""),
            summary=summary,
        )
    )
    if not completed:
        raise LeaseLost
    for attempt in range(1, job.attempt):  # what dead attempts may have left
        _delete_results(job, attempt)


def _delete_results(job: Job, attempt: int) -> None:
    """Clean up after an attempt; what stays because the store is out of reach goes with the job."""
    try:
        objects("results").delete_prefix(f"{job.results_prefix}/{attempt}")
    except StorageUnavailable:
        log.warning("job %s: results of attempt %d stay", job.pk, attempt, exc_info=True)


def _limits() -> Limits:
    return Limits(
        address_space=settings.ANNOTATOR_MEMORY_BYTES,
        cpu_seconds=settings.ANNOTATOR_CPU_SECONDS,
        file_size=settings.ANNOTATOR_FILE_BYTES,
        wall_seconds=settings.ANNOTATOR_WALL_SECONDS,
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def scratch_folder(job: Job) -> Iterator[Path]:
    """A private folder for this attempt, locked for as long as it is used: what dead processes left is swept first."""
    settings.SCRATCH_DIR.mkdir(mode=0o700, parents=True, exist_ok=True)
    sweep_scratch()
    folder = settings.SCRATCH_DIR / f"{job.pk}-{job.attempt}"
    folder.mkdir(mode=0o700)
    lock = _lock(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def sweep_scratch() -> None:
    """Delete the scratch folders that nobody holds, but for those made a moment ago."""
    for folder in settings.SCRATCH_DIR.glob("*-*"):
        with suppress(FileNotFoundError):  # its owner was faster
            if time.time() - folder.stat().st_mtime > SCRATCH_GRACE and (lock := _lock(folder)) is not None:
                shutil.rmtree(folder, ignore_errors=True)
                os.close(lock)


def _lock(folder: Path) -> int | None:
    """A descriptor that holds the folder until it is closed or its process is gone; None when another has it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor
