"""Whose job is next: a head start for Premium, nobody waits for ever, and no hint is lost on the way."""

import importlib
import threading
from datetime import timedelta
from types import SimpleNamespace

import dramatiq
import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connection
from django.db.models.functions import Now
from django.utils import timezone
from dramatiq import Message
from dramatiq.middleware import Shutdown

from accounts.models import Plan
from accounts.plans import change_plan
from conftest import VCF
from jobs.annotate import worker_name
from jobs.models import Job, MonthlyUse
from jobs.models.monthly_use import this_month
from jobs.tasks import annotate_job

HEAD_START = timedelta(minutes=10)  # of Premium, by the migration


@pytest.fixture
def ran(monkeypatch):
    """The names of the files in the order in which they were annotated; that takes no time here."""
    names: list[str] = []

    def annotate(job: Job) -> None:
        names.append(job.file_name.removesuffix(".vcf"))
        assert job.fail("x", ["y"])

    monkeypatch.setattr("jobs.tasks.annotate", annotate)
    return names


@pytest.fixture
def submit(make_job, django_capture_on_commit_callbacks):
    """A PENDING job that was hinted at."""

    def make(owner, name: str) -> Job:
        with django_capture_on_commit_callbacks(execute=True):
            return make_job(owner, name=f"{name}.vcf")

    return make


def hinted() -> list[str]:
    """The ids in the queue, the next first."""
    queue = dramatiq.get_broker().queues["annotate"].queue
    return [Message.decode(message).args[0] for message in queue]


def take_hint() -> bool:
    """What a worker does with the next message; False: there is none."""
    queue = dramatiq.get_broker().queues["annotate"]
    if queue.empty():
        return False
    message = Message.decode(queue.get_nowait())
    queue.task_done()
    annotate_job.fn(*message.args)
    return True


def waiting() -> set[str]:
    return {str(pk) for pk in Job.objects.waiting().values_list("pk", flat=True)}


def test_premium_that_comes_last_runs_first_and_no_hint_is_lost(researcher, premium, submit, ran):
    free = [submit(researcher, f"free-{n}") for n in range(10)]
    paid = submit(premium, "paid")
    assert paid.queue_position == 0
    assert [job.queue_position for job in free] == list(range(1, 11))
    while take_hint():
        assert waiting() <= set(hinted())
    assert ran == ["paid", *(f"free-{n}" for n in range(10))]
    assert set(Job.objects.values_list("attempt", flat=True)) == {1}


def test_who_has_waited_longer_than_the_head_start_is_not_overtaken(researcher, premium, submit, ran):
    old, young = submit(researcher, "old"), submit(researcher, "young")
    long_ago = timezone.now() - HEAD_START - timedelta(seconds=1)
    Job.objects.filter(pk=old.pk).update(waiting_since=long_ago, turn=long_ago)
    submit(premium, "paid")
    while take_hint():
        pass
    assert ran == ["old", "paid", "young"]
    assert young.turn == young.waiting_since


def test_a_lone_hint_of_the_first_is_for_the_first(researcher, submit, ran):
    first, second = submit(researcher, "first"), submit(researcher, "second")
    assert take_hint()
    assert ran == ["first"]
    assert hinted() == [str(second.pk)]
    annotate_job.fn(str(first.pk))  # a doubled hint
    assert ran == ["first"]
    assert hinted() == [str(second.pk)]


def test_of_equal_turns_the_one_that_was_hinted_at_runs(researcher, submit, ran):
    jobs = [submit(researcher, name) for name in "ab"]
    Job.objects.update(turn=timezone.now())
    hinted_at = max(jobs, key=lambda job: job.pk)
    annotate_job.fn(str(hinted_at.pk))
    assert ran == [hinted_at.file_name.removesuffix(".vcf")]


@pytest.mark.parametrize("state", ["backs off", "deleted", "runs", "cancelled"])
def test_what_no_worker_may_have_is_not_taken_first(researcher, submit, ran, state):
    first, second = submit(researcher, "first"), submit(researcher, "second")
    if state == "backs off":
        Job.objects.filter(pk=first.pk).update(not_before=Now() + timedelta(minutes=1))
    else:
        {"deleted": first.delete_soon, "runs": lambda: first.claim("w"), "cancelled": first.cancel}[state]()
    dramatiq.get_broker().flush_all()
    annotate_job.fn(str(second.pk))
    assert ran == ["second"]
    assert hinted() == []


def test_a_hint_for_what_backs_off_runs_nothing_else(researcher, submit, ran):
    submit(researcher, "first")
    second = submit(researcher, "second")
    Job.objects.filter(pk=second.pk).update(not_before=Now() + timedelta(minutes=1))
    dramatiq.get_broker().flush_all()
    annotate_job.fn(str(second.pk))
    assert (ran, hinted()) == ([], [])


