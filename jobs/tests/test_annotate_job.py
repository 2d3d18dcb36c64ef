"""The actor that annotates, with the real engine: results, refusals, cancellation, lost leases, dead processes."""

import gzip
import hashlib
import os
import signal
import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models.functions import Now
from dramatiq.middleware import Shutdown, TimeLimitExceeded

from conftest import HEADER
from gas import heartbeat
from gas.objects import StorageUnavailable, objects
from gas.testing.processes import wait_until
from jobs import annotate as annotate_module
from jobs.annotate import scratch_folder
from jobs.annotation.forkserver import Run
from jobs.models import Job
from jobs.tasks import annotate_job, purge_job

LONG = HEADER.encode() + b"".join(b"MT\t%d\t.\tN\tA\t.\t.\t.\n" % n for n in range(1, 16_000)) * 12


def run(job: Job) -> Job:
    Job.objects.filter(pk=job.pk).update(not_before=None)
    annotate_job.fn(str(job.pk))
    return Job.objects.get(pk=job.pk)


def result_of(job: Job) -> list[list[str]]:
    text = gzip.decompress(objects("results").read(job.result_key, 10**6)).decode()
    return [line.split("\t") for line in text.splitlines() if not line.startswith("#")]


def test_a_small_file_is_annotated_truthfully(researcher, make_job):
    job = run(make_job(researcher, name="my run.vcf"))
    assert (job.status, job.error_message, job.attempt) == ("COMPLETED", "", 1)
    tl1, atp6, nd4 = (record[7] for record in result_of(job))
    assert "MT-TL1" in tl1
    assert "missense|MT-ATP6|" in atp6
    assert "156L>156R" in atp6
    assert "missense|MT-ND4|" in nd4
    assert "340R>340H" in nd4
    assert job.summary["records"] == job.summary["written"] == 3
    log = objects("results").read(job.log_key, 10_000)
    assert b"File: my run.vcf" in log
    assert (job.log_size, job.log_sha256) == (len(log), hashlib.sha256(log).hexdigest())
    content = objects("results").read(job.result_key, 10**6)
    assert (job.result_size, job.result_sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert objects("results").exists(job.index_key)
    assert [n.kind for n in job.notifications.all()] == ["completed"]


def test_the_list_of_skipped_records_is_stored_only_when_there_are_some(researcher, make_job, monkeypatch):
    store = annotate_module._store

    def store_with(count: int):
        def skip(job, output, summary, heartbeat):
            (output / "skipped.tsv").write_text("line\trecord\treason\n" + "5\tMT:0\tPOS is 0.\n" * count)
            store(job, output, summary | {"skipped": count}, heartbeat)

        return skip

    monkeypatch.setattr(annotate_module, "_store", store_with(0))
    assert run(make_job(researcher)).skipped_key == ""
    monkeypatch.setattr(annotate_module, "_store", store_with(1))
    job = run(make_job(researcher))
    assert job.skipped_key == job.attempt_key("skipped.tsv")
    assert objects("results").read(job.skipped_key, 1000) == b"line\trecord\treason\n5\tMT:0\tPOS is 0.\n"


def test_nothing_is_left_in_scratch(researcher, make_job, settings):
    run(make_job(researcher))
    assert list(settings.SCRATCH_DIR.iterdir()) == []


def test_a_doubled_message_runs_the_job_once(researcher, make_job):
    job = make_job(researcher)
    first, second = run(job), run(job)
    assert (second.attempt, second.finished_at, second.result_key) == (1, first.finished_at, first.result_key)
    assert second.notifications.count() == 1


def test_what_a_dead_process_left_in_scratch_is_swept_and_what_lives_stays(researcher, make_job, settings):
    dead, young = settings.SCRATCH_DIR / "dead-1", settings.SCRATCH_DIR / "young-1"
    live = make_job(researcher)
    live.claim("w")
    with scratch_folder(live) as held:
        for folder in (dead, young):
            folder.mkdir()
        for folder in (dead, held):
            os.utime(folder, (0, 0))
        run(make_job(researcher))
        assert (dead.exists(), young.exists(), held.exists()) == (False, True, True)


def test_results_of_dead_attempts_go_even_if_not_at_once(researcher, make_job, monkeypatch):
    job = make_job(researcher)
    Job.objects.update(attempt=1)
    (folder := objects("results").folder / f"results/{job.pk}/1").mkdir(parents=True)

    def down(*_):
        raise StorageUnavailable("down")

    with monkeypatch.context() as patch:
        patch.setattr(type(objects("results")), "delete_prefix", down)
        assert run(job).status == "COMPLETED"
    assert folder.exists()
    Job.objects.get().delete_soon()
    purge_job.fn(str(job.pk))
    assert not folder.exists()


def test_a_message_for_a_job_that_is_gone(db):
    annotate_job.fn("00000000-0000-0000-0000-000000000000")
    assert not Job.objects.exists()


@pytest.mark.parametrize(
    ("content", "code", "found"),
    [
        (HEADER.encode(), "no_records", "no"),
        (HEADER.encode() + b"MT\t73\t.\tA\tG\t.\t.\n", "bad_records", "ine 3"),
        (HEADER.encode() + b"MT\tabc\t.\tA\tG\t.\t.\t.\n", "bad_records", "ine 3"),
        (gzip.compress(HEADER.encode() + b"MT\t73\t.\tA\tG\t.\t.\t.\n" * 50, mtime=0)[:-12], "truncated", "gzip"),
        (gzip.compress(HEADER.encode() + b"MT\t73\t.\t" + b"A" * 100_000_000, 9, mtime=0), None, "ine 3"),
        (b"##fileformat=VCFv4.2\nMT\t73\t.\tA\tG\t.\t.\t.\n", None, "#CHROM"),
    ],
)
def test_bad_input_fails_with_the_line_and_the_reason(researcher, make_job, content, code, found):
    job = run(make_job(researcher, content))
    assert job.status == "FAILED"
    assert code in (None, job.error_code)
    assert found in job.error_message
    assert "Traceback" not in job.error_message
    assert [n.kind for n in job.notifications.all()] == ["failed"]
    assert not list(objects("results").folder.rglob("*")) if objects("results").folder.exists() else True


def test_a_limit_fails_with_a_sentence(researcher, make_job, settings):
    settings.ANNOTATOR_FILE_BYTES = 10
    job = run(make_job(researcher))
    assert (job.status, job.error_code) == ("FAILED", "output_too_large")
    assert job.error_message.endswith(".")


def test_a_missing_input_fails_with_a_sentence(researcher, make_job):
    job = make_job(researcher)
    objects("uploads").delete(job.input_key)
    job = run(job)
    assert (job.status, job.error_code) == ("FAILED", "input_missing")


def test_storage_out_of_reach_means_later(researcher, make_job, monkeypatch):
    def down(*_):
        raise StorageUnavailable("down")

    job = make_job(researcher)
    with monkeypatch.context() as patch:
        patch.setattr(type(objects("results")), "put_file", down)
        job = run(job)
    assert (job.status, job.tries, job.attempt) == ("PENDING", 0, 1)
    job = run(job)
    assert (job.status, job.attempt) == ("COMPLETED", 2)


def test_an_unexpected_error_spends_a_try_and_is_told_without_a_traceback(researcher, make_job, monkeypatch):
    def broken(*_):
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr("jobs.annotate._store", broken)
    job = make_job(researcher)
    for _ in range(3):
        job = run(job)
    assert (job.status, job.error_code) == ("FAILED", "internal_error")
    assert "secret detail" not in job.error_message


@pytest.mark.parametrize(("interrupt", "tries"), [(Shutdown, 0), (TimeLimitExceeded, 1)])
def test_an_interrupted_job_goes_back(researcher, make_job, monkeypatch, interrupt, tries):
    killed = []
    kill = Run.kill

    def interrupted(run: Run, _timeout: float) -> None:
        raise interrupt

    monkeypatch.setattr(Run, "wait", interrupted)
    monkeypatch.setattr(Run, "kill", lambda run: (killed.append(run.pid), kill(run)))
    job = run(make_job(researcher))
    assert (job.status, job.tries, job.lease_until) == ("PENDING", tries, None)
    assert len(killed) == 1


def test_a_killed_engine_is_tried_again_and_fails_the_third_time(premium, make_job, monkeypatch):
    start = annotate_module.engine.start

    def start_and_kill(*args, **kwargs):
        engine_run = start(*args, **kwargs)
        os.kill(engine_run.pid, signal.SIGKILL)
        return engine_run

    monkeypatch.setattr(annotate_module.engine, "start", start_and_kill)
    job = make_job(premium, LONG)
    statuses = []
    for _ in range(3):
        job = run(job)
        statuses.append(job.status)
    assert statuses == ["PENDING", "PENDING", "FAILED"]
    assert job.error_code in ("engine_crashed", "killed")


# --- while it runs ------------------------------------------------------------------------------------------------------


@pytest.fixture
def slow_engine(monkeypatch):
    """Holds the engine's child from its start until the test has done what it wants: `slow_engine.pid`, `slow_engine.go()`."""

    class Slow:
        pid = 0

        def go(self) -> None:
            os.kill(self.pid, signal.SIGCONT)

    slow, start = Slow(), annotate_module.engine.start

    def start_stopped(*args, **kwargs):
        engine_run = start(*args, **kwargs)
        os.kill(engine_run.pid, signal.SIGSTOP)
        slow.pid = engine_run.pid
        return engine_run

    monkeypatch.setattr(annotate_module.engine, "start", start_stopped)
    monkeypatch.setattr(heartbeat, "BEAT_SECONDS", 0.05)
    return slow


@pytest.fixture
def in_background():
    """Runs the actor in a thread, as a worker does."""
    threads = []

    def start(job: Job) -> threading.Thread:
        def work() -> None:
            try:
                annotate_job.fn(str(job.pk))
            finally:
                connection.close()

        threads.append(threading.Thread(target=work))
        threads[-1].start()
        return threads[-1]

    yield start
    for thread in threads:
        thread.join(30)


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
@pytest.mark.parametrize("act", ["cancel", "delete_soon"])
def test_cancelling_and_deleting_kill_the_engine(premium, make_job, slow_engine, in_background, act):
    job = make_job(premium, LONG)
    thread = in_background(job)
    wait_until(lambda: slow_engine.pid, "a running engine")
    assert getattr(Job.objects.get(), act)()
    thread.join(20)
    wait_until(lambda: gone(slow_engine.pid), "end of the engine")
    job.refresh_from_db()
    assert (job.status, job.result_key) == ("CANCELLED", "")
    assert not job.notifications.exists()


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_a_worker_that_lost_its_lease_kills_its_engine_and_discards(premium, make_job, slow_engine, in_background):
    job = make_job(premium, LONG)
    thread = in_background(job)
    wait_until(lambda: slow_engine.pid, "a running engine")
    Job.objects.update(lease_until=Now() - timedelta(seconds=1), attempt=2)
    thread.join(20)
    wait_until(lambda: gone(slow_engine.pid), "end of the engine")
    job.refresh_from_db()
    assert (job.status, job.attempt, job.result_key) == ("RUNNING", 2, "")


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_the_lease_is_renewed_while_the_engine_works(premium, make_job, slow_engine, in_background):
    job = make_job(premium, LONG)
    in_background(job)
    wait_until(lambda: slow_engine.pid, "a running engine")
    first = Job.objects.get().lease_until
    wait_until(lambda: Job.objects.get().lease_until > first, "a renewed lease")
    slow_engine.go()
    wait_until(lambda: not Job.objects.get().is_active, "the end", timeout=60)


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_the_last_moment_belongs_to_the_owner(researcher, make_job, monkeypatch):
    """Cancelled after the files were stored and before the row was completed: no result, and no file of it."""
    complete = Job.complete

    def cancelled_just_before(job, result):
        Job.objects.get(pk=job.pk).cancel()
        return complete(job, result)

    monkeypatch.setattr(Job, "complete", cancelled_just_before)
    job = run(make_job(researcher))
    assert (job.status, job.result_key) == ("CANCELLED", "")
    assert not objects("results").exists(job.attempt_key("annotated.vcf.gz"))
