"""manage.py backfill_jobs and backfill_notifications: they choose and enqueue, and are safe to run twice."""

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db.models.functions import Now

from jobs.models import Job, Notification
from jobs.models.job import Result

RESULT = Result("r", 1, "a" * 64, "i", "l", 1, "b" * 64, {})


def backfill(command: str, *args: str) -> list[str]:
    out = StringIO()
    call_command(command, *args, stdout=out)
    return out.getvalue().splitlines()


@pytest.fixture
def failed(researcher, make_job) -> Job:
    job = make_job(researcher)
    job.claim("w")
    job.fail("engine_crashed", ["It crashed."])
    return job


def overdue(job: Job) -> None:
    Job.objects.filter(pk=job.pk).update(next_action_at=Now() - timedelta(minutes=2))


def test_stuck_jobs_are_enqueued_others_not(researcher, make_job, failed, hints):
    stuck, fine = make_job(researcher), make_job(researcher)
    overdue(stuck)
    assert backfill("backfill_jobs") == [f"{stuck.pk} PENDING", "1 chosen, 1 enqueued"]
    assert hints("annotate") == 1
    assert Job.objects.get(pk=fine.pk).status == "PENDING"
    assert Job.objects.get(pk=failed.pk).status == "FAILED"


def test_failed_jobs_are_set_back_once(failed, hints, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        assert backfill("backfill_jobs", "--failed")[-1] == "1 chosen, 1 enqueued"
    assert Job.objects.get().status == "PENDING"
    assert hints("annotate") == 1
    assert backfill("backfill_jobs", "--failed") == ["0 chosen, 0 enqueued"]


def test_a_dry_run_changes_nothing(failed, hints):
    assert backfill("backfill_jobs", "--failed", "--dry-run") == [
        f"{failed.pk} FAILED engine_crashed",
        "1 chosen, 0 enqueued (dry run)",
    ]
    assert (Job.objects.get().status, hints("annotate")) == ("FAILED", 0)


@pytest.mark.parametrize(
    ("options", "chosen"),
    [
        (["--error-code", "engine_crashed"], 1),
        (["--error-code", "other"], 0),
        (["--failed", "--email", "ROSALIND@example.org"], 1),
        (["--failed", "--email", "outsider@example.org"], 0),
        (["--failed", "--since", "2020-01-01"], 1),
        (["--failed", "--since", "2999-01-01T00:00:00"], 0),
        (["--failed", "--limit", "0"], 0),
    ],
)
def test_filters(failed, outsider, options, chosen):
    assert backfill("backfill_jobs", "--dry-run", *options)[-1] == f"{chosen} chosen, 0 enqueued (dry run)"


@pytest.mark.parametrize(
    "option", [["--since", "yesterday"], ["--since", "2026-13-45"], ["--limit", "-1"], ["--limit", "x"]]
)
def test_a_date_or_number_that_is_none(db, option):
    with pytest.raises(CommandError, match=f"argument {option[0]}.* is no "):
        backfill("backfill_jobs", f"{option[0]}={option[1]}")


def test_notifications(researcher, make_job, hints):
    jobs = [make_job(researcher) for _ in range(3)]
    for job in jobs:
        job.claim("w")
        job.complete(RESULT)
    sent, failed, pending = (job.notifications.get() for job in jobs)
    assert sent.claim()
    assert sent.sent()
    assert failed.claim()
    assert failed.failed("550")
    assert backfill("backfill_notifications", "--dry-run")[-1] == "1 chosen, 0 enqueued (dry run)"
    assert backfill("backfill_notifications") == [
        f"{pending.pk} completed PENDING job {jobs[2].pk}",
        "1 chosen, 1 enqueued",
    ]
    assert backfill("backfill_notifications", "--failed")[-1] == "2 chosen, 2 enqueued"
    assert hints("notify") == 3
    assert sorted(Notification.objects.values_list("status", flat=True)) == ["PENDING", "PENDING", "SENT"]