def test_a_worker_that_comes_too_late_for_the_first_takes_the_next(researcher, premium, submit, ran, monkeypatch):
    second, third = submit(researcher, "second"), submit(researcher, "third")
    submit(premium, "first")
    dramatiq.get_broker().flush_all()
    claim = Job.claim

    def overtaken(job: Job, worker: str) -> bool:
        monkeypatch.setattr(Job, "claim", claim)
        assert claim(Job.objects.get(pk=job.pk), "another")
        return claim(job, worker)

    monkeypatch.setattr(Job, "claim", overtaken)
    annotate_job.fn(str(third.pk))
    assert ran == ["second"]
    assert hinted() == [str(third.pk)]
    second.refresh_from_db()
    assert second.worker == worker_name()


def test_on_shutdown_the_job_that_runs_goes_back(researcher, premium, submit, monkeypatch):
    free, paid = submit(researcher, "free"), submit(premium, "paid")
    dramatiq.get_broker().flush_all()

    def interrupted(_job: Job) -> None:
        raise Shutdown

    monkeypatch.setattr("jobs.tasks.annotate", interrupted)
    annotate_job.fn(str(free.pk))
    paid.refresh_from_db()
    free.refresh_from_db()
    assert (paid.status, paid.attempt, paid.tries) == ("PENDING", 1, 0)
    assert (free.status, free.attempt) == ("PENDING", 0)
    assert hinted() == [str(free.pk)]


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_many_workers_run_each_job_once(researcher, premium, make_job, ran):
    for n in range(6):
        make_job(premium if n % 2 else researcher, name=f"{n}.vcf")
    start = threading.Barrier(3)

    def work() -> None:
        try:
            start.wait()
            while take_hint():
                pass
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ran) == list("012345")
    assert set(Job.objects.values_list("status", "attempt")) == {("FAILED", 1)}


def test_the_turn_follows_the_plan(researcher, premium, submit):
    moved, running, other = submit(researcher, "moved"), submit(researcher, "running"), submit(premium, "other")
    assert running.claim("w")
    assert other.turn == other.waiting_since - HEAD_START
    change_plan(researcher, Plan.PREMIUM)
    for job in (moved, running):
        job.refresh_from_db()
    assert moved.turn == moved.waiting_since - HEAD_START
    assert running.turn == running.waiting_since
    assert (moved.queue_position, other.queue_position) == (0, 1)
    change_plan(researcher, Plan.FREE)
    moved.refresh_from_db()
    assert moved.turn == moved.waiting_since
    assert (moved.queue_position, other.queue_position) == (1, 0)


def test_a_retry_queues_anew_with_the_head_start_of_today(researcher, submit):
    job = submit(researcher, "a")
    assert job.cancel()
    Job.objects.update(waiting_since=Now() - timedelta(days=1), turn=Now() - timedelta(days=1))
    assert job.owner.plan.code == Plan.FREE  # as a page has loaded it
    change_plan(researcher, Plan.PREMIUM)
    assert job.retry()
    assert abs(job.turn - (timezone.now() - HEAD_START)) < timedelta(seconds=10)


def test_a_deleted_job_is_before_nobody(researcher, submit):
    first, second = submit(researcher, "first"), submit(researcher, "second")
    assert first.delete_soon()
    assert second.status_sentence == "It is next to be annotated."


def test_submit_and_wait_runs_its_own_job(researcher, premium, submit, ran, tmp_path):
    submit(premium, "of somebody else")
    (path := tmp_path / "mine.vcf").write_bytes(VCF)
    with pytest.raises(Exception, match="is FAILED"):  # as `ran` ends all
        call_command("submit", str(path), "--email", "rosalind@example.org", "--wait", "30")
    assert ran == ["mine"]


def test_the_migration_keeps_the_order_and_counts_the_month(researcher, outsider, make_job):
    jobs = [make_job(researcher) for _ in range(3)]
    old = make_job(outsider)
    Job.objects.filter(pk=old.pk).update(submitted_at=timezone.now() - timedelta(days=40))
    MonthlyUse.objects.all().delete()
    Job.objects.update(turn=timezone.now())
    migration = importlib.import_module("jobs.migrations.0009_turn")
    migration.count_what_there_is(apps, SimpleNamespace(connection=connection))
    assert [job.pk for job in Job.objects.waiting()] == [*(job.pk for job in jobs), old.pk]
    assert list(MonthlyUse.objects.values_list("user", "month", "jobs")) == [(researcher.pk, this_month(), 3)]
