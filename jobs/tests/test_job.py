"""The state machine of Job: each move legal, illegal and raced."""

import os
import threading
from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models.functions import Now
from django.utils import timezone

from accounts.models import Plan
from accounts.plans import change_plan
from gas.leases import IllegalMove
from gas.objects import objects
from jobs.models import Job
from jobs.models.job import MAX_TRIES, Result

RESULT = Result("r/1", 10, "a" * 64, "r/1.tbi", "l/1", 5, "b" * 64, {"records": 3})


@pytest.fixture
def job(researcher, make_job) -> Job:
    return make_job(researcher)


@pytest.fixture
def running(job) -> Job:
    assert job.claim("w1")
    return job


def expire(job: Job) -> None:
    """Let the lease run out, by the database's clock."""
    Job.objects.filter(pk=job.pk).update(lease_until=Now() - timedelta(seconds=1))


def ready(job: Job) -> Job:
    """Let the back-off end."""
    Job.objects.filter(pk=job.pk).update(not_before=None)
    return fresh(job)


def fresh(job: Job) -> Job:
    return Job.objects.get(pk=job.pk)


def test_a_claim_raises_the_token_and_takes_a_lease(job):
    assert job.claim("w1")
    assert (job.status, job.attempt, job.tries, job.worker) == ("RUNNING", 1, 1, "w1")
    assert timedelta(seconds=80) < job.lease_until - timezone.now() < timedelta(seconds=100)
    assert job.next_action_at == job.lease_until


def test_a_running_job_with_a_lease_is_not_claimed(running):
    assert not fresh(running).claim("w2")
    assert fresh(running).worker == "w1"


def test_a_lost_lease_is_taken_over_and_the_zombie_changes_nothing(running):
    zombie = fresh(running)
    expire(running)
    assert (other := fresh(running)).claim("w2")
    assert (other.attempt, other.tries) == (2, 2)
    assert not zombie.heartbeat(1, 2)
    assert not zombie.complete(RESULT)
    assert not zombie.fail("not_vcf", ["no"])
    assert not zombie.give_back()
    assert not zombie.cancelled()
    assert (fresh(running).status, fresh(running).attempt) == ("RUNNING", 2)
    assert not running.notifications.exists()
    assert other.complete(RESULT)


def test_completion_makes_one_notification_in_the_same_transaction(running, monkeypatch):
    def no_mail(*_):
        raise RuntimeError

    with monkeypatch.context() as patch:
        patch.setattr(Job, "_notify", no_mail)
        with pytest.raises(RuntimeError):
            fresh(running).complete(RESULT)
    assert fresh(running).status == "RUNNING"
    assert running.complete(RESULT)
    assert [n.kind for n in running.notifications.all()] == ["completed"]
    assert not fresh(running).is_active
    with pytest.raises(IllegalMove):
        fresh(running).complete(RESULT)


def test_a_failure_has_a_reason_and_a_mail(running):
    assert running.fail("bad_records", ["Line 3 has 7 columns.", "Line 9 too."])
    assert (running.error_code, running.error_message) == (
        "bad_records",
        "Line 3 has 7 columns.\nLine 9 too.",
    )
    assert [n.kind for n in running.notifications.all()] == ["failed"]


