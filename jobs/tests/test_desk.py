"""Figures of jobs and mails at the desk."""

from datetime import timedelta

import pytest
from django.core.cache import cache
from django.db.models.functions import Now
from django.utils import timezone

from jobs.desk import about, sections
from jobs.models import Announcement, Job, Notification
from jobs.models.job import Result


@pytest.fixture(autouse=True)
def no_cache():
    cache.clear()


@pytest.fixture
def operator(make_staff):
    return make_staff("operator")


@pytest.fixture
def figures(operator):
    """The counters of a section by their labels."""

    def read(title):
        found = next(section for section in sections(operator) if section.title == title)
        return {counter.label: counter for counter in found.counters}

    return read


def values(counters):
    return {label: counter.value for label, counter in counters.items()}


@pytest.fixture
def jobs(researcher, make_job):
    names = ("pending", "waiting", "running", "failed", "rejected", "completed", "cancelled")
    jobs = {name: make_job(researcher, name=f"{name}.vcf") for name in names}
    for name in ("running", "failed", "rejected", "completed"):
        assert jobs[name].claim("w")
    assert jobs["failed"].fail("bad_records", ["Line 3 has 7 columns."])
    assert jobs["rejected"].fail("not_vcf", ["No VCF."])
    assert jobs["completed"].complete(Result("r", 1, "a" * 64, "i", "l", 1, "b" * 64, {}))
    assert jobs["cancelled"].cancel()
    return jobs


def move(job, **fields):
    Job.objects.filter(pk=job.pk).update(**fields)


def test_jobs_by_state(jobs, figures, desk):
    counted = values(figures("Jobs"))
    assert counted == {"pending": 2, "running": 1, "completed": 1, "failed": 2, "cancelled": 1, "stuck": 0}
    client = desk("support")
    for label, counter in figures("Jobs").items():
        assert client.get(counter.url).context["cl"].result_count == counted[label], label


def test_the_oldest_pending_and_the_longest_running(jobs, figures):
    hour, minute = timedelta(hours=1), timedelta(minutes=1)
    move(jobs["pending"], waiting_since=Now() - hour)
    move(jobs["running"], started_at=Now() - 5 * minute)
    found = figures("Jobs")
    assert hour <= found["pending"].age < hour + minute
    assert 5 * minute <= found["running"].age < 6 * minute
    assert found["completed"].age is None
    assert (found["pending"].level, found["running"].level) == ("warning", "info")
    move(jobs["pending"], waiting_since=Now() - minute)
    assert figures("Jobs")["pending"].level == "info"


def test_stuck_jobs(jobs, figures, desk):
    for name in ("pending", "running"):
        move(jobs[name], next_action_at=Now() - timedelta(minutes=2))
    move(jobs["waiting"], next_action_at=Now() - timedelta(seconds=30))
    stuck = figures("Jobs")["stuck"]
    assert (stuck.value, stuck.level) == (2, "danger")
    assert timedelta(minutes=2) <= stuck.age < timedelta(minutes=3)
    listed = desk("support").get(stuck.url).context["cl"].result_list
    assert {job.pk for job in listed} == {jobs["pending"].pk, jobs["running"].pk}


def test_failures_of_a_day_by_reason(jobs, figures, desk, make_job, researcher):
    other = make_job(researcher)
    assert other.claim("w")
    assert other.fail("bad_records", ["Line 9."])
    assert values(figures("Failures in 24 hours")) == {"bad_records": 2, "not_vcf": 1}
    move(jobs["failed"], finished_at=timezone.now() - timedelta(hours=25))
    reasons = figures("Failures in 24 hours")
    assert values(reasons) == {"bad_records": 1, "not_vcf": 1}
    assert [job.pk for job in desk("support").get(reasons["bad_records"].url).context["cl"].result_list] == [other.pk]
    Job.objects.filter(status="FAILED").update(finished_at=timezone.now() - timedelta(hours=25))
    assert values(figures("Failures in 24 hours")) == {"failed": 0}


def test_open_uploads(make_upload, researcher, jobs, figures, desk):
    upload = make_upload(researcher)
    found = figures("Uploads")["open"]
    assert found.value == 1
    assert list(desk("support").get(found.url).context["cl"].result_list) == [upload]


def test_mails(jobs, figures, desk):
    failed, sent = jobs["failed"].notifications.get(), jobs["completed"].notifications.get()
    assert failed.claim()
    assert failed.failed("refused")
    assert sent.claim()
    assert sent.sent()
    found = figures("Mails about jobs")
    assert values(found) == {"waiting": 1, "failed": 1}
    assert [found[label].level for label in ("waiting", "failed")] == ["info", "danger"]
    assert list(desk("support").get(found["failed"].url).context["cl"].result_list) == [failed]
    Notification.objects.filter(status="PENDING").update(waiting_since=Now() - timedelta(hours=1))
    late = figures("Mails about jobs")["waiting"]
    assert (late.level, late.age >= timedelta(hours=1)) == ("warning", True)


def test_announcements(figures):
    assert values(figures("Announcements")) == {"shown now": 0}
    Announcement.objects.create(text="We are back.", ends_at=timezone.now() + timedelta(hours=1))
    Announcement.objects.create(
        text="Over.", starts_at=timezone.now() - timedelta(2), ends_at=timezone.now() - timedelta(1)
    )
    pause = Announcement.objects.create(text="A pause.", pauses_submissions=True)
    found = figures("Announcements")
    assert values(found) == {"is shown": "We are back.", "pauses submissions": str(pause)}
    assert found["pauses submissions"].level == "warning"


def test_of_a_user(jobs, researcher, outsider, operator):
    (mine, mails), (others, no_mails) = about(researcher, operator), about(outsider, operator)
    counted = {counter.label: counter.value for counter in mine.counters}
    assert (counted["all"], counted["failed"], counted["uploads"]) == (7, 2, 7)
    assert counted["submitted this month"] == 7
    assert {counter.label: counter.value for counter in mails.counters} == {"all": 3, "failed": 0}
    assert {counter.value for counter in others.counters if counter.label != "inputs"} == {0}
    assert {counter.value for counter in no_mails.counters} == {0}


def test_who_may_see_nothing_sees_nothing(researcher):
    assert sections(researcher) == []
    assert about(researcher, researcher) == []