def test_give_back_spends_no_try_and_may_be_claimed_at_once(running, hints, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        assert running.give_back()
    assert (running.status, running.tries, running.lease_until) == ("PENDING", 0, None)
    assert hints("annotate") == 1
    assert fresh(running).claim("w2")


def test_a_job_that_kills_its_workers_fails_with_a_reason(job):
    for n in range(MAX_TRIES):
        assert fresh(job).claim(f"w{n}")
        expire(job)
    assert not fresh(job).claim("w-last")
    dead = fresh(job)
    assert (dead.status, dead.error_code, dead.attempt) == ("FAILED", "worker_died", 3)
    assert dead.error_message == (
        "The annotator died 3 times at this file, without a reason that we know; it is not tried again."
    )
    assert [n.kind for n in dead.notifications.all()] == ["failed"]


def test_an_unexpected_error_is_tried_again_until_the_tries_are_spent(job):
    for _ in range(MAX_TRIES - 1):
        assert job.claim("w")
        assert job.try_again("internal_error", ["Oops."])
        assert job.status == "PENDING"
        assert not fresh(job).claim("w")  # a doubled hint does not shorten the pause
        job = ready(job)
    assert job.claim("w")
    job.try_again("internal_error", ["Oops."])
    assert (job.status, job.error_code) == ("FAILED", "internal_error")


def test_storage_out_of_reach_spends_no_try_and_waits_longer_each_time(job):
    pauses = []
    for _ in range(4):
        assert job.claim("w")
        assert job.wait_for_storage()
        pauses.append(round((job.next_action_at - timezone.now()).total_seconds()))
        job = ready(job)
    assert pauses == [15, 30, 60, 120]
    assert job.tries == 0


def test_storage_out_of_reach_for_a_day_fails_the_job(running):
    Job.objects.filter(pk=running.pk).update(waiting_since=Now() - timedelta(days=1, minutes=1))
    assert running.wait_for_storage()
    assert (running.status, running.error_code) == ("FAILED", "storage_unavailable")
    assert running.retry()
    assert running.claim("w")
    assert running.wait_for_storage()
    assert running.status == "PENDING"  # the day begins anew


def test_what_is_done_to_a_stale_instance_is_done(job):
    """A page was loaded before a worker claimed the job."""
    page, deleting = fresh(job), fresh(job)
    assert job.claim("w")
    assert page.cancel()
    assert fresh(job).cancel_requested_at
    assert deleting.delete_soon()
    assert fresh(job).deleted_at


def test_a_worker_that_does_not_know_of_the_deletion_ends_its_job(running):
    assert fresh(running).delete_soon()
    assert not running.fail("bad_records", ["No."])
    assert running.cancelled()
    assert running.next_action_at is not None
    assert not running.notifications.exists()


@pytest.mark.parametrize("end", [Job.give_back, Job.wait_for_storage, lambda job: job.fail("x", ["y"])])
def test_nothing_but_the_end_follows_a_wish_to_cancel(running, end):
    assert fresh(running).cancel()
    assert not end(running)
    assert running.cancelled()
    assert not running.notifications.exists()


def test_leases_of_dead_processes_end_at_the_next_start(job):
    assert job.claim(f"here:{2**22 + 1}:1")
    assert Job.objects.end_leases_of_the_dead("elsewhere") == 0
    assert not fresh(job).claim("w")
    assert Job.objects.end_leases_of_the_dead("here") == 1
    assert fresh(job).claim(f"here:{os.getpid()}:1")
    assert Job.objects.end_leases_of_the_dead("here") == 0


def test_cancel_pending_is_at_once(job):
    assert job.cancel()
    assert (job.status, job.next_action_at) == ("CANCELLED", None)
    assert not fresh(job).claim("w1")
    assert not job.notifications.exists()


def test_cancel_running_stops_the_worker_at_its_next_heartbeat(running):
    assert running.heartbeat(1, 3)
    assert fresh(running).cancel()
    assert not running.heartbeat(2, 3)
    assert not running.complete(RESULT)
    mine = fresh(running)
    assert mine.cancelled()
    assert mine.status == "CANCELLED"


def test_cancel_running_whose_worker_is_dead_happens_when_the_lease_runs_out(running):
    assert fresh(running).cancel()
    expire(running)
    assert not fresh(running).claim("w2")
    assert fresh(running).status == "CANCELLED"


@pytest.mark.parametrize("end", ["complete", "fail", "cancel"])
def test_what_has_ended_is_not_cancelled(running, end):
    {
        "complete": lambda: running.complete(RESULT),
        "fail": lambda: running.fail("x", ["y"]),
        "cancel": running.cancelled,
    }[end]()
    status = running.status
    assert not running.cancel()
    assert fresh(running).status == status


def test_retry_is_for_failed_and_cancelled_jobs_only(running):
    with pytest.raises(IllegalMove):
        fresh(running).retry() if running.complete(RESULT) else None


def test_a_retried_job_starts_afresh_and_may_be_mailed_about_again(running):
    running.fail("engine_crashed", ["It crashed."])
    assert running.retry()
    assert (running.status, running.tries, running.error_code, running.finished_at) == (
        "PENDING",
        0,
        "",
        None,
    )
    assert running.claim("w2")
    assert running.fail("engine_crashed", ["Again."])
    assert running.notifications.count() == 1


def test_a_deleted_job_is_invisible_at_once_and_its_files_go(running, researcher, tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"x")
    objects("results").put_file(running.attempt_key("annotated.annot.vcf.gz"), path)
    assert running.heartbeat(1, 3)
    assert fresh(running).delete_soon()
    assert not Job.objects.visible_to(researcher).exists()
    assert not running.heartbeat(1, 3)
    fresh(running).purge()  # a worker still holds it
    assert Job.objects.filter(pk=running.pk).exists()
    assert fresh(running).cancelled()
    fresh(running).purge()
    assert not Job.objects.filter(pk=running.pk).exists()
    assert not researcher.uploads.exists()
    assert not objects("uploads").exists(running.input_key)
    assert not objects("results").exists(running.attempt_key("annotated.annot.vcf.gz"))


def test_a_job_that_is_not_deleted_is_not_purged(job):
    job.purge()
    assert objects("uploads").exists(fresh(job).input_key)


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "RUNNING"},
        {"status": "COMPLETED", "finished_at": Now(), "next_action_at": None},
        {"status": "FAILED", "finished_at": Now(), "next_action_at": None},
        {"status": "CANCELLED", "next_action_at": None},
        {"status": "CANCELLED", "finished_at": Now()},
        {"next_action_at": None},
        {"lease_until": Now()},
        {"result_key": "somebody/else"},
        {"status": "Done"},
        {"deleted_at": Now(), "next_action_at": None},
        {"finished_at": Now()},
    ],
    ids=" ".join,
)
def test_the_database_refuses_half_states(job, changes):
    with pytest.raises(IntegrityError), transaction.atomic():
        Job.objects.filter(pk=job.pk).update(**changes)


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_of_many_claims_at_once_one_wins(researcher, make_job):
    job = make_job(researcher)
    wins, start = [], threading.Barrier(6)

    def claim(name: str) -> None:
        try:
            mine = fresh(job)
            start.wait()
            if mine.claim(name):
                wins.append(name)
        finally:
            connection.close()

    threads = [threading.Thread(target=claim, args=(f"w{n}",)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(wins) == 1
    assert (fresh(job).attempt, fresh(job).worker) == (1, wins[0])


def test_the_window_of_a_free_result(running):
    assert running.download_until is None
    running.complete(RESULT)
    assert abs(running.download_until - running.finished_at - timedelta(minutes=5)) < timedelta(seconds=1)
    assert running.can_download
    Job.objects.filter(pk=running.pk).update(download_until=running.finished_at - timedelta(seconds=1))
    late = fresh(running)
    assert late.is_locked
    assert not late.can_download
    change_plan(late.owner, Plan.PREMIUM)
    opened = fresh(running)
    assert opened.download_until is None
    assert opened.can_download


def test_sentences(job, researcher, make_job):
    second = make_job(researcher)
    assert job.status_sentence == "It is next to be annotated."
    assert second.status_sentence == "It waits to be annotated; 1 job is before it."
    job.claim("w")
    assert second.status_sentence == "It is next to be annotated."
    assert fresh(job).cancel()
    assert fresh(job).status_sentence == "It is being cancelled."
